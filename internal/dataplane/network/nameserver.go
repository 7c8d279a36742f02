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

// Serve gives the router the addresses of the VPC's resolver, and takes away those
// that it had before and should not have. They are on its loopback device: packets
// to them end in the router, which answers ARP for them as for its gateways, and an
// answer has the address that was asked as its source.
func (r *Router) Serve(want []netip.Addr) error {
	for _, a := range want {
		if a.Is6() && !desired.NameserverBlock.Contains(a) {
			return fmt.Errorf("serve names at %s: not in %s", a, desired.NameserverBlock)
		}
	}
	lo, err := linkNamed(r.handle, "lo")
	var have []netip.Addr
	if err == nil {
		have, err = r.nameservers(lo)
	}
	if err != nil {
		return fmt.Errorf("serve names in router %s: %w", r.VPC, err)
	}
	for _, a := range want {
		if slices.Contains(have, a) {
			continue
		}
		if err := retry(func() error { return r.handle.AddrReplace(lo, nameserverAddr(a)) }); err != nil {
			return fmt.Errorf("add resolver's address %s: %w", a, err)
		}
	}
	for _, a := range have {
		if slices.Contains(want, a) {
			continue
		}
		if err := absent(retry(func() error { return r.handle.AddrDel(lo, nameserverAddr(a)) })); err != nil {
			return fmt.Errorf("delete resolver's address %s: %w", a, err)
		}
	}
	return nil
}

func nameserverAddr(a netip.Addr) *netlink.Addr {
	addr := &netlink.Addr{IPNet: toIPNet(single(a)), Scope: unix.RT_SCOPE_UNIVERSE}
	if a.Is4() {
		addr.Label = nameserverLabel
	} else {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

// nameservers lists the addresses of the resolver that the router has, in order.
// Those of IPv4 have a label; IPv6 has none, so they are known by their block, which
// nothing else in a router is of. A device that is down has none that work.
func (r *Router) nameservers(lo netlink.Link) (have []netip.Addr, err error) {
	if lo.Attrs().Flags&net.FlagUp == 0 {
		return nil, nil
	}
	return r.addresses(lo, netlink.FAMILY_ALL, func(a netlink.Addr) bool {
		return toPrefix(a.IPNet).IsSingleIP() && (a.Label == nameserverLabel || desired.NameserverBlock.Contains(toAddr(a.IP)))
	})
}
