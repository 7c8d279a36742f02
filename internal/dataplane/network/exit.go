// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A router's link with the edge of an uplink is like one with another router: a veth
// with permanent neighbours. Both ends have names that begin with a u. Besides, the
// router can tell that something comes from where it would be sent back to: packets with
// ExitMark are routed as if all that is not local were outside.
const (
	// ExitMark is a bit that no table's mark has (table.go).
	ExitMark  = 1 << 28
	exitTable = 30001
	// exitRule is the preference of the first of two rules: what is local, and then the
	// exit. No others come before them.
	exitRule = 900
	// exitProtocol marks these rules and routes apart from those of tables.
	exitProtocol = Protocol + 1
)

// exitAddress is nobody's. Where an interface has no address, the kernel takes whatever
// has no way back over it for forged, however loosely it is told to look
// (fib_validate_source in Linux); the filter looks instead.
var exitAddress = &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(169, 254, 1, 2), Mask: net.CIDRMask(32, 32)}, Scope: unix.RT_SCOPE_LINK}

// exitEnds are both ends of a link between a router and an edge.
type exitEnds struct {
	router, edge *Router
	uplink       string
	near, far    netlink.Link // near is the router's
}

func newExit(router, edge *Router) exitEnds {
	return exitEnds{router: router, edge: edge, uplink: edge.Realm().Name()}
}

func (x exitEnds) nearMAC() net.HardwareAddr { return hardwareAddr("exit", x.router.VPC, x.edge.VPC) }
func (x exitEnds) farMAC() net.HardwareAddr  { return hardwareAddr("exit", x.edge.VPC, x.router.VPC) }

// find looks for both ends; those that are not each other's are taken away when told so.
func (x *exitEnds) find() (err error) {
	if x.near, err = x.router.owned("u", x.uplink, alias(x.router.instance, isExit, x.uplink)); err != nil {
		return err
	}
	x.far, err = x.edge.owned("u", x.router.VPC, alias(x.edge.instance, isEntry, x.router.VPC))
	return err
}

func (x *exitEnds) whole() bool { return x.near != nil && x.far != nil && paired(x.near, x.far) }

// ConnectExit joins a router with an edge, or completes what there is of it. The caller
// holds off other changes of both.
func ConnectExit(router, edge *Router) error {
	x := newExit(router, edge)
	err := x.connect()
	if err != nil {
		err = fmt.Errorf("connect router %s with uplink %s: %w", router.VPC, x.uplink, err)
	}
	return err
}

func (x *exitEnds) connect() error {
	if err := x.find(); err != nil {
		return err
	}
	if !x.whole() {
		for _, end := range []struct {
			of   *Router
			link netlink.Link
		}{{x.router, x.near}, {x.edge, x.far}} {
			if end.link == nil {
				continue
			}
			if err := end.of.remove(end.link); err != nil {
				return err
			}
		}
		if err := x.make(); err != nil {
			return err
		}
	}
	if err := x.router.Inside(func() error { return setSysctls(exitSysctls(x.near.Attrs().Name)) }); err != nil {
		return err
	}
	if err := raise(side{x.router.ns, x.router.handle, x.near}, side{x.edge.ns, x.edge.handle, x.far}); err != nil {
		return err
	}
	if err := x.meet(); err != nil {
		return err
	}
	if err := x.router.lookBack(x.near.Attrs().Index); err != nil {
		return err
	}
	return errors.Join(x.router.cover(x.near), x.edge.cover(x.far))
}

func (x *exitEnds) make() error {
	x.router.set.making.Lock()
	defer x.router.set.making.Unlock()
	nearName, err := x.router.freeName("u", x.uplink)
	if err != nil {
		return err
	}
	farName, err := x.edge.freeName("u", x.router.VPC)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = nearName, LinkMTU, x.nearMAC()
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: farName, PeerMTU: LinkMTU, PeerHardwareAddr: x.farMAC(), PeerNamespace: netlink.NsFd(x.edge.FD()),
	}
	if err := retry(func() error { return x.router.handle.LinkAdd(veth) }); err != nil {
		return fmt.Errorf("add veth %s: %w", nearName, err)
	}
	if x.near, err = x.router.handle.LinkByName(nearName); err != nil {
		return err
	}
	if x.far, err = x.edge.handle.LinkByName(farName); err != nil {
		return err
	}
	return errors.Join(
		setAlias(x.router.handle, x.near, alias(x.router.instance, isExit, x.uplink)),
		setAlias(x.edge.handle, x.far, alias(x.edge.instance, isEntry, x.router.VPC)),
	)
}

func setAlias(h *netlink.Handle, l netlink.Link, text string) error {
	if err := retry(func() error { return h.LinkSetAlias(l, text) }); err != nil {
		return fmt.Errorf("set alias of %s: %w", l.Attrs().Name, err)
	}
	return nil
}

// meet names each end as the other one's neighbour.
func (x *exitEnds) meet() error {
	for _, hop := range (end{}).hops() {
		if err := x.router.setNeighbour(x.near.Attrs().Index, hop, x.farMAC()); err != nil {
			return err
		}
		if err := x.edge.setNeighbour(x.far.Attrs().Index, hop, x.nearMAC()); err != nil {
			return err
		}
	}
	if err := retry(func() error { return x.router.handle.AddrReplace(x.near, exitAddress) }); err != nil {
		return fmt.Errorf("add address to %s: %w", x.near.Attrs().Name, err)
	}
	return nil
}

