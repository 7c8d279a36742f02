// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// builtIn is a sort of names that each VPC has without a zone.
type builtIn uint8

const (
	builtNone builtIn = iota
	// builtAddress are the names of addresses, as ip-10-0-1-10.ec2.internal.
	builtAddress
	// builtReverse are names of reverse zones: those of the VPC's blocks, and of
	// addresses that mean nothing outside (RFC 6303).
	builtReverse
	// builtLocal is localhost and what is below it (RFC 6761 §6.3).
	builtLocal
)

// builtTTL is that of built-in names, and of that they are not there.
const builtTTL = 60

var (
	localhost   = []byte("\x09localhost\x00")
	reverseFour = []byte("\x07in-addr\x04arpa\x00")
	reverseSix  = []byte("\x03ip6\x04arpa\x00")
)

// private are the blocks of RFC 1918.
var private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

// local are blocks whose reverse zones are answered in each VPC.
var local = append([]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/128"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10"),
}, private...)

// builtIn says whether a name is in one of the zones that are built in, and how many
// labels that zone has. The labels' starts are given, the root's too.
func (p *placed) builtIn(name []byte, starts []uint8) (sort builtIn, labels int) {
	n := len(starts) - 1
	if len(p.internal) > 0 {
		if at := len(name) - len(p.internal); at >= 0 && string(name[at:]) == string(p.internal) {
			if labels := wire.Labels(p.internal); int(starts[n-min(labels, n)]) == at {
				return builtAddress, labels
			}
		}
	}
	switch {
	case n >= 1 && string(name[starts[n-1]:]) == string(localhost):
		return builtLocal, 1
	case n >= 2 && string(name[starts[n-2]:]) == string(reverseFour), n >= 2 && string(name[starts[n-2]:]) == string(reverseSix):
		if block := reversed(name, starts); block.IsValid() {
			if labels := p.reverse(block); labels > 0 {
				return builtReverse, labels
			}
		}
	}
	return builtNone, 0
}

// reversed gives the block that a name of a reverse zone stands for. Labels below what
// can be one are left out.
func reversed(name []byte, starts []uint8) netip.Prefix {
	n := len(starts) - 3 // labels before the last two
	var b [16]byte
	if string(name[starts[n]:]) == string(reverseFour) {
		count := 0
		for ; count < 4 && n-1-count >= 0; count++ {
			v, ok := octet(label(name, int(starts[n-1-count])))
			if !ok {
				break
			}
			b[count] = v
		}
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), 8*count)
	}
	count := 0
	for ; count < 32 && n-1-count >= 0; count++ {
		v, ok := nibble(label(name, int(starts[n-1-count])))
		if !ok {
			break
		}
		b[count/2] |= v << (4 * (1 - count%2))
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), 4*count)
}

func label(name []byte, at int) []byte { return name[at+1 : at+1+int(name[at])] }

// octet reads a number below 256 without needless zeros.
func octet(text []byte) (byte, bool) {
	if len(text) == 0 || len(text) > 3 || len(text) > 1 && text[0] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return byte(n), n < 256
}

