// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ZoneChanges removes the changes of hosted zones that nobody asks about any more, but for
// those that are pending.
type ZoneChanges struct{}

// Name implements Maker.
func (ZoneChanges) Name() string { return "expiry of zone changes" }

// Ask implements Maker.
func (ZoneChanges) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for c := range state.ZoneChangesByExpiry.Rows(tx) {
		if !a.due(c.Expires(), now) {
			break
		}
		if !state.InSync(tx, c) {
			continue
		}
		a.Changes = append(a.Changes, Change{c.ID, still(state.ZoneChanges, c, func(tx *table.Txn, c *model.ZoneChange) {
			account, region, id := c.RowKey()
			state.ZoneChanges.Delete(tx, account, region, id)
			state.Statuses.Delete(tx, account, region, id)
		})})
	}
	return a
}
