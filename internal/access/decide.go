// SPDX-License-Identifier: Apache-2.0

package access

import "github.com/posternhq/postern/internal/model"

// Shares tells what accounts let others use. There are none yet: whoever asks
// passes nil.
type Shares interface {
	// Shared reports whether the owner of a resource lets an account do an action
	// with it; an empty action asks whether it lets it do any.
	Shared(with, action string, resource model.Ref) bool
}

// Decision is what becomes of a request.
type Decision struct {
	Allowed bool
	// Denied is the first ask that is not allowed, nil when all are.
	Denied *Ask
	// Foreign says that the reason is whose the resource is. Whether it exists has
	// no part in the decision, so that the answer cannot tell.
	Foreign bool
	// Reason is a part of a sentence that may be told; empty for none.
	Reason string
}

// Decide answers a request: a caller may do everything in its own account, and
// with what others share with it as they allow; what the installation as a whole is
// about, the management account alone. A request that asks for nothing is
// not allowed, nor one of nobody. It keeps pointers into r.
func Decide(r *Request, shares Shares) Decision {
	if len(r.Asks) == 0 {
		return Decision{}
	}
	if r.Caller.Account == "" {
		return Decision{Denied: &r.Asks[0]}
	}
	if r.Management && !r.Caller.Management {
		return Decision{Denied: &r.Asks[0], Reason: "because it is for the management account, which was made at the first start"}
	}
	for i := range r.Asks {
		a := &r.Asks[i]
		if a.Resource.Kind != nil && !owns(r.Caller.Account, a.Action, a.Resource.Ref, shares) {
			return Decision{Denied: a, Foreign: true}
		}
	}
	return Decision{Allowed: true}
}

// owns is the one place where accounts are compared.
func owns(account, action string, r model.Ref, shares Shares) bool {
	return r.Account == account || shares != nil && shares.Shared(account, action, r)
}

// Text says who may not do what, in the words of AWS's access denied messages:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
// Denials across accounts have no reason there, and so they have none here.
func (d *Decision) Text(who *Caller) string {
	text := "User: " + who.ARN + " is not authorized to perform this request"
	if a := d.Denied; a != nil {
		text = "User: " + who.ARN + " is not authorized to perform: " + a.Action + " on resource: " + a.Resource.ARN()
	}
	if d.Reason != "" {
		text += " " + d.Reason
	}
	return text
}
