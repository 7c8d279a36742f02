// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
)

// Endpoint translates one address of an endpoint in the consumer's VPC to a
// transit target, for the ports that the resource configuration has.
type Endpoint struct {
	VPC  string
	Addr netip.Addr
	// Target is Addr itself when the address is a Target of the same VPC: connections go to
	// where that leads, and leave from its gateway.
	Target netip.Addr
	// Ports are admitted one by one; PortSet names a set of ranges admitted
	// as well. At least one of the two is given.
	Ports   []PortRange
	PortSet string
	// Owner is the identifier of the VPC endpoint, for people and records of
	// connections. It is a note: the kernel does not keep it.
	Owner string
}

// KindEndpoint is the kind of Endpoint.
var KindEndpoint = ours(Description[Endpoint]{
	Name: "endpoint", Stage: StageEntrance, Sort: Routers, Spell: (*Endpoint).spell, Turns: TurnsNothing[Endpoint],
	Ends: func(e Endpoint) []Connections { return []Connections{{Dest: e.Addr}} },
	Examples: []Endpoint{{
		VPC: "vpc-1", Addr: netip.MustParseAddr("10.0.1.100"), Target: netip.MustParseAddr("240.8.0.1"), Ports: []PortRange{{80, 80}, {5432, 5432}},
		PortSet: "p-1", Owner: "vpce-1",
	}},
})

// Key implements Entry.
func (e Endpoint) Key() Key { return Key{Realm(e.VPC), KindEndpoint, e.Addr.String()} }

// String implements Entry.
func (e Endpoint) String() string {
	s := spell(make([]byte, 0, usual), e.Key())
	e.spell(&s)
	return s.String()
}

func (e *Endpoint) spell(s *Spelling) {
	s.Realm(&e.VPC)
	s.IDAddr(&e.Addr)
	s.Addr("target", &e.Target)
	s.ports("ports", &e.Ports)
	s.Name("portset", &e.PortSet)
	s.Notes()
	s.Name("owner", &e.Owner)
}

// Slots is how many slots a target has that leads to several addresses. A new
// connection draws one of them.
const Slots = 16

// Target translates a transit target to the resource in the provider's VPC,
// leaving from the addresses of a gateway's network interface.
type Target struct {
	VPC  string
	Addr netip.Addr
	// Dest is where new connections go.
	Dest netip.Addr
	// Several is given instead of Dest when connections go to several addresses, at
	// most as many as there are slots. They are dealt to the slots in turn, so one
	// that is named twice gets twice as many connections as the others, and one that
	// changes leaves the slots of the others alone. With neither, new connections are
	// refused.
	Several []netip.Addr
	// Cut says that connections to addresses that the target leads to no more are
	// cut, and not left to go on: what was there is not what was asked for any more.
	Cut bool
	// Gateway names the Pool that connections leave from.
	Gateway netip.Addr
	// Onward says that Dest is an Endpoint of the same VPC, and that connections go
	// on to where that leads, if the gateway may send to it, if it admits the
	// gateway, and at its ports.
	Onward bool
	// Forwards are given instead of addresses when ports are translated as well: no two of
	// the same port. Other ports are refused, and with Cut connections to ports that have
	// no forward are cut. Their order says nothing.
	Forwards []Forward
}

// KindTarget is the kind of Target.
var KindTarget = ours(Description[Target]{
	Name: "target", Stage: StageTarget, Sort: Routers, Spell: (*Target).spell,
	Ends: func(t Target) []Connections { return []Connections{{Dest: t.Addr}} },
	Turns: func(t Target) []Connections {
		if !t.cuts() {
			return nil
		}
		return []Connections{{Dest: t.Addr, Unless: &t}}
	},
	Examples: []Target{
		{VPC: "vpc-2", Addr: netip.MustParseAddr("240.8.0.1"), Dest: netip.MustParseAddr("10.0.1.100"), Gateway: netip.MustParseAddr("10.0.1.50"), Onward: true},
		{
			VPC: "vpc-2", Addr: netip.MustParseAddr("fd50:5354:4f01::1"), Several: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")},
			Gateway: netip.MustParseAddr("2001:db8::50"), Cut: true,
		},
		{
			VPC: "vpc-2", Addr: netip.MustParseAddr("240.8.0.2"), Gateway: netip.MustParseAddr("10.0.1.50"), Cut: true, Forwards: []Forward{
				{Port: 80, To: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.60:8080")}, Except: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.61:8080")}},
				{Port: 443, To: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.60:8443"), netip.MustParseAddrPort("10.0.1.61:8443")}, Cut: true},
			},
		},
	},
})

