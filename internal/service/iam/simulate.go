// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// simulation is what both operations ask, as far as they have it in common.
type simulation struct {
	principal       policy.Principal
	resource        []policy.Named
	resourceAccount string
	actions         []string
	resources       []string
	context         entries
}

// entries are the condition keys of a simulation, in lower case.
type entries map[string][]string

// Values implements policy.Context.
func (e entries) Values(key string) ([]string, bool) {
	values, ok := e[key]
	return values, ok
}

// principalKeys are filled in by whoever calls, and not by the request.
func (e entries) principalKeys(p *policy.Principal, name string) {
	fill := func(key, value string) {
		if _, ok := e[key]; !ok && value != "" {
			e[key] = []string{value}
		}
	}
	fill("aws:principalarn", p.Entity)
	fill("aws:principalaccount", p.Account)
	if p.Kind == policy.User {
		fill("aws:username", name)
		fill("aws:userid", p.UniqueID)
	}
}

// named reads a policy of a request, which answers call as AWS's do.
func named(kind policy.Kind, text, format string, place ...any) (policy.Named, error) {
	document, err := read(kind, text)
	return policy.Named{Name: fmt.Sprintf(format, place...), Document: document}, err
}

// input is the members that both operations have.
type input struct {
	policies, boundaries, actions, resources []string
	organization                             []shape.OrderedOrganizationPolicyType
	resourcePolicy, owner                    *string
	context                                  []shape.ContextEntry
}

// fill reads the members that both operations have.
func (s *simulation) fill(in input) error {
	for i, text := range in.policies {
		p, err := named(policy.Identity, text, "PolicyInputList.%d", i+1)
		if err != nil {
			return err
		}
		s.principal.Identity = append(s.principal.Identity, p)
	}
	if len(in.boundaries) > 1 {
		return invalid("PermissionsBoundaryPolicyInputList: want one policy at most")
	}
	for _, text := range in.boundaries {
		p, err := named(policy.Boundary, text, "PermissionsBoundaryPolicyInputList.1")
		if err != nil {
			return err
		}
		s.principal.Boundary = &p
	}
	for i, level := range in.organization {
		var controls []policy.Named
		for j, text := range level.ServiceControlPolicyInputList {
			p, err := named(policy.Control, text, "OrderedOrganizationPolicyInputList.%d.%d", i+1, j+1)
			if err != nil {
				return err
			}
			controls = append(controls, p)
		}
		s.principal.Controls = append(s.principal.Controls, controls)
	}
	if in.resourcePolicy != nil {
		p, err := named(policy.Resource, *in.resourcePolicy, "ResourcePolicy")
		if err != nil {
			return err
		}
		s.resource = []policy.Named{p}
	}
	s.resourceAccount = strings.TrimSuffix(strings.TrimPrefix(service.Value(in.owner), "arn:aws:iam::"), ":root")
	s.actions, s.resources = in.actions, in.resources
	if len(s.resources) == 0 {
		s.resources = []string{"*"}
	}
	for _, e := range in.context {
		s.context[strings.ToLower(service.Value(e.ContextKeyName))] = e.ContextKeyValues
	}
	return nil
}

// asked is one action on one resource, with its place in the answer.
type asked struct {
	place            int
	action, resource string
}

// run asks everything of one page, actions before resources.
func (s *simulation) run(q query) (results []shape.EvaluationResult, truncated *bool, marker *string, err error) {
	var all []asked
	for _, action := range s.actions {
		if !strings.Contains(action, ":") {
			return nil, nil, nil, invalid("Invalid Service/Action: %s", action)
		}
		for _, resource := range s.resources {
			all = append(all, asked{len(all), action, resource})
		}
	}
	page, truncated, marker, err := paginate(q, all, func(a asked) string { return fmt.Sprintf("%06d", a.place) })
	if err != nil {
		return nil, nil, nil, err
	}
	return service.Each(page, s.ask), truncated, marker, nil
}

