// SPDX-License-Identifier: Apache-2.0

package organizations

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func (a *API) show(tx *table.Txn, o *model.Organization) *shape.Organization {
	return &shape.Organization{
		Id: &o.ID, Arn: new(o.ARN()), FeatureSet: new(shape.OrganizationFeatureSetAll),
		MasterAccountArn: new(o.AccountARN(o.Account)), MasterAccountId: &o.Account,
		MasterAccountEmail:   new(emailOf(organization.Account(tx, o, o.Account))),
		AvailablePolicyTypes: []shape.PolicyTypeSummary{{Type: new(controlType), Status: new(shape.PolicyTypeStatusEnabled)}},
	}
}

// CreateOrganization makes the organization, which all accounts of the installation are in
// from then on. Service control policies count when they are enabled.
func (a *API) CreateOrganization(ctx context.Context, in *shape.CreateOrganizationInput) (*shape.CreateOrganizationOutput, error) {
	if set := service.Value(in.FeatureSet); set != "" && set != shape.OrganizationFeatureSetAll {
		return nil, invalid("INVALID_ENUM", "FeatureSet %s is not served; an organization has ALL features.", set)
	}
	who, out := access.From(ctx), &shape.CreateOrganizationOutput{}
	o := &model.Organization{Meta: model.Meta{Account: who.Account, ID: "o-" + a.id(10), CreatedAt: a.Now()}, Root: "r-" + a.id(4)}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		if organization.In(tx) != nil {
			return fault.AWSJSON("AlreadyInOrganizationException", "The AWS account is already a member of an organization.")
		}
		state.Organizations.Put(tx, o)
		out.Organization = a.show(tx, o)
		return nil
	})
	return out, err
}

// DescribeOrganization gives the organization that the caller is in.
func (a *API) DescribeOrganization(ctx context.Context, _ *shape.DescribeOrganizationInput) (*shape.DescribeOrganizationOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeOrganizationOutput{Organization: a.show(tx, o)}, nil
}

// DeleteOrganization removes an organization without units, policies and open accounts of
// its own making. The accounts stay.
func (a *API) DeleteOrganization(ctx context.Context, _ *shape.DeleteOrganizationInput) (*shape.DeleteOrganizationOutput, error) {
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		for range state.OrganizationalUnits.Scope(tx, o.Account, "") {
			return notEmpty("organizational units")
		}
		for range state.ControlPolicies.Scope(tx, o.Account, "") {
			return notEmpty("policies")
		}
		for row, known := range accounts(tx, o) {
			if known.Request != "" && !row.Disabled {
				return notEmpty("member accounts, such as " + row.ID)
			}
		}
		for known := range state.OrganizationAccounts.Scope(tx, o.Account, "") {
			state.OrganizationAccounts.Delete(tx, known.Account, "", known.ID)
		}
		state.Organizations.Delete(tx, o.Account, "", o.ID)
		return nil
	})
}

func notEmpty(what string) error {
	return fault.AWSJSON("OrganizationNotEmptyException", "The organization still has %s.", what)
}

func showRoot(o *model.Organization) shape.Root {
	root := shape.Root{Id: &o.Root, Arn: new(o.RootARN()), Name: new("Root"), PolicyTypes: []shape.PolicyTypeSummary{}}
	if o.Controlled {
		root.PolicyTypes = append(root.PolicyTypes, shape.PolicyTypeSummary{Type: new(controlType), Status: new(shape.PolicyTypeStatusEnabled)})
	}
	return root
}

// ListRoots gives the root.
func (a *API) ListRoots(ctx context.Context, in *shape.ListRootsInput) (*shape.ListRootsOutput, error) {
	_, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	roots, next, err := paginate(ctx, "ListRoots", nil, in.NextToken, in.MaxResults, []*model.Organization{o}, func(o *model.Organization) string { return o.Root })
	return &shape.ListRootsOutput{Roots: service.Each(roots, showRoot), NextToken: next}, err
}

// EnablePolicyType makes service control policies count: FullAWSAccess at first,
// everywhere.
func (a *API) EnablePolicyType(ctx context.Context, in *shape.EnablePolicyTypeInput) (*shape.EnablePolicyTypeOutput, error) {
	o, err := a.control(ctx, *in.RootId, *in.PolicyType, true)
	if err != nil {
		return nil, err
	}
	return &shape.EnablePolicyTypeOutput{Root: new(showRoot(o))}, nil
}

