// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// complete brings both ends of a pair up and gives them their addresses,
// neighbours and routes: first all that is missing, then away with the rest.
func (p pair) complete(w desired.Workload) error {
	if err := p.bringUp(w); err != nil {
		return err
	}
	stale, err := p.addAddresses(w.Addresses)
	if err != nil {
		return err
	}
	if wants6(w) {
		if err := p.awaitLocal(w.Addresses); err != nil {
			return err
		}
	}
	if err := p.addDefaults(w); err != nil {
		return err
	}
	gone, err := p.routeAddresses(w)
	if err != nil {
		return err
	}
	for _, a := range gone {
		if err := p.unroute(a); err != nil {
			return err
		}
	}
	return p.deleteAddresses(stale)
}

func (p pair) bringUp(w desired.Workload) error {
	near, far := p.near.Attrs(), p.far.Attrs()
	if err := p.router.Inside(func() error { return setSysctls(workloadSysctls(near.Name)) }); err != nil {
		return err
	}
	if wants6(w) {
		if err := Inside(p.in.ns, func() error { return setSysctls(deviceSysctls(far.Name)) }); err != nil {
			return err
		}
	}
	if err := raise(p.sides()...); err != nil {
		return err
	}
	if err := p.router.cover(p.near); err != nil {
		return err
	}
	if !hasIPv6() {
		return nil
	}
	local := &netlink.Addr{IPNet: toIPNet(routerLinkLocal), Flags: unix.IFA_F_NODAD, Scope: unix.RT_SCOPE_LINK}
	if err := retry(func() error { return p.router.handle.AddrReplace(p.near, local) }); err != nil {
		return fmt.Errorf("add address %s to %s: %w", routerLinkLocal, near.Name, err)
	}
	return nil
}

func (p pair) sides() []side {
	return []side{{p.router.ns, p.router.handle, p.near}, {p.in.ns, p.in.handle, p.far}}
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
	return slices.ContainsFunc(w.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// addAddresses adds the missing addresses to the workload's end and returns
// those that should go. The kernel's primary IPv4 address of a subnet is the
// one that came first; when that has to be another one, they all go first.
func (p pair) addAddresses(want []netip.Prefix) (stale []netip.Prefix, err error) {
	have, err := globalAddresses(p.in.handle, p.far)
	if err != nil {
		return nil, err
	}
	if first4(have) != first4(want) && first4(have).IsValid() {
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

// routeAddresses routes the workload's addresses to it, and returns those that
// are routed to it and should not be.
func (p pair) routeAddresses(w desired.Workload) (gone []netip.Addr, err error) {
	index := p.near.Attrs().Index
	all, err := p.router.routes()
	if err != nil {
		return nil, err
	}
	known, err := p.router.neighbours(index)
	if err != nil {
		return nil, err
	}
	mac := p.far.Attrs().HardwareAddr
	for _, a := range w.Addresses {
		if !all.has(single(a.Addr()), index) {
			if err := retry(func() error { return p.router.handle.RouteReplace(workloadRoute(a.Addr(), index)) }); err != nil {
				return nil, fmt.Errorf("add route of %s: %w", a.Addr(), err)
			}
		}
		if !known.has(index, a.Addr(), mac) {
			if err := p.router.setNeighbour(index, a.Addr(), mac); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range all {
		wanted := slices.ContainsFunc(w.Addresses, func(a netip.Prefix) bool { return single(a.Addr()) == e.prefix })
		if e.link == index && !wanted {
			gone = append(gone, e.prefix.Addr())
		}
	}
	return gone, nil
}

func (p pair) unroute(a netip.Addr) error {
	index := p.near.Attrs().Index
	if err := absent(retry(func() error { return p.router.handle.RouteDel(workloadRoute(a, index)) })); err != nil {
		return fmt.Errorf("delete route of %s: %w", a, err)
	}
	return p.router.deleteNeighbour(index, a)
}

func workloadRoute(a netip.Addr, link int) *netlink.Route {
	r := &netlink.Route{Dst: toIPNet(single(a)), LinkIndex: link, Protocol: Protocol, Family: familyOf(a)}
	if a.Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	return r
}

// addDefaults gives the workload default routes by way of its router, for each
// family in which it has addresses and no default route of another's making.
func (p pair) addDefaults(w desired.Workload) error {
	var hops []netip.Addr
	if w.Gateway.IsValid() {
		hops = append(hops, w.Gateway)
	}
	if wants6(w) {
		hops = append(hops, routerLinkLocal.Addr())
	}
	for _, hop := range hops {
		state, err := p.defaults(hop)
		if err != nil {
			return err
		}
		if state != defaultMissing {
			continue
		}
		if err := retry(func() error { return p.in.handle.RouteReplace(defaultRoute(hop, p.far.Attrs().Index)) }); err != nil {
			return fmt.Errorf("add default route via %s: %w", hop, err)
		}
		if err := setNeighbour(p.in.handle, p.far.Attrs().Index, hop, p.near.Attrs().HardwareAddr); err != nil {
			return err
		}
	}
	return nil
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
	list, err := fetch(func() ([]netlink.Route, error) { return p.in.handle.RouteList(nil, familyOf(hop)) })
	if err != nil {
		return defaultMissing, fmt.Errorf("list routes of the workload: %w", err)
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

func defaultRoute(hop netip.Addr, link int) *netlink.Route {
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if hop.Is6() {
		all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return &netlink.Route{
		Dst: toIPNet(all), Gw: hop.AsSlice(), LinkIndex: link, Family: familyOf(hop),
		Protocol: Protocol, Flags: int(netlink.FLAG_ONLINK),
	}
}
