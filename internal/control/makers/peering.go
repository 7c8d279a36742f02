// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Peerings has requests for VPC peering connections expire that nobody has answered, and
// removes connections that came to their end when they have been shown for long enough, which
// each account has its own time for.
type Peerings struct{}

// Name implements Maker.
func (Peerings) Name() string { return "end of VPC peering connections" }

// Ask implements Maker.
func (Peerings) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for p := range state.PeeringConnectionsByNext.Rows(tx) {
		if !a.due(p.NextAt(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{p.ID, still(state.PeeringConnections, p, func(tx *table.Txn, p *model.PeeringConnection) {
			next := p.NextAt()
			switch {
			case next.IsZero() || now.Before(next): // it was answered, or has expired with the other row
				return
			case !p.Live():
				state.PeeringConnections.Delete(tx, p.Account, p.Region, p.ID)
			default:
				state.ChangePeering(tx, p, now, func(p *model.PeeringConnection) { p.End(model.PeeringExpired, "Expired", "", now) })
			}
		})})
	}
	return a
}
