// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// A prefix of a workload is routed by way of its primary address, so that one
// route and the neighbour that is there already serve all of its addresses.

// hostBits is how many bits a prefix leaves to its addresses at the most when it
// can be a workload's. Wider ones are not ours.
const hostBits = 8

// ofPrefix tells the route of a prefix to a workload from that of an address.
func ofPrefix(e route) bool { return e.via.IsValid() }

// routePrefixes routes the workload's prefixes to it, when its primary address
// is routed.
func (p pair) routePrefixes(w desired.Workload, have routes) error {
	if len(w.Prefixes) == 0 {
		return nil
	}
	index, via := p.near.Attrs().Index, first4(w.Addresses).Addr()
	if !via.IsValid() {
		return fmt.Errorf("route prefixes of %s: it has no IPv4 address", w.ENI)
	}
	for _, to := range w.Prefixes {
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
// do not come by there is the first address alone, which nobody wants as a prefix.
func (v view) prefixes(p pair, primary netip.Addr) (found []netip.Prefix) {
	index, mac := p.near.Attrs().Index, p.far.Attrs().HardwareAddr
	for _, e := range v.routes {
		switch {
		case e.link != index || !ofPrefix(e):
		case e.via == primary && v.routes.has(single(primary), index) && v.neighbours.has(index, primary, mac):
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
