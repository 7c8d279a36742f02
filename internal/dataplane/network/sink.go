// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (r *Router) setSinks(lo int, want []netip.Prefix) error {
	nowhere, err := r.nowhere(slices.ContainsFunc(want, func(p netip.Prefix) bool { return p.Addr().Is6() }))
	if err != nil {
		return err
	}
	all, err := r.routes()
	if err != nil {
		return err
	}
	have := all.sinks(lo, nowhere)
	for _, p := range want {
		if slices.Contains(have, p) {
			continue
		}
		if err := retry(func() error { return r.handle.RouteReplace(sinkRoute(p, lo, nowhere)) }); err != nil {
			return fmt.Errorf("add route of network %s: %w", p, err)
		}
	}
	for _, p := range have {
		if slices.Contains(want, p) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.RouteDel(sinkRoute(p, lo, nowhere)) })); err != nil {
			return fmt.Errorf("delete route of network %s: %w", p, err)
		}
	}
	return nil
}

// sinkRoute makes the router responsible for a prefix: a packet for an address
// that nothing has comes as far as the forward hook, which refuses it. For
// IPv4 the route leads to lo; being one through another interface, it also
// makes the kernel answer ARP by proxy. The kernel turns IPv6 routes to lo into
// unreachable ones, which end before the hook and with an error that does not
// end a connection; so these lead to an interface made for it.
func sinkRoute(p netip.Prefix, lo, nowhere int) *netlink.Route {
	if p.Addr().Is6() {
		return &netlink.Route{Dst: toIPNet(p), LinkIndex: nowhere, Protocol: Protocol, Family: netlink.FAMILY_V6}
	}
	return &netlink.Route{Dst: toIPNet(p), LinkIndex: lo, Scope: netlink.SCOPE_LINK, Protocol: Protocol, Family: netlink.FAMILY_V4}
}

// nowhere returns the index of the interface that IPv6 networks are routed to,
// and makes it when asked to; 0 means that there is none. It is a veth whose
// other end stays down, and its MTU lets every packet come to the hook.
func (r *Router) nowhere(make bool) (int, error) {
	l, err := r.sinkLink()
	if err != nil {
		return 0, err
	}
	if l == nil && make {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = sinkName, sinkMTU
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: sinkName + "-end", PeerMTU: sinkMTU}
		if err := retry(func() error { return r.handle.LinkAdd(veth) }); err != nil {
			return 0, fmt.Errorf("add veth %s: %w", sinkName, err)
		}
		if err := retry(func() error { return r.handle.LinkSetAlias(veth, alias(r.instance, isSink, r.VPC)) }); err != nil {
			return 0, fmt.Errorf("set alias of %s: %w", sinkName, err)
		}
		l = veth
	}
	if l == nil {
		return 0, nil
	}
	if err := retry(func() error { return r.handle.LinkSetUp(l) }); err != nil {
		return 0, fmt.Errorf("bring up %s: %w", sinkName, err)
	}
	return l.Attrs().Index, nil
}

const (
	sinkName = "nowhere"
	sinkMTU  = 65535
)

// sinkLink finds the interface of nowhere; nil when there is none. One without
// an alias is what a crash has left: it is taken away.
func (r *Router) sinkLink() (netlink.Link, error) {
	l, err := linkNamed(r.handle, sinkName)
	switch {
	case err != nil || l == nil:
		return nil, err
	case l.Attrs().Alias == alias(r.instance, isSink, r.VPC):
		return l, nil
	case l.Attrs().Alias == "" && l.Type() == "veth":
		return nil, removeLink(r.handle, l)
	}
	return nil, fmt.Errorf("interface %s is not ours: %w", sinkName, unix.EEXIST)
}
