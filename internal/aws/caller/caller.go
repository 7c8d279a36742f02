// SPDX-License-Identifier: Apache-2.0

// Package caller says who makes a request. The server puts a Caller into the
// request's context once the signature is verified; handlers read it there and
// nowhere else.
package caller

import "context"

// Caller is the authenticated origin of one request.
type Caller struct {
	// Account is the 12-digit account that the access key belongs to.
	Account string
	// Region is the region of the signature's credential scope. It has been
	// checked against the regions that are served.
	Region string
	// ARN and UserID are what STS GetCallerIdentity reports.
	ARN, UserID string
	// AccessKeyID is the key that signed. It is no secret.
	AccessKeyID string
	// RequestID is the id that the reply and the logs carry.
	RequestID string
}

type contextKey struct{}

// With returns a context that carries c.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller that With put into ctx, and the zero Caller, whose
// Account is empty and owns nothing, when there is none.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}
