// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
)

// Outside is what the operator of a host says of the world outside its VPCs.
type Outside struct {
	// Pool is where public IPv4 addresses are from; without any there are none. It needs
	// no uplink.
	Pool []netip.Prefix
	// Uplink is the way there and back.
	Uplink Uplink
}

// Uplink is a network namespace or an interface of a host over which VPCs are joined to
// the outside. The zero value says that there is none: gateways have nothing behind them.
type Uplink struct {
	Name string
	// Device is "netns:X", a namespace under /run/netns, or "dev:Y", an interface.
	Device string
	// Addresses and Via are those of an interface, with the lengths of their networks,
	// and the next hops there: at most one for each family.
	Addresses []netip.Prefix
	Via       []netip.Addr
	// Denied are destinations that nobody gets at, but for those in Allowed.
	Denied, Allowed []netip.Prefix
}

// There reports whether there is an uplink.
func (u Uplink) There() bool { return u.Name != "" }

// PoolOf gives the place in Pool of the prefix that an address is of; -1 when it is of
// none.
func (o Outside) PoolOf(a netip.Addr) int {
	return slices.IndexFunc(o.Pool, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Reserved are addresses of the pool that nobody gets, where it is of the uplink's own
// network: the host's, the next hop's, and the first and the last one of the network.
func (o Outside) Reserved() (all []netip.Addr) {
	for _, p := range o.Uplink.Addresses {
		all = append(all, p.Addr())
		if p.Addr().Is4() && p.Bits() < 31 {
			all = append(all, p.Masked().Addr(), Last(p.Masked()))
		}
	}
	return append(all, o.Uplink.Via...)
}
