// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// maxName bounds the name of a share, in characters. RAM's model does not.
const maxName = 255

// CreateResourceShare makes a share with what is named, all or nothing.
func (a *API) CreateResourceShare(ctx context.Context, in *shape.CreateResourceShareInput) (*shape.CreateResourceShareOutput, error) {
	who, now := access.From(ctx), a.Now()
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	if len(in.Sources) > 0 {
		return nil, invalid("sources: they bound service principals, which nothing is shared with here")
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	row := &model.ResourceShare{
		Meta: model.Meta{Account: who.Account, Region: who.Region, ID: a.newID(), CreatedAt: now, UpdatedAt: now, Tags: tags},
		Name: *in.Name, AllowExternal: in.AllowExternalPrincipals == nil || *in.AllowExternalPrincipals,
	}
	if c := in.ResourceShareConfiguration; c != nil {
		row.RetainOnLeave = service.Value(c.RetainSharingOnAccountLeaveOrganization)
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	out, err := service.Create(ctx, a.Idempotent(who, "CreateResourceShare", in.ClientToken, fingerprint),
		func(tx *table.Txn, id string) (*model.ResourceShare, error) {
			made, ok := view.Get(tx, who, state.ResourceShares, id)
			if !ok {
				return nil, problem("InvalidClientTokenException", "clientToken: it was used to create a resource share that has been deleted")
			}
			return made, nil
		},
		func(tx *table.Txn) (*model.ResourceShare, error) {
			if most := a.Quotas.SharesPerRegion; view.Count(tx, who, state.ResourceShares) >= most {
				return nil, problem("ResourceShareLimitExceededException", "the account has %d resource shares in this region, the most it can have", most)
			}
			made := row.Clone()
			for _, arn := range in.PermissionArns {
				if err := a.permit(tx, who, made, arn, nil, false); err != nil {
					return nil, err
				}
			}
			state.ResourceShares.Put(tx, made)
			_, err := a.associate(tx, who, made, in.ResourceArns, in.Principals)
			return made, err
		},
		func(_ *table.Txn, made *model.ResourceShare) *shape.CreateResourceShareOutput {
			return &shape.CreateResourceShareOutput{ResourceShare: showShare(who, made), ClientToken: in.ClientToken}
		})
	return out, asFault(err)
}

func checkName(name *string) error {
	if n := utf8.RuneCountInString(service.Value(name)); n < 1 || n > maxName {
		return invalid("name: it has %d characters, 1 to %d are possible", n, maxName)
	}
	return nil
}

// showShare tells of a share. Whose it is not does not see its tags.
func showShare(who access.View, s *model.ResourceShare) *shape.ResourceShare {
	out := &shape.ResourceShare{
		ResourceShareArn: new(s.ARN()), Name: &s.Name, OwningAccountId: &s.Account, AllowExternalPrincipals: &s.AllowExternal,
		Status: new(shareStatus(s)), FeatureSet: new(shape.ResourceShareFeatureSetStandard),
		CreationTime: &s.CreatedAt, LastUpdatedTime: lastUpdated(s.CreatedAt, s.UpdatedAt),
		ResourceShareConfiguration: &shape.ResourceShareConfiguration{RetainSharingOnAccountLeaveOrganization: &s.RetainOnLeave},
	}
	if who.Owns(s.Account) {
		out.Tags = showTags(s.Tags)
	}
	return out
}

// shareStatus is the state of a share, which goes from one to the other at once.
func shareStatus(s *model.ResourceShare) string {
	if s.Deleting() {
		return shape.ResourceShareStatusDeleted
	}
	return shape.ResourceShareStatusActive
}

// GetResourceShares lists the caller's shares, deleted ones too for a while, or those that
// it has from others.
func (a *API) GetResourceShares(ctx context.Context, in *shape.GetResourceSharesInput) (*shape.GetResourceSharesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if in.PermissionVersion != nil && in.PermissionArn == nil {
		return nil, invalid("permissionVersion: it goes with permissionArn")
	}
	rows, err := chosenShares(tx, who, *in.ResourceOwner, in.ResourceShareArns)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(s *model.ResourceShare) bool {
		return !allows(in.Name, s.Name) || !allows(in.ResourceShareStatus, shareStatus(s)) ||
			!tagged(who, s, in.TagFilters) || !permits(s, in.PermissionArn, in.PermissionVersion)
	})
	chosen := []any{in.ResourceOwner, in.ResourceShareArns, in.Name, in.ResourceShareStatus, in.TagFilters, in.PermissionArn, in.PermissionVersion}
	page, next, err := paginate(who, "GetResourceShares", chosen, in.NextToken, in.MaxResults, rows, (*model.ResourceShare).ARN)
	if err != nil {
		return nil, err
	}
	out := collect(slices.Values(page), func(s *model.ResourceShare) shape.ResourceShare { return *showShare(who, s) })
	return &shape.GetResourceSharesOutput{ResourceShares: out, NextToken: next}, nil
}

// tagged reports whether a share has one of the values of each filter's tag. Tags are
// their owner's alone to know.
func tagged(who access.View, s *model.ResourceShare, filters []shape.TagFilter) bool {
	for _, f := range filters {
		value, ok := s.Tags[service.Value(f.TagKey)]
		if !ok || !who.Owns(s.Account) || !anyOf(f.TagValues, value) {
			return false
		}
	}
	return true
}

// permits reports whether a share has a permission.
func permits(s *model.ResourceShare, arn *string, version *int32) bool {
	return arn == nil || slices.ContainsFunc(s.Permissions, func(p model.SharePermission) bool {
		return permissionARN(s, p) == *arn && (version == nil || p.Version == int(*version))
	})
}

// UpdateResourceShare changes the name of a share, and whether accounts outside of the
// organization can be added.
func (a *API) UpdateResourceShare(ctx context.Context, in *shape.UpdateResourceShareInput) (*shape.UpdateResourceShareOutput, error) {
	if in.Name != nil {
		if err := checkName(in.Name); err != nil {
			return nil, err
		}
	}
	who := access.From(ctx)
	row, err := service.Change(ctx, a.Env, state.ResourceShares, liveShare, *in.ResourceShareArn, func(tx *table.Txn, s *model.ResourceShare) error {
		if in.Name != nil {
			s.Name = *in.Name
		}
		if in.AllowExternalPrincipals == nil {
			return nil
		}
		s.AllowExternal = *in.AllowExternalPrincipals
		for p := range share.In(tx).Principals(s.Ref()) {
			if p.External && !s.AllowExternal {
				return notPermitted("allowExternalPrincipals: principal %s is outside of the organization; disassociate it first", p.Principal)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.UpdateResourceShareOutput{ResourceShare: showShare(who, row), ClientToken: in.ClientToken}, nil
}

// DeleteResourceShare ends a share at once: nobody has anything by it any more. What was
// made by it meanwhile stays. Its rows a maker takes away. Deleting it again changes
// nothing.
func (a *API) DeleteResourceShare(ctx context.Context, in *shape.DeleteResourceShareInput) (*shape.DeleteResourceShareOutput, error) {
	who, now := access.From(ctx), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := ownShare(tx, who, *in.ResourceShareArn)
		if err != nil || row.Deleting() {
			return err
		}
		row = row.Clone()
		row.Permissions, row.UpdatedAt = nil, now
		row.Delete(now)
		state.ResourceShares.Put(tx, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteResourceShareOutput{ReturnValue: new(true), ClientToken: in.ClientToken}, nil
}

func makeTags(list []shape.Tag) (map[string]string, error) {
	tags := make([]service.Tag, len(list))
	for i, t := range list {
		tags[i] = service.Tag{Key: service.Value(t.Key), Value: service.Value(t.Value)}
	}
	made, err := service.MakeTags(tags)
	return made, asFault(err)
}

func showTags(tags map[string]string) []shape.Tag {
	return collect(slices.Values(slices.Sorted(maps.Keys(tags))), func(key string) shape.Tag {
		return shape.Tag{Key: &key, Value: new(tags[key])}
	})
}
