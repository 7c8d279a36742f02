// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Send routes a transit prefix over the link with a peer, which must be there.
func (r *Router) Send(p netip.Prefix, peer string) error {
	l, err := r.linkTo(peer)
	if err == nil && l == nil {
		err = fmt.Errorf("no link with %s", peer)
	}
	if err == nil {
		err = retry(func() error { return r.handle.RouteReplace(peerRoute(p, l.Attrs().Index)) })
	}
	if err != nil {
		return fmt.Errorf("add route %s in %s: %w", p, r.VPC, err)
	}
	return nil
}

// Unsend removes the route of a transit prefix, whichever peer it leads to.
func (r *Router) Unsend(p netip.Prefix) error {
	all, err := r.routes()
	if err != nil {
		return fmt.Errorf("delete route %s in %s: %w", p, r.VPC, err)
	}
	for _, e := range all {
		if e.prefix != p || !e.via.IsValid() {
			continue
		}
		if err := absent(retry(func() error { return r.handle.RouteDel(peerRoute(p, e.link)) })); err != nil {
			return fmt.Errorf("delete route %s in %s: %w", p, r.VPC, err)
		}
	}
	return nil
}

func peerRoute(p netip.Prefix, link int) *netlink.Route {
	via := nextHop4
	if p.Addr().Is6() {
		via = nextHop6
	}
	return &netlink.Route{
		Dst: toIPNet(p), LinkIndex: link, Gw: via.AsSlice(), Family: familyOf(p.Addr()),
		Protocol: Protocol, Flags: int(netlink.FLAG_ONLINK),
	}
}
