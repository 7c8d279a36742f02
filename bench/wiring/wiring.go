// SPDX-License-Identifier: Apache-2.0

// Package wiring joins network namespaces as plain routing does, for what Postern is compared
// with.
package wiring

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/test/testnet"
)

// The frame sizes are Postern's: workloads have the 9001 bytes of AWS, and what joins routers
// leaves room for a tunnel.
const (
	WorkloadMTU = 9001
	FabricMTU   = 8500
)

// End is one end of a link.
type End struct {
	NS      *testnet.NS
	Device  string
	Address netip.Addr
}

// Wire joins two namespaces with a link whose ends share a prefix of 30 bits.
func Wire(a, b End, mtu int) error {
	err := a.NS.Run(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = a.Device, mtu
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: attrs, PeerName: b.Device, PeerMTU: uint32(mtu), PeerNamespace: netlink.NsFd(b.NS.FD()),
		})
	})
	if err != nil {
		return fmt.Errorf("add link %s: %w", a.Device, err)
	}
	return errors.Join(a.raise(), b.raise())
}

func (e End) raise() error {
	return e.NS.Run(func() error {
		link, err := netlink.LinkByName(e.Device)
		if err != nil {
			return err
		}
		address := &netlink.Addr{IPNet: &net.IPNet{IP: e.Address.AsSlice(), Mask: net.CIDRMask(30, 32)}}
		return errors.Join(netlink.AddrAdd(link, address), netlink.LinkSetUp(link))
	})
}

// Route leads a prefix to a neighbour.
func Route(ns *testnet.NS, prefix string, via netip.Addr) error {
	_, to, err := net.ParseCIDR(prefix)
	if err != nil {
		return err
	}
	return ns.Run(func() error { return netlink.RouteAdd(&netlink.Route{Dst: to, Gw: via.AsSlice()}) })
}

// Forward makes a namespace a router.
func Forward(ns *testnet.NS) error {
	return ns.Run(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
}
