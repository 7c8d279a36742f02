// SPDX-License-Identifier: Apache-2.0

package organizations

import (
	"context"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// parent finds what something is in: a unit, or the root, whose unit is "". The code is
// that of the error when there is no such.
func parent(tx *table.Txn, o *model.Organization, id, code string) (string, error) {
	if id == o.Root {
		return "", nil
	}
	if _, ok := state.OrganizationalUnits.Get(tx, o.Account, "", id); !ok {
		return "", fault.AWSJSON(code, "You specified a root or organizational unit that doesn't exist: %s.", id)
	}
	return id, nil
}

const noParent = "ParentNotFoundException"

// parentOf names what something is in.
func parentOf(o *model.Organization, unit string) shape.Parent {
	if unit == "" {
		return shape.Parent{Id: &o.Root, Type: new(shape.ParentTypeRoot)}
	}
	return shape.Parent{Id: &unit, Type: new(shape.ParentTypeOrganizationalUnit)}
}

func showUnit(tx *table.Txn, o *model.Organization, u *model.OrganizationalUnit) shape.OrganizationalUnit {
	return shape.OrganizationalUnit{Id: &u.ID, Arn: new(o.UnitARN(u.ID)), Name: &u.Name, Path: new(organization.Path(o, organization.Above(tx, o, u.ID)))}
}

func findUnit(tx *table.Txn, o *model.Organization, id string) (*model.OrganizationalUnit, error) {
	u, ok := state.OrganizationalUnits.Get(tx, o.Account, "", id)
	if !ok {
		return nil, fault.AWSJSON("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist: %s.", id)
	}
	return u, nil
}

// unique sees that a unit's name is another one than those beside it have.
func unique(tx *table.Txn, o *model.Organization, in, name, id string) error {
	for _, u := range units(tx, o, in) {
		if u.ID != id && strings.EqualFold(u.Name, name) {
			return fault.AWSJSON("DuplicateOrganizationalUnitException", "An organizational unit with the name %s exists already there: %s.", name, u.ID)
		}
	}
	return nil
}

// CreateOrganizationalUnit makes a unit in another one or in the root.
func (a *API) CreateOrganizationalUnit(ctx context.Context, in *shape.CreateOrganizationalUnitInput) (*shape.CreateOrganizationalUnitOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	out, suffix := &shape.CreateOrganizationalUnitOutput{}, a.id(8)
	err = a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		above, err := parent(tx, o, *in.ParentId, noParent)
		if err != nil {
			return err
		}
		if err := unique(tx, o, above, *in.Name, ""); err != nil {
			return err
		}
		if len(organization.Above(tx, o, above)) >= organization.MaxDepth {
			return violates("OU_DEPTH_LIMIT_EXCEEDED", "Organizational units can be %d deep below the root.", organization.MaxDepth)
		}
		n := 0
		for range state.OrganizationalUnits.Scope(tx, o.Account, "") {
			n++
		}
		if n >= maxUnits {
			return violates("OU_NUMBER_LIMIT_EXCEEDED", "An organization has %d organizational units at most.", maxUnits)
		}
		u := &model.OrganizationalUnit{
			Meta: model.Meta{Account: o.Account, ID: "ou-" + strings.TrimPrefix(o.Root, "r-") + "-" + suffix, CreatedAt: a.Now(), Tags: tags},
			Name: *in.Name, Parent: above,
		}
		if err := state.OrganizationalUnits.Insert(tx, u); err != nil {
			return err
		}
		out.OrganizationalUnit = new(showUnit(tx, o, u))
		return nil
	})
	return out, err
}

// UpdateOrganizationalUnit renames a unit.
func (a *API) UpdateOrganizationalUnit(ctx context.Context, in *shape.UpdateOrganizationalUnitInput) (*shape.UpdateOrganizationalUnitOutput, error) {
	out := &shape.UpdateOrganizationalUnitOutput{}
	err := a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		u, err := findUnit(tx, o, *in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		if name := service.Value(in.Name); name != "" {
			if err := unique(tx, o, u.Parent, name, u.ID); err != nil {
				return err
			}
			u = u.Clone()
			u.Name, u.UpdatedAt = name, a.Now()
			state.OrganizationalUnits.Put(tx, u)
		}
		out.OrganizationalUnit = new(showUnit(tx, o, u))
		return nil
	})
	return out, err
}

