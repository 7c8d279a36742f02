// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
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

// String prints the rule as protocol/from-to@peer, and as all@peer when it admits
// any protocol.
func (r Rule) String() string { return string(r.append(nil)) }

func (r Rule) append(b []byte) []byte {
	if r.Protocol == AllProtocols {
		b = append(b, "all@"...)
	} else {
		b = strconv.AppendInt(b, int64(r.Protocol), 10)
		b = strconv.AppendInt(append(b, '/'), int64(r.From), 10)
		b = strconv.AppendInt(append(b, '-'), int64(r.To), 10)
		b = append(b, '@')
	}
	if r.Group != "" {
		return appendName(b, r.Group, ",")
	}
	return r.Peer.AppendTo(b)
}

var ruleText = regexp.MustCompile(`^(?:all|(\d+)/(-?\d+)-(-?\d+))@(\S+)$`)

// ParseRule reads a rule from the text that String gives.
func ParseRule(text string) (Rule, error) {
	m := ruleText.FindStringSubmatch(text)
	if m == nil {
		return Rule{}, fmt.Errorf("%q is not a rule", text)
	}
	r := Rule{Protocol: AllProtocols, From: -1, To: -1}
	if m[1] != "" {
		var errs [3]error
		r.Protocol, errs[0] = strconv.Atoi(m[1])
		r.From, errs[1] = strconv.Atoi(m[2])
		r.To, errs[2] = strconv.Atoi(m[3])
		if err := errors.Join(errs[:]...); err != nil {
			return Rule{}, fmt.Errorf("%q is not a rule: %w", text, err)
		}
	}
	var err error
	if r.Peer, err = netip.ParsePrefix(m[4]); err != nil {
		if r.Group, err = url.PathUnescape(m[4]); err != nil {
			return Rule{}, fmt.Errorf("%q is not a rule: %w", text, err)
		}
	}
	return r, nil
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

// KindClass is the kind of Class.
var KindClass = ours(Description[Class]{
	Name: "class", Stage: StageMeans, Sort: Routers, Spell: (*Class).spell, Ends: EndsNothing[Class], Turns: TurnsNothing[Class],
	Examples: []Class{{
		VPC: "vpc-1", Name: "c-1", In: []Rule{{Protocol: AllProtocols, From: -1, To: -1, Group: "sg-1"}, {Protocol: 1, From: 8, To: -1, Peer: netip.MustParsePrefix("::/0")}},
		Out: []Rule{{Protocol: 6, From: 5432, To: 5433, Peer: netip.MustParsePrefix("10.0.0.0/16")}},
	}},
})

// Key implements Entry.
func (c Class) Key() Key { return Key{Realm(c.VPC), KindClass, c.Name} }

// String implements Entry.
func (c Class) String() string {
	s := spell(make([]byte, 0, usual), c.Key())
	c.spell(&s)
	return s.String()
}

func (c *Class) spell(s *Spelling) {
	s.Realm(&c.VPC)
	s.IDName(&c.Name)
	s.rules("in", &c.In)
	s.rules("out", &c.Out)
}

func (s *Spelling) rules(field string, values *[]Rule) {
	readList(s, field, values, ParseRule)
	for i, r := range *values {
		if s.item(field, i) {
			s.text = r.append(s.text)
		}
	}
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

// KindAddress is the kind of Address. Whoever has an address no more has no right to
// its connections.
var KindAddress = ours(Description[Address]{
	Name: "address", Stage: StageAddress, Sort: Routers, Spell: (*Address).spell, Turns: TurnsNothing[Address],
	Ends: func(a Address) []Connections { return []Connections{{Party: a.Prefix()}} },
	Examples: []Address{
		{VPC: "vpc-1", Addr: netip.MustParseAddr("10.0.1.10"), Class: "c-1"},
		{VPC: "vpc-1", Addr: netip.MustParseAddr("2001:db8:0:1:2::"), Bits: 80, Class: "c-1"},
	},
})

// Key implements Entry.
func (a Address) Key() Key { return Key{Realm(a.VPC), KindAddress, scopeText(a.Addr, a.Bits)} }

// String implements Entry.
func (a Address) String() string {
	s := spell(make([]byte, 0, usual), a.Key())
	a.spell(&s)
	return s.String()
}

func (a *Address) spell(s *Spelling) {
	s.Realm(&a.VPC)
	s.IDScope(&a.Addr, &a.Bits)
	s.Name("class", &a.Class)
}

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

// KindMember is the kind of Member. One goes early: whoever gets its address at the
// same time is not to be a member of the groups of the one before.
var KindMember = ours(Description[Member]{
	Name: "member", Stage: StageMember, Sort: Routers, Spell: (*Member).spell, Ends: EndsNothing[Member], Turns: TurnsNothing[Member], Early: true,
	Examples: []Member{
		{VPC: "vpc-1", Group: "sg-1", Addr: netip.MustParseAddr("10.0.1.10")},
		{VPC: "vpc-1", Group: "sg-1", Addr: netip.MustParseAddr("2001:db8:0:1:2::"), Bits: 80},
	},
})

// Key implements Entry.
func (m Member) Key() Key {
	return Key{Realm(m.VPC), KindMember, m.Group + "/" + scopeText(m.Addr, m.Bits)}
}

// String implements Entry.
func (m Member) String() string {
	s := spell(make([]byte, 0, usual), m.Key())
	m.spell(&s)
	return s.String()
}

func (m *Member) spell(s *Spelling) {
	s.Realm(&m.VPC)
	if id, reading := s.ID(); reading {
		group, address, _ := strings.Cut(id, "/")
		m.Group = group
		s.scope(address, &m.Addr, &m.Bits)
	}
}

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
func (p PortRange) String() string { return string(p.append(nil)) }

func (p PortRange) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(p.From), 10)
	if p.From != p.To {
		b = strconv.AppendUint(append(b, '-'), uint64(p.To), 10)
	}
	return b
}

