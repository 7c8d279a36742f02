// SPDX-License-Identifier: Apache-2.0

package organizations

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// fullAccess is the policy that is no row.
func fullAccess(o *model.Organization) *model.ControlPolicy {
	return &model.ControlPolicy{
		Meta: model.Meta{Account: o.Account, ID: model.FullAccessPolicy}, Name: "FullAWSAccess",
		Description: "Allows access to every operation", Content: organization.FullAccess,
	}
}

func findPolicy(tx *table.Txn, o *model.Organization, id string) (*model.ControlPolicy, error) {
	if id == model.FullAccessPolicy {
		return fullAccess(o), nil
	}
	p, ok := state.ControlPolicies.Get(tx, o.Account, "", id)
	if !ok {
		return nil, fault.AWSJSON("PolicyNotFoundException", "You specified a policy that doesn't exist: %s.", id)
	}
	return p, nil
}

// ownPolicy is findPolicy for what changes the policy.
func ownPolicy(tx *table.Txn, o *model.Organization, id string) (*model.ControlPolicy, error) {
	if id == model.FullAccessPolicy {
		return nil, invalid("IMMUTABLE_POLICY", "You can't change a policy that is managed by AWS: %s.", id)
	}
	return findPolicy(tx, o, id)
}

func summary(o *model.Organization, p *model.ControlPolicy) shape.PolicySummary {
	return shape.PolicySummary{
		Id: &p.ID, Arn: new(o.PolicyARN(p.ID)), Name: &p.Name, Description: &p.Description, Type: new(controlType), AwsManaged: new(p.ID == model.FullAccessPolicy),
	}
}

func showPolicy(o *model.Organization, p *model.ControlPolicy) *shape.Policy {
	return &shape.Policy{PolicySummary: new(summary(o, p)), Content: &p.Content}
}

// checkPolicy sees that a policy is one, and called as no other.
func checkPolicy(tx *table.Txn, o *model.Organization, p *model.ControlPolicy) error {
	if utf8.RuneCountInString(p.Content) > maxContent {
		return violates("POLICY_CONTENT_LIMIT_EXCEEDED", "The content of a policy has %d characters at most.", maxContent)
	}
	if _, err := policy.Parse(policy.Control, p.Content); err != nil {
		return fault.AWSJSON("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type: %v", err)
	}
	for other := range policies(tx, o) {
		if other.Name == p.Name && other.ID != p.ID {
			return fault.AWSJSON("DuplicatePolicyException", "A policy with the name %s exists already: %s.", p.Name, other.ID)
		}
	}
	return nil
}

// policies yields all, that which is no row first.
func policies(tx *table.Txn, o *model.Organization) func(func(*model.ControlPolicy) bool) {
	return func(yield func(*model.ControlPolicy) bool) {
		if !yield(fullAccess(o)) {
			return
		}
		for p := range state.ControlPolicies.Scope(tx, o.Account, "") {
			if !yield(p) {
				return
			}
		}
	}
}

// CreatePolicy makes a service control policy, which is attached to nothing.
func (a *API) CreatePolicy(ctx context.Context, in *shape.CreatePolicyInput) (*shape.CreatePolicyOutput, error) {
	if *in.Type != controlType {
		return nil, fault.AWSJSON("PolicyTypeNotAvailableForOrganizationException", "Policies of the type %s are not available; there are those of %s.", *in.Type, controlType)
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	p, out := &model.ControlPolicy{Meta: model.Meta{ID: "p-" + a.id(8), CreatedAt: a.Now(), Tags: tags}, Name: *in.Name, Description: *in.Description, Content: *in.Content}, &shape.CreatePolicyOutput{}
	err = a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		p := p.Clone()
		p.Account = o.Account
		if err := checkPolicy(tx, o, p); err != nil {
			return err
		}
		n := 0
		for range state.ControlPolicies.Scope(tx, o.Account, "") {
			n++
		}
		if n >= maxPolicies {
			return violates("POLICY_NUMBER_LIMIT_EXCEEDED", "An organization has %d policies at most.", maxPolicies)
		}
		out.Policy = showPolicy(o, p)
		return state.ControlPolicies.Insert(tx, p)
	})
	return out, err
}

