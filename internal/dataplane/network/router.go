// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// Configure gives the router the addresses and routes of its VPC and removes
// those of ours that it should not have. It does not start forwarding: see
// Start.
func (r *Router) Configure(want desired.Router) error {
	lo, err := linkNamed(r.handle, "lo")
	if err == nil {
		err = retry(func() error { return r.handle.LinkSetUp(lo) })
	}
	if err == nil {
		err = r.setGateways(lo, want.Gateways)
	}
	if err == nil {
		err = r.setSinks(lo.Attrs().Index, sinks(want))
	}
	if err == nil {
		err = r.rewriteTables()
	}
	if err != nil {
		return fmt.Errorf("configure router %s: %w", r.VPC, err)
	}
	return nil
}

// The settings of rp_filter by which a source must be reachable through the interface that
// a packet came from, or need not be reachable.
const (
	strictFilter = "1"
	openFilter   = "0"
)

// Start sets the router's sysctls, forwarding last. The filter must be there.
func (r *Router) Start() error {
	links, err := r.links()
	if err == nil {
		err = r.Inside(func() error { return setSysctls(slices.Concat(r.checks(links), r.others(), routerSysctls(r.idle))) })
	}
	if err != nil {
		return fmt.Errorf("start router %s: %w", r.VPC, err)
	}
	return nil
}

// checks are the settings by which a packet's source must be reachable through the
// interface that it came from: in a router each interface says so for itself, as some
// workloads forward for others, and what all have none has less of. It is called in the
// router's namespace. A link that Admit has opened stays as it is.
func (r *Router) checks(links []netlink.Link) []sysctl {
	if r.Realm().Sort() != desired.Routers {
		return []sysctl{{"net/ipv4/conf/all/rp_filter", "1"}}
	}
	var list []sysctl
	for _, l := range links {
		if _, ok := parseAlias(l.Attrs().Alias, r.instance, isLink, 1); !ok {
			continue
		}
		path := "net/ipv4/conf/" + l.Attrs().Name + "/rp_filter"
		if have, err := read(path); err != nil || have != openFilter {
			list = append(list, sysctl{path, strictFilter})
		}
	}
	return append(list, sysctl{"net/ipv4/conf/all/rp_filter", "0"})
}

// realms are all addresses of each family. A router is responsible for those
// that are not routed elsewhere: it refuses what is sent to them. Without a
// route the kernel itself would say so, but only a few times a second to each
// sender (icmp_ratelimit in ip-sysctl), and the other connects would hang. Among
// them are the transit addresses: an end that still sends to one after its
// connection was cut learns that it is over.
var realms = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// sinks are the prefixes for which the router is responsible. What nothing in
// them answers to is refused here and never sent elsewhere.
func sinks(want desired.Router) []netip.Prefix {
	list := slices.Clone(want.Networks)
	for _, p := range []netip.Prefix{want.Source4, want.Source6} {
		if p.IsValid() {
			list = append(list, p)
		}
	}
	return append(list, realmsOf(list)...)
}

// realmsOf returns the realms of the families that a list of prefixes has.
func realmsOf(list []netip.Prefix) (used []netip.Prefix) {
	for _, realm := range realms {
		if slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr().Is4() == realm.Addr().Is4() }) {
			used = append(used, realm)
		}
	}
	return used
}

// setGateways compares the labelled addresses of lo with those wanted.
func (r *Router) setGateways(lo netlink.Link, want []netip.Addr) error {
	have, err := r.gateways(lo)
	if err != nil {
		return err
	}
	for _, a := range want {
		if slices.Contains(have, a) {
			continue
		}
		if err := retry(func() error { return r.handle.AddrReplace(lo, gatewayAddr(a)) }); err != nil {
			return fmt.Errorf("add gateway address %s: %w", a, err)
		}
	}
	for _, a := range have {
		if slices.Contains(want, a) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.AddrDel(lo, gatewayAddr(a)) })); err != nil {
			return fmt.Errorf("delete gateway address %s: %w", a, err)
		}
	}
	return nil
}

func gatewayAddr(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: toIPNet(single(a)), Label: gatewayLabel, Scope: unix.RT_SCOPE_UNIVERSE}
}

func (r *Router) gateways(lo netlink.Link) ([]netip.Addr, error) {
	return r.addresses(lo, netlink.FAMILY_V4, func(a netlink.Addr) bool { return a.Label == gatewayLabel })
}

// addresses lists those of a device that are of some kind, in order.
func (r *Router) addresses(on netlink.Link, family int, mine func(netlink.Addr) bool) (have []netip.Addr, err error) {
	list, err := fetch(func() ([]netlink.Addr, error) { return r.handle.AddrList(on, family) })
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", on.Attrs().Name, err)
	}
	for _, a := range list {
		if mine(a) {
			have = append(have, toAddr(a.IP))
		}
	}
	slices.SortFunc(have, netip.Addr.Compare)
	return have, nil
}

// route is what matters of a route of ours in a router.
type route struct {
	prefix netip.Prefix
	link   int
	via    netip.Addr
}

type routes []route

// routes lists the routes of ours.
func (r *Router) routes() (routes, error) {
	var list routes
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		found, err := fetch(func() ([]netlink.Route, error) {
			return r.handle.RouteListFiltered(family, &netlink.Route{Protocol: Protocol}, netlink.RT_FILTER_PROTOCOL)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, f := range found {
			list = append(list, route{toPrefix(f.Dst), f.LinkIndex, toAddr(f.Gw)})
		}
	}
	return list, nil
}

// everyRoute lists the routes of ours, and those of tables.
func (r *Router) everyRoute() (main routes, tables steps, err error) {
	tables = steps{}
	for _, family := range ruleFamilies() {
		found, err := fetch(func() ([]netlink.Route, error) {
			return r.handle.RouteListFiltered(family, &netlink.Route{Protocol: Protocol}, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, nil, fmt.Errorf("list routes: %w", err)
		}
		for _, f := range found {
			if f.Table == unix.RT_TABLE_MAIN {
				main = append(main, route{toPrefix(f.Dst), f.LinkIndex, toAddr(f.Gw)})
			} else {
				tables.take(f)
			}
		}
	}
	return main, tables, nil
}

// sinks are the prefixes that end in this router.
func (list routes) sinks(lo, nowhere int) []netip.Prefix {
	var found []netip.Prefix
	for _, e := range list {
		if e.link == lo || nowhere != 0 && e.link == nowhere {
			found = append(found, e.prefix)
		}
	}
	return found
}

// has reports a route to a prefix over an interface, without a next hop.
func (list routes) has(p netip.Prefix, link int) bool {
	return slices.Contains(list, route{prefix: p, link: link})
}

// mac is the hardware address of the router on all of its workload
// interfaces.
func (r *Router) mac() net.HardwareAddr { return hardwareAddr(r.instance, "router", r.VPC) }
