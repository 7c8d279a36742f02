// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// prefixSize4 is how many addresses an IPv4 prefix has.
const prefixSize4 = 1 << (32 - model.PrefixBits4)

// WantPrefixes says which prefixes of one family an interface shall have: some by
// name, or a number of any.
type WantPrefixes struct {
	Prefixes []netip.Prefix
	Count    int
}

// Total is how many prefixes are wanted.
func (w WantPrefixes) Total() int { return max(w.Count, len(w.Prefixes)) }

// None reports whether none is wanted.
func (w WantPrefixes) None() bool { return w.Total() == 0 }

// AssignPrefixes claims prefixes of the lengths that interfaces have for ni and
// appends them to it; ni must be the caller's own copy, and storing it is the
// caller's part. It returns the added ones, IPv4 first. A prefix and a single
// address exclude each other like two addresses do: each address of an IPv4
// prefix has a claim of its own, and an IPv6 prefix has one that is asked for
// with each address. Errors are those of CreateInterface; an AddressError names the
// address because of which a prefix cannot be had.
func (a *Allocator) AssignPrefixes(tx *table.Txn, ni *model.NetworkInterface, s *model.Subnet, v4, v6 WantPrefixes) ([]netip.Prefix, error) {
	added4, err := a.claimPrefixes(tx, ni, s, v4, s.CIDR, 4)
	if err != nil {
		return nil, err
	}
	added6, err := a.claimPrefixes(tx, ni, s, v6, s.CIDR6.Prefix, 6)
	if err != nil {
		return nil, err
	}
	ni.Prefixes4 = append(ni.Prefixes4, added4...)
	ni.Prefixes6 = append(ni.Prefixes6, added6...)
	return append(added4, added6...), nil
}

// ReleasePrefix gives up the claims on a prefix of ni, as Release does with an
// address.
func ReleasePrefix(tx *table.Txn, ni *model.NetworkInterface, p netip.Prefix, now time.Time) {
	if p.Addr().Is6() {
		Release(tx, ni, p.Addr(), now)
		return
	}
	for _, addr := range model.AddressesOf(p) {
		Release(tx, ni, addr, now)
	}
}

// claimPrefixes takes prefixes of one family and returns them.
func (a *Allocator) claimPrefixes(tx *table.Txn, ni *model.NetworkInterface, s *model.Subnet, want WantPrefixes, block netip.Prefix, family int) (got []netip.Prefix, err error) {
	if want.None() {
		return nil, nil
	}
	if !block.IsValid() {
		return nil, &FamilyError{Subnet: s.ID, Family: family}
	}
	for _, p := range want.Prefixes {
		if slices.Contains(got, p) {
			return nil, &AddressError{Addr: p.Addr(), Subnet: s.ID, Block: block, Problem: Repeated}
		}
		if err := claimPrefixNamed(tx, ni, block, p); err != nil {
			return nil, err
		}
		got = append(got, p)
	}
	for range want.Count {
		p, err := a.claimPrefixAny(tx, ni, block)
		if err != nil {
			return nil, err
		}
		got = append(got, p)
	}
	return got, nil
}

func claimPrefixNamed(tx *table.Txn, ni *model.NetworkInterface, block, p netip.Prefix) error {
	if p.Addr().Is6() {
		return claimPrefixNamed6(tx, ni, block, p)
	}
	for _, addr := range model.AddressesOf(p) {
		if err := claimNamed(tx, ni, block, addr, nil); err != nil {
			return err
		}
	}
	return nil
}

// claimPrefixNamed6 takes a prefix in which nobody has an address. Those with
// addresses that AWS keeps are nobody's, as with IPv4.
func claimPrefixNamed6(tx *table.Txn, ni *model.NetworkInterface, block, p netip.Prefix) error {
	refuse := func(addr netip.Addr, problem Problem) error {
		return &AddressError{Addr: addr, Subnet: ni.Subnet, Block: block, Problem: problem}
	}
	switch {
	case !block.Contains(p.Addr()):
		return refuse(p.Addr(), OutOfRange)
	case p.Contains(block.Masked().Addr()), p.Contains(model.Last(block)):
		return refuse(p.Addr(), Reserved)
	}
	for c := range state.AddressClaimsBySubnet.Rows(tx, ni.SubnetRef()) {
		if p.Contains(c.Addr) && c.Bits == 0 {
			return refuse(c.Addr, Taken)
		}
	}
	if !take(tx, ni, p.Addr(), p.Bits()) && !retake(tx, ni, p.Addr(), p.Bits()) {
		return refuse(p.Addr(), Taken)
	}
	return nil
}

// claimPrefixAny takes a free prefix as claimAny takes an address. The first and
// the last one of a block have addresses that AWS keeps.
func (a *Allocator) claimPrefixAny(tx *table.Txn, ni *model.NetworkInterface, block netip.Prefix) (netip.Prefix, error) {
	if block.Addr().Is6() {
		return a.claimPrefixAny6(tx, ni, block)
	}
	places := 1<<max(model.PrefixBits4-block.Bits(), 0) - 2
	place := func(i int) netip.Prefix { return model.PrefixOf(at4(block, uint32((i+1)*prefixSize4))) }
	for range min(probes, max(places, 0)) {
		if p := place(a.Intn(places)); free(tx, ni, p) {
			return p, claimPrefixNamed(tx, ni, block, p)
		}
	}
	taken := make(map[netip.Prefix]bool)
	for c := range state.AddressClaimsBySubnet.Rows(tx, ni.SubnetRef()) {
		taken[model.PrefixOf(c.Addr)] = true
	}
	for i := range places {
		if p := place(i); !taken[p] {
			return p, claimPrefixNamed(tx, ni, block, p)
		}
	}
	return netip.Prefix{}, &ExhaustedError{Subnet: ni.Subnet, Block: block, Prefixes: true}
}

// claimPrefixAny6 takes a free prefix of the part of an IPv6 block that is kept
// for prefixes, where nobody has a single address. The last one has the block's
// last address, which AWS keeps.
func (a *Allocator) claimPrefixAny6(tx *table.Txn, ni *model.NetworkInterface, block netip.Prefix) (netip.Prefix, error) {
	room := prefixRoom(block)
	places := 1<<(model.PrefixBits6-room.Bits()) - 1
	first := a.Intn(places)
	for i := range places {
		place := uint64((first + i) % places)
		raw := room.Addr().As16()
		binary.BigEndian.PutUint64(raw[:8], binary.BigEndian.Uint64(raw[:8])|place>>16)
		binary.BigEndian.PutUint16(raw[8:], binary.BigEndian.Uint16(raw[8:])|uint16(place))
		if addr := netip.AddrFrom16(raw); take(tx, ni, addr, model.PrefixBits6) {
			return model.PrefixOf(addr), nil
		}
	}
	return netip.Prefix{}, &ExhaustedError{Subnet: ni.Subnet, Block: room, Prefixes: true}
}

// free reports whether nobody has claimed an address of an IPv4 prefix.
func free(tx *table.Txn, ni *model.NetworkInterface, p netip.Prefix) bool {
	return !slices.ContainsFunc(model.AddressesOf(p), func(addr netip.Addr) bool {
		_, claimed := state.ClaimOn(tx, ni, addr)
		return claimed
	})
}

// inPrefix reports whether an address lies in a prefix that somebody has claimed
// as a whole.
func inPrefix(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr) bool {
	if addr.Is4() {
		return false
	}
	c, ok := state.ClaimOn(tx, ni, model.PrefixOf(addr).Addr())
	return ok && c.Bits > 0
}
