// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"net/netip"
	"strings"
)

// AllProtocols is the protocol number of a rule that matches any protocol.
const AllProtocols = -1

// Rule admits packets; what no rule admits is dropped. Exactly one of Peer and
// Group is set.
type Rule struct {
	// Protocol is the IANA protocol number, or AllProtocols.
	Protocol int
	// From and To bound the destination port for TCP and UDP, inclusively.
	// For ICMP and ICMPv6 From is the type and To the code. -1 means any.
	From, To int
	// Peer is the prefix of the other side.
	Peer netip.Prefix
	// Group is a security group of the same VPC whose members are the other side.
	Group string
}

// String prints the rule as protocol/from-to@peer.
func (r Rule) String() string {
	peer := r.Group
	if peer == "" {
		peer = r.Peer.String()
	}
	if r.Protocol == AllProtocols {
		return "all@" + peer
	}
	return fmt.Sprintf("%d/%d-%d@%s", r.Protocol, r.From, r.To, peer)
}

// Class is what one combination of security groups admits: the rules of all its
// groups together. Every address with that combination shares it.
type Class struct {
	VPC string
	// Name is made of the groups' identifiers, not of their rules, so that a
	// change of rules changes the class in place.
	Name    string
	In, Out []Rule
}

// Key implements Entry.
func (c Class) Key() Key { return Key{KindClass, c.VPC, c.Name} }

// String implements Entry.
func (c Class) String() string {
	return line(c.Key(), list("in", c.In), list("out", c.Out))
}

// Address gives an address of a network interface its class.
type Address struct {
	VPC  string
	Addr netip.Addr
	// Bits is the length of the IPv6 prefix that Addr begins when all of its
	// addresses have the class that have none of their own; zero for Addr alone.
	Bits  int
	Class string
}

// Prefix gives the addresses that the entry is about.
func (a Address) Prefix() netip.Prefix { return scope(a.Addr, a.Bits) }

// Key implements Entry.
func (a Address) Key() Key { return Key{KindAddress, a.VPC, scopeText(a.Addr, a.Bits)} }

// String implements Entry.
func (a Address) String() string { return line(a.Key(), field{"class", a.Class}) }

// Member says that an address belongs to a security group that rules refer to.
type Member struct {
	VPC   string
	Group string
	Addr  netip.Addr
	// Bits is the length of the IPv6 prefix that Addr begins when all of its
	// addresses belong to the group; zero for Addr alone.
	Bits int
}

// Prefix gives the addresses that the entry is about.
func (m Member) Prefix() netip.Prefix { return scope(m.Addr, m.Bits) }

// Key implements Entry.
func (m Member) Key() Key { return Key{KindMember, m.VPC, m.Group + "/" + scopeText(m.Addr, m.Bits)} }

// String implements Entry.
func (m Member) String() string { return line(m.Key()) }

func scope(a netip.Addr, bits int) netip.Prefix {
	if bits == 0 {
		bits = a.BitLen()
	}
	return netip.PrefixFrom(a, bits)
}

func scopeText(a netip.Addr, bits int) string {
	if bits == 0 {
		return a.String()
	}
	return scope(a, bits).String()
}

// PortRange is a range of TCP ports, both ends included.
type PortRange struct{ From, To uint16 }

// String prints one port as N and a range as N-M.
func (p PortRange) String() string {
	if p.From == p.To {
		return fmt.Sprint(p.From)
	}
	return fmt.Sprintf("%d-%d", p.From, p.To)
}

// PortSet is a list of port ranges that endpoints share by name, so that the
// ranges of many endpoints do not meet in one large interval map.
type PortSet struct {
	VPC string
	// Name is derived from the ranges: equal lists have equal names.
	Name   string
	Ranges []PortRange
}

// Key implements Entry.
func (p PortSet) Key() Key { return Key{KindPortSet, p.VPC, p.Name} }

// String implements Entry.
func (p PortSet) String() string { return line(p.Key(), list("ranges", p.Ranges)) }

// PortSetName derives the name of the set of exactly these ranges.
func PortSetName(ranges []PortRange) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return "p-" + shortHash(strings.Join(texts, ","))
}

// ClassName derives the name of the class of exactly these groups, which must
// be sorted.
func ClassName(groups []string) string { return "c-" + shortHash(strings.Join(groups, ",")) }
