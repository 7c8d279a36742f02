// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Tokens removes client tokens that have expired. Services do not know them any more
// from that moment on; this gives their room back.
type Tokens struct{}

// Name implements Maker.
func (Tokens) Name() string { return "expiry of client tokens" }

// Ask implements Maker.
func (Tokens) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for row := range state.ClientTokensByExpiry.Rows(tx) {
		if !a.due(row.Expires(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{
			About: "client token of " + row.Operation + " in account " + row.Account,
			Make: still(state.ClientTokens, row, func(tx *table.Txn, row *model.ClientToken) {
				if account, region, id := row.RowKey(); row.Expired(now) { // and was not used anew
					state.ClientTokens.Delete(tx, account, region, id)
				}
			}),
		})
	}
	return a
}
