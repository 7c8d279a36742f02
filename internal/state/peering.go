// SPDX-License-Identifier: Apache-2.0

package state

import (
	"iter"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

var (
	// PeeringConnections have a row in each account that has one of the VPCs.
	PeeringConnections = tagged(EC2, table.Define[*model.PeeringConnection]("vpc-peering-connection"), "vpc-peering-connection", "pcx-")
	// PeeringConnectionsByVPC finds those that are active, by the VPC of the row's account,
	// and its requests. A request of somebody else keeps nobody from deleting a VPC.
	PeeringConnectionsByVPC = refer(PeeringConnections, "vpc", Holds, func(p *model.PeeringConnection) []model.Ref {
		if p.Active() {
			return ownSides(p)
		}
		if p.Live() && p.Asks() {
			return []model.Ref{p.VPCOf(p.Requester)}
		}
		return nil
	}, to(VPCs))
	// PeeringConnectionsByParty finds all that are shown, by the VPC of the row's account.
	PeeringConnectionsByParty = refer(PeeringConnections, "party", Outlives, ownSides, to(VPCs))
	// PeeringConnectionsByNext has those first of which something becomes first.
	PeeringConnectionsByNext = table.NewTimeline(PeeringConnections, "next", (*model.PeeringConnection).NextAt)
)

// ownSides names the VPCs of a connection that are of the row's account.
func ownSides(p *model.PeeringConnection) (own []model.Ref) {
	for _, s := range p.Sides() {
		if p.Has(s) && s.VPC != "" && !slices.Contains(own, p.VPCOf(s)) {
			own = append(own, p.VPCOf(s))
		}
	}
	return own
}

// ChangePeering makes the same change to both rows of a connection, and gives that of the
// account of the one it is called with.
func ChangePeering(tx *table.Txn, p *model.PeeringConnection, now time.Time, change func(*model.PeeringConnection)) *model.PeeringConnection {
	own := p
	accounts := []string{p.Requester.Account, p.Accepter.Account}
	for _, account := range slices.Compact(accounts) {
		row, ok := PeeringConnections.Get(tx, account, p.Region, p.ID)
		if !ok {
			continue
		}
		row = row.Clone()
		row.UpdatedAt = now
		change(row)
		PeeringConnections.Put(tx, row)
		if account == p.Account {
			own = row
		}
	}
	return own
}

// PeerOf gives the VPC on the other side of an active connection of a VPC's owner, by the
// connection's id; false when there is none.
func PeerOf(tx *table.Txn, vpc model.Ref, connection string) (model.Ref, bool) {
	p, ok := PeeringConnections.Get(tx, vpc.Account, vpc.Region, connection)
	if !ok || !p.Active() {
		return model.Ref{}, false
	}
	return p.Across(vpc)
}

// PeersOf yields the active connections of a VPC, with the VPC on the other side.
func PeersOf(tx *table.Txn, vpc model.Ref) iter.Seq2[*model.PeeringConnection, *model.VPC] {
	return func(yield func(*model.PeeringConnection, *model.VPC) bool) {
		for p := range PeeringConnectionsByVPC.Rows(tx, vpc) {
			ref, ok := p.Across(vpc)
			if !ok || !p.Active() {
				continue
			}
			if other, ok := VPCs.Get(tx, ref.Account, ref.Region, ref.ID); ok && !yield(p, other) {
				return
			}
		}
	}
}
