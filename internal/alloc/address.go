// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// claim takes addresses of one family and returns them, those asked for by
// name first.
func (a *Allocator) claim(tx *table.Txn, ni *model.NetworkInterface, s *model.Subnet, want Want, block netip.Prefix, family int) ([]netip.Addr, error) {
	if want.total() == 0 {
		return nil, nil
	}
	if !block.IsValid() {
		return nil, &FamilyError{Subnet: s.ID, Family: family}
	}
	var got []netip.Addr
	for _, addr := range want.Addresses {
		err := claimNamed(tx, ni, block, addr, got)
		if taken := (*AddressError)(nil); want.Move && errors.As(err, &taken) && taken.Problem == Taken {
			err = a.move(tx, ni, taken)
		}
		if err != nil {
			return nil, err
		}
		got = append(got, addr)
	}
	for len(got) < want.total() {
		addr, err := a.claimAny(tx, ni, block)
		if err != nil {
			return nil, err
		}
		got = append(got, addr)
	}
	return got, nil
}

func claimNamed(tx *table.Txn, ni *model.NetworkInterface, block netip.Prefix, addr netip.Addr, before []netip.Addr) error {
	refuse := func(p Problem) error {
		return &AddressError{Addr: addr, Subnet: ni.Subnet, Block: block, Problem: p}
	}
	switch {
	case !block.Contains(addr):
		return refuse(OutOfRange)
	case slices.Contains(before, addr):
		return refuse(Repeated)
	case !Assignable(block, addr):
		return refuse(Reserved)
	case inPrefix(tx, ni, addr), !take(tx, ni, addr, 0) && !retake(tx, ni, addr, 0):
		return refuse(Taken)
	}
	return nil
}

// retake takes back what ni itself has given up a moment ago.
func retake(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr, bits int) bool {
	c, ok := state.ClaimOn(tx, ni, addr)
	if !ok || c.InterfaceRef() != ni.Ref() || !c.Released() || c.Bits != bits {
		return false
	}
	hand(tx, c, ni)
	return true
}

// move takes an address from another workload's interface, of the same account. There is no moment
// in which nobody has claimed it; the data plane cuts the connections of the one
// before it gives the address to the other.
func (a *Allocator) move(tx *table.Txn, ni *model.NetworkInterface, taken *AddressError) error {
	c, ok := state.ClaimOn(tx, ni, taken.Addr)
	if !ok {
		return taken
	}
	has := c.InterfaceRef()
	from, ok := state.NetworkInterfaces.Get(tx, has.Account, has.Region, has.ID)
	switch {
	case has == ni.Ref(), has.Account != ni.Account, !ok && !c.Released(), ok && from.Type != model.InterfaceWorkload:
		return taken
	case ok && slices.ContainsFunc(from.Prefixes4, func(p netip.Prefix) bool { return p.Contains(c.Addr) }):
		return taken
	case ok && len(from.Addresses) > 0 && from.Addresses[0] == c.Addr:
		primary := *taken
		primary.Problem = Primary
		return &primary
	}
	if ok && !c.Released() {
		from = from.Clone()
		from.Addresses = slices.DeleteFunc(from.Addresses, func(has netip.Addr) bool { return has == c.Addr })
		from.UpdatedAt = a.Now()
		state.NetworkInterfaces.Put(tx, from)
	}
	follow(tx, has, c.Addr, ni, a.Now())
	hand(tx, c, ni)
	return nil
}

// hand makes a claim that of ni.
func hand(tx *table.Txn, c *model.AddressClaim, ni *model.NetworkInterface) {
	c = c.Clone()
	c.Interface, c.Holder, c.ReleasedAt = ni.ID, guest(ni), time.Time{}
	state.AddressClaims.Put(tx, c)
}

