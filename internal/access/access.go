// SPDX-License-Identifier: Apache-2.0

// Package access decides whether a caller may do what a request asks for. It has
// the table of all served operations: which actions each asks for, and on which
// resources (table.go, generated from tool/awsgen/access.txt).
//
// The package is pure: it knows neither rows nor requests on the wire. The server
// asks Decide once for every request, before a dry run is answered and before a
// handler runs; handlers find rows through the View that they get then.
package access

import (
	"context"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// Caller is the authenticated origin of one request.
type Caller struct {
	// Account is the 12-digit account that the access key belongs to.
	Account string
	// Region is that of the signature's credential scope, which is served; empty
	// for services that are global, whose resources are in no region.
	Region string
	// ARN and UserID are what STS GetCallerIdentity reports.
	ARN, UserID string
	// Management says that the account is the one that was made at the first start,
	// which looks after the installation.
	Management bool
	// AccessKeyID is the key that signed. It is no secret.
	AccessKeyID string
	// RequestID is the id that the reply and the logs carry.
	RequestID string
	// Kind says what the caller is. The other fields are of the user or role whose
	// policies count, its ARN, unique id and name; they are empty for Root.
	Kind                         policy.PrincipalKind
	Entity, EntityID, EntityName string
	// Session is that of a temporary key; nil for a key that lasts.
	Session *Session
}

// View is what a handler may know: who calls, and thereby which rows are there at
// all. Whoever decides about requests puts it into the context; a handler takes
// it from there and never makes one.
type View struct{ Caller }

// Sees reports whether the resource with that name is in the view: the caller's
// own in its region, or one that is shared with it. A nil Shares has nothing.
func (v View) Sees(r model.Ref, shares Shares) bool {
	return v.Account != "" && r.Region == v.Region && owns(v.Account, "", r, shares)
}

// Own names a resource of the caller's in its region. An index that has names in
// place of ids takes these in the same form.
func (v View) Own(id string) model.Ref {
	return model.Ref{Account: v.Account, Region: v.Region, ID: id}
}

// Owns reports whether an account is the caller's, for lists across regions.
func (v View) Owns(account string) bool { return v.Account != "" && account == v.Account }

// ViewKey is the key of contexts under which the view, a *View, is found. A context type
// that carries several things may answer it itself, see With.
type ViewKey struct{}

// carrier is a context with a view.
type carrier struct {
	context.Context
	view View
}

func (c *carrier) Value(key any) any {
	if key == (ViewKey{}) {
		return &c.view
	}
	return c.Context.Value(key)
}

// With returns a context that carries a copy of v. It is for tests, which stand in for whoever
// decides about requests.
func With(ctx context.Context, v *View) context.Context { return &carrier{ctx, *v} }

// From returns the view that With put into ctx, and the zero View, whose account
// is empty and sees nothing, when there is none.
func From(ctx context.Context) View {
	if v, ok := ctx.Value(ViewKey{}).(*View); ok {
		return *v
	}
	return View{}
}
