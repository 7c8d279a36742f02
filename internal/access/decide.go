// SPDX-License-Identifier: Apache-2.0

package access

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// Shares tells what accounts let others use: package share does, by the rows of a
// transaction. Nil has nothing.
type Shares interface {
	// Shared reports whether the owner of a resource lets an account do an action
	// with it; an empty action asks whether it lets it do any.
	Shared(with, action string, resource model.Ref) bool
}

// Resources reads what policies may ask of resources, from rows. What does not exist, or
// is not the caller's, has neither id nor values, and that must not tell.
type Resources interface {
	// Find gives the name of a resource behind its type, for one that a request names by
	// something else (see Ask.Other), or whose id is not what ARNs have.
	Find(a *Ask) (id string, ok bool)
	// Account gives whose a resource is that a request names by its id alone: the caller's,
	// unless another account shares it with the caller.
	Account(r Resource) string
	// Values gives the values of one of the keys of the resource's kind.
	Values(r Resource, key string) ([]string, bool)
	// Trust gives the trust policy of a role, whosever it is, and nil when there is none.
	Trust(r Resource) *policy.Named
	// Tags gives the resource's tags.
	Tags(r Resource) map[string]string
}

// Rules are what Decide decides by, as they are in one state of the tables.
type Rules struct {
	// Principal has the caller's policies. Nil stands for the account itself, which
	// nothing bounds, and which no role trusts.
	Principal *policy.Principal
	// Tags are the principal's: those of the user or role, and of the session.
	Tags map[string]string
	// Organization is the id of the caller's, and Paths where its account is in it; both
	// may be empty.
	Organization string
	Paths        []string
	Shares       Shares
	Resources    Resources
	// Endpoint is the policy of the VPC endpoint that the request came by; nil for one that
	// allows everything, and for none. EndpointOrganization and EndpointPaths say where the
	// endpoint's account is.
	Endpoint             *policy.Named
	EndpointOrganization string
	EndpointPaths        []string
}

// Decision is what becomes of a request.
type Decision struct {
	Allowed bool
	// Denied is the first ask that is not allowed, nil when all are.
	Denied *Ask
	// Foreign says that the reason is whose the resource is. Whether it exists has
	// no part in the decision, so that the answer cannot tell.
	Foreign bool
	// Verdict is the answer of policies to the ask that is denied.
	Verdict policy.Verdict
	// Reason is a part of a sentence that may be told; empty for none.
	Reason string
	// Encoded is the decision in a form that only sts:DecodeAuthorizationMessage can read;
	// empty for none.
	Encoded string
}

// Decide answers a request: a caller may do what its policies allow in its own account,
// where the account itself may do everything, and with what others share with it as they
// allow; what the installation as a whole is about, the management account alone. A
// request that asks for nothing is not allowed, nor one of nobody. It keeps pointers into r.
//
// Policies are asked about everything before it is looked whose it is: what somebody may
// not do at all is denied, whatever it is done to.
func Decide(r *Request, rules *Rules) Decision {
	if len(r.Asks) == 0 {
		return Decision{}
	}
	if rules == nil {
		rules = &noRules
	}
	if r.Caller.Account == "" {
		return Decision{Denied: &r.Asks[0]}
	}
	if d, ok := policies(r, rules); !ok {
		return d
	}
	if r.Management && !r.Caller.Management {
		return Decision{Denied: &r.Asks[0], Reason: "because it is for the management account, which was made at the first start"}
	}
	for i := range r.Asks {
		a := &r.Asks[i]
		if a.Resource.Kind != nil && !a.trusts() && !owns(r.Caller.Account, a.Action, a.Resource.Ref, rules.Shares) {
			return Decision{Denied: a, Foreign: true}
		}
	}
	return Decision{Allowed: true}
}

var noRules Rules

// policies asks the principal's policies about all asks; false comes with a denial.
func policies(r *Request, rules *Rules) (Decision, bool) {
	p := rules.Principal
	free := r.Operation != nil && r.Operation.Free
	if free && rules.Endpoint == nil {
		return Decision{}, true
	}
	everything := p == nil || p.Kind == policy.Root && p.Controls == nil && !p.HasSession && rules.Endpoint == nil
	for i := range r.Asks {
		a := &r.Asks[i]
		if !free && r.Caller.Session.barred(a.Action) {
			return Decision{Denied: a, Reason: "because it is for no session of GetSessionToken or GetFederationToken"}, false
		}
		if a.Mentioned || everything && !a.trusts() {
			continue
		}
		r.facts.begin(r, rules, a)
		r.question = policy.Question{Principal: p, Action: a.Action, Resource: a.arn(r.facts.resource), Endpoint: rules.Endpoint, Context: &r.facts}
		if free {
			if v := policy.Through(&r.question); !v.Allowed {
				return Decision{Denied: a, Verdict: v}, false
			}
			continue
		}
		if a.trusts() {
			if rules.Resources != nil {
				r.question.Trust = rules.Resources.Trust(a.Resource)
			}
			if r.question.Trust == nil || p == nil {
				return Decision{Denied: a}, false
			}
			r.question.ResourceAccount = a.Resource.Account
		}
		if v := policy.Evaluate(&r.question); !v.Allowed {
			return Decision{Denied: a, Verdict: v}, false
		}
	}
	return Decision{}, true
}

// owns is the one place where accounts are compared.
func owns(account, action string, r model.Ref, shares Shares) bool {
	return r.Account == account || shares != nil && shares.Shared(account, action, r)
}

// Passes reports whether a request goes to its handler: when it is allowed, and when all
// that speaks against it is whose the resources are, and the service hides those. Then
// its handler finds nothing, and says so.
func (d *Decision) Passes(r *Request) bool { return d.Allowed || d.Foreign && r.Hides }

// Refused is the error of a transaction whose caller may not do any more what was allowed
// when the request came.
type Refused struct {
	// Unknown says that the caller itself is not known any more; else Text says what it
	// may not do.
	Unknown bool
	Text    string
}

// Error says what the caller is told.
func (r *Refused) Error() string {
	if r.Unknown {
		return "the caller is not known any more"
	}
	return r.Text
}

// Text says who may not do what, in the words of AWS's access denied messages:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
// Denials across accounts have no reason there, and so they have none here. The resource
// is what the request calls it, which tells nothing of what there is.
func (d *Decision) Text(who *Caller) string {
	text := "User: " + who.ARN + " is not authorized to perform this request"
	if a := d.Denied; a != nil {
		text = "User: " + who.ARN + " is not authorized to perform: " + a.Action + " on resource: " + a.arn(a.Resource) + d.because(who)
	}
	if d.Reason != "" {
		text += " " + d.Reason
	}
	if d.Encoded != "" {
		text += ". Encoded authorization failure message: " + d.Encoded
	}
	return text
}

// because names the kind of policies that denied, and the policy when it has an ARN:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
// Of a role it is not told whether it is not there, or trusts somebody else.
func (d *Decision) because(who *Caller) string {
	layer := d.Verdict.Layer
	if r := d.Denied.Resource; layer == policy.NoLayer || d.Verdict.Foreign || d.Denied.trusts() || r.Kind != nil && r.Account != who.Account {
		return ""
	}
	if !d.Verdict.Explicit {
		return " because no " + layer.String() + " allows the " + d.Denied.Action + " action"
	}
	article := "a "
	switch layer {
	case policy.IdentityPolicy:
		article = "an "
	case policy.TrustPolicy:
		article = "the "
	}
	text := " with an explicit deny in " + article + layer.String()
	if d.Verdict.Policy != "" {
		text += ": " + d.Verdict.Policy
	}
	return text
}
