// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// drawer draws rows. There are three of each kind, so that they meet. As a rule
// those with one number belong together: gateway 1 in VPC 1 has configuration 1, to
// which endpoint 1 leads, from VPC 2; but any row may refer to any other.
type drawer struct {
	*rapid.T // nil draws what is first everywhere
	n        int
}

// kindsOfRows is how many sorts of rows are drawn.
const kindsOfRows = 47

// drawRow draws a row of any kind.
func drawRow(t *rapid.T) table.Row {
	return drawer{t, rapid.IntRange(0, 2).Draw(t, "n")}.row(rapid.IntRange(0, kindsOfRows-1).Draw(t, "kind"))
}

// wholeWorld is one of each, all of which belong together: configuration 2 leads on
// through endpoint 1 to configuration 1, and that through endpoint 0 to configuration 0.
func wholeWorld() (rows []table.Row) {
	for n := range 3 {
		for kind := range kindsOfRows {
			rows = append(rows, drawer{n: n}.row(kind))
		}
	}
	return rows
}

func (d drawer) row(kind int) table.Row {
	here, there := 0, 1
	switch kind {
	case 0:
		return &model.VPC{
			DNSSupport: d.odd("no names") == 0, DNSHostnames: d.odd("no names of hosts") == 0,
			Meta: d.meta("vpc"), TransitIndex: d.n + d.odd("place"), MainTable: d.one("rtb", 0), DefaultACL: d.one("acl", 0),
			CIDRs: d.blocks("10.0.0.0/16", "10.1.0.0/16"), CIDRs6: d.blocks("2001:db8::/56"),
		}
	case 1:
		s := &model.Subnet{Meta: d.meta("subnet"), VPC: d.one("vpc", here), Zone: d.one("zone", here)}
		if d.odd("has no IPv4") == 0 {
			s.CIDR = prefix([]string{"10.0.1.0/24", "10.0.1.0/25"}[d.odd("block")])
		}
		if d.odd("has no IPv6") == 0 {
			s.CIDR6.Prefix = prefix("2001:db8::/64")
		}
		return s
	case 2:
		g := &model.SecurityGroup{Meta: d.meta("sg"), VPC: d.one("vpc", here), Network: d.another("in a VPC of")}
		for range d.number("rules", 4) {
			g.Rules = append(g.Rules, d.rule())
		}
		return g
	case 3:
		return d.workload()
	case 4:
		return d.endpointInterface(there)
	case 5:
		return d.gatewayInterface()
	case 6:
		a := &model.Attachment{Account: d.account(), Region: region, Interface: d.one("eni", here), Host: d.name("host", "h", "h", "other"), PID: d.odd("pid"), Device: "eth0"}
		a.CreatedAt, a.DeletedAt = d.time("attached"), d.time("detached")
		return a
	case 7:
		c := &model.AddressClaim{Account: d.account(), Region: region, Subnet: d.one("subnet", here), Addr: d.addr4(), Interface: d.one("eni", d.number("kind of interface", 4)*3), Holder: d.another("interface of")}
		c.ReleasedAt = d.time("released")
		return c
	case 8:
		return &model.ResourceGateway{Meta: d.meta("rgw"), VPC: d.one("vpc", here), Subnets: []string{d.one("subnet", here)}}
	case 9:
		return d.configuration()
	case 10: // the endpoint's before this one is in the same VPC
		c := &model.AddressClaim{Account: d.account(), Region: region, Subnet: d.one("subnet", there), Addr: d.door(0), Interface: d.one("eni", 3)}
		if d.odd("spare") == 1 {
			c.Addr = d.spare()
		}
		c.ReleasedAt = d.time("released")
		return c
	case 11:
		return d.endpoint(there)
	case 41:
		return &model.Status{Account: account, Region: region, ID: d.one("vpce", here), State: model.StatusReady, Established: d.yes("has been there")}
	case 12:
		return &model.Attachment{Account: account, Region: region, Interface: d.one("eni", here), Host: "h", Device: "eth1"}
	case 13:
		return &model.EndpointAssociation{Meta: d.meta("rea"), Endpoint: d.other("vpce"), Configuration: d.other("rcfg")}
	case 14:
		return d.sibling()
	case 15:
		return d.zone()
	case 16:
		return d.record("A")
	case 17:
		v := &model.DomainVerification{Meta: d.meta("dv"), Domain: d.name("domain", "Example.com", "db.example.com", "other.test")}
		v.State, v.LapsedAt = []string{model.DomainVerified, model.DomainPending}[d.odd("pending")], d.time("lapsed")
		return v
	case 28:
		return d.natInterface()
	case 29:
		c := &model.AddressClaim{Account: d.account(), Region: region, Subnet: d.one("subnet", here), Addr: d.natAddress(1), Interface: d.one("eni", 9)}
		c.ReleasedAt = d.time("released")
		return c
	}
	switch {
	case kind > 41:
		return d.offered(kind - 42)
	case kind == 40:
		return d.peering()
	case kind > 31:
		return d.database(kind - 32)
	case kind > 29:
		return d.border(kind - 30)
	case kind > 24:
		return d.public(kind - 25)
	case kind > 18:
		return d.leading(kind - 19)
	}
	return d.record("TXT")
}

