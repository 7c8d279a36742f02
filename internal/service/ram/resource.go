// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func showResource(tx *table.Txn, s *model.ResourceShare, r *model.ShareAssociation) shape.Resource {
	out := shape.Resource{
		Arn: &r.ResourceARN, Type: &r.ResourceType, ResourceShareArn: new(s.ARN()), Status: new(shape.ResourceStatusAvailable),
		ResourceRegionScope: new(shape.ResourceRegionScopeRegional), CreationTime: &r.CreatedAt, LastUpdatedTime: lastUpdated(r.CreatedAt, r.UpdatedAt),
	}
	if !isThere(tx, r.ResourceType, r.Resource) {
		out.Status, out.StatusMessage = new(shape.ResourceStatusUnavailable), new("The resource has been deleted.")
	}
	return out
}

// isThere reports whether a resource of a type exists, and is not being deleted.
func isThere(tx *table.Txn, resourceType string, ref model.Ref) bool {
	if resourceType == permission.Subnet {
		_, ok := state.Subnets.Get(tx, ref.Account, ref.Region, ref.ID)
		return ok
	}
	rc, ok := state.ResourceConfigurations.Get(tx, ref.Account, ref.Region, ref.ID)
	return ok && !rc.Deleting()
}

func resourceKey(r shape.Resource) string { return *r.Arn + " " + *r.ResourceShareArn }

// ListResources lists what the caller shares, or what others share with it.
func (a *API) ListResources(ctx context.Context, in *shape.ListResourcesInput) (*shape.ListResourcesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkType(in.ResourceType); err != nil {
		return nil, err
	}
	shares, err := chosenShares(tx, who, *in.ResourceOwner, in.ResourceShareArns)
	if err != nil {
		return nil, err
	}
	var rows []shape.Resource
	for _, s := range shares {
		if s.Deleting() || !regional(in.ResourceRegionScope) || in.Principal != nil && !has(tx, s, *in.Principal) {
			continue
		}
		for r := range share.In(tx).Resources(s.Ref()) {
			if allows(in.ResourceType, r.ResourceType) && anyOf(in.ResourceArns, r.ResourceARN) {
				rows = append(rows, showResource(tx, s, r))
			}
		}
	}
	chosen := []any{in.ResourceOwner, in.Principal, in.ResourceType, in.ResourceArns, in.ResourceShareArns, in.ResourceRegionScope}
	page, next, err := paginate(who, "ListResources", chosen, in.NextToken, in.MaxResults, rows, resourceKey)
	if err != nil {
		return nil, err
	}
	return &shape.ListResourcesOutput{Resources: slices.Concat([]shape.Resource{}, page), NextToken: next}, nil
}

func checkType(name *string) error {
	if name == nil {
		return nil
	}
	if _, ok := permission.Named(*name); !ok {
		return problem("InvalidResourceTypeException", "resourceType: %s is no type that can be shared; ListResourceTypes has those", *name)
	}
	return nil
}

// has reports whether a share has a principal, which has accepted, or an account that is a
// part of one.
func has(tx *table.Txn, s *model.ResourceShare, principal string) bool {
	row, ok := state.ShareAssociations.Get(tx, s.Account, s.Region, model.SharePrincipalID(s.ID, principal))
	return ok && !row.Invited || share.In(tx).Has(s.Ref(), principal)
}

// ListPrincipals lists those whom the caller shares something with, or who share
// something with it.
func (a *API) ListPrincipals(ctx context.Context, in *shape.ListPrincipalsInput) (*shape.ListPrincipalsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if in.ResourceType != nil {
		if _, ok := permission.Named(*in.ResourceType); !ok {
			return nil, invalid("resourceType: %s is no type that can be shared; ListResourceTypes has those", *in.ResourceType)
		}
	}
	shares, err := chosenShares(tx, who, *in.ResourceOwner, in.ResourceShareArns)
	if err != nil {
		return nil, err
	}
	var rows []shape.Principal
	for _, s := range shares {
		if s.Deleting() || !holds(tx, s, in.ResourceArn, in.ResourceType) {
			continue
		}
		for _, p := range principals(tx, who, s) {
			if anyOf(in.Principals, *p.Id) {
				rows = append(rows, p)
			}
		}
	}
	chosen := []any{in.ResourceOwner, in.ResourceArn, in.Principals, in.ResourceType, in.ResourceShareArns}
	page, next, err := paginate(who, "ListPrincipals", chosen, in.NextToken, in.MaxResults, rows, func(p shape.Principal) string { return *p.Id + " " + *p.ResourceShareArn })
	if err != nil {
		return nil, err
	}
	return &shape.ListPrincipalsOutput{Principals: slices.Concat([]shape.Principal{}, page), NextToken: next}, nil
}

