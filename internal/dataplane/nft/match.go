// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// family is what differs between IPv4 and IPv6 in a rule, and between addresses
// and prefixes that are looked up.
type family struct {
	number        byte
	suffix        string
	size          uint32
	source, other uint32 // offsets of the source and destination addresses
	foreignICMP   int    // the ICMP protocol of the other family
	bits          int    // the length of prefixes; zero for addresses
}

var (
	family4  = family{unix.NFPROTO_IPV4, "4", 4, 12, 16, unix.IPPROTO_ICMPV6, 0}
	family6  = family{unix.NFPROTO_IPV6, "6", 16, 8, 24, unix.IPPROTO_ICMP, 0}
	family80 = family{unix.NFPROTO_IPV6, "80", 16, 8, 24, unix.IPPROTO_ICMP, model.PrefixBits6}
	families = []family{family4, family6, family80}
)

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return family4
	}
	return family6
}

// familyIn gives the family of an address, or of the prefix of that length that
// it begins.
func familyIn(a netip.Addr, bits int) (family, error) {
	err := valid(a)
	switch {
	case err != nil || bits == 0:
		return familyOf(a), err
	case a.Is4() || bits != family80.bits || model.PrefixOf(a).Addr() != a:
		return family80, fmt.Errorf("%s/%d is not an IPv6 /%d", a, bits, family80.bits)
	}
	return family80, nil
}

// ruleFamilies says in which families a rule can match anything.
func ruleFamilies(r desired.Rule) ([]family, error) {
	switch {
	case r.Peer.IsValid() == (r.Group != ""):
		return nil, errors.New("either a prefix or a group must be its peer")
	case r.Protocol < desired.AllProtocols || r.Protocol > 255:
		return nil, errors.New("its protocol is not one of IP")
	case r.From < -1 || r.From > 65535 || r.To < -1 || r.To > 65535:
		return nil, errors.New("its ports are out of range")
	}
	var matching []family
	for _, f := range families {
		if r.Group == "" && familyOf(r.Peer.Addr()) != f {
			continue
		}
		// A rule for the ICMP of the other family keeps its kernel rule, which
		// never matches, when its prefix leaves it only this family.
		if r.Protocol != f.foreignICMP || r.Group == "" {
			matching = append(matching, f)
		}
	}
	return matching, nil
}

// match makes the expressions of r in family f. Out of an address the peer is
// the destination, into it the source.
func (f family) match(r desired.Rule, out bool) []expr.Any {
	offset := f.source
	if out {
		offset = f.other
	}
	match := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{f.number}},
	}
	if r.Protocol != desired.AllProtocols {
		match = append(match, matchProtocol(byte(r.Protocol))...)
	}
	if r.Group != "" {
		match = append(match, loadNetwork(offset, f.size))
		if f.bits > 0 {
			match = append(match, keepBits(f.bits, int(f.size)))
		}
		match = append(match, &expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: memberSet(f, r.Group)})
	} else {
		match = append(match, matchPrefix(offset, r.Peer)...)
	}
	switch r.Protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
		match = append(match, matchPorts(r.From, r.To)...)
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		match = append(match, matchByte(0, r.From)...)
		match = append(match, matchByte(1, r.To)...)
	}
	return match
}

func loadNetwork(offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
}

func loadTransport(offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: size}
}

func matchProtocol(protocol byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{protocol}},
	}
}

// matchPrefix compares the bits of an address that p fixes.
func matchPrefix(offset uint32, p netip.Prefix) []expr.Any {
	bits := p.Bits()
	if bits == 0 {
		return nil
	}
	size := (bits + 7) / 8
	value := p.Masked().Addr().AsSlice()[:size]
	match := []expr.Any{loadNetwork(offset, uint32(size))}
	if bits%8 != 0 {
		match = append(match, keepBits(bits, size))
	}
	return append(match, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: value})
}

// keepBits clears all but the first bits of an address of that many bytes.
func keepBits(bits, size int) expr.Any {
	mask := make([]byte, size)
	for bit := range bits {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	return &expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1,
		Len: uint32(size), Mask: mask, Xor: make([]byte, size)}
}

// matchPorts compares the destination port; -1 and the full range match all.
func matchPorts(from, to int) []expr.Any {
	from = max(from, 0)
	if to < 0 {
		to = 65535
	}
	if from == 0 && to == 65535 {
		return nil
	}
	low := binary.BigEndian.AppendUint16(nil, uint16(from))
	high := binary.BigEndian.AppendUint16(nil, uint16(to))
	if from == to {
		return []expr.Any{loadTransport(2, 2), &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: low}}
	}
	return []expr.Any{
		loadTransport(2, 2),
		&expr.Cmp{Op: expr.CmpOpGte, Register: unix.NFT_REG_1, Data: low},
		&expr.Cmp{Op: expr.CmpOpLte, Register: unix.NFT_REG_1, Data: high},
	}
}

// matchByte compares one byte of the transport header; -1 matches all.
func matchByte(offset uint32, value int) []expr.Any {
	if value < 0 {
		return nil
	}
	return []expr.Any{loadTransport(offset, 1), &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{byte(value)}}}
}