// ask asks about one action on one resource.
func (s *simulation) ask(a asked) shape.EvaluationResult {
	explained := policy.Explain(&policy.Question{
		Principal: &s.principal, Action: a.action, Resource: a.resource, ResourceAccount: s.resourceAccount,
		Resources: s.resource, Context: s.context,
	})
	verdict := explained.Verdict
	r := shape.EvaluationResult{
		EvalActionName: &a.action, EvalResourceName: &a.resource, EvalDecision: new(decision(verdict)),
		MatchedStatements: service.Each(explained.Matched, statement), MissingContextValues: service.Each(explained.Missing, func(key string) string { return key }),
	}
	if s.principal.Boundary != nil {
		r.PermissionsBoundaryDecisionDetail = &shape.PermissionsBoundaryDecisionDetail{
			AllowedByPermissionsBoundary: new(verdict.Allowed || verdict.Layer != policy.BoundaryPolicy),
		}
	}
	if s.principal.Controls != nil {
		r.OrganizationsDecisionDetail = &shape.OrganizationsDecisionDetail{
			AllowedByOrganizations: new(verdict.Allowed || verdict.Layer != policy.ControlPolicy),
		}
	}
	return r
}

// statement says which statement of which policy decided, and where it stands.
func statement(m policy.Match) shape.Statement {
	kind := "IAM Policy"
	if m.Layer == policy.ResourcePolicy {
		kind = "Resource Policy"
	}
	position := func(p policy.Position) *shape.Position {
		return &shape.Position{Line: new(int32(p.Line)), Column: new(int32(p.Column))}
	}
	return shape.Statement{SourcePolicyId: &m.Policy.Name, SourcePolicyType: &kind, StartPosition: position(m.Start), EndPosition: position(m.End)}
}