// UpdatePolicy changes a policy, and what it bounds, at once.
func (a *API) UpdatePolicy(ctx context.Context, in *shape.UpdatePolicyInput) (*shape.UpdatePolicyOutput, error) {
	out := &shape.UpdatePolicyOutput{}
	err := a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		p, err := ownPolicy(tx, o, *in.PolicyId)
		if err != nil {
			return err
		}
		p = p.Clone()
		p.UpdatedAt = a.Now()
		for _, m := range []struct{ to, from *string }{{&p.Name, in.Name}, {&p.Description, in.Description}, {&p.Content, in.Content}} {
			if m.from != nil {
				*m.to = *m.from
			}
		}
		if err := checkPolicy(tx, o, p); err != nil {
			return err
		}
		state.ControlPolicies.Put(tx, p)
		out.Policy = showPolicy(o, p)
		return nil
	})
	return out, err
}

// DeletePolicy removes a policy that is attached to nothing.
func (a *API) DeletePolicy(ctx context.Context, in *shape.DeletePolicyInput) (*shape.DeletePolicyOutput, error) {
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		p, err := ownPolicy(tx, o, *in.PolicyId)
		if err != nil {
			return err
		}
		if len(targets(tx, o, p.ID)) > 0 {
			return fault.AWSJSON("PolicyInUseException", "The policy %s is attached to one or more entities.", p.ID)
		}
		state.ControlPolicies.Delete(tx, p.Account, "", p.ID)
		return nil
	})
}

// DescribePolicy gives a policy.
func (a *API) DescribePolicy(ctx context.Context, in *shape.DescribePolicyInput) (*shape.DescribePolicyOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	p, err := findPolicy(tx, o, *in.PolicyId)
	if err != nil {
		return nil, err
	}
	return &shape.DescribePolicyOutput{Policy: showPolicy(o, p)}, nil
}

// ListPolicies lists the policies of a type; of other types there are none.
func (a *API) ListPolicies(ctx context.Context, in *shape.ListPoliciesInput) (*shape.ListPoliciesOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	var all []*model.ControlPolicy
	if *in.Filter == controlType {
		all = slices.Collect(policies(tx, o))
	}
	page, next, err := paginate(ctx, "ListPolicies", in.Filter, in.NextToken, in.MaxResults, all, policyID)
	return &shape.ListPoliciesOutput{Policies: service.Each(page, func(p *model.ControlPolicy) shape.PolicySummary { return summary(o, p) }), NextToken: next}, err
}

func policyID(p *model.ControlPolicy) string { return p.ID }

// target is what policies are attached to.
type target struct {
	id, arn, name, kind string
	policies            []string
	put                 func(tx *table.Txn, policies []string)
}

func (a *API) target(tx *table.Txn, o *model.Organization, id string) (*target, error) {
	now := a.Now()
	if id == o.Root {
		return &target{id, o.RootARN(), "Root", shape.TargetTypeRoot, organization.Attached(o.Policies), func(tx *table.Txn, policies []string) {
			o := o.Clone()
			o.Policies, o.UpdatedAt = policies, now
			state.Organizations.Put(tx, o)
		}}, nil
	}
	if u, ok := state.OrganizationalUnits.Get(tx, o.Account, "", id); ok {
		return &target{id, o.UnitARN(id), u.Name, shape.TargetTypeOrganizationalUnit, organization.Attached(u.Policies), func(tx *table.Txn, policies []string) {
			u := u.Clone()
			u.Policies, u.UpdatedAt = policies, now
			state.OrganizationalUnits.Put(tx, u)
		}}, nil
	}
	row, ok := state.Accounts.Get(tx, "", "", id)
	if !ok {
		return nil, fault.AWSJSON("TargetNotFoundException", "You specified a target that doesn't exist: %s.", id)
	}
	known := organization.Account(tx, o, id)
	return &target{id, o.AccountARN(id), row.Name, shape.TargetTypeAccount, organization.Attached(known.Policies), func(tx *table.Txn, policies []string) {
		known := known.Clone()
		known.Policies, known.UpdatedAt = policies, now
		state.OrganizationAccounts.Put(tx, known)
	}}, nil
}

// attach finds policy and target, and puts what change makes of the target's policies.
func (a *API) attach(ctx context.Context, policy, to string, change func(have []string) ([]string, error)) error {
	return a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		if _, err := findPolicy(tx, o, policy); err != nil {
			return err
		}
		t, err := a.target(tx, o, to)
		if err != nil {
			return err
		}
		if !o.Controlled {
			return fault.AWSJSON("PolicyTypeNotEnabledException", "The policy type %s is not enabled in the root; EnablePolicyType enables it.", controlType)
		}
		policies, err := change(slices.Clone(t.policies))
		if err != nil {
			return err
		}
		if slices.Equal(policies, organization.Attached(nil)) {
			policies = nil
		}
		t.put(tx, policies)
		return nil
	})
}

