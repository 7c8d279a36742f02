// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// A workload that could tell the router of a narrow path would change what its routes say
// to everybody.
func TestTheRouterBelievesNoErrors(t *testing.T) {
	for _, m := range realms {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			router, near, tooBig := addr("10.0.1.1"), addr("10.0.1.74"), []byte{3, 4, 0, 0, 0, 0, 552 >> 8, 552 & 0xff}
			answer := []byte{0, 0, 0, 0, 0, 1, 0, 1}
			if m.name == "IPv6" {
				router, near, tooBig = addr("fe80::1"), addr("2001:db8:0:1::74"), []byte{2, 0, 0, 0, 0, 0, 1280 >> 8, 1280 & 0xff}
				answer[0] = 129
			}
			for _, about := range []testnet.Packet{
				{From: router, To: addr(m.far), Protocol: m.protocol, Body: append(answer, secret...)},
				{From: router, To: near, Protocol: m.protocol, Body: append(answer, secret...)},
			} {
				forged := testnet.Packet{From: near, To: router, Protocol: m.protocol, Body: append(tooBig, about.Bytes()...)}
				for range 3 {
					testnet.Send(t, r.Near.NS, forged)
				}
			}
			for _, to := range []netip.Addr{addr(m.far), near} {
				if got := pathMTU(t, r.A.NS, to); got != 0 {
					t.Errorf("the router was told that no more than %d bytes pass to %s", got, to)
				}
			}
			r.Far.Greet(80)
			seen := r.Far.Tap(t)
			r.works(r.Client, net.JoinHostPort(m.far, "80"))
			if got := segmentSize(seen); got < 8000 {
				t.Errorf("the segments of a neighbour's connection have at most %d bytes", got)
			}
			if !r.Client.Ping("10.0.1.1", lab.Patience) {
				t.Error("the router does not answer echo requests")
			}
		})
	}
}

// pathMTU is what a namespace was told of the way to an address; zero when it was told
// nothing, and goes by its interfaces.
func pathMTU(t *testing.T, ns *testnet.NS, to netip.Addr) (mtu int) {
	t.Helper()
	err := ns.Run(func() error {
		routes, err := netlink.RouteGet(to.AsSlice())
		if err != nil {
			return fmt.Errorf("ask for the route to %s: %w", to, err)
		}
		mtu = routes[0].MTU
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return mtu
}

// segmentSize is the one that the next SYN announces; it is the first option
// (RFC 9293 §3.2).
func segmentSize(tap *testnet.Tap) (size uint16) {
	tap.Next(lab.Patience, func(p []byte) bool {
		header, protocol := 20, p[9]
		if p[0]>>4 == 6 {
			header, protocol = 40, p[6]
		}
		if protocol != unix.IPPROTO_TCP || len(p) < header+24 || p[header+13] != 2 || p[header+20] != 2 {
			return false
		}
		size = binary.BigEndian.Uint16(p[header+22:])
		return true
	})
	return size
}
