// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/table"
)

// attach gives a bearer a managed policy, which it may have already.
func attach[T bearer[T]](ctx context.Context, a *API, k kind[T], name, arn string) error {
	who := access.From(ctx)
	_, err := k.change(ctx, a, name, func(tx *table.Txn, row T) error {
		p, err := managedPolicy(tx, who, arn)
		switch {
		case err != nil:
			return err
		case p == nil:
			return notAttachable(arn)
		}
		attached := row.Attached()
		if slices.Contains(*attached, p.id) {
			return nil
		}
		if most := a.Quotas.PoliciesPerEntity; len(*attached) >= most {
			return exceeds("PoliciesPer"+k.title, most)
		}
		*attached = append(*attached, p.id)
		return nil
	})
	return err
}

// detach takes a managed policy off a bearer.
func detach[T bearer[T]](ctx context.Context, a *API, k kind[T], name, arn string) error {
	if _, err := parsePolicyARN(arn); err != nil {
		return err
	}
	_, err := k.change(ctx, a, name, func(tx *table.Txn, row T) error {
		attached := row.Attached()
		at := slices.IndexFunc(*attached, func(id string) bool { return policyARN(tx, *row.Common(), id) == arn })
		if at < 0 {
			return noSuchPolicy(arn)
		}
		*attached = slices.Delete(*attached, at, at+1)
		return nil
	})
	return err
}

// attachedTo are the managed policies of a bearer.
func attachedTo[T bearer[T]](tx *table.Txn, row T) (all []*managedView) {
	for _, id := range *row.Attached() {
		if p := byPolicyID(tx, *row.Common(), id); p != nil {
			all = append(all, p)
		}
	}
	return all
}

func attachedShape(p *managedView) shape.AttachedPolicy {
	return shape.AttachedPolicy{PolicyName: &p.name, PolicyArn: &p.arn}
}

// listAttached gives a page of the managed policies of a bearer below a path.
func listAttached[T bearer[T]](ctx context.Context, a *API, k kind[T], name string, prefix *string, q query) ([]shape.AttachedPolicy, *bool, *string, error) {
	tx, row, err := k.read(ctx, a, name)
	if err != nil {
		return nil, nil, nil, err
	}
	all := slices.DeleteFunc(attachedTo(tx, row), func(p *managedView) bool { return !strings.HasPrefix(p.path, service.Value(prefix)) })
	q.who, q.operation, q.choice = access.From(ctx), "ListAttached", []any{row.Common().ID, prefix}
	page, truncated, marker, err := paginate(q, all, policyKey)
	if err != nil {
		return nil, nil, nil, err
	}
	return service.Each(page, attachedShape), truncated, marker, nil
}

// AttachUserPolicy attaches a managed policy to a user.
func (a *API) AttachUserPolicy(ctx context.Context, in *shape.AttachUserPolicyInput) (*shape.AttachUserPolicyOutput, error) {
	return &shape.AttachUserPolicyOutput{}, attach(ctx, a, users, *in.UserName, *in.PolicyArn)
}

// AttachGroupPolicy attaches a managed policy to a group.
func (a *API) AttachGroupPolicy(ctx context.Context, in *shape.AttachGroupPolicyInput) (*shape.AttachGroupPolicyOutput, error) {
	return &shape.AttachGroupPolicyOutput{}, attach(ctx, a, groups, *in.GroupName, *in.PolicyArn)
}

// AttachRolePolicy attaches a managed policy to a role.
func (a *API) AttachRolePolicy(ctx context.Context, in *shape.AttachRolePolicyInput) (*shape.AttachRolePolicyOutput, error) {
	return &shape.AttachRolePolicyOutput{}, attach(ctx, a, roles, *in.RoleName, *in.PolicyArn)
}

// DetachUserPolicy takes a managed policy off a user.
func (a *API) DetachUserPolicy(ctx context.Context, in *shape.DetachUserPolicyInput) (*shape.DetachUserPolicyOutput, error) {
	return &shape.DetachUserPolicyOutput{}, detach(ctx, a, users, *in.UserName, *in.PolicyArn)
}

// DetachGroupPolicy takes a managed policy off a group.
func (a *API) DetachGroupPolicy(ctx context.Context, in *shape.DetachGroupPolicyInput) (*shape.DetachGroupPolicyOutput, error) {
	return &shape.DetachGroupPolicyOutput{}, detach(ctx, a, groups, *in.GroupName, *in.PolicyArn)
}