// claimAny takes a free address: at random first, which costs the same however
// many are taken, and by looking at all of them when the block is nearly full.
func (a *Allocator) claimAny(tx *table.Txn, ni *model.NetworkInterface, block netip.Prefix) (netip.Addr, error) {
	if block.Addr().Is6() {
		return a.claimAny6(tx, ni, block)
	}
	usable := 1<<(32-block.Bits()) - reservedFirst - reservedLast
	place := func(i int) netip.Addr { return at4(block, uint32(reservedFirst+i)) }
	for range probes {
		if addr := place(a.Intn(usable)); take(tx, ni, addr, 0) {
			return addr, nil
		}
	}
	taken := make(map[netip.Addr]bool)
	for c := range state.AddressClaimsBySubnet.Rows(tx, ni.SubnetRef()) {
		taken[c.Addr] = true
	}
	for i := range usable {
		if !taken[place(i)] && take(tx, ni, place(i), 0) {
			return place(i), nil
		}
	}
	return netip.Addr{}, &ExhaustedError{Subnet: ni.Subnet, Block: block}
}

// claimAny6 takes a random address. A block of /64 or more cannot be full, so a
// series of misses means that the random source is broken.
func (a *Allocator) claimAny6(tx *table.Txn, ni *model.NetworkInterface, block netip.Prefix) (netip.Addr, error) {
	for range probes {
		if addr := a.random6(block); Assignable(block, addr) && !inPrefix(tx, ni, addr) && take(tx, ni, addr, 0) {
			return addr, nil
		}
	}
	return netip.Addr{}, &ExhaustedError{Subnet: ni.Subnet, Block: block}
}

// take claims addr for ni, or the prefix of that length that it begins, unless
// there is a claim on addr. A bits of zero means addr alone.
func take(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr, bits int) bool {
	s := ni.SubnetRef()
	return state.AddressClaims.Insert(tx, &model.AddressClaim{
		Account: s.Account, Region: s.Region, Subnet: s.ID, Addr: addr, Bits: bits, Interface: ni.ID, Holder: guest(ni),
	}) == nil
}

// guest is the account of an interface in a subnet of another one, and empty for others.
func guest(ni *model.NetworkInterface) string {
	if ni.Network == "" {
		return ""
	}
	return ni.Account
}

// AWS keeps the first four and the last address of a block for itself:
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
const (
	reservedFirst = 4
	reservedLast  = 1
)

// prefixRoom is the last sixteenth of a subnet's IPv6 block, from which gateways
// and others who name none get their prefixes, and nobody a single address. AWS
// does not say where it takes prefixes from.
func prefixRoom(block netip.Prefix) netip.Prefix {
	a := block.Masked().Addr().As16()
	for bit := block.Bits(); bit < block.Bits()+4; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.PrefixFrom(netip.AddrFrom16(a), block.Bits()+4)
}

// Assignable reports whether an interface can have addr, which lies in the
// subnet block given: it is none of those that AWS reserves in every block, and
// not of the part of an IPv6 block that prefixes come from.
func Assignable(block netip.Prefix, addr netip.Addr) bool {
	next := block.Masked().Addr()
	for range reservedFirst {
		if addr == next {
			return false
		}
		next = next.Next()
	}
	return addr != model.Last(block) && (addr.Is4() || !prefixRoom(block).Contains(addr))
}

// at4 gives the address that is n places behind the block's first.
func at4(block netip.Prefix, n uint32) netip.Addr {
	a := block.Masked().Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+n)
	return netip.AddrFrom4(a)
}

// random6 gives an address of the block.
func (a *Allocator) random6(block netip.Prefix) netip.Addr {
	raw := block.Masked().Addr().As16()
	host := uint64(1)<<(64-min(block.Bits(), 64)) - 1 // of the upper half
	high := binary.BigEndian.Uint64(raw[:8]) | uint64(a.Intn(1<<32))&host
	binary.BigEndian.PutUint64(raw[:8], high)
	binary.BigEndian.PutUint64(raw[8:], uint64(a.Intn(1<<32))<<32|uint64(a.Intn(1<<32)))
	return netip.AddrFrom16(raw)
}
