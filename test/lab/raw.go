// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
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
	// Body is what follows. The checksums of ICMP and TCP are filled in.
	Body []byte
}

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

// Send sends the packet from the namespace.
func (p Packet) Send(t testing.TB, n *Namespace) {
	t.Helper()
	domain, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: p.To.As16()})
	if p.To.Is4() {
		domain, to = unix.AF_INET, &unix.SockaddrInet4{Addr: p.To.As4()}
	} else if p.To.IsLinkLocalUnicast() || p.To.IsMulticast() {
		to = &unix.SockaddrInet6{Addr: p.To.As16(), ZoneId: n.index(t, "eth0")}
	}
	err := nfnl.Inside(n.FD, func() error {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, p.Bytes(), 0, to)
	})
	if err != nil {
		t.Fatalf("send a packet to %s: %v", p.To, err)
	}
}

func (n *Namespace) index(t testing.TB, device string) uint32 {
	t.Helper()
	var link *net.Interface
	err := nfnl.Inside(n.FD, func() (err error) {
		link, err = net.InterfaceByName(device)
		return err
	})
	if err != nil {
		t.Fatalf("find %s: %v", device, err)
	}
	return uint32(link.Index)
}

// Tap sees the IP packets that come into a namespace and leave it.
type Tap struct {
	t  testing.TB
	fd int
}

// Tap begins to look at the packets of the namespace; it ends with the test.
func (n *Namespace) Tap(t testing.TB) *Tap {
	t.Helper()
	all := uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL&0xff)<<8
	p := &Tap{t: t}
	err := nfnl.Inside(n.FD, func() (err error) {
		p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
		return err
	})
	if err != nil {
		t.Fatalf("open packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(p.fd) })
	if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}); err != nil {
		t.Fatal(err)
	}
	return p
}

// Next waits for a packet that comes in and is wanted; nil when there is none
// for so long.
func (p *Tap) Next(patience time.Duration, wanted func(packet []byte) bool) []byte {
	p.t.Helper()
	buffer := make([]byte, 1<<16)
	for deadline := time.Now().Add(patience); ; {
		k, from, err := unix.Recvfrom(p.fd, buffer, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			if time.Now().After(deadline) {
				return nil
			}
			continue
		}
		if err != nil {
			p.t.Fatalf("read packet: %v", err)
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if ok && ll.Pkttype != unix.PACKET_OUTGOING && k >= 20 && wanted(buffer[:k]) {
			return buffer[:k]
		}
	}
}
