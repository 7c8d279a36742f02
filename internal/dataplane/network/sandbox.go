// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sandboxSysctls are those of the namespace of a server. A new namespace has the host's
// values of IPv4 (devconf_inherit_init_net in Documentation/admin-guide/sysctl/net.rst of
// Linux), and the host may well forward.
var sandboxSysctls = []sysctl{
	{"net/ipv4/ip_forward", "0"},
	{"net/ipv6/conf/all/forwarding", "0"},
	{"net/ipv6/conf/default/forwarding", "0"},
	// The router is the only neighbour, and there is one way to it.
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/all/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	{"net/ipv4/conf/all/accept_source_route", "0"},
	// Nobody reaches what listens on the loopback device only.
	{"net/ipv4/conf/all/route_localnet", "0"},
	{"net/ipv4/conf/default/route_localnet", "0"},
	// No addresses that were not asked for.
	{"net/ipv6/conf/all/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/autoconf", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
}

// Seclude makes the namespace one that a server can be in: its loopback is up, and it
// forwards nothing.
func (r *Router) Seclude() error {
	if err := r.Inside(func() error { return setSysctls(sandboxSysctls) }); err != nil {
		return fmt.Errorf("seclude %s: %w", r.VPC, err)
	}
	return r.Up()
}

// Own makes each address of some blocks, and of no others, at home in the namespace, beside
// those of its interfaces: by routes of the type local, as the kernel makes them for these.
func (r *Router) Own(blocks []netip.Prefix) error {
	have, err := r.Owned()
	if err != nil {
		return err
	}
	lo, err := r.handle.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback of %s: %w", r.VPC, err)
	}
	for _, p := range blocks {
		if slices.Contains(have, p) {
			continue
		}
		if err := retry(func() error { return r.handle.RouteReplace(localRoute(p, lo)) }); err != nil {
			return fmt.Errorf("add local %s in %s: %w", p, r.VPC, err)
		}
	}
	for _, p := range have {
		if slices.Contains(blocks, p) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.RouteDel(localRoute(p, lo)) })); err != nil {
			return fmt.Errorf("delete local %s in %s: %w", p, r.VPC, err)
		}
	}
	return nil
}

// Owned lists the blocks that Own has made at home, in order.
func (r *Router) Owned() (blocks []netip.Prefix, err error) {
	for _, family := range ruleFamilies() {
		found, err := fetch(func() ([]netlink.Route, error) {
			return r.handle.RouteListFiltered(family, localOf(Protocol), netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		})
		if err != nil {
			return nil, fmt.Errorf("list local blocks of %s: %w", r.VPC, err)
		}
		for _, f := range found {
			blocks = append(blocks, toPrefix(f.Dst))
		}
	}
	slices.SortFunc(blocks, netip.Prefix.Compare)
	return blocks, nil
}

func localOf(protocol netlink.RouteProtocol) *netlink.Route {
	return &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Protocol: protocol}
}

func localRoute(p netip.Prefix, lo netlink.Link) *netlink.Route {
	e := localOf(Protocol)
	e.Dst, e.LinkIndex, e.Family, e.Scope = toIPNet(p), lo.Attrs().Index, familyOf(p.Addr()), netlink.SCOPE_HOST
	return e
}

// Secluded reports whether the namespace has its name, and is as Seclude makes it.
func (r *Router) Secluded() (bool, error) {
	links, err := r.links()
	if err != nil {
		return false, fmt.Errorf("read namespace of %s: %w", r.VPC, err)
	}
	confs, err := r.netconfs()
	if err != nil {
		return false, fmt.Errorf("read namespace of %s: %w", r.VPC, err)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback != 0 && l.Attrs().Flags&net.FlagUp == 0 {
			return false, nil
		}
	}
	for _, c := range confs {
		if c.forwarding {
			return false, nil
		}
	}
	_, known := confs[confKey{unix.AF_INET, confAll}]
	return r.named() && known, nil
}

// Inhabited reports whether a process is in the namespace.
func (r *Router) Inhabited() (bool, error) {
	all, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return false, fmt.Errorf("look who is in %s: %w", r.VPC, err)
	}
	for _, path := range all {
		var st unix.Stat_t // of one that has ended there is nothing
		if unix.Stat(path, &st) == nil && st.Ino == r.inode {
			return true, nil
		}
	}
	return false, nil
}