// holds reports whether a share has a resource, or one of a type.
func holds(tx *table.Txn, s *model.ResourceShare, arn, kind *string) bool {
	if arn == nil && kind == nil {
		return true
	}
	for r := range share.In(tx).Resources(s.Ref()) {
		if allows(arn, r.ResourceARN) && allows(kind, r.ResourceType) {
			return true
		}
	}
	return false
}

// principals are those of a share of the caller's who have it, and the owner of another's.
func principals(tx *table.Txn, who access.View, s *model.ResourceShare) (all []shape.Principal) {
	if !who.Owns(s.Account) {
		return []shape.Principal{{
			Id: &s.Account, ResourceShareArn: new(s.ARN()), External: new(share.IsExternal(tx, who.Account, s.Account)),
			CreationTime: &s.CreatedAt, LastUpdatedTime: lastUpdated(s.CreatedAt, s.UpdatedAt),
		}}
	}
	for p := range share.In(tx).Principals(s.Ref()) {
		if !p.Invited {
			all = append(all, shape.Principal{
				Id: &p.Principal, ResourceShareArn: new(s.ARN()), External: &p.External,
				CreationTime: &p.CreatedAt, LastUpdatedTime: lastUpdated(p.CreatedAt, p.UpdatedAt),
			})
		}
	}
	return all
}

// ListResourceTypes lists the types of resources that can be shared.
func (a *API) ListResourceTypes(ctx context.Context, in *shape.ListResourceTypesInput) (*shape.ListResourceTypesOutput, error) {
	var rows []*permission.Type
	if regional(in.ResourceRegionScope) {
		rows = slices.Clone(permission.Types)
	}
	page, next, err := paginate(access.From(ctx), "ListResourceTypes", in.ResourceRegionScope, in.NextToken, in.MaxResults, rows, func(t *permission.Type) string { return t.Name })
	if err != nil {
		return nil, err
	}
	out := collect(slices.Values(page), func(t *permission.Type) shape.ServiceNameAndResourceType {
		return shape.ServiceNameAndResourceType{ResourceType: &t.Name, ServiceName: &t.Service, ResourceRegionScope: new(shape.ResourceRegionScopeRegional)}
	})
	return &shape.ListResourceTypesOutput{ResourceTypes: out, NextToken: next}, nil
}

// GetResourcePolicies gives what shares of the caller's allow as the policies that they
// amount to, one for each resource.
func (a *API) GetResourcePolicies(ctx context.Context, in *shape.GetResourcePoliciesInput) (*shape.GetResourcePoliciesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type policy struct{ arn, text string }
	var rows []policy
	for _, text := range in.ResourceArns {
		arn, err := model.ParseARN(text)
		if err != nil {
			return nil, problem("MalformedArnException", "resourceArns: %s is no ARN", text)
		}
		kind, known := permission.Of(arn)
		ref := model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}
		if !known || !view.Own(who, ref) || !isThere(tx, kind.Name, ref) {
			return nil, problem("ResourceArnNotFoundException", "Resource %s could not be found.", text)
		}
		if p := resourcePolicy(tx, ref, text, service.Value(in.Principal)); p != "" {
			rows = append(rows, policy{text, p})
		}
	}
	page, next, err := paginate(who, "GetResourcePolicies", []any{in.ResourceArns, in.Principal}, in.NextToken, in.MaxResults, rows, func(p policy) string { return p.arn })
	if err != nil {
		return nil, err
	}
	return &shape.GetResourcePoliciesOutput{Policies: collect(slices.Values(page), func(p policy) string { return p.text }), NextToken: next}, nil
}
