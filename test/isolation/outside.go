// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// Lead is a route of a route table that is no local one.
type Lead struct {
	To netip.Prefix
	By gateway
	// Public and Private are the addresses of a NAT gateway, and Subnet is where it is.
	Public, Private netip.Addr
	Subnet          *postern.Subnet
}

// gateway is what a route leads to.
type gateway int

const (
	byInternet gateway = iota
	byEgressOnly
	byNAT
	byNothing // what it led to is gone
)

// lead finds the route to an address that is in none of the VPC's blocks; false when there
// is none.
func (v *VPC) lead(from *postern.Subnet, to netip.Addr) (best Lead, found bool) {
	if slices.ContainsFunc(v.Subnets, func(s *postern.Subnet) bool {
		return netip.PrefixFrom(s.CIDR.Addr(), 16).Masked().Contains(to) // blocks have 16 bits
	}) || v.Block6.Contains(to) {
		return best, false
	}
	for _, l := range v.Tables[from] {
		if l.To.Contains(to) && (!found || l.To.Bits() > best.To.Bits()) {
			best, found = l, true
		}
	}
	return best, found
}

// denied are destinations that no uplink takes by default.
var denied = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("fc00::/7"),
}

// goOut is what becomes of a packet that a route leads out of its VPC.
func (w *World) goOut(t *trip, l Lead, sender *Interface, from *postern.Subnet, sources []netip.Prefix, to netip.Addr) Verdict {
	if l.By == byNothing {
		return Verdict{Outcome: Refused}
	}
	if l.By == byNAT {
		t.hop(sender.VPC, from, l.Subnet, sources[0].Addr(), to)
		t.hop(sender.VPC, l.Subnet, nil, l.Private, to)
	} else {
		t.hop(sender.VPC, from, nil, sources[0].Addr(), to)
	}
	switch {
	case l.By == byNAT:
		sources = []netip.Prefix{netip.PrefixFrom(l.Public, l.Public.BitLen())}
	case to.Is4() && !sender.Public.IsValid():
		return Verdict{Outcome: Refused} // only public addresses pass an internet gateway
	case to.Is4():
		sources = []netip.Prefix{netip.PrefixFrom(sender.Public, sender.Public.BitLen())}
	}
	if slices.Contains(w.Outside.Addresses, to) {
		return Verdict{Outcome: portOutcome(t.port), Reaches: w.Outside, Sources: sources}
	}
	if v, ours := w.comeIn(t, sources, to); ours {
		return v
	}
	if slices.ContainsFunc(denied, func(p netip.Prefix) bool { return p.Contains(to) }) {
		return Verdict{Outcome: Refused}
	}
	return w.nobody(to, sources)
}

// nobody is what becomes of a packet outside that is for no one: what could be an address
// of ours is refused, and what others could have is theirs to lose.
func (w *World) nobody(to netip.Addr, sources []netip.Prefix) Verdict {
	if postern.PublicPool.Contains(to) {
		return Verdict{Outcome: Refused}
	}
	return Verdict{Outcome: Dropped, Reaches: w.Outside, Sources: sources}
}

// comeIn is what becomes of a packet that comes to an address of ours from outside of its
// VPC; false when it is none.
func (w *World) comeIn(t *trip, sources []netip.Prefix, to netip.Addr) (Verdict, bool) {
	if slices.Contains(w.NATs, to) {
		return Verdict{Outcome: Dropped}, true
	}
	for _, there := range w.Workloads {
		if there.Public == to || to.Is6() && slices.Contains(there.Addresses, to) {
			return there.public(t, sources), true
		}
	}
	for _, v := range w.VPCs {
		if s := v.subnet(to); to.Is6() && s != nil {
			t.hop(v, nil, s, sources[0].Addr(), to) // to nobody there
		}
	}
	return Verdict{}, false
}

// public is what becomes of a packet from outside to a workload.
func (i *Interface) public(t *trip, sources []netip.Prefix) Verdict {
	source := sources[0].Addr()
	t.hop(i.VPC, nil, i.Subnet, source, i.source(source)[0].Addr())
	back, leads := i.VPC.lead(i.Subnet, source)
	answers := leads && back.By == byInternet
	switch {
	case source.Is6() && !i.VPC.isPublic(i.Subnet):
		return Verdict{Outcome: Refused}
	case !i.admits(in, source, nil, t):
		return Verdict{Outcome: Dropped}
	case !answers:
		return Verdict{Outcome: Dropped, Reaches: i, Sources: sources} // it arrives, and the answer does not
	}
	return Verdict{Outcome: portOutcome(t.port), Reaches: i, Sources: sources}
}