// Key implements Entry.
func (t Target) Key() Key { return Key{Realm(t.VPC), KindTarget, t.Addr.String()} }

// String implements Entry.
func (t Target) String() string {
	s := spell(make([]byte, 0, usual), t.Key())
	t.spell(&s)
	return s.String()
}

func (t *Target) spell(s *Spelling) {
	s.Realm(&t.VPC)
	s.IDAddr(&t.Addr)
	t.spellDests(s)
	s.Addr("gateway", &t.Gateway)
	s.Flag("cut", &t.Cut)
	s.Flag("onward", &t.Onward)
	t.spellForwards(s)
}

func (t *Target) spellDests(s *Spelling) {
	if !s.reading && len(t.Several) == 0 {
		s.Addr("dest", &t.Dest)
		return
	}
	dests := t.Dests()
	s.Addrs("dest", &dests)
	if len(dests) == 1 {
		t.Dest = dests[0]
	} else {
		t.Several = dests
	}
}

// Dests are the addresses that the target leads to, as they are dealt to the slots:
// the shortest list that fills them in the same way. An unset Dest is none.
func (t Target) Dests() []netip.Addr {
	switch {
	case len(t.Several) == 0 && t.Dest.IsValid():
		return []netip.Addr{t.Dest}
	case len(t.Several) < 2:
		return t.Several
	}
	return shortest(t.Several)
}

// Pool is the set of source addresses of one network interface of a resource
// gateway, named by its first address. For IPv4 these are single addresses, at
// most 64; for IPv6 one prefix.
type Pool struct {
	VPC       string
	Gateway   netip.Addr
	Addresses []netip.Prefix
}

// KindPool is the kind of Pool.
var KindPool = ours(Description[Pool]{
	Name: "pool", Stage: StageMeans, Sort: Routers, Spell: (*Pool).spell, Turns: TurnsNothing[Pool],
	Ends: func(p Pool) []Connections { return parties(p.Addresses) },
	Examples: []Pool{
		{VPC: "vpc-2", Gateway: netip.MustParseAddr("10.0.1.50"), Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.50/32"), netip.MustParsePrefix("10.0.1.51/32")}},
		{VPC: "vpc-2", Gateway: netip.MustParseAddr("2001:db8::50"), Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:0:1::/80")}},
	},
})

// Key implements Entry.
func (p Pool) Key() Key { return Key{Realm(p.VPC), KindPool, p.Gateway.String()} }

// String implements Entry.
func (p Pool) String() string {
	s := spell(make([]byte, 0, usual), p.Key())
	p.spell(&s)
	return s.String()
}

func (p *Pool) spell(s *Spelling) {
	s.Realm(&p.VPC)
	s.IDAddr(&p.Gateway)
	s.Prefixes("addresses", &p.Addresses)
}

// Allow lets connections from one consumer VPC's transit source reach one
// target: an active association. Taking it away cuts the connections under it.
type Allow struct {
	VPC    string
	Source netip.Prefix
	Target netip.Addr
}

// KindAllow is the kind of Allow.
var KindAllow = ours(Description[Allow]{
	Name: "allow", Stage: StageAllow, Sort: Routers, Spell: (*Allow).spell, Turns: TurnsNothing[Allow],
	Ends:     func(a Allow) []Connections { return []Connections{{Source: a.Source, Dest: a.Target}} },
	Examples: []Allow{{VPC: "vpc-2", Source: netip.MustParsePrefix("240.0.0.0/26"), Target: netip.MustParseAddr("240.8.0.1")}},
})

// Key implements Entry.
func (a Allow) Key() Key {
	return Key{Realm(a.VPC), KindAllow, a.Source.String() + ">" + a.Target.String()}
}

// String implements Entry.
func (a Allow) String() string {
	s := spell(make([]byte, 0, usual), a.Key())
	a.spell(&s)
	return s.String()
}

func (a *Allow) spell(s *Spelling) {
	s.Realm(&a.VPC)
	if id, reading := s.ID(); reading {
		source, target, _ := strings.Cut(id, ">")
		a.Source = s.prefix(source)
		a.Target = s.addr(target)
	}
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
