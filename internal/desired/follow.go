// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/model"
)

// Follow has a transit target lead to what a name resolves to, now and later. What
// that is only the host knows: it puts a Target of the same key in the router, whose
// addresses change when the answer does.
type Follow struct {
	VPC string
	// Addr is the transit target. Its family is that of the addresses asked for.
	Addr netip.Addr
	// Name is spelled as that of a NameZone.
	Name string
	// InVPC says that the VPC's own resolver is asked: its private zones, its endpoints'
	// names and its own servers count. Otherwise the host's upstream is.
	InVPC bool
	// Floor and Ceiling bound for how many seconds an answer is gone by, whatever time
	// it has; zero means the host's own.
	Floor, Ceiling uint32
	// Gateway names the Pool that connections leave from.
	Gateway netip.Addr
	// Port is asked whether it is open while the name has several addresses: one that
	// refuses or says nothing is left out. Zero means that nobody asks.
	Port uint32
	// Watched is asked as well whether it is open, when a connection to one of several
	// addresses was not answered or was refused, and from then on until it is. Zero means
	// that nobody looks at connections.
	Watched uint32
	// Cut says that connections to addresses that the name has no more are cut.
	Cut bool
	// Never are prefixes that nothing is sent to, whoever says that the name is there.
	Never []netip.Prefix
}

// KindFollow is the kind of Follow.
var KindFollow = ours(Description[Follow]{
	Name: "follow", Stage: StageTarget, Sort: Routers, Spell: (*Follow).spell, Turns: TurnsNothing[Follow],
	Ends: func(f Follow) []Connections { return []Connections{{Dest: f.Addr}} },
	Examples: []Follow{
		{
			VPC: "vpc-2", Addr: netip.MustParseAddr("240.8.0.1"), Name: "db.example.com.", InVPC: true, Floor: 5, Ceiling: 60,
			Gateway: netip.MustParseAddr("10.0.1.50"), Port: 5432, Watched: 5432, Cut: true, Never: []netip.Prefix{netip.MustParsePrefix("10.0.1.50/32")},
		},
		{VPC: "vpc-2", Addr: netip.MustParseAddr("fd50:5354:4f01::1"), Name: "www.example.com.", Gateway: netip.MustParseAddr("2001:db8::50")},
	},
})

// Key implements Entry.
func (f Follow) Key() Key { return Key{Realm(f.VPC), KindFollow, f.Addr.String()} }

// String implements Entry.
func (f Follow) String() string {
	s := spell(make([]byte, 0, usual), f.Key())
	f.spell(&s)
	return s.String()
}

func (f *Follow) spell(s *Spelling) {
	s.Realm(&f.VPC)
	s.IDAddr(&f.Addr)
	s.Name("name", &f.Name)
	s.Flag("in-vpc", &f.InVPC)
	s.number("floor", &f.Floor)
	s.number("ceiling", &f.Ceiling)
	s.Addr("gateway", &f.Gateway)
	s.number("port", &f.Port)
	s.number("watched", &f.Watched)
	s.Flag("cut", &f.Cut)
	s.Prefixes("never", &f.Never)
}

// Target is what the host puts in the router for a name that has these addresses: at
// most as many as there are slots. With none it refuses connections at once.
func (f Follow) Target(addrs []netip.Addr) Target {
	t := Target{VPC: f.VPC, Addr: f.Addr, Several: addrs, Gateway: f.Gateway, Cut: f.Cut}
	if dests := t.Dests(); len(dests) == 1 {
		t.Dest, t.Several = dests[0], nil
	}
	return t
}

// Onward is what the host puts in the router for a name that has the address of an
// endpoint of the VPC, and leads on to where that does.
func (f Follow) Onward(door netip.Addr) Target {
	return Target{VPC: f.VPC, Addr: f.Addr, Dest: door, Gateway: f.Gateway, Onward: true}
}

// Refuses says why nothing may be sent to an address, whoever says that the name is
// there; the empty text is that it may. An answer is somebody else's word: it must not
// lead into the host, to what every VPC has by itself, or round in circles.
func (f Follow) Refuses(a netip.Addr) string {
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case a.Is4() != f.Addr.Is4() || a.Is4In6() || a.Zone() != "":
		return "it is of another family"
	case a == f.Gateway:
		return "it is the resource gateway's"
	case model.Transit4.Contains(a) || model.Transit6.Contains(a):
		return "it is of the transit realm between VPCs"
	case slices.ContainsFunc(f.Never, contains):
		return "it is not to be sent to"
	case a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || slices.ContainsFunc(nowhere, contains):
		return "it is nobody's in particular"
	}
	return ""
}

// Reserved says what some blocks of a VPC reserve an address for; empty when none does.
func Reserved(a netip.Addr, blocks []netip.Prefix) string {
	for _, b := range blocks {
		if what := model.ReservedFor(b, a); what != "" {
			return fmt.Sprintf("%s of %s", what, b)
		}
	}
	return ""
}

// nowhere are blocks of addresses that a host has for itself (RFC 6890, RFC 1112), and
// that each VPC has for its services.
var nowhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("255.255.255.255/32"), netip.MustParsePrefix("fd00:ec2::/32")}

// Carries reports whether an entry that a router has is what a Follow may have been
// turned into, whatever the name's addresses are.
func (f Follow) Carries(e Entry) bool {
	t, ok := e.(Target)
	never := func(a netip.Addr) bool { return f.Refuses(a) != "" }
	if ok && t.Onward {
		return Equal(t, f.Onward(t.Dest)) && !never(t.Dest)
	}
	return ok && Equal(t, f.Target(t.Dests())) && !slices.ContainsFunc(t.Dests(), never)
}
