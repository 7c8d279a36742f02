// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/binary"
	"net/netip"
)

// The transit realm is where connections travel between VPC routers: addresses
// that no user's network can contain. IPv4 uses 240.0.0.0/4 (RFC 1112 §4,
// reserved), IPv6 a unique local prefix (RFC 4193).
//
// Each host has a /12 of it: the lower half for sources, a /26 per VPC, the
// upper half for targets, one address each. IPv6 mirrors this with one /64 per
// VPC and one address per target.
const (
	// SourcesPerHost is how many VPCs can have sources on a host.
	SourcesPerHost = 1 << 13
	// TargetsPerHost is how many targets a host can have.
	TargetsPerHost = 1 << 19
	// MaxHosts is how many hosts the realm has room for.
	MaxHosts = 1 << 8
)

// Transit4 and Transit6 are the whole realm. User networks must not overlap it.
var (
	Transit4 = netip.MustParsePrefix("240.0.0.0/4")
	Transit6 = netip.MustParsePrefix("fd70:6f73:7400::/40")
)

// TransitSource4 gives the IPv4 source prefix of the VPC with this transit
// index on this host.
func TransitSource4(host, vpc int) netip.Prefix {
	return netip.PrefixFrom(transit4(host, uint32(vpc)<<6), 26)
}

// TransitSource6 gives the IPv6 source prefix of the VPC on this host.
func TransitSource6(host, vpc int) netip.Prefix {
	a := Transit6.Addr().As16()
	a[5] = byte(host)
	binary.BigEndian.PutUint16(a[6:], uint16(vpc))
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// TransitTarget4 gives the IPv4 address of a target on a host.
func TransitTarget4(host, index int) netip.Addr {
	return transit4(host, 1<<19|uint32(index))
}

// TransitTarget6 gives the IPv6 address of a target on a host.
func TransitTarget6(host, index int) netip.Addr {
	a := Transit6.Addr().As16()
	a[5] = byte(host)
	a[6] = 0x80 // sources have at most 13 bits here
	binary.BigEndian.PutUint32(a[12:], uint32(index))
	return netip.AddrFrom16(a)
}

func transit4(host int, low uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 0xf0000000|uint32(host)<<20|low)
	return netip.AddrFrom4(a)
}
