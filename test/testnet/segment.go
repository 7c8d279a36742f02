// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flags of TCP segments.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Segment is a TCP segment that is written by hand, as an attacker does.
type Segment struct {
	From, To         netip.AddrPort
	Sequence, Answer uint32
	Flags            byte
	Data             string
}

// Packet is the segment in an IP packet without options (RFC 9293 §3.1).
func (s Segment) Packet() []byte {
	b := binary.BigEndian
	source, dest := s.From.Addr().AsSlice(), s.To.Addr().AsSlice()
	t := b.AppendUint16(nil, s.From.Port())
	t = b.AppendUint16(t, s.To.Port())
	t = b.AppendUint32(t, s.Sequence)
	t = b.AppendUint32(t, s.Answer)
	t = append(t, 5<<4, s.Flags, 0xff, 0xff, 0, 0, 0, 0) // window, checksum, urgent pointer
	t = append(t, s.Data...)
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(t))
	for _, part := range [][]byte{source, dest, t} {
		for i, v := range part {
			sum += uint32(v) << (8 * uint(1-i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	b.PutUint16(t[16:], ^uint16(sum))
	var ip []byte
	if s.To.Addr().Is4() {
		ip = []byte{4<<4 | 5, 0, 0, 0, 0, 0, 0x40, 0, 64, unix.IPPROTO_TCP, 0, 0} // the kernel fills in length and checksum
	} else {
		ip = []byte{6 << 4, 0, 0, 0, 0, 0, unix.IPPROTO_TCP, 64}
		b.PutUint16(ip[4:], uint16(len(t)))
	}
	return append(append(append(ip, source...), dest...), t...)
}

// Send sends segments from inside the namespace, whoever they say they are from.
func (ns *NS) Send(segments ...Segment) error {
	return ns.Run(func() error {
		for _, s := range segments {
			domain, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: s.To.Addr().As16()})
			if s.To.Addr().Is4() {
				domain, to = unix.AF_INET, &unix.SockaddrInet4{Addr: s.To.Addr().As4()}
			}
			fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
			if err != nil {
				return fmt.Errorf("open raw socket: %w", err)
			}
			err = unix.Sendto(fd, s.Packet(), 0, to)
			unix.Close(fd)
			if err != nil {
				return fmt.Errorf("send segment to %s: %w", s.To, err)
			}
		}
		return nil
	})
}
