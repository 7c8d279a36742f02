// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/binary"
	"net/netip"
)

// The front is where connections of interface endpoints to Postern's own APIs and to what
// the host relays arrive: a router of no VPC, and one namespace behind it in which all
// addresses of FrontBlock4 and FrontBlock6 are at home. Each endpoint has one of them, by
// which who answers knows it. No VPC is linked but by endpoints, so blocks of users may be
// the same (RFC 6598, RFC 4193).
const (
	// FrontVPC is what entries have in the place of the id of a VPC, and FrontSandbox the id
	// of the namespace.
	FrontVPC     = "vpc-front"
	FrontSandbox = "front"
	// FrontInterface is that of the namespace.
	FrontInterface = "eni-0front00000000000"
	// FrontTransit is its place in the transit realm, which no VPC gets.
	FrontTransit = SourcesPerHost - 1
)

// FrontNetwork4 and FrontNetwork6 are all addresses of the front. Those of endpoints are in
// FrontBlock4 and FrontBlock6. FrontHost4 and FrontHost6 are where the block is routed to,
// FrontRouter4 is the router there, and connections come from FrontPool4 and FrontPool6.
var (
	FrontNetwork4 = netip.MustParsePrefix("100.64.0.0/10")
	FrontNetwork6 = netip.MustParsePrefix("fd70:6f73:7501::/64")
	FrontBlock4   = netip.MustParsePrefix("100.64.0.0/13")
	FrontBlock6   = netip.MustParsePrefix("fd70:6f73:7501::/96")
	FrontPool4    = netip.MustParsePrefix("100.127.254.0/26")
	FrontPool6    = netip.MustParsePrefix("fd70:6f73:7501:0:ffff::/124")
	FrontRouter4  = netip.MustParseAddr("100.127.255.1")
	FrontHost4    = netip.MustParsePrefix("100.127.255.2/24")
	FrontHost6    = netip.MustParsePrefix("fd70:6f73:7501:0:fffe::2/128")
)

// The relay, which hands connections on to the host's own network, is in a namespace of its
// own behind the same router, since it has other ports than Postern's APIs and may have the
// same. What is called like that of the front is the like.
const (
	RelaySandbox   = "relay"
	RelayInterface = "eni-0relay00000000000"
)

// RelayBlock4, RelayBlock6, RelayHost4 and RelayHost6 are the relay's.
var (
	RelayBlock4 = netip.MustParsePrefix("100.72.0.0/13")
	RelayBlock6 = netip.MustParsePrefix("fd70:6f73:7501:0:1::/96")
	RelayHost4  = netip.MustParsePrefix("100.127.255.3/24")
	RelayHost6  = netip.MustParsePrefix("fd70:6f73:7501:0:fffe::3/128")
)

// FrontAddr is where connections to a transit target of the front arrive.
func (t TransitTarget) FrontAddr(is4 bool) netip.Addr {
	if is4 {
		return t.in(FrontBlock4)
	}
	return t.in(FrontBlock6)
}

// RelayAddr is where those arrive that are relayed.
func (t TransitTarget) RelayAddr(is4 bool) netip.Addr {
	if is4 {
		return t.in(RelayBlock4)
	}
	return t.in(RelayBlock6)
}

// in is the target's address in a block.
func (t TransitTarget) in(block netip.Prefix) netip.Addr {
	if block.Addr().Is4() {
		a := block.Addr().As4()
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|uint32(t.Index))
		return netip.AddrFrom4(a)
	}
	a := block.Addr().As16()
	binary.BigEndian.PutUint32(a[12:], uint32(t.Index))
	return netip.AddrFrom16(a)
}

// FrontIndex is the index of the transit target whose FrontAddr that is; false says that it
// is none.
func FrontIndex(a netip.Addr) (int, bool) { return indexIn(a, FrontBlock4, FrontBlock6) }

// RelayIndex is the like for RelayAddr.
func RelayIndex(a netip.Addr) (int, bool) { return indexIn(a, RelayBlock4, RelayBlock6) }

func indexIn(a netip.Addr, block4, block6 netip.Prefix) (int, bool) {
	switch a = a.Unmap(); {
	case block4.Contains(a):
		b := a.As4()
		return int(binary.BigEndian.Uint32(b[:]) & (TargetsPerHost - 1)), true
	case block6.Contains(a):
		b := a.As16()
		return int(binary.BigEndian.Uint32(b[12:])), true
	}
	return 0, false
}
