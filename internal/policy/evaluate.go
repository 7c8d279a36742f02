// SPDX-License-Identifier: Apache-2.0

package policy

// Evaluate answers a question.
func Evaluate(q *Question) Verdict { return Verdict{} }
