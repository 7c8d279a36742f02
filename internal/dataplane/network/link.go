// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// LinkMTU is below the MTU of workloads (9001, as on AWS) by what tunnels
// between hosts will need, so that the path between two VPCs does not change
// when one of them moves.
const LinkMTU = 8500

// Every fabric link has the same next hops, one for each family. They are
// nobody's addresses: they only select the permanent neighbour that is the
// other end.
var (
	nextHop4 = netip.MustParseAddr("169.254.1.1")
	nextHop6 = netip.MustParseAddr("fe80::ffff")
)

// end is one end of the link between two routers.
type end struct {
	router *Router
	peer   string
	link   netlink.Link
}

func linkMAC(vpc, peer string) net.HardwareAddr { return hardwareAddr("link", vpc, peer) }

// Connect makes the link between two routers, or completes what there is of it.
// The caller holds off other changes of both routers.
func Connect(a, b *Router) error {
	err := connect(a, b)
	if err != nil {
		err = fmt.Errorf("connect routers %s and %s: %w", a.VPC, b.VPC, err)
	}
	return err
}

func connect(a, b *Router) error {
	near, far, err := ends(a, b)
	if err != nil {
		return err
	}
	made := near.link == nil
	if made {
		if far.link != nil {
			if err := b.remove(far.link); err != nil {
				return err
			}
		}
		if near, far, err = makeLink(a, b); err != nil {
			return err
		}
	}
	if err := raise(near.side(), far.side()); err != nil {
		return err
	}
	err = errors.Join(near.meet(), far.meet(), a.cover(near.link), b.cover(far.link))
	if err == nil && made { // tables may have led over one that was there before
		err = errors.Join(a.Follow(b.VPC), b.Follow(a.VPC))
	}
	return err
}

// ends looks for both ends of the link. When they are not each other's, or one
// is missing, near.link is nil.
func ends(a, b *Router) (near, far end, err error) {
	near, far = end{router: a, peer: b.VPC}, end{router: b, peer: a.VPC}
	if near.link, err = a.linkTo(b.VPC); err != nil {
		return near, far, err
	}
	if far.link, err = b.linkTo(a.VPC); err != nil {
		return near, far, err
	}
	if near.link != nil && (far.link == nil || !paired(near.link, far.link)) {
		if err := a.remove(near.link); err != nil {
			return near, far, err
		}
		near.link = nil
	}
	return near, far, nil
}

// paired reports whether two interfaces name each other as the other end.
// Indexes are those of their namespaces, so it proves nothing about strangers.
func paired(a, b netlink.Link) bool {
	return a.Attrs().ParentIndex == b.Attrs().Index && b.Attrs().ParentIndex == a.Attrs().Index
}

// linkTo finds the router's interface towards a peer; nil when there is none.
func (r *Router) linkTo(peer string) (netlink.Link, error) {
	return r.owned("f", peer, alias(r.instance, isLink, peer))
}

// owned finds an interface by its mark under the two names that it can have.
func (r *Router) owned(letter, id, mark string) (netlink.Link, error) {
	for _, hashed := range []bool{false, true} {
		l, err := linkNamed(r.handle, interfaceName(letter, id, hashed))
		if err != nil {
			return nil, fmt.Errorf("find interface of %s: %w", id, err)
		}
		if l != nil && matches(l.Attrs().Alias, mark) {
			return l, nil
		}
	}
	return nil, nil
}

// matches is true for the mark itself and for a mark that says more.
func matches(alias, mark string) bool {
	return alias == mark || len(alias) > len(mark) && alias[:len(mark)] == mark && alias[len(mark)] == ':'
}

// freeName chooses the name of a new interface. A veth of that name without any
// alias is one that a crash left before it was marked: it is taken away.
func (r *Router) freeName(letter, id string) (string, error) {
	for _, hashed := range []bool{false, true} {
		name := interfaceName(letter, id, hashed)
		l, err := linkNamed(r.handle, name)
		if err != nil {
			return "", err
		}
		if l == nil {
			return name, nil
		}
		if l.Attrs().Alias == "" && l.Type() == "veth" {
			return name, removeLink(r.handle, l)
		}
	}
	return "", fmt.Errorf("both names for the interface of %s are taken", id)
}

