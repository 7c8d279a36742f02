// SPDX-License-Identifier: Apache-2.0

package codec

import "fmt"

// Problem says what is wrong with a message, in terms that no service's error
// code is bound to; the server picks the code.
type Problem uint8

// The problems.
const (
	Malformed        Problem = iota + 1 // the message is not of its format at all
	UnknownParameter                    // a parameter that the operation does not have
	WrongType                           // a value that is not of the parameter's type
	BadIndex                            // a list index that is no number, not positive or too large
	TooMany                             // more elements than MaxListLength
	TooDeep                             // deeper than MaxDepth
	Duplicate                           // the same parameter twice
)

var problemNames = [...]string{"", "malformed", "unknown parameter", "wrong type", "bad index", "too many", "too deep", "duplicate"}

// String returns a short name of the problem for logs and tests.
func (p Problem) String() string {
	if int(p) < len(problemNames) {
		return problemNames[p]
	}
	return "unknown"
}

// Error is what a decoder answers to a message that it cannot take.
type Error struct {
	Problem   Problem
	Parameter string // as the client wrote it, e.g. Filter.1.Name or portRanges[0]; empty for the whole message
	Detail    string // a sentence part for people: "is not an integer"
	Cause     error  // may be nil
}

// Error names the parameter and says what is wrong with it.
func (e *Error) Error() string {
	text := e.Detail
	if e.Parameter != "" {
		text = fmt.Sprintf("parameter %s %s", e.Parameter, e.Detail)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// RemoteError is an error answer of a service as its client sees it.
type RemoteError struct {
	Status    int
	Code      string
	Message   string
	RequestID string
	Fields    map[string]string // further members, e.g. resourceId
}

// Error returns code and message.
func (e *RemoteError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s (HTTP %d)", e.Code, e.Status)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}