// ParsePortRange reads a range from the text that String gives.
func ParsePortRange(text string) (PortRange, error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	low, err := strconv.ParseUint(from, 10, 16)
	high, err2 := strconv.ParseUint(to, 10, 16)
	if err = errors.Join(err, err2); err != nil {
		return PortRange{}, fmt.Errorf("%q is not a range of ports: %w", text, err)
	}
	return PortRange{From: uint16(low), To: uint16(high)}, nil
}

// PortSet is a list of port ranges that endpoints share by name, so that the
// ranges of many endpoints do not meet in one large interval map.
type PortSet struct {
	VPC string
	// Name is derived from the ranges: equal lists have equal names.
	Name   string
	Ranges []PortRange
}

// KindPortSet is the kind of PortSet.
var KindPortSet = ours(Description[PortSet]{
	Name: "portset", Stage: StageMeans, Sort: Routers, Spell: (*PortSet).spell, Ends: EndsNothing[PortSet], Turns: TurnsNothing[PortSet],
	Examples: []PortSet{{VPC: "vpc-1", Name: "p-1", Ranges: []PortRange{{80, 80}, {1024, 65535}}}},
})

// Key implements Entry.
func (p PortSet) Key() Key { return Key{Realm(p.VPC), KindPortSet, p.Name} }

// String implements Entry.
func (p PortSet) String() string {
	s := spell(make([]byte, 0, usual), p.Key())
	p.spell(&s)
	return s.String()
}

func (p *PortSet) spell(s *Spelling) {
	s.Realm(&p.VPC)
	s.IDName(&p.Name)
	s.ports("ranges", &p.Ranges)
}

func (s *Spelling) ports(field string, values *[]PortRange) {
	readList(s, field, values, ParsePortRange)
	for i, p := range *values {
		if s.item(field, i) {
			s.text = p.append(s.text)
		}
	}
}

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
