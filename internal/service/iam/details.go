// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// detail is one of all that the details of an account are of: it adds itself to an answer.
type detail struct {
	key string
	add func(*shape.GetAccountAuthorizationDetailsOutput)
}

// GetAccountAuthorizationDetails gives all users, groups, roles and policies with what they
// have, in pages.
func (a *API) GetAccountAuthorizationDetails(ctx context.Context, in *shape.GetAccountAuthorizationDetailsInput) (*shape.GetAccountAuthorizationDetailsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	wanted := func(kind string) bool { return len(in.Filter) == 0 || slices.Contains(in.Filter, kind) }
	var all []detail
	if wanted(shape.EntityTypeUser) {
		all = append(all, userDetails(tx, who)...)
	}
	if wanted(shape.EntityTypeGroup) {
		all = append(all, groupDetails(tx, who)...)
	}
	if wanted(shape.EntityTypeRole) {
		all = append(all, roleDetails(tx, who)...)
	}
	by := count(tx, who)
	if wanted(shape.EntityTypeLocalManagedPolicy) {
		all = append(all, policyDetails(tx, allPolicies(tx, who, shape.PolicyScopeTypeLocal), by)...)
	}
	if wanted(shape.EntityTypeAWSManagedPolicy) {
		// Those that nobody has are left out, as on AWS.
		used := slices.DeleteFunc(allPolicies(tx, who, shape.PolicyScopeTypeAws), func(p *managedView) bool { return by.attached[p.id]+by.bounds[p.id] == 0 })
		all = append(all, policyDetails(tx, used, by)...)
	}
	page, truncated, marker, err := paginate(query{who, "GetAccountAuthorizationDetails", in.Filter, in.Marker, in.MaxItems}, all, func(d detail) string { return d.key })
	if err != nil {
		return nil, err
	}
	out := &shape.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []shape.UserDetail{}, GroupDetailList: []shape.GroupDetail{}, RoleDetailList: []shape.RoleDetail{}, Policies: []shape.ManagedPolicyDetail{},
		IsTruncated: truncated, Marker: marker,
	}
	for _, d := range page {
		d.add(out)
	}
	return out, nil
}

func userDetails(tx *table.Txn, who access.View) (all []detail) {
	for u := range view.All(tx, who, state.Users) {
		all = append(all, detail{"user " + sortKey(u), func(out *shape.GetAccountAuthorizationDetailsOutput) {
			out.UserDetailList = append(out.UserDetailList, shape.UserDetail{
				Path: &u.Path, UserName: &u.Name, UserId: &u.ID, Arn: new(u.ARN()), CreateDate: &u.CreatedAt,
				UserPolicyList: inlineShapes(tx, u.Ref()), AttachedManagedPolicies: service.Each(attachedTo(tx, u), attachedShape),
				GroupList:           service.Each(groupsOf(tx, u), func(g *model.Group) string { return g.Name }),
				PermissionsBoundary: boundaryShape(tx, u.Meta, u.Boundary), Tags: tagShapes(u.Tags),
			})
		}})
	}
	return all
}

func groupDetails(tx *table.Txn, who access.View) (all []detail) {
	for g := range view.All(tx, who, state.Groups) {
		all = append(all, detail{"group " + sortKey(g), func(out *shape.GetAccountAuthorizationDetailsOutput) {
			out.GroupDetailList = append(out.GroupDetailList, shape.GroupDetail{
				Path: &g.Path, GroupName: &g.Name, GroupId: &g.ID, Arn: new(g.ARN()), CreateDate: &g.CreatedAt,
				GroupPolicyList: inlineShapes(tx, g.Ref()), AttachedManagedPolicies: service.Each(attachedTo(tx, g), attachedShape),
			})
		}})
	}
	return all
}

func roleDetails(tx *table.Txn, who access.View) (all []detail) {
	for r := range view.All(tx, who, state.Roles) {
		all = append(all, detail{"role " + sortKey(r), func(out *shape.GetAccountAuthorizationDetailsOutput) {
			out.RoleDetailList = append(out.RoleDetailList, shape.RoleDetail{
				Path: &r.Path, RoleName: &r.Name, RoleId: &r.ID, Arn: new(r.ARN()), CreateDate: &r.CreatedAt,
				AssumeRolePolicyDocument: encoded(trustText(tx, r)), InstanceProfileList: []shape.InstanceProfile{},
				RolePolicyList: inlineShapes(tx, r.Ref()), AttachedManagedPolicies: service.Each(attachedTo(tx, r), attachedShape),
				PermissionsBoundary: boundaryShape(tx, r.Meta, r.Boundary), Tags: tagShapes(r.Tags), RoleLastUsed: lastUsed(tx, r),
			})
		}})
	}
	return all
}

func policyDetails(tx *table.Txn, policies []*managedView, by usage) (all []detail) {
	for _, p := range policies {
		all = append(all, detail{"policy " + policyKey(p), func(out *shape.GetAccountAuthorizationDetailsOutput) {
			s := listedPolicy(tx, p, by)
			out.Policies = append(out.Policies, shape.ManagedPolicyDetail{
				PolicyName: s.PolicyName, PolicyId: s.PolicyId, Arn: s.Arn, Path: s.Path, DefaultVersionId: s.DefaultVersionId,
				AttachmentCount: s.AttachmentCount, PermissionsBoundaryUsageCount: s.PermissionsBoundaryUsageCount, IsAttachable: s.IsAttachable,
				CreateDate: s.CreateDate, UpdateDate: s.UpdateDate, PolicyVersionList: versionsOf(tx, p),
			})
		}})
	}
	return all
}