// lookBack lets the router tell what comes from outside, see ExitMark.
func (r *Router) lookBack(link int) error {
	for _, hop := range (end{}).hops() {
		back := way(everywhere(hop), hop, link)
		back.Table, back.Protocol = exitTable, exitProtocol
		if err := retry(func() error { return r.handle.RouteReplace(back) }); err != nil {
			return fmt.Errorf("add route of what comes from outside: %w", err)
		}
		have, err := r.exitRules(familyOf(hop))
		if err != nil {
			return err
		}
		if len(have) == 2 {
			continue
		}
		for _, rule := range exitRules(familyOf(hop)) {
			if err := retry(func() error { return r.handle.RuleAdd(&rule) }); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("add rule of what comes from outside: %w", err)
			}
		}
	}
	return nil
}

func exitRules(family int) (list []netlink.Rule) {
	for i, table := range []int{unix.RT_TABLE_MAIN, exitTable} {
		rule := netlink.NewRule()
		rule.Family, rule.Priority, rule.Protocol, rule.Table = family, exitRule+i, uint8(exitProtocol), table
		rule.Mark, rule.Mask = ExitMark, new(uint32(ExitMark))
		if table == unix.RT_TABLE_MAIN {
			rule.SuppressPrefixlen = 0
		}
		list = append(list, *rule)
	}
	return list
}

func (r *Router) exitRules(family int) ([]netlink.Rule, error) {
	list, err := fetch(func() ([]netlink.Rule, error) { return r.handle.RuleList(family) })
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	var have []netlink.Rule
	for _, rule := range list {
		if rule.Protocol == uint8(exitProtocol) {
			rule.Family = family
			have = append(have, rule)
		}
	}
	return have, nil
}

// Exited reports whether a router and an edge are joined, and all is in its place.
func Exited(router, edge *Router) (bool, error) {
	x := newExit(router, edge)
	if err := x.find(); err != nil || !x.whole() {
		return false, err
	}
	for _, e := range []struct {
		of   *Router
		link netlink.Link
		mac  net.HardwareAddr
	}{{router, x.near, x.farMAC()}, {edge, x.far, x.nearMAC()}} {
		known, err := e.of.neighbours(e.link.Attrs().Index)
		if err != nil || e.link.Attrs().Flags&net.FlagUp == 0 {
			return false, err
		}
		if covered, err := e.of.covered(e.link); err != nil || !covered {
			return false, err
		}
		for _, hop := range (end{}).hops() {
			if !known.has(e.link.Attrs().Index, hop, e.mac) {
				return false, nil
			}
		}
	}
	return router.looksBack(x.near.Attrs().Index)
}

// looksBack reports whether what lookBack makes is there.
func (r *Router) looksBack(link int) (bool, error) {
	for _, hop := range (end{}).hops() {
		family := familyOf(hop)
		rules, err := r.exitRules(family)
		if err != nil || len(rules) != 2 {
			return false, err
		}
		list, err := fetch(func() ([]netlink.Route, error) {
			return r.handle.RouteListFiltered(family, &netlink.Route{Table: exitTable}, netlink.RT_FILTER_TABLE)
		})
		if err != nil || len(list) != 1 || list[0].LinkIndex != link {
			return false, absent(err)
		}
	}
	return true, nil
}

// DisconnectExit removes a VPC's link with the edge, and what the router, if it is
// there, had for it.
func (r *Router) DisconnectExit(vpc string, router *Router) error {
	err := r.disconnectExit(vpc, router)
	if err != nil {
		return fmt.Errorf("disconnect router %s from uplink %s: %w", vpc, r.Realm().Name(), err)
	}
	return nil
}

func (r *Router) disconnectExit(vpc string, router *Router) error {
	far, err := r.owned("u", vpc, alias(r.instance, isEntry, vpc))
	if err != nil {
		return err
	}
	if router != nil {
		for _, hop := range (end{}).hops() {
			have, err := router.exitRules(familyOf(hop))
			if err != nil {
				return err
			}
			for _, rule := range have {
				if err := absent(retry(func() error { return router.handle.RuleDel(&rule) })); err != nil {
					return fmt.Errorf("delete rule of what comes from outside: %w", err)
				}
			}
		}
		near, err := router.owned("u", r.Realm().Name(), alias(r.instance, isExit, r.Realm().Name()))
		if err != nil {
			return err
		}
		if near != nil {
			err = errors.Join(r.uncover(far), router.remove(near))
			if err != nil {
				return err
			}
		}
	}
	if far == nil {
		return nil
	}
	return r.remove(far)
}

// exitSysctls are those of a router's end of its link with an edge.
func exitSysctls(device string) []sysctl {
	return []sysctl{
		// What the router answers by itself, as when it refuses, goes where the mark of
		// the packet says.
		{"net/ipv4/fwmark_reflect", "1"},
		{"net/ipv6/fwmark_reflect", "1"},
		// Most of what comes from outside has no way back by the main table; that it has
		// one at all is for the filter to see.
		{"net/ipv4/conf/" + device + "/rp_filter", "2"},
		{"net/ipv4/conf/" + device + "/proxy_arp", "0"},
	}
}

// Entries lists the VPCs that an edge has an end of a link with.
func (r *Router) Entries() (vpcs []string, err error) {
	links, err := r.links()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if vpc, ok := parseAlias(l.Attrs().Alias, r.instance, isEntry, 1); ok {
			vpcs = append(vpcs, vpc[0])
		}
	}
	return vpcs, nil
}
