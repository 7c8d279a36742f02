// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// FormerBlocks takes the blocks of addresses that VPCs and subnets do not have any more
// out of their rows when they have been shown for long enough.
type FormerBlocks struct{}

// Name implements Maker.
func (FormerBlocks) Name() string { return "end of former address blocks" }

// Ask implements Maker.
func (FormerBlocks) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for v := range state.VPCsByFormer.Rows(tx) {
		if !a.due(model.FormerUntil(v.FormerCIDRs), now) {
			break
		}
		a.Changes = append(a.Changes, Change{v.ID, still(state.VPCs, v, func(tx *table.Txn, v *model.VPC) {
			v = v.Clone()
			v.FormerCIDRs = model.Former(v.FormerCIDRs, now)
			state.VPCs.Put(tx, v)
		})})
	}
	for s := range state.SubnetsByFormer.Rows(tx) {
		if !a.due(model.FormerUntil(s.FormerCIDRs), now) {
			break
		}
		a.Changes = append(a.Changes, Change{s.ID, still(state.Subnets, s, func(tx *table.Txn, s *model.Subnet) {
			s = s.Clone()
			s.FormerCIDRs = model.Former(s.FormerCIDRs, now)
			state.Subnets.Put(tx, s)
		})})
	}
	return a
}
