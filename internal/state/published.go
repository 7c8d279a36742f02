// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// NamesOut reports whether the names of an association, or of an interface endpoint, in a domain of endpoints are out:
// every resolver that concerns it answers them. What is known of them may speak of another
// domain, which had been the one before.
func NamesOut(tx *table.Txn, a *model.Meta, domain string) (names model.NamesStatus, out bool) {
	row, ok := Statuses.Get(tx, a.Account, a.Region, a.ID)
	if !ok {
		return names, false
	}
	return row.Names, row.Names.State == model.StatusReady && row.Names.Domain == domain && !a.Deleting()
}
