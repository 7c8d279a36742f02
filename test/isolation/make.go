// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// maker makes a world from random numbers. Equal seeds make equal worlds, up to
// the addresses that Postern chooses.
type maker struct {
	*rand.Rand
	p *postern.Postern
	w *World
	// internet is what is outside; nil when nothing is.
	internet *postern.Internet
	// peered says that VPCs have addresses of their own, and peers.
	peered bool
	// public is how many workloads may have public addresses still.
	public int
}

// Make makes a world: three VPCs with the same addresses, workloads at the same
// places in each, gateways, resources, databases and endpoints between them, and ways to
// the internet if there is one.
func Make(p *postern.Postern, internet *postern.Internet, seed uint64) *World {
	p.T.Helper()
	return (&maker{rand.New(rand.NewPCG(seed, 0)), p, &World{}, internet, false, publicAddresses}).make(seed)
}

// MakePeers is Make with VPCs that have addresses of their own and are peered with each
// other, and no internet.
func MakePeers(p *postern.Postern, seed uint64) *World {
	p.T.Helper()
	return (&maker{rand.New(rand.NewPCG(seed, 0)), p, &World{}, nil, true, 0}).make(seed)
}

func (m *maker) make(seed uint64) *World {
	internet := m.internet
	for i := range 3 {
		m.vpc(i)
		m.zones(m.w.VPCs[i], i)
	}
	if internet != nil {
		m.outside(internet)
	}
	if m.peered {
		m.peers()
	}
	offer := func() {}
	if !m.peered {
		offer = m.databases(seed)
	}
	var resources []*Resource
	for i, v := range m.w.VPCs {
		resources = append(resources, m.gateway(v, fmt.Sprintf("gw-%d-a", i))...)
		if m.IntN(3) == 0 {
			resources = append(resources, m.gateway(v, fmt.Sprintf("gw-%d-b", i))...)
		}
	}
	for _, r := range resources {
		for _, v := range m.w.VPCs {
			if v != r.Gateway.VPC && m.IntN(4) > 0 {
				m.endpoint(v, r)
			}
		}
	}
	m.group(m.w.VPCs[0], m.w.VPCs[1])
	offer()
	m.tried()
	m.serve()
	m.acls(seed)
	return m.w
}

// publicAddresses is how many workloads can have public addresses: an account has five of
// them, and each VPC's NAT gateway takes one.
const publicAddresses = 5 - 3

// pick gives one of several values.
func pick[T any](m *maker, from []T) T { return from[m.IntN(len(from))] }

// some gives one or two of several values.
func some[T comparable](m *maker, from []T) []T {
	all := []T{pick(m, from), pick(m, from)}
	return slices.Compact(all[:1+m.IntN(2)])
}

func (m *maker) vpc(index int) {
	first := 0
	if m.peered {
		first = 2 * index
	}
	at := func(block int, rest string) string { return fmt.Sprintf("10.%d.%s", first+block, rest) }
	v := &VPC{VPC: m.p.VPC(at(0, "0.0/16")), At: map[netip.Addr]*Interface{}}
	m.w.VPCs = append(m.w.VPCs, v)
	zone := m.IntN(len(postern.Zones))
	v.Subnets = []*postern.Subnet{v.Subnet(zone, at(0, "1.0/24")), v.Subnet((zone+1)%len(postern.Zones), at(0, "2.0/24"))}
	places := []string{at(0, "1.10"), at(0, "1.11"), at(0, "2.10")}
	if m.IntN(2) == 0 {
		v.AddBlock(at(1, "0.0/16"))
		v.Subnets = append(v.Subnets, v.Subnet((zone+2)%len(postern.Zones), at(1, "1.0/24")))
		places = append(places, at(1, "1.10"))
	}
	m.groups(v)
	for i, ip := range places {
		groups := some(m, v.Groups)
		if m.peered && i != 1 { // there is enough against it besides
			groups = v.Groups[:1]
		}
		m.workload(v, fmt.Sprintf("vpc%d-w%d", index, i), ip, groups)
	}
	m.unattached(v)
}

// groups makes an open group and three of random rules, which refer to each
// other.
func (m *maker) groups(v *VPC) {
	open := []Rule{{Protocol: "-1", CIDR: netip.MustParsePrefix("0.0.0.0/0")}, {Protocol: "-1", CIDR: netip.MustParsePrefix("::/0")}}
	v.Groups = []*Group{{ID: v.Group("open", nil, nil)}}
	for _, r := range open {
		m.rule(v.Groups[0], r)
		r.Direction = out
		m.rule(v.Groups[0], r)
	}
	for i := range 3 {
		v.Groups = append(v.Groups, &Group{ID: v.Group(fmt.Sprintf("group-%d", i), nil, nil)})
	}
	for _, g := range v.Groups[1:] {
		for _, d := range []direction{in, out} {
			for range 1 + m.IntN(3) {
				m.rule(g, m.randomRule(v, d))
			}
		}
	}
}

