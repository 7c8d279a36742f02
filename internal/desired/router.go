// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
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

// Key implements Entry.
func (r Router) Key() Key { return Key{KindRouter, r.VPC, "self"} }

// String implements Entry. Networks and gateways are sets: their order says
// nothing and is not kept.
func (r Router) String() string {
	return line(r.Key(), list("networks", sorted(r.Networks, netip.Prefix.Compare)),
		list("gateways", sorted(r.Gateways, netip.Addr.Compare)),
		field{"source4", prefixText(r.Source4)}, field{"source6", prefixText(r.Source6)})
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

// Key implements Entry.
func (l Link) Key() Key { return Key{KindLink, l.VPC, l.Peer} }

// String implements Entry.
func (l Link) String() string { return line(l.Key()) }

// Route sends a transit prefix from the router of VPC over its link with Peer.
type Route struct {
	VPC    string
	Prefix netip.Prefix
	Peer   string
}

// Key implements Entry.
func (r Route) Key() Key { return Key{KindRoute, r.VPC, r.Prefix.String()} }

// String implements Entry.
func (r Route) String() string { return line(r.Key(), field{"peer", r.Peer}) }

// Namespace names a network namespace of a workload: by the name under
// /run/netns, or by a process that lives in it. Inode is the namespace's inode
// number (as /proc/PID/ns/net shows it) when it was attached, so that a
// namespace of the same name or a process of the same number that came later
// is not mistaken for it; zero means not known. The kernel gives inode numbers
// again, so Identity is a number that no other namespace has or will have; zero
// means not known.
type Namespace struct {
	Name     string
	PID      int
	Inode    uint64
	Identity uint64
}

// String prints the namespace as name:N or pid:N, with its inode and identity
// when known.
func (n Namespace) String() string {
	text := "name:" + n.Name
	if n.Name == "" {
		text = "pid:" + strconv.Itoa(n.PID)
	}
	if n.Inode != 0 {
		text += fmt.Sprintf("@%d", n.Inode)
		if n.Identity != 0 {
			text += fmt.Sprintf("/%x", n.Identity)
		}
	}
	return text
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
}

// Key implements Entry.
func (w Workload) Key() Key { return Key{KindWorkload, w.VPC, w.ENI} }

// String implements Entry.
func (w Workload) String() string {
	return line(w.Key(), field{"mac", w.MAC}, list("addresses", primaryFirst(w.Addresses)),
		field{"gateway", addrText(w.Gateway)}, field{"device", w.Device},
		field{"namespace", w.Namespace.String()}, list("prefixes", sorted(w.Prefixes, netip.Prefix.Compare)))
}

// All gives the workload's addresses, each as a prefix of its own, and its prefixes.
func (w Workload) All() []netip.Prefix {
	all := make([]netip.Prefix, 0, len(w.Addresses)+len(w.Prefixes))
	for _, a := range w.Addresses {
		all = append(all, scope(a.Addr(), 0))
	}
	return append(all, w.Prefixes...)
}

func sorted[T any](values []T, compare func(a, b T) int) []T {
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

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