// leading draws what has to do with routes.
func (d drawer) leading(kind int) table.Row {
	vpc := []string{d.one("vpc", 0), ""}[d.odd("of none")]
	switch kind {
	case 0:
		r := &model.RouteTable{Meta: d.meta("rtb"), VPC: d.one("vpc", 0), Number: 1 + d.n - d.odd("number")}
		for range 1 + d.number("routes", 4) {
			r.Routes = append(r.Routes, d.route())
		}
		return r
	case 1:
		a := &model.RouteTableAssociation{Account: d.account(), Region: region, ID: fmt.Sprintf("rtbassoc-%d", d.n), Table: d.one("rtb", 0)}
		if d.odd("edge") == 1 {
			a.Gateway = d.one("igw", 0)
		} else {
			a.Subnet = d.one("subnet", 0)
		}
		return a
	case 2:
		p := &model.PrefixList{Meta: d.meta("pl"), MaxEntries: 4}
		for range d.number("entries", 3) {
			p.Entries = append(p.Entries, model.PrefixEntry{CIDR: prefix(d.name("entry", "192.0.2.0/24", "10.0.1.0/24", "0.0.0.0/0", "2001:db8::/48"))})
		}
		return p
	case 3:
		return &model.InternetGateway{Meta: d.meta("igw"), VPC: vpc}
	case 4:
		return &model.EgressOnlyGateway{Meta: d.meta("eigw"), VPC: d.one("vpc", 0)}
	}
	return d.natGateway()
}

// public draws what has to do with public addresses. Elastic address 1 is 203.0.113.1, and
// an interface that has an address while it is attached has one beside it.
func (d drawer) public(kind int) table.Row {
	a := addr(fmt.Sprintf("203.0.113.%d", (d.n+d.odd("another"))%3))
	switch kind {
	case 0:
		e := &model.ElasticAddress{Meta: d.meta("eipalloc"), Addr: a}
		if d.odd("nobody's") == 0 {
			e.Association, e.Interface, e.Private = "eipassoc-1", d.one("eni", d.number("kind of interface", 4)*3), d.addr4()
		}
		return e
	case 1:
		return &model.PublicClaim{Addr: a, Owner: d.other("eipalloc"), ReleasedAt: d.time("released")}
	}
	c := &model.PublicClaim{Addr: addr(fmt.Sprintf("203.0.113.10%d", d.n)), Owner: model.Ref{Account: d.account(), Region: region, ID: d.one("eni", 0)}}
	c.ReleasedAt = d.time("released")
	return c
}

func (d drawer) route() model.Route {
	r := model.Route{Target: d.name("target", d.one("igw", 0), d.one("eni", 0), d.one("nat", 0), d.one("eigw", 0), d.one("pcx", 0))}
	if d.odd("list") == 1 {
		r.PrefixList = d.one("pl", 0)
	} else {
		r.Dest = prefix(d.name("destination", "0.0.0.0/0", "10.0.0.0/16", "10.0.1.0/24", "192.0.2.0/24", "::/0"))
	}
	return r
}

