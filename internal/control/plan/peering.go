// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// derivePeering joins the routers of two VPCs with an active peering connection, when
// somebody lives in both. Its value says whether they are joined.
func (r *reading) derivePeering(ref model.Ref) derived {
	p, ok := state.PeeringConnections.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || !p.Active() || !p.Asks() {
		return derived{}
	}
	waiting := derived{value: false} // with a value it is derived again when there is more
	sides := p.Sides()
	for _, s := range sides {
		if some, _ := valueOf[bool](r, unitPeopled, p.VPCOf(s)); !some {
			return waiting
		}
	}
	var blocks [2][]netip.Prefix
	for i, s := range sides {
		vpc := p.VPCOf(s)
		if _, ok := valueOf[network](r, unitVPC, vpc); !ok {
			return waiting
		}
		blocks[i] = slices.SortedFunc(slices.Values(r.land(vpc).blocks), netip.Prefix.Compare)
	}
	own, theirs := counterparts(blocks[0], blocks[1]), counterparts(blocks[1], blocks[0])
	if len(own) == 0 {
		return waiting
	}
	a, b := sides[0].VPC, sides[1].VPC
	return derived{value: true, entries: []desired.Entry{
		desired.NewLink(a, b),
		desired.Peering{VPC: a, Peer: b, Own: own, Theirs: theirs},
		desired.Peering{VPC: b, Peer: a, Own: theirs, Theirs: own},
	}}
}

// counterparts are the blocks of a family that the other side has blocks of too.
func counterparts(blocks, others []netip.Prefix) (both []netip.Prefix) {
	for _, b := range blocks {
		if slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Addr().Is4() == b.Addr().Is4() }) {
			both = append(both, b)
		}
	}
	return both
}

// referenced are the VPCs, by their ids, in whose routers rules name a security group: its
// own, and those of peers.
type referenced []string

// deriveReferenced asks for nothing. Its value is where a group is referenced.
func (r *reading) deriveReferenced(ref model.Ref) derived {
	var vpcs referenced
	note := func(vpc string) {
		if !slices.Contains(vpcs, vpc) {
			vpcs = append(vpcs, vpc)
		}
	}
	for g := range state.SecurityGroupsByReferenced.Rows(r.tx, ref) {
		note(g.VPC)
		break // all of one VPC
	}
	for g := range state.SecurityGroupsByPeers.Rows(r.tx, ref) {
		for _, rule := range g.Rules {
			if rule.Peering == "" || g.Peer(rule) != ref {
				continue
			}
			if _, ok := state.PeerOf(r.tx, g.VPCRef(), rule.Peering); ok && r.lives(g.VPCRef()) {
				note(g.VPC)
			}
		}
	}
	if vpcs == nil {
		return derived{}
	}
	slices.Sort(vpcs)
	return derived{value: vpcs}
}

// lives reports whether anything lives in a VPC, which has a router then.
func (r *reading) lives(vpc model.Ref) bool {
	some, _ := valueOf[bool](r, unitPeopled, vpc)
	return some
}

// hasPeers reports whether a VPC is peered with any. What answers to peers in the name of
// an endpoint takes the routes of the endpoint's subnet.
func (r *reading) hasPeers(vpc model.Ref) bool {
	for range state.PeersOf(r.tx, vpc) {
		return true
	}
	return false
}
