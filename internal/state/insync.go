// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// InSync reports whether every resolver that serves the zone of a change has said that
// it has it.
func InSync(tx *table.Txn, c *model.ZoneChange) bool {
	account, region, id := c.RowKey()
	status, ok := Statuses.Get(tx, account, region, id)
	return ok && status.State == model.StatusReady
}
