// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flags of TCP (RFC 9293 §3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Segment is a TCP segment in an IP packet, without options of either, that is
// written by hand, as an attacker does.
type Segment struct {
	From, To         netip.AddrPort
	Sequence, Answer uint32
	Flags            byte
	// Hops is how far it may go; zero means 64.
	Hops byte
	Data string
	// Spoiled gives it a wrong checksum.
	Spoiled bool
}

// Packet is the segment in its packet.
func (s Segment) Packet() Packet {
	b := binary.BigEndian
	t := b.AppendUint16(make([]byte, 0, 20+len(s.Data)), s.From.Port())
	t = b.AppendUint16(t, s.To.Port())
	t = b.AppendUint32(t, s.Sequence)
	t = b.AppendUint32(t, s.Answer)
	t = append(t, 5<<4, s.Flags, 0xff, 0xff, 0, 0, 0, 0) // window, checksum, urgent pointer
	return Packet{
		From: s.From.Addr(), To: s.To.Addr(), Protocol: unix.IPPROTO_TCP, Hops: s.Hops, Body: append(t, s.Data...), Spoiled: s.Spoiled,
	}
}

// ReadSegment reads a packet without options of IP; ok tells whether it is a TCP
// segment.
func ReadSegment(packet []byte) (s Segment, ok bool) {
	var source, dest netip.Addr
	var t []byte
	switch {
	case len(packet) >= 20 && packet[0] == 4<<4|5 && packet[9] == unix.IPPROTO_TCP:
		source, dest = netip.AddrFrom4([4]byte(packet[12:])), netip.AddrFrom4([4]byte(packet[16:]))
		s.Hops, t = packet[8], packet[20:]
	case len(packet) >= 40 && packet[0]>>4 == 6 && packet[6] == unix.IPPROTO_TCP:
		source, dest = netip.AddrFrom16([16]byte(packet[8:])), netip.AddrFrom16([16]byte(packet[24:]))
		s.Hops, t = packet[7], packet[40:]
	}
	if len(t) < 20 {
		return s, false
	}
	b := binary.BigEndian
	s.From, s.To = netip.AddrPortFrom(source, b.Uint16(t)), netip.AddrPortFrom(dest, b.Uint16(t[2:]))
	s.Sequence, s.Answer, s.Flags = b.Uint32(t[4:]), b.Uint32(t[8:]), t[13]
	s.Data = string(t[min(len(t), int(t[12]>>4)*4):])
	return s, true
}
