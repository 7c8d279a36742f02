// SPDX-License-Identifier: Apache-2.0

package desired

import "net/netip"

// Peering has the addresses of two VPCs reach each other as they are, over the Link of
// the two. Each router has one: what it sends to the peer comes from its own blocks and
// is for the peer's, and what it takes from the peer comes from the peer's blocks and is
// for its own. Nothing is translated, so the blocks of the two do not overlap. Which
// packets go there is for tables to say.
type Peering struct {
	VPC, Peer string
	// Own are the blocks of the VPC, and Theirs those of the peer. Each has one of a family
	// that the other has one of. Their order says nothing.
	Own, Theirs []netip.Prefix
}

// KindPeering is the kind of Peering. Whoever is reached by it is not part of the VPC, and
// all connections with the peer's addresses go with it.
var KindPeering = ours(Description[Peering]{
	Name: "peering", Stage: StageAllow, Sort: Routers, Spell: (*Peering).spell, Turns: TurnsNothing[Peering],
	Ends: func(p Peering) []Connections { return parties(p.Theirs) },
	Examples: []Peering{{
		VPC: "vpc-1", Peer: "vpc-2", Own: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("2001:db8::/56")},
		Theirs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("2001:db8:0:100::/56")},
	}},
})

// Key implements Entry.
func (p Peering) Key() Key { return Key{Realm(p.VPC), KindPeering, p.Peer} }

// String implements Entry.
func (p Peering) String() string {
	s := spell(make([]byte, 0, usual), p.Key())
	p.spell(&s)
	return s.String()
}

func (p *Peering) spell(s *Spelling) {
	s.Realm(&p.VPC)
	s.IDName(&p.Peer)
	p.Own, p.Theirs = sorted(p.Own, netip.Prefix.Compare), sorted(p.Theirs, netip.Prefix.Compare)
	s.Prefixes("own", &p.Own)
	s.Prefixes("theirs", &p.Theirs)
}
