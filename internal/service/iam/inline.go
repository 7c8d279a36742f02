// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// putInline gives a bearer an inline policy, or another text to the one with that name.
func putInline[T bearer[T]](ctx context.Context, a *API, k kind[T], owner, name, document string) error {
	if _, err := read(policy.Identity, document); err != nil {
		return err
	}
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := k.find(tx, who, owner)
		if err != nil {
			return err
		}
		size := policy.Size(document)
		for p := range state.InlinePoliciesByOwner.Rows(tx, row.Common().Ref()) {
			if p.Name != name {
				size += policy.Size(p.Document)
			}
		}
		if size > k.inline {
			_, called := row.Called()
			return fault.IAM("LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", k.inline, k.noun, called)
		}
		state.InlinePolicies.Put(tx, &model.InlinePolicy{Account: row.Common().Account, Owner: row.Common().ID, Name: name, Document: document})
		return nil
	})
	return err
}

// inlineOf finds an inline policy by its name.
func inlineOf[T bearer[T]](tx *table.Txn, k kind[T], row T, name string) (*model.InlinePolicy, error) {
	p, ok := state.InlinePolicies.Get(tx, row.Common().Account, "", model.InlinePolicyID(row.Common().ID, name))
	if !ok {
		return nil, noSuchEntity(k.noun+" policy", name)
	}
	return p, nil
}

// getInline shows an inline policy: the name of its bearer, and the document.
func getInline[T bearer[T]](ctx context.Context, a *API, k kind[T], owner, name string) (called, document *string, err error) {
	tx, row, err := k.read(ctx, a, owner)
	if err != nil {
		return nil, nil, err
	}
	p, err := inlineOf(tx, k, row, name)
	if err != nil {
		return nil, nil, err
	}
	_, of := row.Called()
	return &of, encoded(p.Document), nil
}

// deleteInline takes an inline policy away.
func deleteInline[T bearer[T]](ctx context.Context, a *API, k kind[T], owner, name string) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := k.find(tx, who, owner)
		if err != nil {
			return err
		}
		p, err := inlineOf(tx, k, row, name)
		if err != nil {
			return err
		}
		state.InlinePolicies.Delete(tx, p.Account, "", model.InlinePolicyID(p.Owner, p.Name))
		return nil
	})
	return err
}

// listInline gives a page of the names of a bearer's inline policies.
func listInline[T bearer[T]](ctx context.Context, a *API, k kind[T], owner string, q query) ([]string, *bool, *string, error) {
	tx, row, err := k.read(ctx, a, owner)
	if err != nil {
		return nil, nil, nil, err
	}
	all := slices.Collect(state.InlinePoliciesByOwner.Rows(tx, row.Common().Ref()))
	q.who, q.operation, q.choice = access.From(ctx), "ListPolicies", row.Common().ID
	page, truncated, marker, err := paginate(q, all, func(p *model.InlinePolicy) string { return p.Name })
	if err != nil {
		return nil, nil, nil, err
	}
	return service.Each(page, func(p *model.InlinePolicy) string { return p.Name }), truncated, marker, nil
}

// inlineShapes are the inline policies of a bearer with their documents.
func inlineShapes(tx *table.Txn, bearer model.Ref) []shape.PolicyDetail {
	return service.Each(slices.Collect(state.InlinePoliciesByOwner.Rows(tx, bearer)), func(p *model.InlinePolicy) shape.PolicyDetail {
		return shape.PolicyDetail{PolicyName: &p.Name, PolicyDocument: encoded(p.Document)}
	})
}

// PutUserPolicy gives a user an inline policy.
func (a *API) PutUserPolicy(ctx context.Context, in *shape.PutUserPolicyInput) (*shape.PutUserPolicyOutput, error) {
	return &shape.PutUserPolicyOutput{}, putInline(ctx, a, users, *in.UserName, *in.PolicyName, *in.PolicyDocument)
}

// PutGroupPolicy gives a group an inline policy.
func (a *API) PutGroupPolicy(ctx context.Context, in *shape.PutGroupPolicyInput) (*shape.PutGroupPolicyOutput, error) {
	return &shape.PutGroupPolicyOutput{}, putInline(ctx, a, groups, *in.GroupName, *in.PolicyName, *in.PolicyDocument)
}

