// SPDX-License-Identifier: Apache-2.0

package share

import "github.com/posternhq/postern/internal/table"

// PrincipalsOf gives everything that a share can name an account by: the account, and
// the organization and its units that the account is in.
func PrincipalsOf(_ *table.Txn, account string) []string { return []string{account} }

// IsExternal reports whether a principal is outside of the organization of a share's
// owner: then it is invited, and must accept.
func IsExternal(_ *table.Txn, owner, principal string) bool { return owner != principal }

// KnowsOrganization reports whether an owner can share with an organization, or a unit of
// one, by its ARN: with the one that it is in.
func KnowsOrganization(_ *table.Txn, _, _ string) bool { return false }