// natGateway draws a NAT gateway with the addresses of its interface, or others.
func (d drawer) natGateway() *model.NATGateway {
	g := &model.NATGateway{Meta: d.meta("nat"), VPC: d.one("vpc", 0), Subnet: d.one("subnet", 0), Interface: d.one("eni", 9), Private: d.yes("private")}
	for i := range 1 + d.number("addresses", 3) {
		g.Addresses = append(g.Addresses, model.NATAddress{Private: d.natAddress(i), GivenUpAt: d.time("given up")})
	}
	g.GoneAt = d.time("gone")
	return g
}

// peering draws a connection of a VPC with the next one, the row of who asked or of who was
// asked.
func (d drawer) peering() *model.PeeringConnection {
	p := &model.PeeringConnection{Meta: d.meta("pcx"), Code: []string{model.PeeringActive, model.PeeringPending}[d.odd("waits")]}
	p.Requester = model.PeeringSide{Account: d.account(), VPC: d.one("vpc", 0)}
	p.Accepter = model.PeeringSide{Account: d.account(), VPC: d.one("vpc", 1)}
	return p
}

func (d drawer) natInterface() *model.NetworkInterface {
	ni := d.networkInterface(9+d.n, 0)
	ni.Type, ni.Owner, ni.Groups = model.InterfaceNAT, d.one("nat", 0), nil
	for i := range 1 + d.number("addresses of the gateway", 3) {
		ni.Addresses = append(ni.Addresses, d.natAddress(i))
	}
	return ni
}

// natAddress gives an address of a NAT gateway.
func (d drawer) natAddress(i int) netip.Addr { return addr(fmt.Sprintf("10.0.1.%d", 60+3*i+d.n)) }

// zone draws a hosted zone, which up to three VPCs see.
func (d drawer) zone() *model.HostedZone {
	z := &model.HostedZone{Meta: d.meta("Z"), Name: d.name("name", "example.com.", "db.example.com.")}
	z.Region = ""
	for i := range 1 + d.number("VPCs", 3) {
		z.VPCs = append(z.VPCs, d.other("vpc"))
		z.VPCs[i].ID = d.one("vpc", i)
	}
	return z
}

// record draws a record set of a zone, alone or one of several.
func (d drawer) record(kind string) *model.RecordSet {
	r := &model.RecordSet{Account: d.account(), Zone: d.one("Z", 0), Name: d.name("record", "www.example.com.", "db.example.com."), Type: kind, TTL: int64(d.odd("ttl"))}
	r.Routing = []model.Routing{model.RoutingSimple, model.RoutingFailover, model.RoutingWeighted}[d.number("routing", 3)]
	if r.Routing != model.RoutingSimple {
		r.Set, r.Secondary = d.name("set", "a", "b"), r.Routing == model.RoutingFailover && d.yes("secondary")
	}
	if d.odd("alias") == 1 {
		r.Alias = model.AliasTarget{Zone: "Z-1", Name: "x.example.com."}
	} else {
		r.Values = []string{d.name("value", "10.0.1.10", "10.0.1.11")}
	}
	return r
}

// sibling draws a further association of an endpoint, with addresses of its own: as
// a rule one that the interface has besides the door.
func (d drawer) sibling() *model.EndpointAssociation {
	a := &model.EndpointAssociation{Meta: d.meta("rea"), Endpoint: d.other("vpce"), Configuration: d.other("rcfg")}
	a.ID = fmt.Sprintf("rea-%d", 3+d.n)
	for range 1 + d.number("own addresses", 3) {
		own := model.InterfaceAddress{Interface: d.one("eni", 3), Addr: d.spare()}
		switch d.number("which address", 6) {
		case 3:
			own.Addr = d.door(0)
		case 4:
			own.Addr = d.addr4()
		case 5:
			own.Addr = d.addr6()
		}
		a.Addresses = append(a.Addresses, own)
	}
	return a
}

// spare gives the address that an endpoint's interface has for a further association.
func (d drawer) spare() netip.Addr { return addr(fmt.Sprintf("10.0.1.3%d", d.n)) }

func (d drawer) domain() string { return d.name("domain", "example.com", "db.example.com") }