// isPublic reports whether a subnet has any way out by IPv6 that is one in as well.
func (v *VPC) isPublic(s *postern.Subnet) bool {
	return slices.ContainsFunc(v.Tables[s], func(l Lead) bool { return l.By == byInternet && l.To.Addr().Is6() })
}

// fromOutside is the oracle of packets that the outside sends.
func (w *World) fromOutside(t *trip, to netip.Addr) Verdict {
	if v, ours := w.comeIn(t, w.Outside.source(to), to); ours {
		return v
	}
	return Verdict{Outcome: Refused}
}

// outside gives the world an outside: random gateways and tables for every VPC, and public
// addresses for some of its workloads.
func (m *maker) outside(internet *postern.Internet) {
	for i, v := range m.w.VPCs {
		if m.IntN(4) > 0 {
			m.waysOut(v, i)
		}
	}
	m.w.Outside = &Interface{
		Name: "outside", VPC: &VPC{}, Addresses: []netip.Addr{internet.Addr, internet.Addr6, internet.Private}, Attached: true, Workload: &postern.Workload{NS: internet.NS},
	}
	m.plainErrors()
}

// plainErrors has the edge tell each connection that it is refused. The kernel's limit is
// for errors to one address, and what is left out cannot be told from what is dropped but
// by patience (https://docs.kernel.org/networking/ip-sysctl.html, icmp_ratemask).
func (m *maker) plainErrors() {
	m.p.T.Helper()
	edge, err := testnet.Open(network.NamespaceName(m.p.Mark(), network.NameOf(desired.EdgeRealm("internet"))))
	if err != nil {
		m.p.T.Fatal(err)
	}
	defer edge.Close()
	if err := edge.Run(func() error { return os.WriteFile("/proc/sys/net/ipv4/icmp_ratemask", []byte("0"), 0o644) }); err != nil {
		m.p.T.Fatal(err)
	}
}

// waysOut makes a VPC's gateways, a public subnet with a NAT gateway, and tables of all
// kinds for the others.
func (m *maker) waysOut(v *VPC, index int) {
	internet, only := v.InternetGateway(), v.EgressOnlyGateway()
	v.Tables = map[*postern.Subnet][]Lead{}
	public := v.Subnets[0]
	id := v.RouteTable(public)
	m.leads(v, id, []*postern.Subnet{public}, map[string]string{"0.0.0.0/0": internet, "::/0": internet}, Lead{})
	nat, private, address := public.NAT()
	m.w.NATs = append(m.w.NATs, address)
	v.add(&Interface{Name: fmt.Sprintf("vpc%d-nat", index), Addresses: []netip.Addr{private}, Silent: true})
	for _, s := range v.Subnets[1:] {
		m.leads(v, v.RouteTable(s), []*postern.Subnet{s}, pick(m, []map[string]string{
			{"0.0.0.0/0": nat, "::/0": only},
			{"0.0.0.0/0": nat, "203.0.113.0/24": internet},
			{"203.0.113.0/28": nat},
			{"0.0.0.0/0": internet, "2001:db8:ffff::/64": internet},
			{},
		}), Lead{Public: address, Private: private, Subnet: public})
	}
	for _, w := range m.w.Workloads {
		if w.VPC == v && m.public > 0 && m.IntN(2) == 0 {
			w.Public = w.Workload.Publish()
			m.public--
		}
	}
}

// leads adds routes to a table, and to what the oracle knows of its subnets.
func (m *maker) leads(v *VPC, table string, subnets []*postern.Subnet, routes map[string]string, nat Lead) {
	for to, target := range routes {
		m.p.Route(table, to, target)
		l := Lead{To: netip.MustParsePrefix(to)}
		switch target[:4] {
		case "eigw":
			l.By = byEgressOnly
		case "nat-":
			l.By, l.Public, l.Private, l.Subnet = byNAT, nat.Public, nat.Private, nat.Subnet
		}
		for _, s := range subnets {
			v.Tables[s] = append(v.Tables[s], l)
		}
	}
}
