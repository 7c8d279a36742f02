// SPDX-License-Identifier: Apache-2.0

package share

import (
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// within gives the organization whose accounts share with each other and with it; nil
// while there is none, or RAM was not let into it.
func within(tx *table.Txn) *model.Organization {
	if o := organization.In(tx); o != nil && o.Has(organization.RAM) {
		return o
	}
	return nil
}

// PrincipalsOf gives everything that a share can name an account by: the account, and
// the organization and its units that the account is in.
func PrincipalsOf(tx *table.Txn, account string) []string {
	all := []string{account}
	if o := within(tx); o != nil && organization.Has(tx, account) {
		all = append(all, o.ARN())
		for _, u := range organization.Above(tx, o, organization.Account(tx, o, account).Parent) {
			all = append(all, o.UnitARN(u.ID))
		}
	}
	return all
}

// IsExternal reports whether a principal is outside of the organization of a share's
// owner: then it is invited, and must accept.
func IsExternal(tx *table.Txn, owner, principal string) bool {
	if owner == principal {
		return false
	}
	return within(tx) == nil || !organization.Has(tx, owner) ||
		!organization.Has(tx, principal) && !KnowsOrganization(tx, owner, principal)
}

// InOrganization reports whether an account is in an organization that RAM can share in.
func InOrganization(tx *table.Txn, account string) bool {
	return within(tx) != nil && organization.Has(tx, account)
}

// KnowsOrganization reports whether an owner can share with an organization, or a unit of
// one, by its ARN: with the one that it is in.
func KnowsOrganization(tx *table.Txn, owner, arn string) bool {
	o := within(tx)
	if o == nil || !organization.Has(tx, owner) {
		return false
	}
	unit, ok := strings.CutPrefix(arn, o.UnitARN(""))
	if !ok {
		return arn == o.ARN()
	}
	_, ok = state.OrganizationalUnits.Get(tx, o.Account, "", unit)
	return ok
}
