// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/thread"
	"github.com/posternhq/postern/internal/desired"
)

// home is the network namespace of this process, where interfaces of the host are. It is
// not to be opened Inside another one.
type home struct {
	ns     *os.File
	handle *netlink.Handle
}

func openHome() (*home, error) {
	ns, err := os.Open(thread.Own)
	if err != nil {
		return nil, err
	}
	h, err := openHandle(ns)
	if err != nil {
		ns.Close()
		return nil, err
	}
	return &home{ns, h}, nil
}

func (h *home) close() {
	h.handle.Close()
	h.ns.Close()
}

// ErrNoInterface says that the host has no interface of a name.
var ErrNoInterface = errors.New("there is no such interface")

// CheckInterface says why an interface of the host cannot be given to Postern: it is not
// there, or the host itself uses it.
func CheckInterface(name string) error {
	h, err := openHome()
	if err != nil {
		return err
	}
	defer h.close()
	l, err := linkNamed(h.handle, name)
	if err != nil {
		return err
	}
	if l == nil {
		return fmt.Errorf("find %s: %w", name, ErrNoInterface)
	}
	return h.free(l)
}

// free says what the host uses an interface for.
func (h *home) free(l netlink.Link) error {
	name := l.Attrs().Name
	if l.Type() == "loopback" || name == "lo" {
		return fmt.Errorf("%s is the loopback interface", name)
	}
	if l.Attrs().MasterIndex != 0 {
		return fmt.Errorf("%s is part of a bridge, a bond or another interface; take it out of that first", name)
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := fetch(func() ([]netlink.Route, error) {
			return h.handle.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return fmt.Errorf("list routes of the host: %w", err)
		}
		for _, e := range list {
			if over(e, l.Attrs().Index) && toPrefix(e.Dst).Bits() <= 0 && e.Type == unix.RTN_UNICAST {
				return fmt.Errorf("%s carries the default route of this host, which would be cut off; give another interface", name)
			}
		}
	}
	addrs, err := globalAddresses(h.handle, l)
	if err != nil {
		return err
	}
	if len(addrs) > 0 {
		return fmt.Errorf("the host uses %s: it has the address %s; take its addresses away first (ip address flush dev %s)", name, addrs[0], name)
	}
	links, err := fetch(h.handle.LinkList)
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, other := range links {
		if other.Attrs().ParentIndex == l.Attrs().Index && other.Type() != "veth" || other.Attrs().MasterIndex == l.Attrs().Index {
			return fmt.Errorf("the host uses %s: %s is on top of it", name, other.Attrs().Name)
		}
	}
	return nil
}

func over(e netlink.Route, link int) bool {
	return e.LinkIndex == link || slices.ContainsFunc(e.MultiPath, func(n *netlink.NexthopInfo) bool { return n.LinkIndex == link })
}

// HostNetworks lists the networks that the host itself is in: those of the addresses of
// all its interfaces but one, and what it has routes to by them, beside default routes
// and those that take the place of one.
func HostNetworks(but string) (list []netip.Prefix, err error) {
	h, err := openHome()
	if err != nil {
		return nil, err
	}
	defer h.close()
	without := 0
	if l, err := linkNamed(h.handle, but); err == nil && l != nil && but != "" {
		without = l.Attrs().Index
	}
	const least = 8 // bits
	add := func(p netip.Prefix, link int) {
		if p = p.Masked(); link != without && p.IsValid() && p.Bits() >= least && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsMulticast() && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		addrs, err := fetch(func() ([]netlink.Addr, error) { return h.handle.AddrList(nil, family) })
		if err != nil {
			return nil, fmt.Errorf("list addresses of the host: %w", err)
		}
		for _, a := range addrs {
			add(toPrefix(a.IPNet), a.LinkIndex)
		}
		routes, err := fetch(func() ([]netlink.Route, error) { return h.handle.RouteList(nil, family) })
		if err != nil {
			return nil, fmt.Errorf("list routes of the host: %w", err)
		}
		for _, e := range routes {
			if e.Dst != nil && e.Type == unix.RTN_UNICAST {
				add(toPrefix(e.Dst), e.LinkIndex)
			}
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list, nil
}

// takeInterface moves an interface of the host into the edge, if it is not there yet, and
// gives it its addresses and the way out.
func (r *Router) takeInterface(want desired.Edge, name string) error {
	l, err := r.uplink()
	if err != nil {
		return err
	}
	if l == nil {
		if l, err = r.moveIn(want, name); err != nil {
			return err
		}
	}
	device := l.Attrs().Name
	if err := r.Inside(func() error { return setSysctls(givenSysctls(device)) }); err != nil {
		return err
	}
	if err := retry(func() error { return r.handle.LinkSetUp(l) }); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	have, err := globalAddresses(r.handle, l)
	if err != nil {
		return err
	}
	for _, a := range want.Addresses {
		if err := retry(func() error { return r.handle.AddrReplace(l, deviceAddr(a)) }); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, name, err)
		}
	}
	for _, a := range have {
		if slices.Contains(want.Addresses, a) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.AddrDel(l, deviceAddr(a)) })); err != nil {
			return fmt.Errorf("delete address %s from %s: %w", a, name, err)
		}
	}
	return r.viaHops(l, want.Via)
}