// domains gives a configuration custom domains, and now and then a place in a group.
func (d drawer) domains(rc *model.ResourceConfiguration) {
	rc.CustomDomain = d.domain()
	switch d.number("type", 4) {
	case 2:
		rc.Type, rc.GroupDomain = model.TypeGroup, d.domain()
	case 3:
		rc.Type, rc.Group = model.TypeChild, d.one("rcfg", 1)
	}
	if d.odd("name") == 1 {
		rc.DNS = model.DNSResource{Name: "db.example.com", Family: model.FamilyIPv4}
	}
	d.part(rc)
}

func (d drawer) number(what string, n int) int {
	if d.T == nil {
		return 0
	}
	return rapid.IntRange(0, n-1).Draw(d.T, what)
}

// odd is 1 now and then, and else 0.
func (d drawer) odd(what string) int { return d.number(what, 6) / 5 }

func (d drawer) yes(what string) bool { return d.T != nil && rapid.Bool().Draw(d.T, what) }

func (d drawer) name(what string, names ...string) string {
	return names[d.number(what, len(names))]
}

// one draws the id of a row that belongs to this one, or of any. Interfaces have
// numbers from 0 on for workloads, from 3 on for endpoints, from 6 on for gateways, from 9 on
// for NAT gateways and from 12 on for databases.
func (d drawer) one(kind string, shift int) string {
	if kind == "eni" {
		return fmt.Sprintf("eni-%d", shift+(d.n+d.odd(kind))%3)
	}
	return fmt.Sprintf("%s-%d", kind, (d.n+shift+d.odd(kind))%3)
}

func (d drawer) account() string { return []string{account, "444455556666"}[d.odd("account")] }

// another draws an account now and then, and else none.
func (d drawer) another(what string) string {
	if d.odd(what) == 0 {
		return ""
	}
	return d.account()
}

// other draws a reference that may lead to another account.
func (d drawer) other(kind string) model.Ref {
	return model.Ref{Account: d.account(), Region: region, ID: d.one(kind, 0)}
}

// time draws the zero time, as a rule, or one of two others.
func (d drawer) time(what string) time.Time {
	if n := d.number(what, 6); n > 3 {
		return time.Unix(int64(n), 0)
	}
	return time.Time{}
}

// meta draws what all resources have.
func (d drawer) meta(kind string) model.Meta {
	m := model.Meta{Account: d.account(), Region: region, ID: fmt.Sprintf("%s-%d", kind, d.n), UpdatedAt: d.time("updated")}
	if d.odd("deleting") == 1 {
		m.DeletedAt = time.Unix(9, 0)
	}
	if d.yes("tagged") {
		m.Tags = map[string]string{"a": d.name("tag", "b", "c")}
	}
	return m
}

func (d drawer) blocks(texts ...string) (blocks []model.CIDRAssociation) {
	for _, text := range texts {
		if d.yes(text) {
			blocks = append(blocks, model.CIDRAssociation{Prefix: prefix(text), Pool: d.name("pool", model.AmazonPool, "")})
		}
	}
	return blocks
}

// addr4 draws one of few IPv4 addresses: also those of the endpoints.
func (d drawer) addr4() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, 1, byte(18 + d.number("address", 6))})
}

// door gives the address of an endpoint.
func (d drawer) door(shift int) netip.Addr {
	return addr(fmt.Sprintf("10.0.1.2%d", (d.n+shift)%3))
}

func (d drawer) addr6() netip.Addr {
	return addr(fmt.Sprintf("2001:db8::%d", 1+d.number("address", 6)))
}

func (d drawer) rule() model.SecurityGroupRule {
	r := model.SecurityGroupRule{Egress: d.yes("egress"), Protocol: d.name("protocol", "-1", "tcp"), From: -1, To: -1}
	if r.Protocol == "tcp" {
		r.From, r.To = 1, 1+d.number("port", 3)
	}
	switch {
	case d.yes("names a group"):
		r.Group, r.GroupAccount = d.one("sg", 0), d.another("group of")
		if d.odd("of a peer") == 1 {
			r.Group, r.Peering = d.one("sg", 1), d.one("pcx", 0)
		}
	case d.odd("names a list") == 1:
		r.PrefixList = d.one("pl", 0)
	default:
		r.CIDR = prefix(d.name("peer", "0.0.0.0/0", "10.0.0.0/16", "::/0"))
	}
	return r
}

