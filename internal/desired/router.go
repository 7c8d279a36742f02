// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Router is the network namespace that is a VPC's implicit router on a host,
// with its fixed set of rules. Everything else of the VPC lives in it.
type Router struct {
	VPC string
	// Networks are the CIDR blocks of the VPC. An address of theirs that
	// nothing has is refused by the router, never sent elsewhere.
	Networks []netip.Prefix
	// Gateways are the router's own addresses, the first usable one of each
	// IPv4 subnet.
	Gateways []netip.Addr
	// Source4 and Source6 are the transit addresses that connections leaving
	// this VPC on this host come from: a /26 and a /64.
	Source4, Source6 netip.Prefix
}

// KindRouter is the kind of Router. Connections go with all else that is in one.
var KindRouter = ours(Description[Router]{
	Name: "router", Stage: StageRealm, Sort: Routers, Spell: (*Router).spell, Ends: EndsNothing[Router], Turns: TurnsNothing[Router], Root: true,
	Examples: []Router{{
		VPC: "vpc-1", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("2001:db8::/56")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.2.1")},
		Source4:  netip.MustParsePrefix("240.0.0.0/26"), Source6: netip.MustParsePrefix("fd50:5354:4f00::/64"),
	}},
})

// rootID is the id of what a realm exists by.
const rootID = "self"

// Key implements Entry.
func (r Router) Key() Key { return Key{Realm(r.VPC), KindRouter, rootID} }

// String implements Entry. Networks and gateways are sets: their order says
// nothing and is not kept.
func (r Router) String() string {
	s := spell(make([]byte, 0, usual), r.Key())
	r.spell(&s)
	return s.String()
}

func (r *Router) spell(s *Spelling) {
	s.Realm(&r.VPC)
	s.self()
	r.Networks, r.Gateways = sorted(r.Networks, netip.Prefix.Compare), sorted(r.Gateways, netip.Addr.Compare)
	s.Prefixes("networks", &r.Networks)
	s.Addrs("gateways", &r.Gateways)
	s.Prefix("source4", &r.Source4)
	s.Prefix("source6", &r.Source6)
}

// RootOf is the entry that a realm exists by, without a value, for who takes it away;
// false says that the realm is there by itself.
func RootOf(r Realm) (Entry, bool) {
	switch r.Sort() {
	case Routers:
		return Router{VPC: string(r)}, true
	case NATs:
		return NAT{ID: r.Name()}, true
	case Edges:
		return Edge{Name: r.Name()}, true
	case Sandboxes:
		return Sandbox{ID: r.Name()}, true
	case Databases:
		return Database{ID: r.Name()}, true
	}
	return nil, false
}

// Link joins the routers of two VPCs on one host. There is one per pair,
// whichever side consumes; VPC is the smaller identifier.
type Link struct {
	VPC, Peer string
}

// NewLink makes the link between two VPCs in either order.
func NewLink(a, b string) Link {
	if b < a {
		a, b = b, a
	}
	return Link{VPC: a, Peer: b}
}

// KindLink is the kind of Link. Connections over one end with its routes.
var KindLink = ours(Description[Link]{
	Name: "link", Stage: StageLink, Sort: Routers, Spell: (*Link).spell, Ends: EndsNothing[Link], Turns: TurnsNothing[Link],
	Far:      func(k Key) Realm { return Realm(k.ID) },
	Examples: []Link{{VPC: "vpc-1", Peer: "vpc-2"}},
})

// Key implements Entry.
func (l Link) Key() Key { return Key{Realm(l.VPC), KindLink, l.Peer} }

// String implements Entry.
func (l Link) String() string {
	s := spell(make([]byte, 0, usual), l.Key())
	l.spell(&s)
	return s.String()
}

func (l *Link) spell(s *Spelling) {
	s.Realm(&l.VPC)
	s.IDName(&l.Peer)
}

// Route sends a transit prefix from the router of VPC over its link with Peer.
type Route struct {
	VPC    string
	Prefix netip.Prefix
	Peer   string
}

// KindRoute is the kind of Route.
var KindRoute = ours(Description[Route]{
	Name: "route", Stage: StageRoute, Sort: Routers, Spell: (*Route).spell, Turns: TurnsNothing[Route],
	Ends:     func(r Route) []Connections { return []Connections{{Party: r.Prefix}} },
	Examples: []Route{{VPC: "vpc-1", Prefix: netip.MustParsePrefix("240.8.0.1/32"), Peer: "vpc-2"}},
})

