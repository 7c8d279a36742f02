// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Packet is an IP packet to be written and sent as it is, whoever it says that
// it is from.
type Packet struct {
	From, To netip.Addr
	// Protocol is that of the body. For IPv6 it is that of the last header.
	Protocol byte
	// Options are those of IPv4, or extension headers of IPv6, of which First
	// is the first one's number; both are multiples of four and eight bytes.
	Options []byte
	First   byte
	// Hops is how far the packet may go; zero means 64.
	Hops byte
	// Body is what follows. The checksums of ICMP and TCP are filled in; Spoiled
	// makes them wrong.
	Body    []byte
	Spoiled bool
}

// Writable is a packet, or what can be written as one.
type Writable interface{ Packet() Packet }

// Packet makes a packet Writable.
func (p Packet) Packet() Packet { return p }

// where the checksum is in the body of a protocol.
var checksumAt = map[byte]int{unix.IPPROTO_ICMP: 2, unix.IPPROTO_ICMPV6: 2, unix.IPPROTO_TCP: 16}

// Bytes writes the packet.
func (p Packet) Bytes() []byte {
	b := binary.BigEndian
	body := append([]byte(nil), p.Body...)
	from, to := p.From.AsSlice(), p.To.AsSlice()
	if at, ok := checksumAt[p.Protocol]; ok && len(body) >= at+2 {
		var pseudo []byte
		if p.Protocol != unix.IPPROTO_ICMP {
			pseudo = append(append(pseudo, from...), to...)
			pseudo = append(b.AppendUint32(pseudo, uint32(len(body))), 0, 0, 0, p.Protocol)
		}
		b.PutUint16(body[at:], 0)
		b.PutUint16(body[at:], checksum(pseudo, body))
		if p.Spoiled {
			body[at] ^= 0x55
		}
	}
	hops := cmp.Or(p.Hops, 64)
	var ip []byte
	if p.To.Is4() {
		words := byte(5 + len(p.Options)/4)
		ip = []byte{4<<4 | words, 0, 0, 0, 0, 1, 0x40, 0, hops, p.Protocol, 0, 0}
		ip = append(append(append(ip, from...), to...), p.Options...)
		b.PutUint16(ip[2:], uint16(len(ip)+len(body)))
		b.PutUint16(ip[10:], checksum(ip))
	} else {
		next := p.Protocol
		if len(p.Options) > 0 {
			next = p.First
		}
		ip = append(append([]byte{6 << 4, 0, 0, 0, 0, 0, next, hops}, from...), to...)
		b.PutUint16(ip[4:], uint16(len(p.Options)+len(body)))
		ip = append(ip, p.Options...)
	}
	return append(ip, body...)
}

// checksum is that of the Internet (RFC 1071); each part has an even length but
// the last.
func checksum(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, part := range parts {
		for i, v := range part {
			sum += uint32(v) << (8 * (1 - i%2))
			sum = sum>>16 + sum&0xffff
		}
	}
	return ^uint16(sum)
}

// Send sends packets from inside the namespace, whoever they say they are from.
// What is not routed leaves by eth0.
func (ns *NS) Send(packets ...Writable) error {
	return ns.Run(func() error {
		for _, w := range packets {
			if err := w.Packet().send(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Send is NS.Send for a test, which ends when it fails.
func Send(t testing.TB, from *NS, packets ...Writable) {
	t.Helper()
	if err := from.Send(packets...); err != nil {
		t.Fatal(err)
	}
}

// send sends the packet from the thread's namespace.
func (p Packet) send() error {
	domain, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: p.To.As16()})
	if p.To.Is4() {
		domain, to = unix.AF_INET, &unix.SockaddrInet4{Addr: p.To.As4()}
	} else if p.To.IsLinkLocalUnicast() || p.To.IsMulticast() {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return fmt.Errorf("send a packet to %s: %w", p.To, err)
		}
		to = &unix.SockaddrInet6{Addr: p.To.As16(), ZoneId: uint32(link.Index)}
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("open raw socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, p.Bytes(), 0, to); err != nil {
		return fmt.Errorf("send a packet to %s: %w", p.To, err)
	}
	return nil
}
