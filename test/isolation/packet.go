// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"encoding/binary"
	"net/netip"
)

// The protocol numbers and TCP flags of packets that are written by hand.
const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58

	flagSYN = 2
	flagRST = 4
	flagACK = 16
)

// packet is one that is written with its headers.
type packet struct {
	from, to         netip.Addr
	protocol         byte
	sourcePort, port uint16 // of ICMP, the identifier and the sequence number
	flags            byte   // of TCP
	payload          string
}

// bytes gives the packet from its IP header on, with right checksums: a wrong
// one would be dropped for that.
func (p packet) bytes() []byte {
	transport := p.transport()
	if p.to.Is4() {
		header := make([]byte, 20) // RFC 791
		header[0], header[8], header[9] = 0x45, 64, p.protocol
		binary.BigEndian.PutUint16(header[2:], uint16(20+len(transport)))
		from, to := p.from.As4(), p.to.As4()
		copy(header[12:], from[:])
		copy(header[16:], to[:])
		binary.BigEndian.PutUint16(header[10:], checksum(header))
		return append(header, transport...)
	}
	header := make([]byte, 40) // RFC 8200
	header[0], header[6], header[7] = 0x60, p.protocol, 64
	binary.BigEndian.PutUint16(header[4:], uint16(len(transport)))
	from, to := p.from.As16(), p.to.As16()
	copy(header[8:], from[:])
	copy(header[24:], to[:])
	return append(header, transport...)
}

func (p packet) transport() []byte {
	var b []byte
	sum := 0 // where the checksum is
	switch p.protocol {
	case protocolTCP: // RFC 9293
		b, sum = make([]byte, 20), 16
		binary.BigEndian.PutUint32(b[4:], 0x01020304)
		b[12], b[13] = 5<<4, p.flags
		binary.BigEndian.PutUint16(b[14:], 1024)
	case protocolUDP: // RFC 768
		b, sum = make([]byte, 8), 6
		binary.BigEndian.PutUint16(b[4:], uint16(8+len(p.payload)))
	case protocolICMP, protocolICMPv6: // echo request, RFC 792 and 4443
		b, sum = make([]byte, 8), 2
		b[0] = 8
		if p.protocol == protocolICMPv6 {
			b[0] = 128
		}
	}
	ports := b
	if sum == 2 {
		ports = b[4:]
	}
	binary.BigEndian.PutUint16(ports, p.sourcePort)
	binary.BigEndian.PutUint16(ports[2:], p.port)
	b = append(b, p.payload...)
	var pseudo []byte
	if p.protocol != protocolICMP {
		pseudo = p.pseudoHeader(len(b))
	}
	binary.BigEndian.PutUint16(b[sum:], checksum(append(pseudo, b...)))
	return b
}

// pseudoHeader is what checksums cover besides the message.
func (p packet) pseudoHeader(length int) []byte {
	b := append(p.from.AsSlice(), p.to.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return binary.BigEndian.AppendUint32(b, uint32(p.protocol))
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * uint(1-i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// sourceOf reads the source address of a packet.
func sourceOf(b []byte) netip.Addr {
	from, to := 12, 16
	if b[0]>>4 == 6 {
		from, to = 8, 24
	}
	a, _ := netip.AddrFromSlice(b[from:to])
	return a
}
