// SPDX-License-Identifier: Apache-2.0

package sigv4

import "fmt"

// Reason says why a request is not authentic. The services have different error
// codes for the same reason, so choosing one is left to the caller.
type Reason uint8

// The reasons, in the order in which they are found.
const (
	Missing     Reason = iota // nothing in the request authenticates it
	Malformed                 // the authentication cannot be read
	Scope                     // date and credential scope disagree
	Expired                   // signed too long ago
	NotYetValid               // signed in the future
	Payload                   // the declared hash is not that of the body
	Mismatch                  // the signature is wrong
)

// Error is the refusal of a request. The message is meant for the client, in
// the words that AWS uses, and holds no secret.
type Error struct {
	Reason  Reason
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func malformed(format string, args ...any) *Error {
	return &Error{Reason: Malformed, Message: fmt.Sprintf(format, args...)}
}

// mismatch shows both texts that were signed here, so that somebody who writes
// a client can compare. They hold nothing but what the request held.
func mismatch(canonical, stringToSign []byte) *Error {
	return &Error{Reason: Mismatch, Message: fmt.Sprintf(
		"The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"+
			"The Canonical String for this request should have been\n'%s'\n\n"+
			"The String-to-Sign should have been\n'%s'\n", canonical, stringToSign)}
}
