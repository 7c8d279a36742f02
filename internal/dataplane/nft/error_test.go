// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// realm is what differs between the versions of IP.
type realm struct {
	name, client, far, endpoint, server, stranger string
	protocol                                      byte
	// kinds are the types and codes of errors: unreachable port, too big, time
	// exceeded, wrong parameter.
	kinds [][2]byte
}

var realms = []realm{
	{
		"IPv4", "10.0.1.10", "10.0.2.11", "10.0.1.100", "10.0.1.10", "10.0.1.77",
		unix.IPPROTO_ICMP, [][2]byte{{3, 3}, {3, 4}, {11, 0}, {12, 0}},
	},
	{
		"IPv6", "2001:db8:0:1::10", "2001:db8:0:2::11", "2001:db8:0:1::100", "2001:db8:0:1::10", "2001:db8:0:1::77",
		unix.IPPROTO_ICMPV6, [][2]byte{{1, 4}, {2, 0}, {3, 0}, {4, 0}, {100, 0}},
	},
}

// secret is what an error carries besides the quoted packet.
var secret = bytes.Repeat([]byte("secret"), 100)

// segment is a TCP acknowledgement with the secret.
func segment(from, to netip.AddrPort) testnet.Packet {
	tcp := []byte{byte(from.Port() >> 8), byte(from.Port()), byte(to.Port() >> 8), byte(to.Port()), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0}
	return testnet.Packet{From: from.Addr(), To: to.Addr(), Protocol: unix.IPPROTO_TCP, Body: append(tcp, secret...)}
}

// quoting makes the error that an address sends about a TCP packet which was
// for quoted.
func quoting(sender string, kind [2]byte, from, quoted netip.AddrPort) testnet.Packet {
	about := segment(from, quoted)
	e := testnet.Packet{From: addr(sender), To: from.Addr(), Protocol: unix.IPPROTO_ICMP}
	if e.To.Is6() {
		e.Protocol = unix.IPPROTO_ICMPV6
	}
	e.Body = append([]byte{kind[0], kind[1], 0, 0, 0, 0, 1280 >> 8, 1280 & 0xff}, about.Bytes()...)
	return e
}

// heard is what the header of an error that arrives says, and that of the quoted
// packet.
type heard struct{ sender, from, quoted netip.Addr }

func (h heard) String() string {
	return fmt.Sprintf("%s about a packet from %s to %s", h.sender, h.from, h.quoted)
}

// errorIn reads an error with the secret.
func errorIn(packet []byte) (h heard, ok bool) {
	at := map[byte]int{4: 9, 6: 6}[packet[0]>>4]
	if p := packet[at]; p != unix.IPPROTO_ICMP && p != unix.IPPROTO_ICMPV6 || !bytes.Contains(packet, secret[:100]) {
		return h, false
	}
	ends := func(p []byte) (from, to netip.Addr) {
		if p[0]>>4 == 4 {
			return netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
		}
		return netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
	}
	header := 20
	if packet[0]>>4 == 6 {
		header = 40
	}
	h.sender, _ = ends(packet)
	h.from, h.quoted = ends(packet[header+8:])
	return h, true
}

// hears waits for an error with the secret.
func hears(tap *testnet.Tap) (h heard, ok bool) {
	tap.Next(lab.Patience, func(packet []byte) bool {
		h, ok = errorIn(packet)
		return ok
	})
	return h, ok
}

