// SPDX-License-Identifier: Apache-2.0

package desired

import "net/netip"

// Edge is the network namespace between the routers of VPCs and an uplink. It
// forwards, and remembers nothing of what it forwards.
type Edge struct {
	// Name is that of the uplink.
	Name string
	// Device is what the operator gave: "netns:X", a network namespace under /run/netns
	// that the edge is joined to, or "dev:Y", an interface of the host that is moved in.
	Device string
	// Addresses are those of the interface that is moved in, with the lengths of their
	// networks, and Via the next hops there: at most one for each family.
	Addresses []netip.Prefix
	Via       []netip.Addr
	// Pool is where the public addresses are from. What of it is issued to nobody is
	// refused.
	Pool []netip.Prefix
	// Denied are destinations that nobody gets at over the uplink, but for those in
	// Allowed.
	Denied, Allowed []netip.Prefix
}

// KindEdge is the kind of Edge. Connections are those of the routers.
var KindEdge = ours(Description[Edge]{
	Name: "edge", Stage: StageRealm, Sort: Edges, Spell: (*Edge).spell, Ends: EndsNothing[Edge], Turns: TurnsNothing[Edge], Root: true,
	Examples: []Edge{
		{
			Name: "wan", Device: "dev:eth1", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.2/24")}, Via: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
			Pool: []netip.Prefix{netip.MustParsePrefix("203.0.113.16/28")}, Denied: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Allowed: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		},
		{Name: "test", Device: "netns:internet"},
	},
})

// Key implements Entry.
func (e Edge) Key() Key { return Key{EdgeRealm(e.Name), KindEdge, rootID} }

// String implements Entry. The order of addresses and prefixes says nothing and is not
// kept.
func (e Edge) String() string {
	s := spell(make([]byte, 0, usual), e.Key())
	e.spell(&s)
	return s.String()
}

func (e *Edge) spell(s *Spelling) {
	s.Realm(&e.Name)
	s.self()
	for _, list := range []*[]netip.Prefix{&e.Addresses, &e.Pool, &e.Denied, &e.Allowed} {
		*list = sorted(*list, netip.Prefix.Compare)
	}
	e.Via = sorted(e.Via, netip.Addr.Compare)
	s.Name("device", &e.Device)
	s.Prefixes("addresses", &e.Addresses)
	s.Addrs("via", &e.Via)
	s.Prefixes("pool", &e.Pool)
	s.Prefixes("denied", &e.Denied)
	s.Prefixes("allowed", &e.Allowed)
}

// Exit joins the router of a VPC with the edge of an uplink.
type Exit struct{ Uplink, VPC string }

// KindExit is the kind of Exit. Connections end with their addresses.
var KindExit = ours(Description[Exit]{
	Name: "exit", Stage: StageLink, Sort: Edges, Spell: (*Exit).spell, Ends: EndsNothing[Exit], Turns: TurnsNothing[Exit],
	Far:      func(k Key) Realm { return Realm(k.ID) },
	Examples: []Exit{{Uplink: "wan", VPC: "vpc-1"}},
})

// Key implements Entry.
func (x Exit) Key() Key { return Key{EdgeRealm(x.Uplink), KindExit, x.VPC} }

// String implements Entry.
func (x Exit) String() string {
	s := spell(make([]byte, 0, usual), x.Key())
	x.spell(&s)
	return s.String()
}

func (x *Exit) spell(s *Spelling) {
	s.Realm(&x.Uplink)
	s.IDName(&x.VPC)
}

// Issued says whose a public IPv4 address or a block of IPv6 is: what comes for it over
// the uplink goes to the router of VPC, and only from there may it be the source of what
// leaves.
type Issued struct {
	Uplink string
	Prefix netip.Prefix
	VPC    string
}

// KindIssued is the kind of Issued. It goes when the router has cut what the address had:
// who is outside is told over it.
var KindIssued = ours(Description[Issued]{
	Name: "issued", Stage: StageLink, Sort: Edges, Spell: (*Issued).spell, Ends: EndsNothing[Issued], Turns: TurnsNothing[Issued],
	Examples: []Issued{
		{Uplink: "wan", Prefix: netip.MustParsePrefix("203.0.113.17/32"), VPC: "vpc-1"},
		{Uplink: "wan", Prefix: netip.MustParsePrefix("2001:db8:0:100::/56"), VPC: "vpc-1"},
	},
})

// Key implements Entry.
func (i Issued) Key() Key { return Key{EdgeRealm(i.Uplink), KindIssued, i.Prefix.String()} }

// String implements Entry.
func (i Issued) String() string {
	s := spell(make([]byte, 0, usual), i.Key())
	i.spell(&s)
	return s.String()
}

func (i *Issued) spell(s *Spelling) {
	s.Realm(&i.Uplink)
	if id, reading := s.ID(); reading {
		i.Prefix = s.prefix(id)
	}
	s.Name("vpc", &i.VPC)
}

// Public gives an address of an interface a public IPv4 address: what goes out by the
// VPC's internet gateway comes from that, and what comes in for it goes to the private
// one (https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html).
type Public struct {
	VPC           string
	Addr, Private netip.Addr
}

// KindPublic is the kind of Public. The connections of a public address are those of
// whoever had it. One goes early: its private address may get another one at the same time.
var KindPublic = ours(Description[Public]{
	Name: "public", Stage: StageAllow, Sort: Routers, Spell: (*Public).spell, Ends: Public.connections, Turns: Public.connections, Early: true,
	Examples: []Public{{VPC: "vpc-1", Addr: netip.MustParseAddr("203.0.113.17"), Private: netip.MustParseAddr("10.0.1.10")}},
})

func (p Public) connections() []Connections { return parties([]netip.Prefix{scope(p.Addr, 0)}) }

// Key implements Entry.
func (p Public) Key() Key { return Key{Realm(p.VPC), KindPublic, p.Addr.String()} }

// String implements Entry.
func (p Public) String() string {
	s := spell(make([]byte, 0, usual), p.Key())
	p.spell(&s)
	return s.String()
}

func (p *Public) spell(s *Spelling) {
	s.Realm(&p.VPC)
	s.IDAddr(&p.Addr)
	s.Addr("private", &p.Private)
}

// Opened lets new connections from the outside in to the addresses of an IPv6 prefix.
// Without it what has such an address can only connect to the outside.
type Opened struct {
	VPC    string
	Prefix netip.Prefix
}

// KindOpened is the kind of Opened. It admits new connections only.
var KindOpened = ours(Description[Opened]{
	Name: "opened", Stage: StageAllow, Sort: Routers, Spell: (*Opened).spell, Ends: EndsNothing[Opened], Turns: TurnsNothing[Opened],
	Examples: []Opened{{VPC: "vpc-1", Prefix: netip.MustParsePrefix("2001:db8:0:101::/64")}},
})

// Key implements Entry.
func (o Opened) Key() Key { return Key{Realm(o.VPC), KindOpened, o.Prefix.String()} }

// String implements Entry.
func (o Opened) String() string {
	s := spell(make([]byte, 0, usual), o.Key())
	o.spell(&s)
	return s.String()
}

func (o *Opened) spell(s *Spelling) {
	s.Realm(&o.VPC)
	if id, reading := s.ID(); reading {
		o.Prefix = s.prefix(id)
	}
}
