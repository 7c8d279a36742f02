// SPDX-License-Identifier: Apache-2.0

package model

import "net/netip"

// ReservedFor tells what AWS reserves an address of a block for; empty when it
// does not (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
func ReservedFor(block netip.Prefix, addr netip.Addr) string {
	if !block.IsValid() || !block.Contains(addr) {
		return ""
	}
	next := block.Masked().Addr()
	for _, what := range []string{"the network address", "the address of the VPC's router", "the address of the DNS resolver", "a reserved address"} {
		if addr == next {
			return what
		}
		next = next.Next()
	}
	if addr == Last(block) {
		if addr.Is4() {
			return "the broadcast address"
		}
		return "the last address, which is reserved,"
	}
	return ""
}

// Last gives the last address of a block, which nobody can have.
func Last(block netip.Prefix) netip.Addr {
	raw := block.Masked().Addr().AsSlice()
	for bit := block.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return addr
}
