// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// peerings wants both rows of a peering connection that may carry packets to say the same,
// and two VPCs that are peered to have no addresses in common.
func (a *auditor) peerings() {
	for p := range state.PeeringConnections.All(a.tx) {
		if !p.Live() {
			continue
		}
		object := name(state.PeeringConnections, p)
		for _, s := range p.Sides() {
			other, ok := state.PeeringConnections.Get(a.tx, s.Account, p.Region, p.ID)
			if !ok {
				a.wrong(object, "account %s has no row of it", s.Account)
			} else if other.Requester != p.Requester || other.Accepter != p.Accepter || other.Code != p.Code {
				a.wrong(object, "it is %s, and %s according to the row of account %s", p.Code, other.Code, s.Account)
			}
		}
		if !p.Active() {
			continue
		}
		var vpcs [2]*model.VPC
		for i, s := range p.Sides() {
			ref := p.VPCOf(s)
			vpcs[i], _ = state.VPCs.Get(a.tx, ref.Account, ref.Region, ref.ID)
		}
		if vpcs[0] == nil || vpcs[1] == nil {
			continue // which is said of its relations
		}
		for _, own := range vpcs[0].Networks() {
			if i := slices.IndexFunc(vpcs[1].Networks(), own.Overlaps); i >= 0 {
				a.wrong(object, "its VPCs have addresses in common: %s and %s", own, vpcs[1].Networks()[i])
			}
		}
	}
}
