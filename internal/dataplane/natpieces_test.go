// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
)

// sendPieces sends a packet as two fragments, the first one with so much of the body,
// which is a multiple of eight bytes.
func sendPieces(t testing.TB, from *testnet.NS, p testnet.Packet, first int) {
	t.Helper()
	const header, more = 20, 0x2000
	whole := p.Bytes()
	err := from.Run(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, piece := range []struct {
			body  []byte
			field uint16
		}{{whole[header : header+first], more}, {whole[header+first:], uint16(first / 8)}} {
			packet := append(append([]byte(nil), whole[:header]...), piece.body...)
			binary.BigEndian.PutUint16(packet[4:], 77)
			binary.BigEndian.PutUint16(packet[6:], piece.field)
			if err := unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: p.To.As4()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A NAT gateway takes fragments of UDP only, in both directions, whether their
// connection is new or not. Routers take all.
func TestANATGatewayTakesFragmentsOfUDPOnly(t *testing.T) {
	n := newNATInVPC(t)
	n.put()
	client, server := n.opened()
	n.says(client, server, "first")
	seen, saw := n.server.Tap(t), netip.MustParseAddrPort(server.RemoteAddr().String())
	here, there := addr("10.0.1.10"), addr(natServer)
	own := netip.MustParseAddrPort(client.LocalAddr().String())
	udp := append([]byte{0x23, 0x28, 0, 53, 0, 64, 0, 0}, make([]byte, 56)...)
	ping := echoRequest(here, there, 7)
	ping.Body = append(ping.Body, make([]byte, 52)...)
	segment := func(from, to netip.AddrPort, flags byte) testnet.Packet {
		p := testnet.Segment{From: from, To: to, Flags: flags}.Packet()
		p.Body = append(p.Body, make([]byte, 40)...)
		return p
	}
	to := netip.AddrPortFrom(there, 443)
	before := n.use().Dropped
	for _, p := range []testnet.Packet{
		ping, segment(netip.AddrPortFrom(here, 2000), to, testnet.SYN), segment(own, to, testnet.ACK),
		{From: here, To: there, Protocol: unix.IPPROTO_UDP, Body: udp},
	} {
		sendPieces(t, n.client, p, 24)
	}
	// What is first seen is what is sent last.
	p := seen.Next(testnet.Patience, func(p []byte) bool { return p[12] == 10 && (p[6]&0x20 != 0 || len(p) > 60) })
	if p == nil || p[9] != unix.IPPROTO_UDP || netip.AddrFrom4([4]byte(p[12:16])) == here {
		t.Errorf("the server gets % x, want UDP from the gateway", p)
	}
	if got := n.use().Dropped - before; got != 6 {
		t.Errorf("%d packets were dropped, want the 6 pieces of TCP and ICMP", got)
	}

	back := n.client.Tap(t)
	sendPieces(t, n.server, segment(to, saw, testnet.ACK), 24)
	if p != nil { // an answer to what has come
		port := binary.BigEndian.Uint16(p[20:])
		answer := append(binary.BigEndian.AppendUint16([]byte{0, 53}, port), udp[4:]...)
		sendPieces(t, n.server, testnet.Packet{From: there, To: netip.AddrFrom4([4]byte(p[12:16])), Protocol: unix.IPPROTO_UDP, Body: answer}, 24)
	}
	p = back.Next(testnet.Patience, func(p []byte) bool {
		return netip.AddrFrom4([4]byte(p[12:16])) == there && (p[6]&0x20 != 0 || len(p) > 60)
	})
	if p == nil || p[9] != unix.IPPROTO_UDP {
		t.Errorf("the client gets % x, want UDP", p)
	}
	if got := n.use().Dropped - before; got != 8 {
		t.Errorf("%d packets were dropped, want 8 pieces", got)
	}
	n.says(client, server, "still")
}