// makeLink makes the veth and marks both ends before another call can take the
// one end for what a crash has left.
func makeLink(a, b *Router) (near, far end, err error) {
	a.set.making.Lock()
	defer a.set.making.Unlock()
	nearName, err := a.freeName("f", b.VPC)
	if err != nil {
		return near, far, err
	}
	farName, err := b.freeName("f", a.VPC)
	if err != nil {
		return near, far, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = nearName, LinkMTU, linkMAC(a.VPC, b.VPC)
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: farName, PeerMTU: LinkMTU,
		PeerHardwareAddr: linkMAC(b.VPC, a.VPC), PeerNamespace: netlink.NsFd(b.FD()),
	}
	if err := retry(func() error { return a.handle.LinkAdd(veth) }); err != nil {
		return near, far, fmt.Errorf("add veth %s: %w", nearName, err)
	}
	near, far = end{router: a, peer: b.VPC}, end{router: b, peer: a.VPC}
	if near.link, err = a.handle.LinkByName(nearName); err != nil {
		return near, far, err
	}
	if far.link, err = b.handle.LinkByName(farName); err != nil {
		return near, far, err
	}
	return near, far, errors.Join(near.mark(), far.mark())
}

// mark writes the mark of a link on an end.
func (e end) mark() error {
	mark := alias(e.router.instance, isLink, e.peer)
	if err := retry(func() error { return e.router.handle.LinkSetAlias(e.link, mark) }); err != nil {
		return fmt.Errorf("set alias of %s: %w", e.link.Attrs().Name, err)
	}
	return nil
}

func (e end) side() side { return side{e.router.ns, e.router.handle, e.link} }

// meet names the other end as neighbour. The interface must be up.
func (e end) meet() error {
	for _, hop := range e.hops() {
		if err := e.router.setNeighbour(e.link.Attrs().Index, hop, linkMAC(e.peer, e.router.VPC)); err != nil {
			return err
		}
	}
	return nil
}

func (e end) hops() []netip.Addr {
	if !hasIPv6() {
		return []netip.Addr{nextHop4}
	}
	return []netip.Addr{nextHop4, nextHop6}
}

// whole reports whether an end is up and knows the other one.
func (e end) whole(known neighbours) bool {
	for _, hop := range e.hops() {
		if !known.has(e.link.Attrs().Index, hop, linkMAC(e.peer, e.router.VPC)) {
			return false
		}
	}
	return e.link.Attrs().Flags&net.FlagUp != 0
}

// Connected reports whether the link between two routers is there and whole.
func Connected(a, b *Router) (bool, error) {
	near := end{router: a, peer: b.VPC}
	far := end{router: b, peer: a.VPC}
	for _, e := range []*end{&near, &far} {
		var err error
		if e.link, err = e.router.linkTo(e.peer); err != nil || e.link == nil {
			return false, err
		}
		known, err := e.router.neighbours(e.link.Attrs().Index)
		if err != nil || !e.whole(known) {
			return false, err
		}
		if covered, err := e.router.covered(e.link); err != nil || !covered {
			return false, err
		}
	}
	return paired(near.link, far.link), nil
}

// Disconnect removes the router's link with a peer, both ends.
func (r *Router) Disconnect(peer string) error {
	l, err := r.linkTo(peer)
	if err == nil && l != nil {
		err = r.remove(l)
	}
	if err != nil {
		return fmt.Errorf("disconnect routers %s and %s: %w", r.VPC, peer, err)
	}
	return nil
}

// Admit says whether packets may come over the link with a peer that have addresses of
// the peer's own. Such a source has a way back by tables only, if it has any, and those of
// two peers may be the same: so that it is one of that peer's is for the filter to see, and
// not for the kernel by its routes. IPv6 has no such check.
func (r *Router) Admit(peer string, admit bool) error {
	l, err := r.linkTo(peer)
	if err == nil && l == nil && !admit {
		return nil
	}
	if err == nil && l == nil {
		err = fmt.Errorf("no link with %s", peer)
	}
	if err == nil {
		value := strictFilter
		if admit {
			value = openFilter
		}
		err = r.Inside(func() error { return setSysctls([]sysctl{{"net/ipv4/conf/" + l.Attrs().Name + "/rp_filter", value}}) })
	}
	if err != nil {
		return fmt.Errorf("have addresses of %s come to %s: %w", peer, r.VPC, err)
	}
	return nil
}

// LinkDevices are the names that the link with a peer can have in a router.
func LinkDevices(peer string) []string {
	return slices.Compact([]string{interfaceName("f", peer, false), interfaceName("f", peer, true)})
}