// DeleteOrganizationalUnit removes a unit that nothing is in.
func (a *API) DeleteOrganizationalUnit(ctx context.Context, in *shape.DeleteOrganizationalUnitInput) (*shape.DeleteOrganizationalUnitOutput, error) {
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		u, err := findUnit(tx, o, *in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		if state.OrganizationalUnitsByParent.Count(tx, u.Ref()) > 0 {
			return fault.AWSJSON("OrganizationalUnitNotEmptyException", "The organizational unit %s still has organizational units.", u.ID)
		}
		for known := range state.OrganizationAccountsByParent.Rows(tx, u.Ref()) {
			if row, ok := state.Accounts.Get(tx, "", "", known.ID); ok && !row.Disabled {
				return fault.AWSJSON("OrganizationalUnitNotEmptyException", "The organizational unit %s still has the account %s.", u.ID, row.ID)
			}
			known = known.Clone() // a closed account keeps nothing
			known.Parent, known.UpdatedAt = "", a.Now()
			state.OrganizationAccounts.Put(tx, known)
		}
		state.OrganizationalUnits.Delete(tx, u.Account, "", u.ID)
		return nil
	})
}

// DescribeOrganizationalUnit gives a unit.
func (a *API) DescribeOrganizationalUnit(ctx context.Context, in *shape.DescribeOrganizationalUnitInput) (*shape.DescribeOrganizationalUnitOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	u, err := findUnit(tx, o, *in.OrganizationalUnitId)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeOrganizationalUnitOutput{OrganizationalUnit: new(showUnit(tx, o, u))}, nil
}

// ListOrganizationalUnitsForParent lists the units in a unit or in the root.
func (a *API) ListOrganizationalUnitsForParent(ctx context.Context, in *shape.ListOrganizationalUnitsForParentInput) (*shape.ListOrganizationalUnitsForParentOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	above, err := parent(tx, o, *in.ParentId, noParent)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(ctx, "ListOrganizationalUnitsForParent", in.ParentId, in.NextToken, in.MaxResults, units(tx, o, above), func(u *model.OrganizationalUnit) string { return u.ID })
	return &shape.ListOrganizationalUnitsForParentOutput{
		OrganizationalUnits: service.Each(page, func(u *model.OrganizationalUnit) shape.OrganizationalUnit { return showUnit(tx, o, u) }), NextToken: next,
	}, err
}

// ListParents gives what an account or a unit is in.
func (a *API) ListParents(ctx context.Context, in *shape.ListParentsInput) (*shape.ListParentsOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	if u, ok := state.OrganizationalUnits.Get(tx, o.Account, "", *in.ChildId); ok {
		return &shape.ListParentsOutput{Parents: []shape.Parent{parentOf(o, u.Parent)}}, nil
	}
	if !organization.Has(tx, *in.ChildId) {
		return nil, fault.AWSJSON("ChildNotFoundException", "You specified an account or organizational unit that doesn't exist: %s.", *in.ChildId)
	}
	return &shape.ListParentsOutput{Parents: []shape.Parent{parentOf(o, organization.Account(tx, o, *in.ChildId).Parent)}}, nil
}

// ListChildren lists the accounts or the units in a unit or in the root.
func (a *API) ListChildren(ctx context.Context, in *shape.ListChildrenInput) (*shape.ListChildrenOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	above, err := parent(tx, o, *in.ParentId, noParent)
	if err != nil {
		return nil, err
	}
	var ids []string
	if *in.ChildType == shape.ChildTypeOrganizationalUnit {
		for _, u := range units(tx, o, above) {
			ids = append(ids, u.ID)
		}
	} else {
		for row, known := range accounts(tx, o) {
			if known.Parent == above {
				ids = append(ids, row.ID)
			}
		}
	}
	page, next, err := paginate(ctx, "ListChildren", []any{in.ParentId, in.ChildType}, in.NextToken, in.MaxResults, ids, func(id string) string { return id })
	return &shape.ListChildrenOutput{Children: service.Each(page, func(id string) shape.Child { return shape.Child{Id: &id, Type: in.ChildType} }), NextToken: next}, err
}
