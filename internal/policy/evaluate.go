// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"github.com/posternhq/postern/internal/model"
)

// alwaysAllowed needs no permission, and no Deny takes it away:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html.
const alwaysAllowed = "sts:GetCallerIdentity"

// Evaluate answers a question. A Deny of any policy that has a say ends it; then each
// layer must allow, but for those that a resource policy of the same account makes
// needless by whom it names. Across accounts both sides must allow, and the
// principal's is asked first, so that a denial of its own tells nothing of the owner.
func Evaluate(q *Question) Verdict {
	e, ok := begin(q)
	if !ok {
		return Verdict{}
	}
	if foldEqual(q.Action, alwaysAllowed) {
		return e.through()
	}
	if e.foreign {
		return e.across()
	}
	return e.within()
}

// Through answers for an action that policies of principals and resources have no say in:
// the policy of the VPC endpoint that a request comes by has one all the same, since it is
// about the way (https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html).
func Through(q *Question) Verdict {
	e, ok := begin(q)
	if !ok {
		return Verdict{}
	}
	return e.through()
}

func (e *evaluation) through() Verdict {
	switch passes := e.endpoint(); {
	case e.denied:
		return e.verdict
	case !passes:
		return Verdict{Layer: EndpointPolicy}
	}
	return Verdict{Allowed: true, Layer: IdentityPolicy}
}

// evaluation is a question on its way. It lives on the stack.
type evaluation struct {
	q             *Question
	p             *Principal
	service, name string
	// foreign says that the resource is another account's.
	foreign bool
	denied  bool
	verdict Verdict
}

func begin(q *Question) (e evaluation, ok bool) {
	e.q, e.p = q, q.Principal
	if e.p == nil || e.p.Kind < Root || e.p.Kind > Service || (e.p.Account == "") != (e.p.Kind == Service) {
		return e, false
	}
	e.service, e.name, ok = strings.Cut(q.Action, ":")
	e.foreign = e.p.Kind == Service || q.ResourceAccount != "" && q.ResourceAccount != e.p.Account
	return e, ok && e.service != "" && e.name != "" && q.Resource != ""
}

// within answers about a resource of the principal's account.
func (e *evaluation) within() Verdict {
	controlled, passes := e.controls(), e.endpoint()
	owner, by := e.owner()
	own, identity := e.any(e.p.Identity, IdentityPolicy)
	bounded := e.boundary()
	limited := e.session()
	switch {
	case e.denied:
		return e.verdict
	case !controlled:
		return Verdict{Layer: ControlPolicy}
	case !passes:
		return Verdict{Layer: EndpointPolicy}
	case e.q.Trust != nil && owner == unnamed:
		return Verdict{Layer: TrustPolicy}
	case owner < ofEntity && own == unnamed && !e.isRoot():
		return Verdict{Layer: IdentityPolicy}
	case owner < direct && !bounded:
		return Verdict{Layer: BoundaryPolicy}
	case owner < direct && !limited:
		return Verdict{Layer: SessionPolicy}
	case owner >= ofEntity:
		return allowed(e.ownerLayer(), by)
	}
	return allowed(IdentityPolicy, identity)
}

// across answers about a resource of another account.
func (e *evaluation) across() Verdict {
	var own grade
	var identity *Named
	if e.p.Kind != Service {
		controlled, passes := e.controls(), e.endpoint()
		own, identity = e.any(e.p.Identity, IdentityPolicy)
		bounded := e.boundary()
		limited := e.session()
		switch {
		case e.denied:
			return e.verdict
		case !controlled:
			return Verdict{Layer: ControlPolicy}
		case !passes:
			return Verdict{Layer: EndpointPolicy}
		case own == unnamed && !e.isRoot():
			return Verdict{Layer: IdentityPolicy}
		case !bounded:
			return Verdict{Layer: BoundaryPolicy}
		case !limited:
			return Verdict{Layer: SessionPolicy}
		}
	}
	owner, by := e.owner()
	if e.denied {
		e.verdict.Foreign = true
		return e.verdict
	}
	if owner == unnamed && e.q.Trust == nil && e.p.Kind != Service {
		owner, by = e.any(e.q.Grants, SharePolicy)
		if e.denied || owner == unnamed {
			return Verdict{Layer: SharePolicy, Foreign: true}
		}
	}
	if owner == unnamed {
		return Verdict{Layer: e.ownerLayer(), Foreign: true}
	}
	if e.p.Kind == Service {
		return allowed(e.ownerLayer(), by)
	}
	return allowed(IdentityPolicy, identity)
}