// Key implements Entry.
func (r Route) Key() Key { return Key{Realm(r.VPC), KindRoute, r.Prefix.String()} }

// String implements Entry.
func (r Route) String() string {
	s := spell(make([]byte, 0, usual), r.Key())
	r.spell(&s)
	return s.String()
}

func (r *Route) spell(s *Spelling) {
	s.Realm(&r.VPC)
	if id, reading := s.ID(); reading {
		r.Prefix = s.prefix(id)
	}
	s.Name("peer", &r.Peer)
}

// Namespace names a network namespace of a workload: by the name under
// /run/netns, or by a process that lives in it. Inode is the namespace's inode
// number (as /proc/PID/ns/net shows it) when it was attached, so that a
// namespace of the same name or a process of the same number that came later
// is not mistaken for it; zero means not known. The kernel gives inode numbers
// again, so Identity is a number that no other namespace has or will have; zero
// means not known.
//
// The namespace of one of our own realms, such as that of a NAT gateway, is named by
// Realm alone. It is whatever that realm has at the time.
type Namespace struct {
	Name     string
	PID      int
	Inode    uint64
	Identity uint64
	Realm    Realm
}

// String prints the namespace as name:N or pid:N, with its inode and identity
// when known, or as realm:R.
func (n Namespace) String() string { return string(n.append(nil)) }

func (n Namespace) append(b []byte) []byte {
	if n.Realm != "" {
		b = appendName(append(b, "realm:"...), string(n.Realm), "@")
	} else if n.Name != "" {
		b = appendName(append(b, "name:"...), n.Name, "@")
	} else {
		b = strconv.AppendInt(append(b, "pid:"...), int64(n.PID), 10)
	}
	if n.Inode != 0 || n.Identity != 0 {
		b = strconv.AppendUint(append(b, '@'), n.Inode, 10)
	}
	if n.Identity != 0 {
		b = strconv.AppendUint(append(b, '/'), n.Identity, 16)
	}
	return b
}

// ParseNamespace reads what String prints. A name with an @ that is not escaped,
// as earlier versions printed it, is read too when an inode comes behind it.
func ParseNamespace(text string) (n Namespace, err error) {
	what, known := text, ""
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		what, known = text[:at], text[at+1:]
	}
	inode, identity, _ := strings.Cut(known, "/")
	var errs [3]error
	if name, ok := strings.CutPrefix(what, "name:"); ok {
		n.Name, errs[0] = url.PathUnescape(name)
	} else if pid, ok := strings.CutPrefix(what, "pid:"); ok {
		n.PID, errs[0] = strconv.Atoi(pid)
	} else if realm, ok := strings.CutPrefix(what, "realm:"); ok {
		realm, errs[0] = url.PathUnescape(realm)
		n.Realm = Realm(realm)
	} else {
		errs[0] = errors.New("neither a name nor a process")
	}
	if inode != "" {
		n.Inode, errs[1] = strconv.ParseUint(inode, 10, 64)
	}
	if identity != "" {
		n.Identity, errs[2] = strconv.ParseUint(identity, 16, 64)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return n, fmt.Errorf("%q is not a namespace: %w", text, err)
	}
	return n, nil
}

// Workload is a network interface that a workload has: a veth pair from the
// workload's namespace to its VPC's router, routed, not bridged.
type Workload struct {
	VPC string
	ENI string
	// MAC is the interface's hardware address in lower case with colons.
	MAC string
	// Addresses carry the prefix length of their subnet for IPv4 and 128 for
	// IPv6. The interface has each of them alone and reaches the subnet, too, by
	// way of the router. The first one of IPv4 is the primary address; the order
	// of the others says nothing.
	Addresses []netip.Prefix
	// Prefixes are routed to the interface: those of IPv4 by way of its primary
	// address, those of IPv6 by way of its link-local one. What it does with their
	// addresses is the workload's affair: they are not given to the interface. Their
	// order says nothing.
	Prefixes []netip.Prefix
	// Gateway is the router's IPv4 address in the workload's subnet; invalid
	// when the workload has no IPv4 address.
	Gateway   netip.Addr
	Namespace Namespace
	// Device is the interface's name in the workload's namespace.
	Device string
	// Unchecked lets packets come from the interface whose source is none of its
	// addresses: of those that it forwards for others.
	Unchecked bool
	// Attachment is the identifier of the attachment that the entry is of, for who
	// speaks of it; it is no part of the state.
	Attachment string
}

