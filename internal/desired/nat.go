// SPDX-License-Identifier: Apache-2.0

package desired

import "net/netip"

// NAT is the network namespace of a NAT gateway, in which the connections of others
// get its addresses. It has one interface, which a Workload entry with this realm as
// its namespace gives it: what comes in there leaves there.
type NAT struct {
	ID string
	// VPC is whose router it is at.
	VPC string
	// Addresses are the private addresses that new connections leave from, the primary
	// one first. Each client has one of them, always the same while there are the same.
	// Without any, no new connection is let out.
	Addresses []netip.Addr
	// Draining are addresses of the gateway that new connections do not leave from any
	// more. Those that did go on; they are cut when the address is in neither list.
	Draining []netip.Addr
}

// KindNAT is the kind of NAT. What it ends is told by the connections that there are,
// not by the entry: those that leave from none of its addresses.
var KindNAT = ours(Description[NAT]{
	Name: "nat", Stage: StageRealm, Sort: NATs, Spell: (*NAT).spell, Ends: EndsNothing[NAT], Turns: TurnsNothing[NAT], Root: true,
	Examples: []NAT{{
		ID: "nat-1", VPC: "vpc-1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.9"), netip.MustParseAddr("10.0.1.8")},
		Draining: []netip.Addr{netip.MustParseAddr("10.0.1.7")},
	}},
})

// Key implements Entry.
func (n NAT) Key() Key { return Key{NATRealm(n.ID), KindNAT, rootID} }

// String implements Entry. The order of the addresses behind the primary one, and of
// those that are draining, says nothing and is not kept.
func (n NAT) String() string {
	s := spell(make([]byte, 0, usual), n.Key())
	n.spell(&s)
	return s.String()
}

func (n *NAT) spell(s *Spelling) {
	s.Realm(&n.ID)
	s.self()
	if len(n.Addresses) > 1 {
		n.Addresses = append(n.Addresses[:1:1], sorted(n.Addresses[1:], netip.Addr.Compare)...)
	}
	n.Draining = sorted(n.Draining, netip.Addr.Compare)
	s.Name("vpc", &n.VPC)
	s.Addrs("addresses", &n.Addresses)
	s.Addrs("draining", &n.Draining)
}
