// SPDX-License-Identifier: Apache-2.0

// Package alloc hands out what is there only once, and takes it back: addresses
// and prefixes of subnets, the network interfaces that have them, places in the
// transit realm, blocks of the IPv6 pool and public addresses. Services and controllers do it through
// this package alone; nobody else writes claims, or makes and removes interfaces.
//
// Something is taken by the existence of its claim (model.AddressClaim,
// model.TransitClaim, model.PublicClaim). A transaction that takes it depends on the claim's absence,
// so two transactions that run at the same time never take the same thing.
//
// The package knows no AWS errors; each service says what its AWS counterpart
// says about AddressError, ExhaustedError, FamilyError, QuotaError,
// ErrTransitFull and the errors of ClaimPublic.
package alloc

import (
	"net/netip"
	"time"
)

// probes is how many places are tried at random before all are looked at. In a
// range that is half full, one allocation in 65,536 has to look at all; with nine
// of ten places taken, one in six.
const probes = 16

// Allocator chooses what is handed out. All fields are required, but for those of
// what is not asked for.
type Allocator struct {
	// Intn gives a random number from 0 to n-1.
	Intn func(n int) int
	// Now tells when something was moved.
	Now func() time.Time
	// MaxInterfaces is how many interfaces an account can have in a region.
	MaxInterfaces int
	// Pool6 is where IPv6 blocks come from. It is a prefix of at most 56 bits.
	Pool6 netip.Prefix
	// Public is where public IPv4 addresses come from, without those of PublicExcept.
	Public       []netip.Prefix
	PublicExcept []netip.Addr
}