// KindWorkload is the kind of Workload.
var KindWorkload = ours(Description[Workload]{
	Name: "workload", Stage: StageWorkload, Sort: Routers, Spell: (*Workload).spell, Turns: TurnsNothing[Workload],
	Ends: func(w Workload) []Connections { return parties(w.All()) },
	Examples: []Workload{
		{
			VPC: "vpc-1", ENI: "eni-1", MAC: "02:00:00:00:00:01",
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.10/24"), netip.MustParsePrefix("10.0.1.9/24"), netip.MustParsePrefix("2001:db8::1/128")},
			Prefixes:  []netip.Prefix{netip.MustParsePrefix("10.0.1.32/28")},
			Gateway:   netip.MustParseAddr("10.0.1.1"), Namespace: Namespace{PID: 7, Inode: 4026531840, Identity: 0xf0}, Device: "eth0",
			Unchecked: true, Attachment: "eni-attach-1",
		},
		{VPC: "vpc-1", ENI: "eni-2", MAC: "02:00:00:00:00:02", Namespace: Namespace{Name: "web 1"}, Device: "eth0"},
		{VPC: "vpc-1", ENI: "eni-3", MAC: "02:00:00:00:00:03", Namespace: Namespace{Realm: NATRealm("nat-1")}, Device: "eth0"},
	},
})

// Key implements Entry.
func (w Workload) Key() Key { return Key{Realm(w.VPC), KindWorkload, w.ENI} }

// String implements Entry.
func (w Workload) String() string {
	s := spell(make([]byte, 0, usual), w.Key())
	w.spell(&s)
	return s.String()
}

func (w *Workload) spell(s *Spelling) {
	s.Realm(&w.VPC)
	s.IDName(&w.ENI)
	w.Addresses, w.Prefixes = primaryFirst(w.Addresses), sorted(w.Prefixes, netip.Prefix.Compare)
	s.Name("mac", &w.MAC)
	s.Prefixes("addresses", &w.Addresses)
	s.Addr("gateway", &w.Gateway)
	s.Name("device", &w.Device)
	s.namespace(&w.Namespace)
	s.Prefixes("prefixes", &w.Prefixes)
	s.Flag("unchecked", &w.Unchecked)
	s.Notes()
	s.Name("attachment", &w.Attachment)
}

func (s *Spelling) namespace(n *Namespace) {
	if !s.reading {
		s.open("namespace")
		s.text = n.append(s.text)
	} else if text, ok := s.take("namespace"); ok {
		var err error
		if *n, err = ParseNamespace(text); err != nil {
			s.Fail(err)
		}
	}
}

// All gives the workload's addresses, each as a prefix of its own, and its prefixes.
func (w Workload) All() []netip.Prefix {
	all := make([]netip.Prefix, 0, len(w.Addresses)+len(w.Prefixes))
	for _, a := range w.Addresses {
		all = append(all, scope(a.Addr(), 0))
	}
	return append(all, w.Prefixes...)
}

// parties are the connections of addresses, whichever end they are.
func parties(prefixes []netip.Prefix) []Connections {
	var all []Connections
	for _, p := range prefixes {
		all = append(all, Connections{Party: p})
	}
	return all
}

// sorted gives values in order, in a list of its own if they are not.
func sorted[T any](values []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(values, compare) {
		return values
	}
	values = slices.Clone(values)
	slices.SortFunc(values, compare)
	return values
}

// primaryFirst sorts addresses, all but the first one of IPv4, which comes
// first.
func primaryFirst(addresses []netip.Prefix) []netip.Prefix {
	i := slices.IndexFunc(addresses, func(p netip.Prefix) bool { return p.Addr().Is4() })
	if i < 0 {
		return sorted(addresses, netip.Prefix.Compare)
	}
	rest := slices.Delete(slices.Clone(addresses), i, i+1)
	return append([]netip.Prefix{addresses[i]}, sorted(rest, netip.Prefix.Compare)...)
}
