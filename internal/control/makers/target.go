// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DrainedTargets takes targets of load balancers out of their groups that were taken away, when
// their time to drain is over.
type DrainedTargets struct{}

// Name implements Maker.
func (DrainedTargets) Name() string { return "end of targets that drain" }

// Ask implements Maker.
func (DrainedTargets) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for g := range state.TargetGroupsByDraining.Rows(tx) {
		if !a.due(g.DrainsAt(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{g.ID, still(state.TargetGroups, g, func(tx *table.Txn, g *model.TargetGroup) {
			left := slices.DeleteFunc(slices.Clone(g.Targets), func(t model.BalancedTarget) bool { return t.Draining() && !now.Before(t.DrainsUntil) })
			if len(left) == len(g.Targets) {
				return
			}
			g = g.Clone()
			g.Targets = left
			state.TargetGroups.Put(tx, g)
		})})
	}
	return a
}
