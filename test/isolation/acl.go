// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/test/postern"
)

// ACL is a network ACL, with its rules in the order of their numbers.
type ACL struct {
	ID      string
	Entries []postern.ACLEntry
}

// lets says what an ACL makes of a packet whose other end is peer. A subnet without one
// lets all pass.
func (a *ACL) lets(d direction, peer netip.Addr, protocol string, port uint16) bool {
	if a == nil {
		return true
	}
	for _, e := range a.Entries {
		if direction(e.Egress) == d && e.CIDR.Contains(peer) && matches(e, protocol, int(port)) {
			return e.Allow
		}
	}
	return false
}

// echoTypes are the types of the ICMP that is sent: of echo requests.
var echoTypes = map[string]int{"icmp": 8, "icmpv6": 128}

func matches(e postern.ACLEntry, protocol string, port int) bool {
	if typ, is := echoTypes[protocol]; is && e.Protocol == protocol {
		return e.From == -1 || e.From == typ
	}
	return e.Protocol == "-1" || e.Protocol == protocol && e.From <= port && port <= e.To
}

// hop is a way between two interfaces of a VPC, or between one and what is outside of the
// VPC, and the addresses that packets have on it.
type hop struct {
	vpc          *VPC
	from, to     *postern.Subnet // nil outside
	source, dest netip.Addr
}

// lets asks the ACLs of both ends. What stays in a subnet is not asked about.
func (h hop) lets(protocol string, port uint16) bool {
	if h.from == h.to && h.from != nil {
		return true
	}
	return h.vpc.ACLs[h.from].lets(out, h.dest, protocol, port) && h.vpc.ACLs[h.to].lets(in, h.source, protocol, port)
}

func (h hop) back() hop { return hop{h.vpc, h.to, h.from, h.dest, h.source} }

// ephemeral is a port that connections come from. No rule has a part of those from 10536
// on, where all of them are, whoever translates.
const ephemeral = 40000

// trip is a packet that opens a connection, and the hops that it makes.
type trip struct {
	protocol string
	port     uint16
	hops     []hop
}

func (t *trip) hop(v *VPC, from, to *postern.Subnet, source, dest netip.Addr) {
	t.hops = append(t.hops, hop{v, from, to, source, dest})
}

// filtered is what network ACLs, which know no connections, leave of a verdict. Who is
// refused by no workload may be told so, or not.
func (t *trip) filtered(v Verdict) Verdict {
	there, back := true, true
	for _, h := range t.hops {
		there = there && h.lets(t.protocol, t.port)
		back = back && h.back().lets(t.protocol, ephemeral)
	}
	switch {
	case there && back:
	case v.Reaches == nil && v.Outcome == Refused:
		v.Outcome = Unanswered
	case there:
		v.Outcome = Dropped
	default:
		v = Verdict{Outcome: Dropped}
	}
	return v
}

// subnet finds the subnet of an address; nil if it is in none.
func (v *VPC) subnet(a netip.Addr) *postern.Subnet {
	for _, s := range v.Subnets {
		if s.CIDR.Contains(a) || s.Block6.Contains(a) {
			return s
		}
	}
	return nil
}

// acls gives some VPCs network ACLs, and their subnets one of them or the default one.
func (m *maker) acls(seed uint64) {
	// Numbers of its own: what else a seed makes does not depend on ACLs.
	m = &maker{Rand: rand.New(rand.NewPCG(seed, 1)), p: m.p, w: m.w}
	for i, v := range m.w.VPCs {
		if i != int(seed%3) && m.IntN(2) == 0 {
			continue
		}
		first := &ACL{ID: v.DefaultACL()}
		for _, d := range []bool{true, false} {
			first.Entries = append(first.Entries, everything(100, d, "0.0.0.0/0"), everything(101, d, "::/0"))
		}
		v.Made = []*ACL{first}
		for range 2 {
			a := &ACL{ID: v.ACL()}
			v.Made = append(v.Made, a)
			for _, d := range []bool{true, false} {
				for range 3 + m.IntN(4) {
					m.enter(v, a, d)
				}
				for i, all := range []string{"0.0.0.0/0", "::/0"} {
					if m.IntN(5) > 0 {
						m.add(a, everything(20000+i, d, all))
					}
				}
			}
		}
		v.ACLs = map[*postern.Subnet]*ACL{}
		for _, s := range v.Subnets {
			m.filter(v, s)
		}
	}
}

