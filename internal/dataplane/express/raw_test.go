// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/lab"
)

// Flags of TCP.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// segment is a TCP segment in an IP packet, without options of either.
type segment struct {
	source, dest     netip.AddrPort
	sequence, answer uint32
	flags, hops      byte
	data             []byte
	spoiled          bool // with a wrong checksum
}

// packet writes the segment. IPv4 packets must not be fragmented.
func (s segment) packet() []byte {
	source, dest := s.source.Addr().AsSlice(), s.dest.Addr().AsSlice()
	b := binary.BigEndian
	t := b.AppendUint16(nil, s.source.Port())
	t = b.AppendUint16(t, s.dest.Port())
	t = b.AppendUint32(t, s.sequence)
	t = b.AppendUint32(t, s.answer)
	t = append(t, 5<<4, s.flags, 0xff, 0xff, 0, 0, 0, 0) // window, checksum, urgent pointer
	t = append(t, s.data...)
	b.PutUint16(t[16:], checksum(source, dest, t))
	if s.spoiled {
		t[16] ^= 0x55
	}
	var ip []byte
	if s.dest.Addr().Is4() {
		ip = []byte{4<<4 | 5, 0, 0, 0, 0, 0, 0x40, 0, s.hops, unix.IPPROTO_TCP, 0, 0}
		b.PutUint16(ip[2:], uint16(20+len(t)))
	} else {
		ip = []byte{6 << 4, 0, 0, 0, 0, 0, unix.IPPROTO_TCP, s.hops}
		b.PutUint16(ip[4:], uint16(len(t)))
	}
	ip = append(append(ip, source...), dest...)
	return append(ip, t...)
}

func checksum(source, dest, t []byte) uint16 {
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(t))
	for _, part := range [][]byte{source, dest, t} {
		for i, v := range part {
			if i%2 == 0 {
				sum += uint32(v) << 8
			} else {
				sum += uint32(v)
			}
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
	}
	return ^uint16(sum)
}

// send sends the segment from a namespace, whoever it says that it is from.
func (s segment) send(t testing.TB, from *lab.Namespace) {
	t.Helper()
	domain, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: s.dest.Addr().As16()})
	if s.dest.Addr().Is4() {
		domain, to = unix.AF_INET, &unix.SockaddrInet4{Addr: s.dest.Addr().As4()}
	}
	err := inside(from, func() error {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, s.packet(), 0, to)
	})
	if err != nil {
		t.Fatalf("send a packet: %v", err)
	}
}

// tap sees the IP packets that come into a namespace and leave it.
type tap struct {
	t  testing.TB
	fd int
}

func listen(t testing.TB, n *lab.Namespace) *tap {
	t.Helper()
	all := uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL&0xff)<<8
	p := &tap{t: t}
	err := inside(n, func() (err error) {
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

// next waits for a packet; nil when none comes that is wanted.
func (p *tap) next(wanted func(packet []byte) bool) []byte {
	p.t.Helper()
	buffer := make([]byte, 1<<16)
	for deadline := time.Now().Add(lab.Prompt); time.Now().Before(deadline); {
		n, _, err := unix.Recvfrom(p.fd, buffer, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			p.t.Fatalf("read packet: %v", err)
		}
		if n >= 40 && wanted(buffer[:n]) {
			return buffer[:n]
		}
	}
	return nil
}

// segment waits for a TCP segment with data or these flags.
func (p *tap) segment(wanted func(s segment) bool) (s segment, ok bool) {
	p.t.Helper()
	ok = p.next(func(packet []byte) bool {
		var tcp bool
		s, tcp = parse(packet)
		return tcp && wanted(s)
	}) != nil
	return s, ok
}

func parse(packet []byte) (s segment, ok bool) {
	var source, dest netip.Addr
	var t []byte
	if packet[0]>>4 == 4 {
		source, dest = netip.AddrFrom4([4]byte(packet[12:])), netip.AddrFrom4([4]byte(packet[16:]))
		s.hops, ok, t = packet[8], packet[9] == unix.IPPROTO_TCP, packet[20:]
	} else {
		source, dest = netip.AddrFrom16([16]byte(packet[8:])), netip.AddrFrom16([16]byte(packet[24:]))
		s.hops, ok, t = packet[7], packet[6] == unix.IPPROTO_TCP, packet[40:]
	}
	if !ok || len(t) < 20 {
		return s, false
	}
	b := binary.BigEndian
	s.source, s.dest = netip.AddrPortFrom(source, b.Uint16(t)), netip.AddrPortFrom(dest, b.Uint16(t[2:]))
	s.sequence, s.answer, s.flags = b.Uint32(t[4:]), b.Uint32(t[8:]), t[13]
	s.data = t[min(len(t), int(t[12]>>4)*4):]
	return s, true
}

// icmp returns the type, the code and the rest of the header of an ICMP
// message.
func icmp(packet []byte) (typ, code byte, rest uint32, ok bool) {
	var m []byte
	if packet[0]>>4 == 4 {
		ok, m = packet[9] == unix.IPPROTO_ICMP, packet[20:]
	} else {
		ok, m = packet[6] == unix.IPPROTO_ICMPV6, packet[40:]
	}
	if !ok || len(m) < 8 {
		return 0, 0, 0, false
	}
	return m[0], m[1], binary.BigEndian.Uint32(m[4:]), true
}
