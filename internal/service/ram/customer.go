// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ownPermission finds a permission of the caller's own. Everybody's nobody changes.
func ownPermission(tx *table.Txn, who access.View, arn string) (*model.Permission, error) {
	ref, err := parse(typePermission, arn)
	if err != nil {
		return nil, err
	}
	if m, ok := permission.ManagedNamed(ref.ID); ok && m.ARN() == arn {
		return nil, notPermitted("permission %s is AWS's, and cannot be changed", arn)
	}
	if p, ok := view.Get(tx, who, state.Permissions, ref.ID); ok && p.ARN() == arn {
		return p, nil
	}
	return nil, unknown("Permission %s could not be found.", arn)
}

// CreatePermission makes a permission of the caller's own, with one version.
func (a *API) CreatePermission(ctx context.Context, in *shape.CreatePermissionInput) (*shape.CreatePermissionOutput, error) {
	who, now := access.From(ctx), a.Now()
	if err := checkTemplate(*in.ResourceType, *in.PolicyTemplate); err != nil {
		return nil, err
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	out, err := service.Create(ctx, a.Idempotent(who, "CreatePermission", in.ClientToken, fingerprint),
		func(tx *table.Txn, name string) (*model.Permission, error) {
			made, ok := view.Get(tx, who, state.Permissions, name)
			if !ok {
				return nil, problem("InvalidClientTokenException", "clientToken: it was used to create a permission that has been deleted")
			}
			return made, nil
		},
		func(tx *table.Txn) (*model.Permission, error) {
			if _, there := view.Get(tx, who, state.Permissions, *in.Name); there {
				return nil, fault.New("PermissionAlreadyExistsException", 409, "name: the account has a permission %s in this region", *in.Name)
			}
			if most := a.Quotas.PermissionsPerRegion; view.Count(tx, who, state.Permissions) >= most {
				return nil, problem("PermissionLimitExceededException", "the account has %d permissions in this region, the most it can have", most)
			}
			p := &model.Permission{
				Meta:         model.Meta{Account: who.Account, Region: who.Region, ID: *in.Name, CreatedAt: now, UpdatedAt: now, Tags: tags},
				ResourceType: *in.ResourceType, Versions: []model.PermissionVersion{{Number: 1, Template: *in.PolicyTemplate, CreatedAt: now}},
				Default: 1, Last: 1,
			}
			state.Permissions.Put(tx, p)
			return p, nil
		},
		func(_ *table.Txn, p *model.Permission) *shape.CreatePermissionOutput {
			v, _ := p.Version(p.Default)
			return &shape.CreatePermissionOutput{Permission: summary(ownVersion(p, v)), ClientToken: in.ClientToken}
		})
	return out, asFault(err)
}

// maxVersions is how many versions a permission can have.
const maxVersions = 5

// CreatePermissionVersion adds a version to a permission, and makes it the default. Shares
// keep the version that they have.
func (a *API) CreatePermissionVersion(ctx context.Context, in *shape.CreatePermissionVersionInput) (*shape.CreatePermissionVersionOutput, error) {
	who, now := access.From(ctx), a.Now()
	once := a.Idempotent(who, "CreatePermissionVersion", in.ClientToken, []*string{in.PermissionArn, in.PolicyTemplate})
	out := &shape.CreatePermissionVersionOutput{ClientToken: in.ClientToken}
	_, err := service.Change(ctx, a.Env, state.Permissions, ownPermission, *in.PermissionArn, func(tx *table.Txn, p *model.Permission) error {
		if err := checkTemplate(p.ResourceType, *in.PolicyTemplate); err != nil {
			return err
		}
		before, err := once.Result(tx)
		if err != nil {
			return err
		}
		if before == "" {
			if len(p.Versions) >= maxVersions {
				return problem("PermissionVersionsLimitExceededException", "permission %s has %d versions, the most it can have; delete one first", p.ARN(), maxVersions)
			}
			p.Last++
			p.Default = p.Last
			p.Versions = append(p.Versions, model.PermissionVersion{Number: p.Last, Template: *in.PolicyTemplate, CreatedAt: now})
			before = zeroed(p.Last)
			once.Record(tx, before)
		}
		for _, v := range p.Versions {
			if zeroed(v.Number) == before {
				out.Permission = detail(ownVersion(p, v))
			}
		}
		return nil
	})
	if err != nil {
		return nil, asFault(err)
	}
	return out, nil
}

// SetDefaultPermissionVersion says which version shares get from now on.
func (a *API) SetDefaultPermissionVersion(ctx context.Context, in *shape.SetDefaultPermissionVersionInput) (*shape.SetDefaultPermissionVersionOutput, error) {
	_, err := service.Change(ctx, a.Env, state.Permissions, ownPermission, *in.PermissionArn, func(_ *table.Txn, p *model.Permission) error {
		number := int(*in.PermissionVersion)
		if _, ok := p.Version(number); !ok {
			return unknown("Version %d of permission %s could not be found.", number, p.ARN())
		}
		p.Default = number
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.SetDefaultPermissionVersionOutput{ReturnValue: new(true), ClientToken: in.ClientToken}, nil
}

// DeletePermissionVersion removes a version that is not the default, and that no share has.
func (a *API) DeletePermissionVersion(ctx context.Context, in *shape.DeletePermissionVersionInput) (*shape.DeletePermissionVersionOutput, error) {
	_, err := service.Change(ctx, a.Env, state.Permissions, ownPermission, *in.PermissionArn, func(tx *table.Txn, p *model.Permission) error {
		number := int(*in.PermissionVersion)
		if _, ok := p.Version(number); !ok {
			return unknown("Version %d of permission %s could not be found.", number, p.ARN())
		}
		if number == p.Default {
			return notPermitted("permissionVersion: %d is the default version of %s; set another one first", number, p.ARN())
		}
		for s := range state.ResourceSharesByPermission.Rows(tx, p.Ref()) {
			if slices.ContainsFunc(s.Permissions, func(have model.SharePermission) bool {
				return !have.Managed && have.Permission == p.ID && have.Version == number
			}) {
				return notPermitted("permissionVersion: resource share %s has version %d of %s", s.ARN(), number, p.ARN())
			}
		}
		p.Versions = slices.DeleteFunc(p.Versions, func(v model.PermissionVersion) bool { return v.Number == number })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeletePermissionVersionOutput{ReturnValue: new(true), PermissionStatus: new(shape.PermissionStatusDeleted), ClientToken: in.ClientToken}, nil
}

// DeletePermission removes a permission that no share has.
func (a *API) DeletePermission(ctx context.Context, in *shape.DeletePermissionInput) (*shape.DeletePermissionOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		p, err := ownPermission(tx, who, *in.PermissionArn)
		if err != nil {
			return err
		}
		if by := state.Held(tx, state.Permissions, p); by != nil {
			return notPermitted("permission %s is that of %d %s(s)", p.ARN(), by.Count(), by.Noun())
		}
		state.Permissions.Delete(tx, p.Account, p.Region, p.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeletePermissionOutput{ReturnValue: new(true), PermissionStatus: new(shape.PermissionStatusDeleted), ClientToken: in.ClientToken}, nil
}
