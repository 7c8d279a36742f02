// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"net/netip"
	"slices"
)

// Nameserver are the addresses at which the router of a VPC has the VPC's resolver:
// workloads of the VPC, and nobody else, reach port 53 of them, over UDP and TCP.
// Who answers there is no matter of the router.
type Nameserver struct {
	VPC string
	// Addrs are the addresses. Those of IPv6 are of the block fd00:ec2::/32, which
	// nothing in a VPC can have.
	Addrs []netip.Addr
}

// KindNameserver is the kind of Nameserver.
var KindNameserver = ours(Description[Nameserver]{
	Name: "nameserver", Stage: StageAddress, Sort: Routers, Spell: (*Nameserver).spell, Ends: EndsNothing[Nameserver], Turns: TurnsNothing[Nameserver],
	Examples: []Nameserver{{
		VPC: "vpc-1", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("169.254.169.253"), netip.MustParseAddr("fd00:ec2::253")},
	}},
})

// The addresses of every VPC's resolver, which stand beside the one in the VPC's
// own network (docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html).
var (
	nameserver4 = netip.MustParseAddr("169.254.169.253")
	nameserver6 = netip.MustParseAddr("fd00:ec2::253")
)

// NameserverBlock is the block that a resolver's addresses of IPv6 are of.
var NameserverBlock = netip.MustParsePrefix("fd00:ec2::/32")

// NewNameserver gives the addresses of the resolver of a VPC with these blocks: the third
// one of the primary IPv4 block, which comes first of its family, and those of every VPC.
func NewNameserver(vpc string, blocks ...netip.Prefix) Nameserver {
	n := Nameserver{VPC: vpc, Addrs: []netip.Addr{nameserver4, nameserver6}}
	if i := slices.IndexFunc(blocks, func(b netip.Prefix) bool { return b.Addr().Is4() }); i >= 0 {
		n.Addrs = append(n.Addrs, blocks[i].Masked().Addr().Next().Next())
	}
	return n
}

// Key implements Entry.
func (n Nameserver) Key() Key { return Key{Realm(n.VPC), KindNameserver, rootID} }

// String implements Entry. The order of the addresses says nothing and is not kept.
func (n Nameserver) String() string {
	s := spell(make([]byte, 0, usual), n.Key())
	n.spell(&s)
	return s.String()
}

func (n *Nameserver) spell(s *Spelling) {
	s.Realm(&n.VPC)
	s.self()
	n.Addrs = sorted(n.Addrs, netip.Addr.Compare)
	s.Addrs("addrs", &n.Addrs)
}