func (r *Router) viaHops(l netlink.Link, want []netip.Addr) error {
	for _, hop := range want {
		if err := retry(func() error { return r.handle.RouteReplace(way(everywhere(hop), hop, l.Attrs().Index)) }); err != nil {
			return fmt.Errorf("add default route via %s: %w", hop, err)
		}
	}
	all, err := r.routes()
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.link != l.Attrs().Index || e.prefix.Bits() != 0 || slices.Contains(want, e.via) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.RouteDel(way(e.prefix, e.via, e.link)) })); err != nil {
			return fmt.Errorf("delete default route via %s: %w", e.via, err)
		}
	}
	return nil
}

func givenSysctls(device string) []sysctl {
	return []sysctl{
		{"net/ipv4/conf/" + device + "/rp_filter", "0"},
		{"net/ipv4/conf/" + device + "/send_redirects", "0"},
		{"net/ipv4/conf/" + device + "/accept_redirects", "0"},
		{"net/ipv4/conf/" + device + "/proxy_arp", "0"},
		{"net/ipv4/neigh/" + device + "/proxy_delay", "0"},
		{"net/ipv6/conf/" + device + "/disable_ipv6", "0"},
		{"net/ipv6/conf/" + device + "/accept_ra", "0"},
		{"net/ipv6/conf/" + device + "/proxy_ndp", "1"},
		{"net/ipv6/neigh/" + device + "/proxy_delay", "0"},
	}
}

// moveIn moves an interface from the host into the edge. It is marked first, so that
// wherever a crash leaves it, it is known whose it was.
func (r *Router) moveIn(want desired.Edge, name string) (netlink.Link, error) {
	h, err := openHome()
	if err != nil {
		return nil, err
	}
	defer h.close()
	mark := alias(r.instance, isUplink, want.Name, want.Device)
	l, err := r.marked(mark) // moved, and not renamed
	if err != nil {
		return nil, err
	}
	if l == nil {
		if l, err = linkNamed(h.handle, name); err != nil {
			return nil, err
		}
		if l == nil {
			return nil, fmt.Errorf("find %s: %w", name, ErrNoInterface)
		}
		if err := h.free(l); err != nil {
			return nil, err
		}
		if err := setAlias(h.handle, l, mark); err != nil {
			return nil, err
		}
		if err := retry(func() error { return h.handle.LinkSetNsFd(l, r.FD()) }); err != nil {
			return nil, errors.Join(fmt.Errorf("move %s: %w", name, err), setAlias(h.handle, l, ""))
		}
		if l, err = r.marked(mark); err != nil || l == nil {
			return nil, errors.Join(err, fmt.Errorf("%s did not arrive", name))
		}
	}
	if err := retry(func() error { return r.handle.LinkSetDown(l) }); err != nil {
		return nil, fmt.Errorf("take down %s: %w", name, err)
	}
	if err := retry(func() error { return r.handle.LinkSetName(l, UplinkDevice) }); err != nil {
		return nil, fmt.Errorf("rename %s: %w", name, err)
	}
	return r.handle.LinkByName(UplinkDevice)
}

// marked finds an interface by its whole mark; nil when there is none.
func (r *Router) marked(mark string) (netlink.Link, error) {
	list, err := fetch(r.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range list {
		if l.Attrs().Alias == mark {
			return l, nil
		}
	}
	return nil, nil
}

// giveBack moves an interface back to where it came from, under its name.
func (r *Router) giveBack(l netlink.Link, name string) error {
	h, err := openHome()
	if err != nil {
		return err
	}
	defer h.close()
	fail := func(err error) error { return fmt.Errorf("give %s back: %w", name, err) }
	if err := retry(func() error { return r.handle.LinkSetDown(l) }); err != nil {
		return fail(err)
	}
	if err := setAlias(r.handle, l, ""); err != nil {
		return fail(err)
	}
	if err := retry(func() error { return r.handle.LinkSetName(l, name) }); err != nil {
		return fail(err)
	}
	if err := retry(func() error { return r.handle.LinkSetNsFd(l, int(h.ns.Fd())) }); err != nil {
		return fail(errors.Join(err, setAlias(r.handle, l, alias(r.instance, isUplink, r.Realm().Name(), uplinkInterface+name))))
	}
	return nil
}

// isGiven reports whether an interface is one of the host's.
func (r *Router) isGiven(l netlink.Link) (name string, ok bool) {
	return strings.CutPrefix(r.givenAs(l), uplinkInterface)
}
