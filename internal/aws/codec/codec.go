// SPDX-License-Identifier: Apache-2.0

// Package codec is the common form of the wire protocols: a message taken apart
// into what HTTP gives, the interface that each protocol implements in a package
// below this one, and the handling of scalars, labels and structures that they
// share. A codec walks the tables of package schema together with the Go struct
// of an input or output; it knows no operation by name.
//
// Package protocols picks the codec of a service.
package codec

import (
	"net/http"
	"net/url"

	"github.com/posternhq/postern/internal/aws/schema"
)

// Request is what a codec reads of, or writes into, an HTTP request.
type Request struct {
	Method string
	Path   string      // escaped, as on the request line, without the query
	Query  url.Values  // of the request line, decoded; nil is empty
	Header http.Header // nil is empty
	Body   []byte      // whole, already limited in size by the caller
}

// Response is what a codec writes into, or reads of, an HTTP response.
type Response struct {
	Status int
	Header http.Header // Content-Type and members that travel in headers
	Body   []byte
	// Release, if there is one, says that nothing of the response is needed any more:
	// the next one may be written in its place.
	Release func()
}

// Codec is one wire protocol for one service. Its methods are safe for use by
// several goroutines, keep nothing of their arguments, and never panic on
// what comes from the network.
type Codec interface {
	// DecodeRequest returns the operation's input, of the type that
	// op.NewInput makes. Every error is an *Error and the client's doing.
	// Constraints of the model are not checked: see package validate.
	DecodeRequest(op *schema.Operation, r *Request) (any, error)
	// EncodeResponse writes a successful answer. out is of the type that
	// op.NewOutput makes, or nil for an empty one.
	EncodeResponse(op *schema.Operation, out any, requestID string) (*Response, error)
	// EncodeRequest is what a client sends for the input in.
	EncodeRequest(op *schema.Operation, in any) (*Request, error)
	// DecodeResponse returns the output in a successful answer, and a
	// *RemoteError for an answer that is not.
	DecodeResponse(op *schema.Operation, r *Response) (any, error)
}

// Limits that decoders keep, so that no message can make them work or allocate
// more than its size justifies.
const (
	MaxListLength = 1000 // elements of one list or map in a form, and its largest index
	MaxDepth      = 32   // structures, lists and maps inside each other
)

// RequestIDHeader carries the request's id in every answer, in the canonical
// spelling of net/http.
const RequestIDHeader = "X-Amzn-Requestid"
