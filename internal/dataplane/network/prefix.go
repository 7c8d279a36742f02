// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// A prefix of a workload is routed by way of an address that is the workload's
// anyhow, so that one route and the neighbour that is there already serve all of
// its addresses: of IPv4 it is the primary one, of IPv6 the link-local one, which
// an interface also has that has an IPv6 prefix and no other IPv6 address.

// ofPrefix tells the route of a prefix to a workload from that of an address.
func ofPrefix(e route) bool { return e.via.IsValid() }

// hopTo is the address by way of which a prefix of the workload is routed, of
// whose addresses the first one of IPv4 is given; invalid when it has none.
func (p pair) hopTo(prefix netip.Prefix, primary netip.Addr) netip.Addr {
	if prefix.Addr().Is6() {
		return linkLocal(p.far.Attrs().HardwareAddr)
	}
	return primary
}

// routePrefixes routes the workload's prefixes to it, when the addresses on the
// way are routed.
func (p pair) routePrefixes(w desired.Workload, have routes) error {
	index := p.near.Attrs().Index
	for _, to := range w.Prefixes {
		via := p.hopTo(to, first4(w.Addresses).Addr())
		if !via.IsValid() {
			return fmt.Errorf("route %s: %s has no IPv4 address", to, w.ENI)
		}
		if slices.Contains(have, route{to, index, via}) {
			continue
		}
		if err := retry(func() error { return p.router.handle.RouteReplace(way(to, via, index)) }); err != nil {
			return fmt.Errorf("add route of %s via %s: %w", to, via, err)
		}
	}
	return nil
}

// prefixes returns the prefixes that are routed to a workload. Of one that packets
// do not come by, or do not find the way out from, there is the first address
// alone, which nobody wants as a prefix.
func (v view) prefixes(p pair, primary netip.Addr, out6 bool) (found []netip.Prefix) {
	index := p.near.Attrs().Index
	for _, e := range v.routes {
		switch {
		case e.link != index || !ofPrefix(e):
		case e.via == p.hopTo(e.prefix, primary) && v.reached(p, e.via) && (out6 || e.prefix.Addr().Is4()):
			found = append(found, e.prefix)
		default:
			found = append(found, single(e.prefix.Addr()))
		}
	}
	return found
}

// without leaves out the addresses that lie in prefixes.
func without(addresses, prefixes []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(addresses), func(a netip.Prefix) bool {
		return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a.Addr()) })
	})
}

// others leaves out the addresses of a workload's device that lie in a prefix
// which is routed to it: they are the workload's own affair.
func (v view) others(addresses []netip.Prefix, link int) []netip.Prefix {
	var mine []netip.Prefix
	for _, e := range v.routes {
		if e.link == link && ofPrefix(e) {
			mine = append(mine, e.prefix)
		}
	}
	return without(addresses, mine)
}