// DisablePolicyType makes service control policies count no more, and detaches them.
func (a *API) DisablePolicyType(ctx context.Context, in *shape.DisablePolicyTypeInput) (*shape.DisablePolicyTypeOutput, error) {
	o, err := a.control(ctx, *in.RootId, *in.PolicyType, false)
	if err != nil {
		return nil, err
	}
	return &shape.DisablePolicyTypeOutput{Root: new(showRoot(o))}, nil
}

func (a *API) control(ctx context.Context, root, kind string, on bool) (changed *model.Organization, err error) {
	err = a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		switch {
		case root != o.Root:
			return fault.AWSJSON("RootNotFoundException", "You specified a root that doesn't exist: %s.", root)
		case kind != controlType:
			return fault.AWSJSON("PolicyTypeNotAvailableForOrganizationException", "Policies of the type %s are not available; there are those of %s.", kind, controlType)
		case on && o.Controlled:
			return fault.AWSJSON("PolicyTypeAlreadyEnabledException", "The policy type %s is already enabled in the root.", kind)
		case !on && !o.Controlled:
			return fault.AWSJSON("PolicyTypeNotEnabledException", "The policy type %s is not enabled in the root.", kind)
		}
		changed = o.Clone()
		changed.Controlled, changed.Policies, changed.UpdatedAt = on, nil, a.Now()
		state.Organizations.Put(tx, changed)
		if !on {
			detachAll(tx, o)
		}
		return nil
	})
	return changed, err
}

// detachAll leaves units and accounts without policies of their own.
func detachAll(tx *table.Txn, o *model.Organization) {
	for u := range state.OrganizationalUnits.Scope(tx, o.Account, "") {
		if len(u.Policies) > 0 {
			u = u.Clone()
			u.Policies = nil
			state.OrganizationalUnits.Put(tx, u)
		}
	}
	for known := range state.OrganizationAccounts.Scope(tx, o.Account, "") {
		if len(known.Policies) > 0 {
			known = known.Clone()
			known.Policies = nil
			state.OrganizationAccounts.Put(tx, known)
		}
	}
}

// servicePrincipal checks the name of a service.
func servicePrincipal(name string) error {
	if !strings.HasSuffix(name, ".amazonaws.com") || name == ".amazonaws.com" {
		return invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal: %s.", name)
	}
	return nil
}

// EnableAWSServiceAccess lets a service into the organization. RAM shares with it then
// without invitations; other names are kept and shown.
func (a *API) EnableAWSServiceAccess(ctx context.Context, in *shape.EnableAWSServiceAccessInput) (*shape.EnableAWSServiceAccessOutput, error) {
	if err := servicePrincipal(*in.ServicePrincipal); err != nil {
		return nil, err
	}
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		organization.Enable(tx, o, *in.ServicePrincipal, a.Now())
		return nil
	})
}

// DisableAWSServiceAccess takes that back.
func (a *API) DisableAWSServiceAccess(ctx context.Context, in *shape.DisableAWSServiceAccessInput) (*shape.DisableAWSServiceAccessOutput, error) {
	if err := servicePrincipal(*in.ServicePrincipal); err != nil {
		return nil, err
	}
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		if o.Has(*in.ServicePrincipal) {
			o = o.Clone()
			o.Services = slices.DeleteFunc(o.Services, func(s model.EnabledService) bool { return s.Principal == *in.ServicePrincipal })
			state.Organizations.Put(tx, o)
		}
		return nil
	})
}

// ListAWSServiceAccessForOrganization lists the services that were let in.
func (a *API) ListAWSServiceAccessForOrganization(ctx context.Context, in *shape.ListAWSServiceAccessForOrganizationInput) (*shape.ListAWSServiceAccessForOrganizationOutput, error) {
	_, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(ctx, "ListAWSServiceAccessForOrganization", nil, in.NextToken, in.MaxResults, slices.Clone(o.Services), func(s model.EnabledService) string { return s.Principal })
	return &shape.ListAWSServiceAccessForOrganizationOutput{
		EnabledServicePrincipals: service.Each(page, func(s model.EnabledService) shape.EnabledServicePrincipal {
			return shape.EnabledServicePrincipal{ServicePrincipal: &s.Principal, DateEnabled: &s.Since}
		}), NextToken: next,
	}, err
}

// ListDelegatedAdministrators lists none: accounts cannot be made administrators.
func (a *API) ListDelegatedAdministrators(ctx context.Context, _ *shape.ListDelegatedAdministratorsInput) (*shape.ListDelegatedAdministratorsOutput, error) {
	_, _, err := a.read(ctx)
	return &shape.ListDelegatedAdministratorsOutput{}, err
}
