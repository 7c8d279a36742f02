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
	there, back, asked := true, true, false
	for _, h := range t.hops {
		there = there && h.lets(t.protocol, t.port)
		back = back && h.back().lets(t.protocol, ephemeral)
		asked = asked || h.from != h.to && (h.vpc.ACLs[h.from] != nil || h.vpc.ACLs[h.to] != nil)
	}
	if v.Reaches != nil && asked {
		v.Passed = there && back
		v.Stopped = !v.Passed
	}
	switch {
	case there && back:
	case v.Reaches == nil && v.Outcome == Refused:
		v.Outcome = Unanswered
	case there:
		v.Outcome = Dropped
	default:
		v = Verdict{Outcome: Dropped, Stopped: v.Stopped}
	}
	return v
}

// weight is how much there is to network ACLs: the lesser number of what they stop and
// of what they are asked about and let pass, of all that would reach somebody.
func (w *World) weight() int {
	stopped, passed := 0, 0
	for _, from := range w.senders() {
		for _, to := range w.Tried {
			for _, port := range triedPorts {
				switch v := w.Predict(from, "tcp", to, port); {
				case v.Stopped:
					stopped++
				case v.Passed:
					passed++
				}
			}
		}
	}
	return min(stopped, passed)
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

// acls gives the VPCs network ACLs, and their subnets one of them or the default one.
func (m *maker) acls(seed uint64) {
	for _, v := range m.w.VPCs {
		first := &ACL{ID: v.DefaultACL()}
		for _, egress := range []bool{true, false} {
			first.Entries = append(first.Entries, everything(100, egress, "0.0.0.0/0"), everything(101, egress, "::/0"))
		}
		v.Made = []*ACL{first, {ID: v.ACL()}, {ID: v.ACL()}}
		v.ACLs = map[*postern.Subnet]*ACL{}
		for _, s := range v.Subnets {
			v.ACLs[s] = first
		}
	}
	m.w.Change(m.p, seed)
}

// draws is how many sets of ACLs are drawn for one: most stop nothing that groups let
// pass, or all of it.
const draws = 32

// drawn is what ACLs of a VPC could be.
type drawn struct {
	made []*ACL
	acls map[*postern.Subnet]*ACL
}

// Change gives the VPCs other network ACLs, by their rules and associations, while all
// else goes on, and returns when that holds.
func (w *World) Change(p *postern.Postern, seed uint64) {
	p.T.Helper()
	w.changes++
	// Numbers of its own: what else a seed makes does not depend on ACLs.
	m := &maker{Rand: rand.New(rand.NewPCG(seed, w.changes)), p: p, w: w}
	old, best, weight := w.drawn(), w.drawn(), -1
	for range draws {
		for _, v := range w.VPCs {
			m.draw(v)
		}
		if n := w.weight(); n > weight {
			best, weight = w.drawn(), n
		}
	}
	p.T.Logf("network ACLs stop, and let pass, %d connects at least", weight)
	for i, v := range w.VPCs {
		v.Made, v.ACLs = best[i].made, best[i].acls
		m.become(v, old[i])
		// What is asked of the router behind a change is there when that is.
		v.Provides.Configuration(netip.MustParseAddr("10.0.77.7"), "1")
	}
	w.settle(p)
}

func (w *World) drawn() (all []drawn) {
	for _, v := range w.VPCs {
		all = append(all, drawn{v.Made, v.ACLs})
	}
	return all
}

// draw draws rules for all ACLs of a VPC, and an ACL for each subnet. Now and then there
// are none but the default one, which lets all pass.
func (m *maker) draw(v *VPC) {
	d := drawn{acls: map[*postern.Subnet]*ACL{}}
	plain := m.IntN(4) == 0
	for i, was := range v.Made {
		a := &ACL{ID: was.ID}
		for _, egress := range []bool{true, false} {
			for range 2 + m.IntN(4) {
				if number := 1 + m.IntN(99); a.at(number, egress) < 0 && !(plain && i == 0) {
					a.Entries = append(a.Entries, m.entry(v, number, egress))
				}
			}
			for j, all := range []string{"0.0.0.0/0", "::/0"} {
				if i == 0 || m.IntN(5) > 0 {
					a.Entries = append(a.Entries, everything(100+j, egress, all))
				}
			}
		}
		slices.SortFunc(a.Entries, func(x, y postern.ACLEntry) int { return cmp.Compare(x.Number, y.Number) })
		d.made = append(d.made, a)
	}
	for _, s := range v.Subnets {
		if d.acls[s] = pick(m, d.made); plain {
			d.acls[s] = d.made[0]
		}
	}
	v.Made, v.ACLs = d.made, d.acls
}

// become makes of what the ACLs were what they are: rules go, are replaced and come, the
// later ones first.
func (m *maker) become(v *VPC, old drawn) {
	for i, a := range v.Made {
		was := old.made[i]
		for _, e := range was.Entries {
			if a.at(e.Number, e.Egress) < 0 {
				m.p.DeleteEntry(a.ID, e.Number, e.Egress)
			}
		}
		for _, e := range slices.Backward(a.Entries) {
			switch at := was.at(e.Number, e.Egress); {
			case at < 0:
				m.p.Enter(a.ID, e)
			case was.Entries[at] != e:
				m.p.ReplaceEntry(a.ID, e)
			}
		}
	}
	for _, s := range v.Subnets {
		if v.ACLs[s].ID != old.acls[s].ID {
			s.Filter(v.ACLs[s].ID)
		}
	}
}

// at finds the rule with a number; -1 when there is none.
func (a *ACL) at(number int, egress bool) int {
	return slices.IndexFunc(a.Entries, func(e postern.ACLEntry) bool { return e.Number == number && e.Egress == egress })
}

// everything is a rule that lets all pass.
func everything(number int, egress bool, block string) postern.ACLEntry {
	return postern.ACLEntry{Number: number, Egress: egress, Allow: true, Protocol: "-1", CIDR: netip.MustParsePrefix(block)}
}

// entry is a random rule. Its block has a gateway's addresses altogether or not at all.
func (m *maker) entry(v *VPC, number int, egress bool) postern.ACLEntry {
	e := postern.ACLEntry{Number: number, Egress: egress, Allow: m.IntN(3) == 0}
	s := pick(m, v.Subnets)
	e.CIDR = pick(m, []netip.Prefix{
		s.CIDR, netip.PrefixFrom(host(s, 10), 32), s.CIDR, s.CIDR, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("0.0.0.0/0"),
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
