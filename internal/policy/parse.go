// SPDX-License-Identifier: Apache-2.0

package policy

// Document is a policy that was read. It does not change.
type Document struct {
	kind Kind
}

// Kind is the kind that the document was read as.
func (d *Document) Kind() Kind { return d.kind }

// Error says why a text is no policy, in a sentence for users. Services answer it
// as MalformedPolicyDocument.
type Error struct{ Text string }

// Error is the sentence.
func (e *Error) Error() string { return e.Text }

// Parse reads a policy of that kind. The error is an *Error.
func Parse(kind Kind, text string) (*Document, error) {
	return nil, &Error{Text: "Syntax errors in policy."}
}

// Size counts the characters of a policy as IAM's quotas do: without white space.
func Size(text string) int { return len(text) }

// Principals lists the ARNs of users and roles that the document names as principals:
// who stores it looks them up, and refuses it when one is not there.
func (d *Document) Principals() []string { return nil }

// Bind returns the document with principals known by their unique ids: ids has those
// of ARNs in Principals. An ARN that it does not have matches nobody.
func (d *Document) Bind(ids map[string]string) *Document { return d }
