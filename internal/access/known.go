// SPDX-License-Identifier: Apache-2.0

package access

// Known reports whether the resource has an id: it is none that the request makes, nor
// one that it names by something else.
func (r Resource) Known() bool { return r.Kind != nil && r.ID != unknownID }
