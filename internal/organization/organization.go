// SPDX-License-Identifier: Apache-2.0

// Package organization knows where accounts are in the organization of the installation,
// if there is one: the units above them, and the service control policies on the way.
// It is pure: everything follows from rows of a transaction, which depends on them then.
package organization

import (
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// RAM is the service that can share with the organization when it is let in.
const RAM = "ram.amazonaws.com"

// MaxDepth is how deep units can be below the root
// (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html).
const MaxDepth = 5

// In gives the organization, nil when there is none.
func In(tx *table.Txn) *model.Organization {
	for o := range state.AnyOrganization.Rows(tx, "") {
		return o
	}
	return nil
}

// Has says whether an account is in an organization: all of the installation are.
func Has(tx *table.Txn, account string) bool {
	_, ok := state.Accounts.Get(tx, "", "", account)
	return ok
}

// Account gives what the organization knows of an account; it is a new row when that is
// nothing but that it is in the root.
func Account(tx *table.Txn, o *model.Organization, account string) *model.OrganizationAccount {
	if row, ok := state.OrganizationAccounts.Get(tx, o.Account, "", account); ok {
		return row
	}
	return &model.OrganizationAccount{Meta: model.Meta{Account: o.Account, ID: account, CreatedAt: o.CreatedAt}}
}

// Above gives the units from one upwards, itself first. The root is none.
func Above(tx *table.Txn, o *model.Organization, unit string) []*model.OrganizationalUnit {
	var units []*model.OrganizationalUnit
	for unit != "" && len(units) <= MaxDepth {
		u, ok := state.OrganizationalUnits.Get(tx, o.Account, "", unit)
		if !ok {
			break
		}
		units, unit = append(units, u), u.Parent
	}
	return units
}

// Path is where something is that is in a unit, as aws:PrincipalOrgPaths has it: from the
// organization downwards.
func Path(o *model.Organization, above []*model.OrganizationalUnit) string {
	var b strings.Builder
	b.WriteString(o.ID + "/" + o.Root + "/")
	for _, u := range slices.Backward(above) {
		b.WriteString(u.ID + "/")
	}
	return b.String()
}

// Attached gives the service control policies of a row's Policies.
func Attached(policies []string) []string {
	if len(policies) == 0 {
		return []string{model.FullAccessPolicy}
	}
	return policies
}

// Levels gives the service control policies that bound an account, from the root down to
// it; nil when none do: while they are not enabled, and for the management account.
func Levels(tx *table.Txn, o *model.Organization, account string) [][]string {
	if !o.Controlled || account == o.Account {
		return nil
	}
	row := Account(tx, o, account)
	levels := [][]string{Attached(o.Policies)}
	for _, u := range slices.Backward(Above(tx, o, row.Parent)) {
		levels = append(levels, Attached(u.Policies))
	}
	return append(levels, Attached(row.Policies))
}

// FullAccess is the text of model.FullAccessPolicy.
const FullAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// Enable lets a service into the organization.
func Enable(tx *table.Txn, o *model.Organization, principal string, now time.Time) {
	if o.Has(principal) {
		return
	}
	o = o.Clone()
	o.Services = append(o.Services, model.EnabledService{Principal: principal, Since: now})
	state.Organizations.Put(tx, o)
}
