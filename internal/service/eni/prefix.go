// SPDX-License-Identifier: Apache-2.0

package eni

import (
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// PrefixBits4 is the length of an interface's IPv4 prefix
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html).
const PrefixBits4 = 28

// prefixSize4 is how many addresses such a prefix has.
const prefixSize4 = 1 << (32 - PrefixBits4)

// WantPrefixes says which IPv4 prefixes an interface shall have: some by name,
// or a number of any.
type WantPrefixes struct {
	Prefixes []netip.Prefix
	Count    int
}

// None reports whether nothing is wanted.
func (w WantPrefixes) None() bool { return w.Count == 0 && len(w.Prefixes) == 0 }

// AssignPrefixes claims prefixes of length PrefixBits4 for ni and appends them to
// it; ni must be the caller's own copy, and storing it is the caller's part. It
// returns the added ones. Each address of a prefix has a claim of its own, so a
// prefix and a single address exclude each other like two addresses do. Errors
// are those of Create; an AddressError names the address of the prefix that
// cannot be had.
func AssignPrefixes(tx *table.Txn, env *service.Env, ni *model.NetworkInterface, s *model.Subnet, want WantPrefixes) ([]netip.Prefix, error) {
	if want.None() {
		return nil, nil
	}
	if !s.CIDR.IsValid() {
		return nil, &FamilyError{Subnet: s.ID, Family: 4}
	}
	var got []netip.Prefix
	for _, p := range want.Prefixes {
		if err := claimPrefixNamed(tx, ni, s.CIDR, p, got); err != nil {
			return nil, err
		}
		got = append(got, p)
	}
	for range want.Count {
		p, err := claimPrefixAny(tx, env, ni, s.CIDR)
		if err != nil {
			return nil, err
		}
		got = append(got, p)
	}
	ni.Prefixes4 = append(ni.Prefixes4, got...)
	return got, nil
}

// ReleasePrefix gives up the claims on the addresses of a prefix of ni, as
// Release does with one.
func ReleasePrefix(tx *table.Txn, ni *model.NetworkInterface, p netip.Prefix, now time.Time) {
	for _, addr := range model.AddressesOf(p) {
		Release(tx, ni, addr, now)
	}
}

func claimPrefixNamed(tx *table.Txn, ni *model.NetworkInterface, block, p netip.Prefix, before []netip.Prefix) error {
	if slices.Contains(before, p) {
		return &AddressError{Addr: p.Addr(), Subnet: ni.Subnet, Block: block, Problem: Repeated}
	}
	for _, addr := range model.AddressesOf(p) {
		if err := claimNamed(tx, ni, block, addr, nil); err != nil {
			return err
		}
	}
	return nil
}

// claimPrefixAny takes a free prefix as claimAny takes an address. The first and
// the last one of a block have addresses that AWS keeps.
func claimPrefixAny(tx *table.Txn, env *service.Env, ni *model.NetworkInterface, block netip.Prefix) (netip.Prefix, error) {
	places := 1<<max(PrefixBits4-block.Bits(), 0) - 2
	place := func(i int) netip.Prefix {
		return netip.PrefixFrom(at4(block, uint32((i+1)*prefixSize4)), PrefixBits4)
	}
	for range min(probes, max(places, 0)) {
		if p := place(env.Intn(places)); free(tx, ni, p) {
			return p, claimPrefixNamed(tx, ni, block, p, nil)
		}
	}
	taken := make(map[netip.Prefix]bool)
	for c := range state.AddressClaims.By(tx, state.BySubnet, state.In(ni.Account, ni.Region, ni.Subnet)) {
		if c.Addr.Is4() {
			taken[netip.PrefixFrom(c.Addr, PrefixBits4).Masked()] = true
		}
	}
	for i := range places {
		if p := place(i); !taken[p] {
			return p, claimPrefixNamed(tx, ni, block, p, nil)
		}
	}
	return netip.Prefix{}, &ExhaustedError{Subnet: ni.Subnet, Block: block, Prefixes: true}
}

// free reports whether nobody has claimed an address of a prefix.
func free(tx *table.Txn, ni *model.NetworkInterface, p netip.Prefix) bool {
	return !slices.ContainsFunc(model.AddressesOf(p), func(addr netip.Addr) bool {
		_, claimed := state.AddressClaims.Get(tx, ni.Account, ni.Region, model.AddressClaimID(ni.Subnet, addr))
		return claimed
	})
}