// AttachPolicy attaches a policy to the root, a unit or an account. It counts at once.
func (a *API) AttachPolicy(ctx context.Context, in *shape.AttachPolicyInput) (*shape.AttachPolicyOutput, error) {
	return nil, a.attach(ctx, *in.PolicyId, *in.TargetId, func(have []string) ([]string, error) {
		switch {
		case slices.Contains(have, *in.PolicyId):
			return nil, fault.AWSJSON("DuplicatePolicyAttachmentException", "The policy %s is already attached to %s.", *in.PolicyId, *in.TargetId)
		case len(have) >= maxAttached:
			return nil, violates("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "%d policies at most are attached to one target.", maxAttached)
		}
		return append(have, *in.PolicyId), nil
	})
}

// DetachPolicy detaches a policy; the last one stays.
func (a *API) DetachPolicy(ctx context.Context, in *shape.DetachPolicyInput) (*shape.DetachPolicyOutput, error) {
	return nil, a.attach(ctx, *in.PolicyId, *in.TargetId, func(have []string) ([]string, error) {
		i := slices.Index(have, *in.PolicyId)
		switch {
		case i < 0:
			return nil, fault.AWSJSON("PolicyNotAttachedException", "The policy %s is not attached to %s.", *in.PolicyId, *in.TargetId)
		case len(have) == 1:
			return nil, violates("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You can't detach the last service control policy of %s; attach another one first.", *in.TargetId)
		}
		return slices.Delete(have, i, i+1), nil
	})
}

// ListPoliciesForTarget lists the policies that are attached to a target itself.
func (a *API) ListPoliciesForTarget(ctx context.Context, in *shape.ListPoliciesForTargetInput) (*shape.ListPoliciesForTargetOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	t, err := a.target(tx, o, *in.TargetId)
	if err != nil {
		return nil, err
	}
	var all []*model.ControlPolicy
	if o.Controlled && *in.Filter == controlType {
		for _, id := range t.policies {
			if p, err := findPolicy(tx, o, id); err == nil {
				all = append(all, p)
			}
		}
	}
	page, next, err := paginate(ctx, "ListPoliciesForTarget", []any{in.TargetId, in.Filter}, in.NextToken, in.MaxResults, all, policyID)
	return &shape.ListPoliciesForTargetOutput{Policies: service.Each(page, func(p *model.ControlPolicy) shape.PolicySummary { return summary(o, p) }), NextToken: next}, err
}

// targets lists what a policy is attached to.
func targets(tx *table.Txn, o *model.Organization, policy string) (all []shape.PolicyTargetSummary) {
	if !o.Controlled {
		return nil
	}
	add := func(policies []string, id, arn, name, kind string) {
		if slices.Contains(organization.Attached(policies), policy) {
			all = append(all, shape.PolicyTargetSummary{TargetId: &id, Arn: &arn, Name: &name, Type: &kind})
		}
	}
	add(o.Policies, o.Root, o.RootARN(), "Root", shape.TargetTypeRoot)
	for u := range state.OrganizationalUnits.Scope(tx, o.Account, "") {
		add(u.Policies, u.ID, o.UnitARN(u.ID), u.Name, shape.TargetTypeOrganizationalUnit)
	}
	for row, known := range accounts(tx, o) {
		add(known.Policies, row.ID, o.AccountARN(row.ID), row.Name, shape.TargetTypeAccount)
	}
	return all
}

// ListTargetsForPolicy lists what a policy is attached to.
func (a *API) ListTargetsForPolicy(ctx context.Context, in *shape.ListTargetsForPolicyInput) (*shape.ListTargetsForPolicyOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	p, err := findPolicy(tx, o, *in.PolicyId)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(ctx, "ListTargetsForPolicy", in.PolicyId, in.NextToken, in.MaxResults, targets(tx, o, p.ID), func(t shape.PolicyTargetSummary) string { return *t.TargetId })
	return &shape.ListTargetsForPolicyOutput{Targets: page, NextToken: next}, err
}