// DetachRolePolicy takes a managed policy off a role.
func (a *API) DetachRolePolicy(ctx context.Context, in *shape.DetachRolePolicyInput) (*shape.DetachRolePolicyOutput, error) {
	return &shape.DetachRolePolicyOutput{}, detach(ctx, a, roles, *in.RoleName, *in.PolicyArn)
}

// ListAttachedUserPolicies lists the managed policies of a user.
func (a *API) ListAttachedUserPolicies(ctx context.Context, in *shape.ListAttachedUserPoliciesInput) (*shape.ListAttachedUserPoliciesOutput, error) {
	page, truncated, marker, err := listAttached(ctx, a, users, *in.UserName, in.PathPrefix, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListAttachedUserPoliciesOutput{AttachedPolicies: page, IsTruncated: truncated, Marker: marker}, nil
}

// ListAttachedGroupPolicies lists the managed policies of a group.
func (a *API) ListAttachedGroupPolicies(ctx context.Context, in *shape.ListAttachedGroupPoliciesInput) (*shape.ListAttachedGroupPoliciesOutput, error) {
	page, truncated, marker, err := listAttached(ctx, a, groups, *in.GroupName, in.PathPrefix, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListAttachedGroupPoliciesOutput{AttachedPolicies: page, IsTruncated: truncated, Marker: marker}, nil
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (a *API) ListAttachedRolePolicies(ctx context.Context, in *shape.ListAttachedRolePoliciesInput) (*shape.ListAttachedRolePoliciesOutput, error) {
	page, truncated, marker, err := listAttached(ctx, a, roles, *in.RoleName, in.PathPrefix, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListAttachedRolePoliciesOutput{AttachedPolicies: page, IsTruncated: truncated, Marker: marker}, nil
}

// having is one that has a policy.
type having struct{ noun, path, name, id string }

// havers are those of a kind that have a policy: attached or, if it is one that can, as its
// boundary.
func havers[T bearer[T]](tx *table.Txn, who access.View, k kind[T], policy string, in *shape.ListEntitiesForPolicyInput) (all []having) {
	filter, use := service.Value(in.EntityFilter), service.Value(in.PolicyUsageFilter)
	if filter != "" && filter != k.title {
		return nil
	}
	for row := range view.All(tx, who, k.rows) {
		bounds, ok := any(row).(bounded[T])
		asBoundary := use != shape.PolicyUsageTypePermissionsPolicy && ok && *bounds.Bounded() == policy
		attached := use != shape.PolicyUsageTypePermissionsBoundary && slices.Contains(*row.Attached(), policy)
		path, name := row.Called()
		if (asBoundary || attached) && strings.HasPrefix(path, service.Value(in.PathPrefix)) {
			all = append(all, having{k.noun, path, name, row.Common().ID})
		}
	}
	return all
}

// ListEntitiesForPolicy lists the users, groups and roles that have a managed policy.
func (a *API) ListEntitiesForPolicy(ctx context.Context, in *shape.ListEntitiesForPolicyInput) (*shape.ListEntitiesForPolicyOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	p, err := managedPolicy(tx, who, *in.PolicyArn)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, noSuchPolicy(*in.PolicyArn)
	}
	all := slices.Concat(havers(tx, who, groups, p.id, in), havers(tx, who, users, p.id, in), havers(tx, who, roles, p.id, in))
	choice := []any{p.id, in.EntityFilter, in.PathPrefix, in.PolicyUsageFilter}
	page, truncated, marker, err := paginate(query{who, "ListEntitiesForPolicy", choice, in.Marker, in.MaxItems}, all,
		func(h having) string { return h.noun + " " + h.id })
	if err != nil {
		return nil, err
	}
	out := &shape.ListEntitiesForPolicyOutput{
		PolicyGroups: []shape.PolicyGroup{}, PolicyUsers: []shape.PolicyUser{}, PolicyRoles: []shape.PolicyRole{},
		IsTruncated: truncated, Marker: marker,
	}
	for _, h := range page {
		switch h.noun {
		case groups.noun:
			out.PolicyGroups = append(out.PolicyGroups, shape.PolicyGroup{GroupName: &h.name, GroupId: &h.id})
		case users.noun:
			out.PolicyUsers = append(out.PolicyUsers, shape.PolicyUser{UserName: &h.name, UserId: &h.id})
		default:
			out.PolicyRoles = append(out.PolicyRoles, shape.PolicyRole{RoleName: &h.name, RoleId: &h.id})
		}
	}
	return out, nil
}