// live opens a connection through the endpoint and gives the addresses of both
// ends as each of them sees them.
func live(t *testing.T, r rig, m realm) (client, endpoint, gateway, server netip.AddrPort) {
	t.Helper()
	accepted := r.Server.Accept(7000)
	r.OpenPort(7000)
	conn, err := r.Client.Dial("tcp", net.JoinHostPort(m.endpoint, "7000"), nil, lab.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	at := <-accepted
	t.Cleanup(func() { at.Close() })
	plain := func(a net.Addr) netip.AddrPort {
		p := a.(*net.TCPAddr).AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return plain(conn.LocalAddr()), plain(conn.RemoteAddr()), plain(at.RemoteAddr()), plain(at.LocalAddr())
}

// An ICMP error passes all security groups when it quotes a live connection. So
// only the one may send it for whom the quoted packet was.
func TestErrorsAreBelievedOfTheEndsOnly(t *testing.T) {
	for _, m := range realms {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			stranger := r.B.Workload(1, 77)
			client, endpoint, gateway, server := live(t, r, m)
			r.Put(r.TableA, lab.Class("vpc-a", "c-none", nil, nil), lab.Address("vpc-a", m.far, "c-none"))
			atClient, atServer := r.Client.Tap(t), r.Server.Tap(t)
			for _, kind := range m.kinds {
				name := fmt.Sprintf("type %d code %d", kind[0], kind[1])
				// Strangers, and then the end itself.
				testnet.Send(t, r.Far.NS, quoting(m.far, kind, endpoint, client))
				testnet.Send(t, r.Client.NS, quoting(m.client, kind, endpoint, client))
				if got, ok := hears(atServer); !ok || got != (heard{gateway.Addr(), server.Addr(), gateway.Addr()}) {
					t.Errorf("%s: the server hears %v, %v; want only what the client says", name, got, ok)
				}
				testnet.Send(t, stranger.NS, quoting(m.stranger, kind, gateway, server))
				testnet.Send(t, r.Server.NS, quoting(m.server, kind, gateway, server))
				if got, ok := hears(atClient); !ok || got != (heard{endpoint.Addr(), client.Addr(), endpoint.Addr()}) {
					t.Errorf("%s: the client hears %v, %v; want only what the server says", name, got, ok)
				}
			}
			for _, tap := range []*testnet.Tap{atClient, atServer} {
				if more := tap.Next(0, func(p []byte) bool { _, ok := errorIn(p); return ok }); more != nil {
					h, _ := errorIn(more)
					t.Errorf("somebody else's error arrives: %v", h)
				}
			}
		})
	}
}

func TestErrorsBetweenWorkloadsOfOneNetwork(t *testing.T) {
	for _, m := range realms {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			accepted := r.Far.Accept(80)
			conn, err := r.Client.Dial("tcp", net.JoinHostPort(m.far, "80"), nil, lab.Patience)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			defer (<-accepted).Close()
			port := uint16(conn.LocalAddr().(*net.TCPAddr).Port)
			client, far := netip.AddrPortFrom(addr(m.client), port), netip.AddrPortFrom(addr(m.far), 80)
			third := map[string]string{"IPv4": "10.0.1.74", "IPv6": "2001:db8:0:1::74"}[m.name]
			atClient, atFar := r.Client.Tap(t), r.Far.Tap(t)
			testnet.Send(t, r.Near.NS, quoting(third, m.kinds[0], client, far))
			testnet.Send(t, r.Far.NS, quoting(m.far, m.kinds[0], client, far))
			if got, ok := hears(atClient); !ok || got.sender != far.Addr() {
				t.Errorf("the client hears %v, %v", got, ok)
			}
			testnet.Send(t, r.Near.NS, quoting(third, m.kinds[0], far, client))
			testnet.Send(t, r.Client.NS, quoting(m.client, m.kinds[0], far, client))
			if got, ok := hears(atFar); !ok || got.sender != client.Addr() {
				t.Errorf("the other hears %v, %v", got, ok)
			}
		})
	}
}

// The routers on the way tell of packets that cannot go on, and show nothing of
// what is behind them.
func TestErrorsOfRoutersShowWhatTheSenderKnows(t *testing.T) {
	for _, m := range realms {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			client, endpoint, gateway, server := live(t, r, m)
			for _, c := range []struct {
				who      *lab.Namespace
				from, to netip.AddrPort
			}{{r.Client, client, endpoint}, {r.Server, server, gateway}} {
				tap := c.who.Tap(t)
				tired, big := segment(c.from, c.to), segment(c.from, c.to)
				tired.Hops = 2 // as far as the other router
				big.Body = append(big.Body, make([]byte, 8200)...)
				for name, p := range map[string]testnet.Packet{"tired": tired, "big": big} {
					testnet.Send(t, c.who.NS, p)
					got, ok := hears(tap)
					if !ok || got.from != c.from.Addr() || got.quoted != c.to.Addr() {
						t.Errorf("%s packet of %s: hears %v, %v", name, c.from, got, ok)
					}
					if name == "tired" && got.sender != c.to.Addr() {
						t.Errorf("%s packet of %s: the router shows itself as %s", name, c.from, got.sender)
					}
				}
			}
		})
	}
}