func (m *maker) randomRule(v *VPC, d direction) Rule {
	r := Rule{Direction: d, Protocol: pick(m, []string{"-1", "tcp", "tcp", "tcp", "udp", "icmp", "icmpv6"})}
	if r.Protocol == "tcp" || r.Protocol == "udp" {
		ports := pick(m, [][2]uint16{{0, 65535}, {5432, 5432}, {8000, 8010}, {1, 6000}})
		r.From, r.To = ports[0], ports[1]
	}
	s := pick(m, v.Subnets)
	switch m.IntN(6) {
	case 0, 1:
		r.Group = pick(m, v.Groups)
	case 2:
		r.CIDR = s.CIDR
	case 3:
		r.CIDR = netip.PrefixFrom(host(s, 10), 32)
	case 4:
		r.CIDR = pick(m, []netip.Prefix{s.Block6, netip.MustParsePrefix("::/0")})
	default:
		r.CIDR = netip.MustParsePrefix("0.0.0.0/0")
	}
	return r
}

// host is the IPv4 address of the subnet with this last byte.
func host(s *postern.Subnet, last byte) netip.Addr {
	a := s.CIDR.Addr().As4()
	a[3] = last
	return netip.AddrFrom4(a)
}

// rule adds a rule to a group unless the group has it.
func (m *maker) rule(g *Group, r Rule) {
	if slices.Contains(g.Rules, r) {
		return
	}
	g.Rules = append(g.Rules, r)
	p := ec2.IpPermission{IpProtocol: &r.Protocol}
	switch r.Protocol {
	case "tcp", "udp":
		p.FromPort, p.ToPort = new(int32(r.From)), new(int32(r.To))
	case "icmp", "icmpv6":
		p.FromPort, p.ToPort = new(int32(-1)), new(int32(-1))
	}
	switch {
	case r.Group != nil:
		p.UserIdGroupPairs = []ec2.UserIdGroupPair{{GroupId: &r.Group.ID}}
	case r.CIDR.Addr().Is4():
		p.IpRanges = []ec2.IpRange{{CidrIp: new(r.CIDR.String())}}
	default:
		p.Ipv6Ranges = []ec2.Ipv6Range{{CidrIpv6: new(r.CIDR.String())}}
	}
	rules := []ec2.IpPermission{p}
	if r.Direction == in {
		m.p.Authorize(g.ID, rules, nil)
	} else {
		m.p.Authorize(g.ID, nil, rules)
	}
}

func groupIDs(groups []*Group) (ids []string) {
	for _, g := range groups {
		ids = append(ids, g.ID)
	}
	return ids
}

// add makes the interface known by its addresses.
func (v *VPC) add(i *Interface) *Interface {
	i.VPC = v
	for _, a := range i.Addresses {
		v.At[a] = i
	}
	return i
}

func (m *maker) workload(v *VPC, name, ip string, groups []*Group) {
	subnet := v.Subnets[slices.IndexFunc(v.Subnets, func(s *postern.Subnet) bool { return s.CIDR.Contains(netip.MustParseAddr(ip)) })]
	w := subnet.Workload(ip, groupIDs(groups)...)
	m.w.Workloads = append(m.w.Workloads, v.add(&Interface{
		Name: name, Zone: subnet.Zone, Subnet: subnet, Addresses: []netip.Addr{w.IP, w.IP6}, Groups: groups, Attached: true, Workload: w,
	}))
}

// unattached makes an interface that no workload has.
func (m *maker) unattached(v *VPC) {
	s, groups := v.Subnets[0], some(m, v.Groups)
	ip := host(s, 99)
	postern.Call[ec2.CreateNetworkInterfaceOutput](m.p, ec2.Service, "CreateNetworkInterface",
		&ec2.CreateNetworkInterfaceInput{SubnetId: &s.ID, PrivateIpAddress: new(ip.String()), Groups: groupIDs(groups)})
	v.add(&Interface{Name: "unattached", Addresses: []netip.Addr{ip}, Groups: groups})
}

// gateway makes a gateway with one to three resources.
func (m *maker) gateway(v *VPC, name string) []*Resource {
	groups := some(m, v.Groups)
	subnets := some(m, v.Subnets)
	made := v.Gateway(name, subnets, groupIDs(groups))
	v.Provides = made
	g := sender(v, name, made, groups)
	var resources []*Resource
	for range 1 + m.IntN(3) {
		ports := pick(m, [][]string{{"5432"}, {"8000-8010"}, {"5432", "9000"}, {"1-65535"}})
		resources = append(resources, newResource(made, subnets, g, m.resourceAddress(v), ports...))
	}
	return resources
}

