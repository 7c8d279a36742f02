// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// UplinkDevice is the name of the interface of an edge that leads to the outside.
const UplinkDevice = "wan0"

// ConfigureEdge gives an edge its sysctls, the routes of the pool and its way out. What
// is forwarded the filter says, which must be there.
func (r *Router) ConfigureEdge(want desired.Edge) error {
	lo, err := linkNamed(r.handle, "lo")
	if err == nil {
		err = retry(func() error { return r.handle.LinkSetUp(lo) })
	}
	if err == nil {
		err = r.setPool(want.Pool)
	}
	if err == nil {
		err = r.Inside(func() error { return setSysctls(edgeSysctls) })
	}
	if err == nil {
		err = r.setUplink(want)
	}
	if err != nil {
		return fmt.Errorf("configure edge of uplink %s: %w", want.Name, err)
	}
	return nil
}

// edgeSysctls are those of an edge. Sources are checked by the filter, for both families.
var edgeSysctls = []sysctl{
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/default/accept_redirects", "0"},
	{"net/ipv4/conf/all/send_redirects", "0"},
	{"net/ipv4/conf/default/send_redirects", "0"},
	{"net/ipv4/conf/all/accept_source_route", "0"},
	{"net/ipv6/conf/all/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/all/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/autoconf", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv4/ip_forward", "1"},
	{"net/ipv6/conf/all/forwarding", "1"},
	{"net/ipv6/conf/default/forwarding", "1"},
}

// poolRoute refuses what is for a public address that is issued to nobody.
func poolRoute(p netip.Prefix) *netlink.Route {
	return &netlink.Route{Dst: toIPNet(p), Type: unix.RTN_UNREACHABLE, Protocol: Protocol, Family: familyOf(p.Addr()), Table: unix.RT_TABLE_MAIN}
}

func (r *Router) setPool(want []netip.Prefix) error {
	have, err := r.pool()
	if err != nil {
		return err
	}
	for _, p := range want {
		if slices.Contains(have, p) {
			continue
		}
		if err := retry(func() error { return r.handle.RouteAdd(poolRoute(p)) }); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add route of pool %s: %w", p, err)
		}
	}
	for _, p := range have {
		if slices.Contains(want, p) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.RouteDel(poolRoute(p)) })); err != nil {
			return fmt.Errorf("delete route of pool %s: %w", p, err)
		}
	}
	return nil
}

// pool lists the prefixes that are refused where they are issued to nobody.
func (r *Router) pool() (have []netip.Prefix, err error) {
	list, err := fetch(func() ([]netlink.Route, error) {
		filter := &netlink.Route{Protocol: Protocol, Type: unix.RTN_UNREACHABLE}
		return r.handle.RouteListFiltered(netlink.FAMILY_V4, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TYPE)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes of the pool: %w", err)
	}
	for _, e := range list {
		have = append(have, toPrefix(e.Dst))
	}
	slices.SortFunc(have, netip.Prefix.Compare)
	return have, nil
}

// issue is a route to a public address or block.
type issue struct {
	prefix netip.Prefix
	vpc    string
}

// Issue leads a public address, or a block of IPv6, to the router of a VPC, whose exit
// must be there, and the outside to it.
func (r *Router) Issue(p netip.Prefix, vpc string) error {
	far, err := r.owned("u", vpc, alias(r.instance, isEntry, vpc))
	if err == nil && far == nil {
		err = fmt.Errorf("no exit of %s", vpc)
	}
	if err == nil {
		err = retry(func() error { return r.handle.RouteReplace(peerRoute(p, far.Attrs().Index)) })
	}
	if err == nil {
		err = r.announce(p)
	}
	if err != nil {
		return fmt.Errorf("issue %s to %s: %w", p, vpc, err)
	}
	return nil
}

// Revoke takes a public address or block away, whoever has it.
func (r *Router) Revoke(p netip.Prefix) error {
	err := r.silence(p)
	if err == nil {
		err = r.Unsend(p)
	}
	if err != nil {
		return fmt.Errorf("revoke %s: %w", p, err)
	}
	return nil
}

// issues lists what is issued, and to whom.
func (r *Router) issues() (list []issue, err error) {
	all, err := r.routes()
	if err != nil {
		return nil, err
	}
	links, err := r.links()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		vpc, ok := parseAlias(l.Attrs().Alias, r.instance, isEntry, 1)
		for _, e := range all {
			if ok && e.link == l.Attrs().Index && (e.via == nextHop4 || e.via == nextHop6) {
				list = append(list, issue{e.prefix, vpc[0]})
			}
		}
	}
	return list, nil
}

// EdgeContent is what there is of an edge.
type EdgeContent struct {
	// Uplink says that the way out is there and as it is wanted, and the pool too.
	Uplink bool
	Exits  []desired.Exit
	Issued []desired.Issued
}

// DumpEdge reads an edge back that should be as wanted.
func (rs *Routers) DumpEdge(r *Router, want desired.Edge) (c EdgeContent, err error) {
	name := r.Realm().Name()
	fail := func(err error) (EdgeContent, error) {
		return c, fmt.Errorf("read edge of uplink %s: %w", name, err)
	}
	pool, err := r.pool()
	if err != nil {
		return fail(err)
	}
	leads, err := r.uplinked(want)
	if err != nil {
		return fail(err)
	}
	c.Uplink = leads && r.named() && slices.Equal(pool, slices.SortedFunc(slices.Values(want.Pool), netip.Prefix.Compare))
	issued, err := r.issues()
	if err != nil {
		return fail(err)
	}
	for _, i := range issued {
		announced, err := r.announced(i.prefix)
		if err != nil {
			return fail(err)
		}
		if announced {
			c.Issued = append(c.Issued, desired.Issued{Uplink: name, Prefix: i.prefix, VPC: i.vpc})
		}
	}
	links, err := r.links()
	if err != nil {
		return fail(err)
	}
	for _, l := range links {
		vpc, ok := parseAlias(l.Attrs().Alias, r.instance, isEntry, 1)
		if !ok {
			continue
		}
		whole, err := rs.exited(r, vpc[0])
		if err != nil {
			return fail(err)
		}
		if whole {
			c.Exits = append(c.Exits, desired.Exit{Uplink: name, VPC: vpc[0]})
		}
	}
	return c, nil
}

func (rs *Routers) exited(edge *Router, vpc string) (bool, error) {
	router, err := rs.Open(vpc)
	if errors.Is(err, ErrNoRouter) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer router.Release()
	return Exited(router, edge)
}
