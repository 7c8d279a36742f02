// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// NamesOut reports whether the names of an association in a domain of endpoints are out:
// every resolver that concerns it answers them. The status is what is known of them, or
// nil; it may speak of another domain, which had been the one before.
func NamesOut(tx *table.Txn, a *model.EndpointAssociation, domain string) (status *model.Status, out bool) {
	ref := a.NamesRef()
	status, ok := Statuses.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil, false
	}
	return status, status.State == model.StatusReady && status.Domain == domain && !a.Deleting()
}