func nibble(text []byte) (byte, bool) {
	if len(text) != 1 {
		return 0, false
	}
	switch c := text[0]; {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// reverse gives how many labels the longest reverse zone has that a block lies in; zero
// if there is none. A block that ends within a label has the zones one label down.
func (p *placed) reverse(block netip.Prefix) (labels int) {
	for _, list := range [2][]netip.Prefix{local, p.Networks} {
		for _, l := range list {
			if l.Addr().Is4() != block.Addr().Is4() {
				continue
			}
			per := 4
			if l.Addr().Is4() {
				per = 8
			}
			if up := (l.Bits() + per - 1) / per; block.Bits() >= up*per && l.Contains(block.Addr()) {
				labels = max(labels, up+2)
			}
		}
	}
	return labels
}

// builtIn answers for a name that is built in, and ends in a name of a length which is
// that of its zone.
func (t *walk) builtIn(sort builtIn, length int) (v Verdict, done bool) {
	apex := t.name[len(t.name)-length:]
	kind, data, there := uint16(0), t.ask.space[:0], len(t.name) == length
	switch sort {
	case builtAddress:
		if a, ok := t.vpc.placed.address(t.name, length); ok {
			kind, data, there = wire.TypeA, append(data, a[:]...), true
		}
	case builtLocal:
		there = true
		switch kind = t.kind; kind {
		case wire.TypeA:
			data = append(data, 127, 0, 0, 1)
		case wire.TypeAAAA:
			data = append(data, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
		}
	case builtReverse:
		kind = wire.TypePTR
		var below bool
		data, below = t.vpc.placed.pointer(data, t.name)
		there = there || below || len(data) > 0
	}
	a := &t.ask.Answer
	switch {
	case len(data) > 0 && t.kind == kind:
		// The record is behind its data in the same room.
		a.Append(wire.AppendRecord(t.ask.space[len(data):len(data)], kind, builtTTL, data))
		return t.ask.end(wire.NoError), true
	case there && t.kind == wire.TypeANY:
		a.Append(rfc8482)
		return t.ask.end(wire.NoError), true
	}
	if t.alias != nil {
		return t.negative(t.alias, false), true
	}
	return t.no(apex, t.builtSOA(apex), !there), true
}

// builtSOA is the SOA record of a built-in zone.
func (t *walk) builtSOA(apex []byte) []byte {
	data := append(append(t.ask.space[:0], apex...), 0)
	for _, n := range [5]uint32{1, 7200, 900, 1209600, builtTTL} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return wire.AppendRecord(t.ask.space[len(data):len(data)], wire.TypeSOA, builtTTL, data)
}

// address reads the address that a name below the internal domain stands for: one of
// the VPC, or of any other that may be reached by a private address.
func (p *placed) address(name []byte, length int) (a [4]byte, ok bool) {
	first := int(name[0])
	if first+1+length != len(name) || first < 3 || string(name[1:4]) != "ip-" {
		return a, false
	}
	text := name[4 : first+1]
	for i := range a {
		end := 0
		for end < len(text) && text[end] != '-' {
			end++
		}
		if a[i], ok = octet(text[:end]); !ok || (end == len(text)) != (i == 3) {
			return a, false
		}
		text = text[min(end+1, len(text)):]
	}
	addr := netip.AddrFrom4(a)
	return a, within(addr, p.Networks) || within(addr, private)
}

func within(a netip.Addr, blocks []netip.Prefix) bool {
	for _, b := range blocks {
		if b.Contains(a) {
			return true
		}
	}
	return false
}

// pointer appends the name of the address whose reverse name is given, and reports
// whether the name is there for those that are below it.
func (p *placed) pointer(b, name []byte) (_ []byte, below bool) {
	var starts [maxLabels + 1]uint8
	n, at := 0, 0
	for ; name[at] != 0; n++ {
		starts[n] = uint8(at)
		at += int(name[at]) + 1
	}
	starts[n] = uint8(at)
	block := reversed(name, starts[:n+1])
	per := 8
	if !block.Addr().Is4() {
		per = 4
	}
	if block.Bits() != (n-2)*per { // more labels than an address has
		return b, false
	}
	four, six := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	switch addr := block.Addr(); {
	case !block.IsSingleIP():
		below = block.Contains(four) || block.Contains(six)
		for _, net := range p.Networks {
			below = below || len(p.internal) > 0 && net.Addr().Is4() && net.Overlaps(block)
		}
	case addr == four || addr == six:
		b = append(b, localhost...)
	case addr.Is4() && len(p.internal) > 0 && within(addr, p.Networks):
		b = appendAddressName(b, addr, p.internal)
	}
	return b, below
}

// appendAddressName appends the name of an address, in wire form.
func appendAddressName(b []byte, addr netip.Addr, internal []byte) []byte {
	at := len(b)
	b = append(b, 0, 'i', 'p')
	for _, octet := range addr.As4() {
		b = strconv.AppendUint(append(b, '-'), uint64(octet), 10)
	}
	b[at] = byte(len(b) - at - 1)
	return append(b, internal...)
}