// everything is a rule that lets all pass.
func everything(number int, egress bool, block string) postern.ACLEntry {
	return postern.ACLEntry{Number: number, Egress: egress, Allow: true, Protocol: "-1", CIDR: netip.MustParsePrefix(block)}
}

// filter has one of the VPC's ACLs filter a subnet.
func (m *maker) filter(v *VPC, s *postern.Subnet) {
	a := pick(m, v.Made)
	s.Filter(a.ID)
	v.ACLs[s] = a
}

// enter adds a random rule before those that let all pass.
func (m *maker) enter(v *VPC, a *ACL, egress bool) {
	number := 1 + m.IntN(99)
	if a.at(number, egress) < 0 {
		m.add(a, m.entry(v, number, egress))
	}
}

func (m *maker) add(a *ACL, e postern.ACLEntry) {
	m.p.Enter(a.ID, e)
	a.Entries = append(a.Entries, e)
	slices.SortFunc(a.Entries, func(x, y postern.ACLEntry) int { return cmp.Compare(x.Number, y.Number) })
}

// at finds the rule with a number; -1 when there is none.
func (a *ACL) at(number int, egress bool) int {
	return slices.IndexFunc(a.Entries, func(e postern.ACLEntry) bool { return e.Number == number && e.Egress == egress })
}

// entry is a random rule. Its block has a gateway's addresses altogether or not at all.
func (m *maker) entry(v *VPC, number int, egress bool) postern.ACLEntry {
	e := postern.ACLEntry{Number: number, Egress: egress, Allow: m.IntN(3) == 0}
	s := pick(m, v.Subnets)
	e.CIDR = pick(m, []netip.Prefix{
		s.CIDR, netip.PrefixFrom(host(s, 10), 32), s.CIDR, netip.MustParsePrefix("0.0.0.0/0"),
		s.Block6, v.Block6, netip.PrefixFrom(s.Address6(10), 128), netip.MustParsePrefix("::/0"),
		netip.MustParsePrefix("203.0.113.0/24"), postern.PublicPool,
	})
	icmp := map[bool]string{true: "icmp", false: "icmpv6"}[e.CIDR.Addr().Is4()]
	switch e.Protocol = pick(m, []string{"-1", "tcp", "tcp", "tcp", "udp", icmp}); e.Protocol {
	case "tcp", "udp":
		ports := pick(m, [][2]int{{0, 65535}, {5432, 5432}, {8000, 8010}, {1, 6000}, {1024, 65535}, {8006, 65535}})
		e.From, e.To = ports[0], ports[1]
	case icmp:
		e.From = pick(m, []int{-1, echoTypes[icmp], 0})
	}
	return e
}

// Change changes rules and associations of network ACLs while all else goes on, and
// returns when that holds.
func (w *World) Change(p *postern.Postern, seed uint64) {
	p.T.Helper()
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 2)), p: p, w: w}
	for _, v := range w.VPCs {
		if len(v.Made) == 0 {
			continue
		}
		for _, a := range v.Made {
			m.enter(v, a, m.IntN(2) == 0)
			i := m.IntN(len(a.Entries))
			e := m.entry(v, a.Entries[i].Number, a.Entries[i].Egress)
			p.ReplaceEntry(a.ID, e)
			a.Entries[i] = e
			i = m.IntN(len(a.Entries))
			p.DeleteEntry(a.ID, a.Entries[i].Number, a.Entries[i].Egress)
			a.Entries = slices.Delete(a.Entries, i, i+1)
		}
		m.filter(v, pick(m, v.Subnets))
		// What is asked of the router behind a change is there when that is.
		v.Provides.Configuration(netip.MustParseAddr("10.0.77.7"), "1")
	}
}
