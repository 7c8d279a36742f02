// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// complete brings both ends of a new pair up and gives them their addresses,
// neighbours and routes: first all that is missing, then away with the rest. An
// end that the workload has taken down stays down, and has no routes.
func (p pair) complete(w desired.Workload) error {
	up, err := p.bringUp(w)
	if err != nil {
		return err
	}
	stale, err := p.addAddresses(w)
	if err != nil {
		return err
	}
	if up && wants6(w) {
		if err := p.awaitLocal(w.Addresses); err != nil {
			return err
		}
	}
	if up {
		if err := p.addWays(w); err != nil {
			return err
		}
	}
	gone, err := p.routeAddresses(w)
	if err != nil {
		return err
	}
	for _, e := range gone {
		if err := p.router.unroute(e); err != nil {
			return err
		}
	}
	return p.deleteAddresses(stale)
}

// bringUp prepares both ends and reports whether the workload's is up. It was
// brought up before the router's was: where that is up, it is for the workload
// to say.
func (p pair) bringUp(w desired.Workload) (up bool, err error) {
	near, far := p.near.Attrs(), p.far.Attrs()
	if err := p.router.Inside(func() error { return setSysctls(workloadSysctls(near.Name, w)) }); err != nil {
		return false, err
	}
	if err := p.setChecked(w); err != nil {
		return false, err
	}
	if err := Inside(p.in.ns, func() error { return setSysctls(deviceSysctls(far.Name, wants6(w))) }); err != nil {
		return false, err
	}
	up = near.Flags&net.FlagUp == 0 || far.Flags&net.FlagUp != 0 || w.Namespace.Realm != ""
	if up {
		if err := raise(p.sides()...); err != nil {
			return false, err
		}
	}
	if err := errors.Join(p.router.cover(p.near), p.coverOther()); err != nil {
		return false, err
	}
	if !hasIPv6() {
		return up, nil
	}
	return up, p.setLocal()
}

// setLocal gives the router its link-local address towards the workload, alone:
// with a prefix, everything link-local would be a neighbour there that the router
// asks for.
func (p pair) setLocal() error {
	list, err := fetch(func() ([]netlink.Addr, error) { return p.router.handle.AddrList(p.near, netlink.FAMILY_V6) })
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", p.near.Attrs().Name, err)
	}
	for _, a := range list {
		if have := toPrefix(a.IPNet); have.Addr() == routerLinkLocal.Addr() && have != routerLinkLocal {
			if err := absent(retry(func() error { return p.router.handle.AddrDel(p.near, &a) })); err != nil {
				return fmt.Errorf("delete address %s from %s: %w", have, p.near.Attrs().Name, err)
			}
		}
	}
	local := &netlink.Addr{IPNet: toIPNet(routerLinkLocal), Flags: unix.IFA_F_NODAD, Scope: unix.RT_SCOPE_LINK}
	if err := retry(func() error { return p.router.handle.AddrReplace(p.near, local) }); err != nil {
		return fmt.Errorf("add address %s to %s: %w", routerLinkLocal, p.near.Attrs().Name, err)
	}
	return nil
}

func (p pair) sides() []side {
	return []side{{p.in.ns, p.in.handle, p.far}, {p.router.ns, p.router.handle, p.near}}
}

// side is one end of a veth pair, with the namespace that it is in.
type side struct {
	ns     *os.File
	handle *netlink.Handle
	link   netlink.Link
}

// raise brings both ends of a pair up, and returns when both can send.
func raise(sides ...side) error {
	changed := false
	for _, s := range sides {
		if s.link.Attrs().Flags&net.FlagUp != 0 {
			continue
		}
		changed = true
		if err := retry(func() error { return s.handle.LinkSetUp(s.link) }); err != nil {
			return fmt.Errorf("bring up %s: %w", s.link.Attrs().Name, err)
		}
	}
	if !changed {
		return nil
	}
	for _, s := range sides {
		if err := settle(s.ns, s.link.Attrs().Name); err != nil {
			return err
		}
	}
	return nil
}

