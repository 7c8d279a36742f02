// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// NATGateways takes addresses from NAT gateways whose time to drain is over, and removes
// gateways that have failed or are gone when they have been shown for long enough.
type NATGateways struct{}

// Name implements Maker.
func (NATGateways) Name() string { return "end of NAT gateways and their addresses" }

// Ask implements Maker.
func (NATGateways) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for g := range state.NATGatewaysByGone.Rows(tx) {
		if !a.due(g.ShownUntil(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{g.ID, still(state.NATGateways, g, func(tx *table.Txn, g *model.NATGateway) {
			state.NATGateways.Delete(tx, g.Account, g.Region, g.ID)
			state.Statuses.Delete(tx, g.Account, g.Region, g.ID)
		})})
	}
	for g := range state.NATGatewaysByDraining.Rows(tx) {
		if !a.due(g.DrainsAt(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{g.ID, still(state.NATGateways, g, func(tx *table.Txn, g *model.NATGateway) { drained(tx, g, now) })})
	}
	return a
}

// drained takes from a gateway the addresses whose time to drain is over, unless it goes
// as a whole. They are free when the data plane has let go of them.
func drained(tx *table.Txn, g *model.NATGateway, now time.Time) {
	if first := g.DrainsAt(); first.IsZero() || now.Before(first) {
		return
	}
	ni, ok := state.NetworkInterfaces.Get(tx, g.Account, g.Region, g.Interface)
	if !ok {
		return
	}
	g, ni = g.Clone(), ni.Clone()
	g.Update(now)
	g.Addresses = slices.DeleteFunc(g.Addresses, func(a model.NATAddress) bool {
		if !a.GivenUp() || now.Before(a.DrainedAt) {
			return false
		}
		ni.Addresses = slices.DeleteFunc(ni.Addresses, func(addr netip.Addr) bool { return addr == a.Private })
		alloc.Release(tx, ni, a.Private, now)
		return true
	})
	state.NATGateways.Put(tx, g)
	state.NetworkInterfaces.Put(tx, ni)
}