// sender is what a gateway is to others: an interface that only sends.
func sender(v *VPC, name string, made *postern.Gateway, groups []*Group) *Interface {
	g := &Interface{Name: name, Groups: groups}
	for _, zone := range made.Sources() {
		for _, p := range zone {
			g.Addresses = append(g.Addresses, p.Addr())
		}
	}
	return v.add(g)
}

func newResource(gateway *postern.Gateway, subnets []*postern.Subnet, g *Interface, ip netip.Addr, ports ...string) *Resource {
	r := &Resource{Gateway: g, Sources: gateway.Sources(), Subnets: subnets, IP: ip}
	r.Domain = gateway.ID + ".private.example"
	r.made = gateway.Custom(r.Domain, ip, ports...)
	for _, text := range ports {
		r.Ports = append(r.Ports, parsePorts(text))
	}
	return r
}

// resourceAddress is mostly a workload's, else one that does not answer.
func (m *maker) resourceAddress(v *VPC) netip.Addr {
	if m.internet != nil && m.IntN(3) == 0 {
		return m.internet.Private
	}
	if m.IntN(5) == 0 && !m.peered {
		return pick(m, []netip.Addr{netip.MustParseAddr("10.0.77.7"), netip.MustParseAddr("10.0.88.8"), netip.MustParseAddr("192.168.7.7")})
	}
	var addresses []netip.Addr
	for _, w := range m.w.Workloads {
		if w.VPC == v {
			addresses = append(append(addresses, w.Addresses[0]), w.Addresses...)
		}
	}
	return pick(m, addresses)
}

func parsePorts(text string) [2]uint16 {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	a, _ := strconv.ParseUint(from, 10, 16)
	b, _ := strconv.ParseUint(to, 10, 16)
	return [2]uint16{uint16(a), uint16(b)}
}

// endpoint leads from a VPC to a resource, when they have a zone in common.
func (m *maker) endpoint(v *VPC, r *Resource) {
	common := slices.IndexFunc(v.Subnets, func(s *postern.Subnet) bool { return len(r.Sources[s.Zone]) > 0 })
	if common < 0 {
		return
	}
	subnets := []*postern.Subnet{v.Subnets[common]}
	// Where a gateway of several subnets would be chosen is not foretold, and each may
	// have another way out.
	outside := m.internet != nil && r.IP == m.internet.Private
	if other := pick(m, v.Subnets); other != subnets[0] && (!outside || len(r.Sources[other.Zone]) > 0) {
		subnets = append(subnets, other)
	}
	m.lead(v, r, subnets, some(m, v.Groups))
}

// lead makes an endpoint, with private DNS unless the VPC has another one for the domain.
func (m *maker) lead(v *VPC, r *Resource, subnets []*postern.Subnet, groups []*Group) {
	private := m.w.name(v, r.Domain) == nil
	make := v.Endpoint
	if private {
		make = v.PrivateEndpoint
	}
	e := make(r.made, subnets, groupIDs(groups)...)
	for zone, addresses := range e.Addresses {
		v.add(&Interface{Name: e.ID, Zone: zone, Addresses: addresses, Groups: groups, Endpoint: r})
	}
	m.named(v, e, r, private)
}

var transit = regexp.MustCompile(`\b(2[45]\d\.\d+\.\d+\.\d+|fd70:6f73:74[0-9a-f:]+)`)

// tried collects every address that a packet could be sent to: all interfaces
// of all VPCs, the routers, transit addresses in use, and strangers.
func (m *maker) tried() {
	seen := map[netip.Addr]bool{}
	for _, text := range append(transit.FindAllString(m.p.Desired(), -1),
		"10.0.1.1", "10.0.1.200", "10.0.7.7", "192.168.7.7", "198.51.100.1", "240.9.9.9", "2001:db8::1") {
		if a, err := netip.ParseAddr(text); err == nil {
			seen[a] = true
		}
	}
	for _, v := range m.w.VPCs {
		for a := range v.At {
			seen[a] = true
		}
	}
	if m.w.Outside != nil {
		for _, a := range slices.Concat(m.w.Outside.Addresses, m.w.NATs) {
			seen[a] = true
		}
		for _, w := range m.w.Workloads {
			if w.Public.IsValid() {
				seen[w.Public] = true
			}
		}
	}
	m.w.Tried = slices.SortedFunc(maps.Keys(seen), netip.Addr.Compare)
}