// networkInterface draws what all interfaces have.
func (d drawer) networkInterface(number, vpc int) *model.NetworkInterface {
	ni := &model.NetworkInterface{
		Meta: d.meta("eni"), VPC: d.one("vpc", vpc), Subnet: d.one("subnet", vpc), Zone: d.one("zone", vpc), MAC: "02:00:00:00:00:01",
	}
	ni.ID = fmt.Sprintf("eni-%d", number)
	ni.Network = d.another("in a subnet of")
	for range d.number("groups", 3) {
		ni.Groups = append(ni.Groups, d.one("sg", vpc))
	}
	for range d.number("more addresses", 3) {
		ni.Addresses = append(ni.Addresses, d.addr4())
	}
	for range d.number("IPv6 addresses", 2) {
		ni.Addresses6 = append(ni.Addresses6, d.addr6())
	}
	return ni
}

func (d drawer) workload() *model.NetworkInterface {
	ni := d.networkInterface(d.n, 0)
	ni.Type, ni.SourceDestCheck = model.InterfaceWorkload, d.odd("unchecked") == 0
	if d.yes("has a public address") {
		ni.Public = addr(fmt.Sprintf("203.0.113.10%d", d.n))
	}
	if d.yes("has a prefix") {
		ni.Prefixes4 = []netip.Prefix{prefix("10.0.1.32/28")}
		ni.Prefixes6 = []netip.Prefix{prefix("2001:db8:0:0:2::/80")}
	}
	return ni
}

func (d drawer) endpointInterface(vpc int) *model.NetworkInterface {
	ni := d.networkInterface(3+d.n, vpc)
	ni.Type, ni.Owner = model.InterfaceEndpoint, d.one("vpce", 0)
	ni.Addresses = append([]netip.Addr{d.door(0), d.spare()}, ni.Addresses...)
	return ni
}

func (d drawer) endpoint(vpc int) *model.VPCEndpoint {
	e := &model.VPCEndpoint{Meta: d.meta("vpce"), VPC: d.one("vpc", vpc), Configuration: d.other("rcfg"), PrivateDNS: d.odd("no private DNS") == 0}
	e.DNSPreference = model.DNSPreferences[d.number("preference", 4)]
	e.DNSDomains = []string{d.name("specified", "db.example.com", "*.example.com")}
	if d.odd("to a service") == 1 {
		d.toService(e)
	}
	return e
}

func (d drawer) gatewayInterface() *model.NetworkInterface {
	ni := d.networkInterface(6+d.n, 0)
	ni.Type, ni.Owner = model.InterfaceGateway, d.one("rgw", 0)
	if d.odd("has no address") == 0 {
		ni.Addresses = append(ni.Addresses, addr("10.0.1.50"))
	}
	if d.yes("has a pool") {
		ni.Prefix6 = prefix("2001:db8:0:1::/80")
	}
	return ni
}

func (d drawer) configuration() *model.ResourceConfiguration {
	rc := &model.ResourceConfiguration{Meta: d.meta("rcfg"), Type: "SINGLE", Gateway: d.one("rgw", 0), IP: d.addr4()}
	if d.yes("leads on") || d.T == nil && d.n > 0 {
		rc.IP = d.door(2) // of the endpoint in the gateway's VPC
		if d.odd("by a further association") == 1 {
			rc.IP = drawer{d.T, (d.n + 2) % 3}.spare()
		}
	}
	if d.odd("IPv6") == 1 {
		rc.IP = d.addr6()
	}
	if d.odd("nobody can answer") == 1 {
		rc.IP = addr(d.name("reserved", "10.0.1.1", "10.0.1.127", "10.0.0.2"))
	}
	for i := range 1 + d.number("ports", 20) {
		rc.Ports = append(rc.Ports, model.PortRange{From: uint16(i + 1), To: uint16(i + 1 + d.odd("wide"))})
	}
	d.domains(rc)
	rc.Verification = d.one("dv", 0)
	rc.Targets = []model.TransitTarget{{Interface: d.one("eni", 6), Zone: d.one("zone", 0), Host: d.odd("host"), Index: d.n}}
	if d.yes("second target") {
		rc.Targets = append(rc.Targets, model.TransitTarget{Interface: d.one("eni", 6), Zone: d.one("zone", 1), Host: d.odd("host"), Index: d.n + 3})
	}
	return rc
}
