// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"fmt"
	"net/netip"
)

// Problem is why an address that was asked for cannot be given.
type Problem uint8

// The problems of an AddressError.
const (
	// OutOfRange: the address is not of the subnet's block.
	OutOfRange Problem = iota
	// Reserved: the address is one that no interface can have.
	Reserved
	// Taken: an interface has the address already.
	Taken
	// Repeated: the request names the address twice.
	Repeated
	// Primary: the address is to be moved and is another interface's primary one.
	Primary
)

// AddressError refuses an address that was asked for by name.
type AddressError struct {
	Addr    netip.Addr
	Subnet  string
	Block   netip.Prefix
	Problem Problem
}

// Error says what is wrong with the address.
func (e *AddressError) Error() string {
	switch e.Problem {
	case Reserved:
		return fmt.Sprintf("address %s is in subnet %s's reserved address range", e.Addr, e.Subnet)
	case Taken:
		return fmt.Sprintf("address %s is in use in subnet %s", e.Addr, e.Subnet)
	case Primary:
		return fmt.Sprintf("address %s is the primary address of another network interface and cannot be moved", e.Addr)
	case Repeated:
		return fmt.Sprintf("address %s is named twice", e.Addr)
	}
	return fmt.Sprintf("address %s does not fall within %s, the block of subnet %s", e.Addr, e.Block, e.Subnet)
}

// ExhaustedError says that a subnet has fewer free addresses than asked for.
type ExhaustedError struct {
	Subnet string
	Block  netip.Prefix
	// Prefixes says that prefixes were asked for, not addresses.
	Prefixes bool
}

// Error names the subnet and its block.
func (e *ExhaustedError) Error() string {
	if e.Prefixes {
		return fmt.Sprintf("subnet %s has too few free prefixes in %s", e.Subnet, e.Block)
	}
	return fmt.Sprintf("subnet %s has too few free addresses in %s", e.Subnet, e.Block)
}

// FamilyError says that a subnet has no block of the address family asked for.
type FamilyError struct {
	Subnet string
	// Family is 4 or 6.
	Family int
}

// Error names the subnet and the family.
func (e *FamilyError) Error() string {
	return fmt.Sprintf("subnet %s has no IPv%d block", e.Subnet, e.Family)
}

// QuotaError says that the account has as many interfaces in the region as it
// may have.
type QuotaError struct{ Limit int }

// Error names the limit.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("the account has %d network interfaces in this region, the most it can have", e.Limit)
}