func wants6(w desired.Workload) bool {
	return slices.ContainsFunc(w.All(), func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// addAddresses adds the missing addresses to the workload's end and returns
// those that should go. Each is there alone, without its subnet: a neighbour that
// a workload had to ask for would take a place in a table that all namespaces of
// the host share. The kernel's primary IPv4 address is the one that came first;
// when that has to be another one, they all go first. What the workload has given
// itself of its prefixes is left alone.
func (p pair) addAddresses(w desired.Workload) (stale []netip.Prefix, err error) {
	have, err := globalAddresses(p.in.handle, p.far)
	if err != nil {
		return nil, err
	}
	have = without(have, w.Prefixes)
	want := make([]netip.Prefix, len(w.Addresses))
	for i, a := range w.Addresses {
		want[i] = single(a.Addr())
	}
	if first4(have).Addr() != first4(want).Addr() && first4(have).IsValid() {
		old := slices.DeleteFunc(slices.Clone(have), func(a netip.Prefix) bool { return a.Addr().Is6() })
		if err := p.deleteAddresses(old); err != nil {
			return nil, err
		}
		have = slices.DeleteFunc(have, func(a netip.Prefix) bool { return a.Addr().Is4() })
	}
	for _, a := range want {
		if slices.Contains(have, a) {
			continue
		}
		if err := retry(func() error { return p.in.handle.AddrReplace(p.far, deviceAddr(a)) }); err != nil {
			return nil, fmt.Errorf("add address %s to %s: %w", a, p.far.Attrs().Name, err)
		}
	}
	return slices.DeleteFunc(have, func(a netip.Prefix) bool { return slices.Contains(want, a) }), nil
}

func (p pair) deleteAddresses(stale []netip.Prefix) error {
	for _, a := range stale {
		if err := absent(retry(func() error { return p.in.handle.AddrDel(p.far, deviceAddr(a)) })); err != nil {
			return fmt.Errorf("delete address %s from %s: %w", a, p.far.Attrs().Name, err)
		}
	}
	return nil
}

func deviceAddr(a netip.Prefix) *netlink.Addr {
	addr := &netlink.Addr{IPNet: toIPNet(a), Scope: unix.RT_SCOPE_UNIVERSE}
	if a.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

// globalAddresses lists the addresses of an interface in the kernel's order,
// those of IPv4 first, without link-local ones.
func globalAddresses(h *netlink.Handle, l netlink.Link) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		found, err := fetch(func() ([]netlink.Addr, error) { return h.AddrList(l, family) })
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
		}
		for _, a := range found {
			if a.Scope != unix.RT_SCOPE_LINK {
				list = append(list, toPrefix(a.IPNet))
			}
		}
	}
	return list, nil
}

func first4(list []netip.Prefix) netip.Prefix {
	for _, p := range list {
		if p.Addr().Is4() {
			return p
		}
	}
	return netip.Prefix{}
}

// routeAddresses routes the workload's addresses and prefixes to it, and returns
// the routes to it that should not be.
func (p pair) routeAddresses(w desired.Workload) (gone routes, err error) {
	index := p.near.Attrs().Index
	all, err := p.router.routes()
	if err != nil {
		return nil, err
	}
	known, err := p.router.neighbours(index)
	if err != nil {
		return nil, err
	}
	mac, wanted := p.far.Attrs().HardwareAddr, p.reached(w)
	for _, a := range wanted {
		if !all.has(single(a), index) {
			if err := retry(func() error { return p.router.handle.RouteReplace(workloadRoute(a, index)) }); err != nil {
				return nil, fmt.Errorf("add route of %s: %w", a, err)
			}
		}
		if !known.has(index, a, mac) {
			if err := p.router.setNeighbour(index, a, mac); err != nil {
				return nil, err
			}
		}
	}
	if err := p.routePrefixes(w, all); err != nil {
		return nil, err
	}
	for _, e := range all {
		kept := !ofPrefix(e) && slices.Contains(wanted, e.prefix.Addr()) || ofPrefix(e) && slices.Contains(w.Prefixes, e.prefix)
		if e.link == index && !kept {
			gone = append(gone, e)
		}
	}
	return gone, nil
}

// reached are the addresses by which the router reaches the workload: its own,
// and with IPv6 the link-local one that comes from its hardware address.
func (p pair) reached(w desired.Workload) (list []netip.Addr) {
	for _, a := range w.Addresses {
		list = append(list, a.Addr())
	}
	if wants6(w) {
		list = append(list, linkLocal(p.far.Attrs().HardwareAddr))
	}
	return list
}