func allowed(layer Layer, by *Named) Verdict {
	v := Verdict{Allowed: true, Layer: layer}
	if by != nil {
		v.Policy, v.Name = by.ARN, by.Name
	}
	return v
}

// isRoot reports whether a principal has all rights in its account before other
// policies: the root, and a session that it began.
func (e *evaluation) isRoot() bool {
	if e.p.Kind == Federated {
		arn, found := strings.CutPrefix(e.p.Entity, "arn:"+model.Partition+":iam::")
		id, root := strings.CutSuffix(arn, ":root")
		return found && root && id == e.p.Account
	}
	return e.p.Kind == Root
}

func (e *evaluation) ownerLayer() Layer {
	if e.q.Trust != nil {
		return TrustPolicy
	}
	return ResourcePolicy
}

func (e *evaluation) controls() bool {
	all := true
	for _, level := range e.p.Controls {
		g, _ := e.any(level, ControlPolicy)
		all = all && g != unnamed
	}
	return all
}

func (e *evaluation) endpoint() bool {
	return e.q.Endpoint == nil || e.one(e.q.Endpoint, EndpointPolicy) != unnamed
}

func (e *evaluation) boundary() bool {
	if e.p.Boundary == nil {
		return true
	}
	return e.one(e.p.Boundary, BoundaryPolicy) != unnamed
}

func (e *evaluation) session() bool {
	if !e.p.HasSession {
		return true
	}
	g, _ := e.any(e.p.Session, SessionPolicy)
	return g != unnamed
}

// owner asks the policies of the resource, or the trust policy.
func (e *evaluation) owner() (grade, *Named) {
	if e.q.Trust != nil {
		return e.one(e.q.Trust, TrustPolicy), e.q.Trust
	}
	return e.any(e.q.Resources, ResourcePolicy)
}

// any asks policies, and gives the best grade of an Allow and which policy has it.
func (e *evaluation) any(policies []Named, layer Layer) (best grade, by *Named) {
	for i := range policies {
		if e.denied {
			break
		}
		if g := e.one(&policies[i], layer); g > best {
			best, by = g, &policies[i]
		}
	}
	return best, by
}

// one asks a policy. What it denies is kept in e.
func (e *evaluation) one(n *Named, layer Layer) (best grade) {
	if e.denied {
		return unnamed
	}
	if n.Document == nil {
		e.deny(n, layer)
		return unnamed
	}
	for i := range n.Document.statements {
		s := &n.Document.statements[i]
		t, g := e.asks(s)
		switch {
		case s.deny && t != no:
			e.deny(n, layer)
			return unnamed
		case !s.deny && t == yes:
			best = max(best, g)
		}
	}
	return best
}

func (e *evaluation) deny(n *Named, layer Layer) {
	e.denied = true
	e.verdict = Verdict{Explicit: true, Layer: layer, Policy: n.ARN, Name: n.Name}
}

// asks reports whether a statement is about the question, and how it names the
// principal: directly where it is the principal's own.
func (e *evaluation) asks(s *statement) (tri, grade) {
	if !s.about(e.service, e.name) {
		return no, unnamed
	}
	g := direct
	if s.principals != nil {
		switch g = s.principals.names(e.p); {
		case s.notPrincipal && s.principals.excepts(e.p):
			return no, unnamed
		case !s.notPrincipal && g == unnamed:
			return no, unnamed
		}
	}
	result := s.concerns(e.q.Resource, e.q.Context)
	for i := range s.conditions {
		if result == no {
			return no, unnamed
		}
		result = min(result, s.conditions[i].holds(e.q.Context))
	}
	return result, g
}

// about reports whether a statement is about an action.
func (s *statement) about(service, name string) bool {
	for i := range s.actions {
		if s.actions[i].matches(service, name) {
			return !s.notAction
		}
	}
	return s.notAction
}

// concerns reports whether a statement is about a resource. A variable without a
// value is no resource, and whether NotResource leaves it out cannot be known.
func (s *statement) concerns(resource string, c Context) tri {
	if s.anyResource {
		return yes
	}
	result := no
	for i := range s.resources {
		t := s.resources[i].match(resource, c)
		if t == unknown && !s.notResource {
			t = no
		}
		if result = max(result, t); result == yes {
			break
		}
	}
	if s.notResource {
		return result.not()
	}
	return result
}