func decision(v policy.Verdict) string {
	switch {
	case v.Allowed:
		return shape.PolicyEvaluationDecisionTypeAllowed
	case v.Explicit:
		return shape.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return shape.PolicyEvaluationDecisionTypeImplicitDeny
}

// SimulateCustomPolicy says what policies of the request would allow.
func (a *API) SimulateCustomPolicy(ctx context.Context, in *shape.SimulateCustomPolicyInput) (*shape.SimulateCustomPolicyOutput, error) {
	who := access.From(ctx)
	caller := cmp.Or(service.Value(in.CallerArn), model.ARN("iam", "", who.Account, users.noun+"/simulated"))
	parsed, err := model.ParseARN(caller)
	if err != nil {
		return nil, invalid("CallerArn: %s is not valid.", caller)
	}
	s := &simulation{context: entries{}, principal: policy.Principal{Kind: policy.User, Account: parsed.Account, ARN: caller, Entity: caller}}
	err = s.fill(input{
		in.PolicyInputList, in.PermissionsBoundaryPolicyInputList, in.ActionNames, in.ResourceArns,
		in.OrderedOrganizationPolicyInputList, in.ResourcePolicy, in.ResourceOwner, in.ContextEntries,
	})
	if err != nil {
		return nil, err
	}
	if in.CallerArn != nil {
		s.context.principalKeys(&s.principal, parsed.ID[strings.LastIndexByte(parsed.ID, '/')+1:])
	}
	choice := *in
	choice.Marker, choice.MaxItems = nil, nil
	page, truncated, marker, err := s.run(query{who, "SimulateCustomPolicy", choice, in.Marker, in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.SimulateCustomPolicyOutput{EvaluationResults: page, IsTruncated: truncated, Marker: marker}, nil
}

// SimulatePrincipalPolicy says what a user, group or role may do by the policies that it
// has, and by more that the request has.
func (a *API) SimulatePrincipalPolicy(ctx context.Context, in *shape.SimulatePrincipalPolicyInput) (*shape.SimulatePrincipalPolicyOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	s := &simulation{context: entries{}}
	name, err := s.of(tx, who, *in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	s.exclude(in.PolicyExclusionList)
	err = s.fill(input{
		in.PolicyInputList, in.PermissionsBoundaryPolicyInputList, in.ActionNames, in.ResourceArns,
		nil, in.ResourcePolicy, in.ResourceOwner, in.ContextEntries,
	})
	if err != nil {
		return nil, err
	}
	s.context.principalKeys(&s.principal, name)
	choice := *in
	choice.Marker, choice.MaxItems = nil, nil
	page, truncated, marker, err := s.run(query{who, "SimulatePrincipalPolicy", choice, in.Marker, in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.SimulatePrincipalPolicyOutput{EvaluationResults: page, IsTruncated: truncated, Marker: marker}, nil
}

// of takes the policies of a user, group or role of the caller's, and gives its name.
func (s *simulation) of(tx *table.Txn, who access.View, arn string) (string, error) {
	parsed, err := model.ParseARN(arn)
	if err != nil {
		return "", validation("Invalid ARN:  Could not be parsed!")
	}
	if !who.Owns(parsed.Account) {
		return "", invalid("PolicySourceArn: %s is not of this account.", arn)
	}
	name := parsed.ID[strings.LastIndexByte(parsed.ID, '/')+1:]
	switch parsed.Type {
	case users.noun:
		u, err := users.find(tx, who, name)
		if err != nil {
			return "", err
		}
		s.principal = policy.Principal{Kind: policy.User, Account: u.Account, ARN: u.ARN(), Entity: u.ARN(), UniqueID: u.ID, Boundary: boundaryOf(tx, u.Meta, u.Boundary)}
		take(tx, s, users, u)
		for _, g := range groupsOf(tx, u) {
			take(tx, s, groups, g)
		}
		return u.Name, nil
	case groups.noun:
		g, err := groups.find(tx, who, name)
		if err != nil {
			return "", err
		}
		// A group is nobody; its members have what it has.
		s.principal = policy.Principal{Kind: policy.User, Account: g.Account, ARN: g.ARN(), Entity: g.ARN(), UniqueID: g.ID}
		take(tx, s, groups, g)
		return "", nil
	case roles.noun:
		r, err := roles.find(tx, who, name)
		if err != nil {
			return "", err
		}
		s.principal = policy.Principal{Kind: policy.Role, Account: r.Account, ARN: r.ARN(), Entity: r.ARN(), UniqueID: r.ID, Boundary: boundaryOf(tx, r.Meta, r.Boundary)}
		take(tx, s, roles, r)
		return r.Name, nil
	}
	return "", invalid("PolicySourceArn: %s names no user, group or role.", arn)
}

// take adds the policies of one that has some.
func take[T bearer[T]](tx *table.Txn, s *simulation, k kind[T], row T) {
	have := func(arn, name, text string) {
		document, _ := policy.Parse(policy.Identity, text) // one that cannot be read is nil, and allows nothing
		s.principal.Identity = append(s.principal.Identity, policy.Named{ARN: arn, Name: name, Document: document})
	}
	_, called := row.Called()
	for p := range state.InlinePoliciesByOwner.Rows(tx, row.Common().Ref()) {
		have("", inlineName(k.noun, called, p.Name), p.Document)
	}
	for _, p := range attachedTo(tx, row) {
		have(p.arn, p.name, p.text(tx))
	}
}

// text is the document that counts.
func (p *managedView) text(tx *table.Txn) string {
	if p.aws != nil {
		return p.aws.Text
	}
	if p.row != nil {
		if v := version(tx, p.row, p.row.Default); v != nil {
			return v.Document
		}
	}
	return ""
}

func boundaryOf(tx *table.Txn, m model.Meta, id string) *policy.Named {
	if id == "" {
		return nil
	}
	p := byPolicyID(tx, m, id)
	if p == nil {
		return &policy.Named{}
	}
	document, _ := policy.Parse(policy.Boundary, p.text(tx))
	return &policy.Named{ARN: p.arn, Name: p.name, Document: document}
}

// exclude leaves out policies that the request names: by their kind, by ARN, or inline
// ones by the names of policy and bearer.
func (s *simulation) exclude(list []shape.PolicyIdentifier) {
	for _, e := range list {
		switch {
		case service.Value(e.PolicyType) == shape.PolicyIdentifierPolicyTypePermissionBoundary:
			s.principal.Boundary = nil
		case e.PolicyType != nil:
			s.leaveOut(func(p policy.Named) bool { return kindOf(p) == *e.PolicyType })
		case e.PolicyArn != nil:
			s.leaveOut(func(p policy.Named) bool { return p.ARN != "" && service.Match(*e.PolicyArn, p.ARN) })
		case e.InlinePolicyIdentifier != nil:
			i := e.InlinePolicyIdentifier
			s.leaveOut(func(p policy.Named) bool {
				return p.ARN == "" && service.Match(inlineName(*i.AttachmentType, *i.AttachmentName, *i.PolicyName), p.Name)
			})
		}
	}
}

func (s *simulation) leaveOut(excluded func(policy.Named) bool) {
	s.principal.Identity = slices.DeleteFunc(s.principal.Identity, excluded)
}

// kindOf is the kind of a policy that somebody has.
func kindOf(p policy.Named) string {
	switch {
	case p.ARN == "":
		return shape.PolicyIdentifierPolicyTypeInline
	case model.IsManagedByAWS(p.ARN):
		return shape.PolicyIdentifierPolicyTypeAwsManaged
	}
	return shape.PolicyIdentifierPolicyTypeUserManaged
}

// inlineName is how answers call an inline policy of a user, a group or a role.
func inlineName(noun, of, name string) string { return noun + "_" + of + "_" + name }
