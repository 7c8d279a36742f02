// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Tables of AWS Organizations. They are in no region, and have the account of the
// organization. What is in the root names no parent.
var (
	// Organizations has one row at most, whose tags are those of the root.
	Organizations = tagged(Organization, table.Define[*model.Organization]("organization"), "root", "o-")
	// AnyOrganization finds it, by the empty text.
	AnyOrganization = byText(Organizations, "any", func(*model.Organization) []string { return []string{""} })
	// OrganizationsByPolicy finds the one whose root a service control policy is attached to.
	OrganizationsByPolicy = refer(Organizations, "policy", Holds, func(o *model.Organization) []model.Ref {
		return controls(o.Meta, o.Policies)
	}, to(ControlPolicies))

	OrganizationalUnits         = tagged(Organization, table.Define[*model.OrganizationalUnit]("organizational-unit"), "ou", "ou-")
	OrganizationalUnitsByParent = refer(OrganizationalUnits, "parent", Holds, func(u *model.OrganizationalUnit) []model.Ref {
		return optional(u.Meta, u.Parent)
	}, to(OrganizationalUnits))
	OrganizationalUnitsByPolicy = refer(OrganizationalUnits, "policy", Holds, func(u *model.OrganizationalUnit) []model.Ref {
		return controls(u.Meta, u.Policies)
	}, to(ControlPolicies))

	// OrganizationAccounts are keyed by the account that they are about.
	OrganizationAccounts         = tagged(Organization, table.Define[*model.OrganizationAccount]("organization-account"), "account", "")
	OrganizationAccountsByParent = refer(OrganizationAccounts, "parent", Holds, func(a *model.OrganizationAccount) []model.Ref {
		return optional(a.Meta, a.Parent)
	}, to(OrganizationalUnits))
	OrganizationAccountsByPolicy = refer(OrganizationAccounts, "policy", Holds, func(a *model.OrganizationAccount) []model.Ref {
		return controls(a.Meta, a.Policies)
	}, to(ControlPolicies))

	ControlPolicies = tagged(Organization, table.Define[*model.ControlPolicy]("control-policy"), "policy", "p-")
)

// controls gives those of service control policies that are rows.
func controls(m model.Meta, policies []string) []model.Ref {
	return siblings(m, slices.DeleteFunc(slices.Clone(policies), func(id string) bool { return id == model.FullAccessPolicy })...)
}