// linkLocal is the address of RFC 4291 appendix A.
func linkLocal(mac net.HardwareAddr) netip.Addr {
	a := [16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]}
	return netip.AddrFrom16(a)
}

// unroute deletes a route to a workload, and with one of a single address its
// neighbour.
func (r *Router) unroute(e route) error {
	gone := workloadRoute(e.prefix.Addr(), e.link)
	if ofPrefix(e) {
		gone = way(e.prefix, e.via, e.link)
	}
	if err := absent(retry(func() error { return r.handle.RouteDel(gone) })); err != nil {
		return fmt.Errorf("delete route of %s: %w", e.prefix, err)
	}
	if ofPrefix(e) {
		return nil
	}
	return r.deleteNeighbour(e.link, e.prefix.Addr())
}

func workloadRoute(a netip.Addr, link int) *netlink.Route {
	r := &netlink.Route{Dst: toIPNet(single(a)), LinkIndex: link, Protocol: Protocol, Family: familyOf(a)}
	if a.Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	return r
}

// addWays gives the workload its ways out by way of its router, for each family
// in which it has addresses: the router as a permanent neighbour, a route to its
// subnet, and a default route where there is none of another's making.
func (p pair) addWays(w desired.Workload) error {
	index := p.far.Attrs().Index
	for _, hop := range hops(w) {
		if err := setNeighbour(p.in.handle, index, hop, p.near.Attrs().HardwareAddr); err != nil {
			return err
		}
		var ways []*netlink.Route
		if hop.Is4() {
			ways = append(ways, way(subnetOf(w), hop, index))
		}
		state, err := p.defaults(hop)
		if err != nil {
			return err
		}
		if state == defaultMissing {
			ways = append(ways, way(everywhere(hop), hop, index))
		}
		for _, r := range ways {
			if err := retry(func() error { return p.in.handle.RouteReplace(r) }); err != nil {
				return fmt.Errorf("add route of %s via %s: %w", toPrefix(r.Dst), hop, err)
			}
		}
	}
	return nil
}

// hops are the router's addresses as the workload's next hops.
func hops(w desired.Workload) (list []netip.Addr) {
	if w.Gateway.IsValid() && subnetOf(w).IsValid() {
		list = append(list, w.Gateway)
	}
	if wants6(w) {
		list = append(list, routerLinkLocal.Addr())
	}
	return list
}

// subnetOf is the IPv4 subnet of a workload, invalid when it has none.
func subnetOf(w desired.Workload) netip.Prefix { return first4(w.Addresses).Masked() }

// everywhere is the prefix of a default route.
func everywhere(hop netip.Addr) netip.Prefix {
	if hop.Is4() {
		return realms[0]
	}
	return realms[1]
}

// way is a route to a prefix by way of the router.
func way(to netip.Prefix, hop netip.Addr, link int) *netlink.Route {
	return &netlink.Route{
		Dst: toIPNet(to), Gw: hop.AsSlice(), LinkIndex: link, Family: familyOf(hop),
		Protocol: Protocol, Flags: int(netlink.FLAG_ONLINK),
	}
}

type defaultState int

const (
	defaultMissing defaultState = iota
	defaultOurs
	defaultForeign
)

// defaults says who has made the default route of hop's family in the
// workload's namespace.
func (p pair) defaults(hop netip.Addr) (defaultState, error) {
	list, err := p.waysOf(familyOf(hop))
	if err != nil {
		return defaultMissing, err
	}
	state := defaultMissing
	for _, e := range list {
		if toPrefix(e.Dst).Bits() > 0 || e.Type != unix.RTN_UNICAST {
			continue
		}
		if e.LinkIndex == p.far.Attrs().Index && toAddr(e.Gw) == hop {
			return defaultOurs, nil
		}
		state = defaultForeign
	}
	return state, nil
}

func (p pair) waysOf(family int) ([]netlink.Route, error) {
	list, err := fetch(func() ([]netlink.Route, error) { return p.in.handle.RouteList(nil, family) })
	if err != nil {
		return nil, fmt.Errorf("list routes of the workload: %w", err)
	}
	return list, nil
}
