// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DatabaseEvents removes events of databases that are not kept any more. They are not
// listed from that moment on; this gives their room back.
type DatabaseEvents struct{}

// Name implements Maker.
func (DatabaseEvents) Name() string { return "expiry of events of databases" }

// Ask implements Maker.
func (DatabaseEvents) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for row := range state.DBEventsByExpiry.Rows(tx) {
		if !a.due(row.Expires(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{
			About: "event of " + row.SourceType + " " + row.Source + " in account " + row.Account,
			Make: still(state.DBEvents, row, func(tx *table.Txn, row *model.DBEvent) {
				account, region, id := row.RowKey()
				state.DBEvents.Delete(tx, account, region, id)
			}),
		})
	}
	return a
}