// PutRolePolicy gives a role an inline policy.
func (a *API) PutRolePolicy(ctx context.Context, in *shape.PutRolePolicyInput) (*shape.PutRolePolicyOutput, error) {
	return &shape.PutRolePolicyOutput{}, putInline(ctx, a, roles, *in.RoleName, *in.PolicyName, *in.PolicyDocument)
}

// GetUserPolicy shows an inline policy of a user.
func (a *API) GetUserPolicy(ctx context.Context, in *shape.GetUserPolicyInput) (*shape.GetUserPolicyOutput, error) {
	name, document, err := getInline(ctx, a, users, *in.UserName, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &shape.GetUserPolicyOutput{UserName: name, PolicyName: in.PolicyName, PolicyDocument: document}, nil
}

// GetGroupPolicy shows an inline policy of a group.
func (a *API) GetGroupPolicy(ctx context.Context, in *shape.GetGroupPolicyInput) (*shape.GetGroupPolicyOutput, error) {
	name, document, err := getInline(ctx, a, groups, *in.GroupName, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &shape.GetGroupPolicyOutput{GroupName: name, PolicyName: in.PolicyName, PolicyDocument: document}, nil
}

// GetRolePolicy shows an inline policy of a role.
func (a *API) GetRolePolicy(ctx context.Context, in *shape.GetRolePolicyInput) (*shape.GetRolePolicyOutput, error) {
	name, document, err := getInline(ctx, a, roles, *in.RoleName, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &shape.GetRolePolicyOutput{RoleName: name, PolicyName: in.PolicyName, PolicyDocument: document}, nil
}

// DeleteUserPolicy takes an inline policy away from a user.
func (a *API) DeleteUserPolicy(ctx context.Context, in *shape.DeleteUserPolicyInput) (*shape.DeleteUserPolicyOutput, error) {
	return &shape.DeleteUserPolicyOutput{}, deleteInline(ctx, a, users, *in.UserName, *in.PolicyName)
}

// DeleteGroupPolicy takes an inline policy away from a group.
func (a *API) DeleteGroupPolicy(ctx context.Context, in *shape.DeleteGroupPolicyInput) (*shape.DeleteGroupPolicyOutput, error) {
	return &shape.DeleteGroupPolicyOutput{}, deleteInline(ctx, a, groups, *in.GroupName, *in.PolicyName)
}

// DeleteRolePolicy takes an inline policy away from a role.
func (a *API) DeleteRolePolicy(ctx context.Context, in *shape.DeleteRolePolicyInput) (*shape.DeleteRolePolicyOutput, error) {
	return &shape.DeleteRolePolicyOutput{}, deleteInline(ctx, a, roles, *in.RoleName, *in.PolicyName)
}

// ListUserPolicies lists the names of a user's inline policies.
func (a *API) ListUserPolicies(ctx context.Context, in *shape.ListUserPoliciesInput) (*shape.ListUserPoliciesOutput, error) {
	names, truncated, marker, err := listInline(ctx, a, users, *in.UserName, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListUserPoliciesOutput{PolicyNames: names, IsTruncated: truncated, Marker: marker}, nil
}

// ListGroupPolicies lists the names of a group's inline policies.
func (a *API) ListGroupPolicies(ctx context.Context, in *shape.ListGroupPoliciesInput) (*shape.ListGroupPoliciesOutput, error) {
	names, truncated, marker, err := listInline(ctx, a, groups, *in.GroupName, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListGroupPoliciesOutput{PolicyNames: names, IsTruncated: truncated, Marker: marker}, nil
}

// ListRolePolicies lists the names of a role's inline policies.
func (a *API) ListRolePolicies(ctx context.Context, in *shape.ListRolePoliciesInput) (*shape.ListRolePoliciesOutput, error) {
	names, truncated, marker, err := listInline(ctx, a, roles, *in.RoleName, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListRolePoliciesOutput{PolicyNames: names, IsTruncated: truncated, Marker: marker}, nil
}
