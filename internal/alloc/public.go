// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// What can be wrong with a public address that is asked for.
var (
	// ErrNoPublicPool is the cause when there are no public addresses at all.
	ErrNoPublicPool = errors.New("no public addresses were given to this installation: postern up --public-pool PREFIX gives it some")
	// ErrPublicFull is the cause when all of them are taken.
	ErrPublicFull = errors.New("all public addresses of this installation are taken: postern up --public-pool PREFIX,PREFIX gives it more")
	// ErrNotPublic is the cause when an address is none of them.
	ErrNotPublic = errors.New("the address is none of the public addresses of this installation, those of postern up --public-pool")
	// ErrPublicTaken is the cause when somebody has the address.
	ErrPublicTaken = errors.New("the address is taken")
)

// HasPublic reports whether there are public addresses to be had.
func (a *Allocator) HasPublic() bool { return a.publicPlaces() > 0 }

// ClaimPublic takes a public IPv4 address for the owner: the one that is named, or any
// when none is. It fails with the errors above.
func (a *Allocator) ClaimPublic(tx *table.Txn, owner model.Ref, named netip.Addr) (netip.Addr, error) {
	places := a.publicPlaces()
	switch {
	case places == 0:
		return netip.Addr{}, ErrNoPublicPool
	case named.IsValid() && !a.isPublic(named):
		return netip.Addr{}, ErrNotPublic
	case named.IsValid():
		if !a.takePublic(tx, owner, named) {
			return netip.Addr{}, ErrPublicTaken
		}
		return named, nil
	}
	for range probes {
		if addr := a.publicAt(a.Intn(places)); a.takePublic(tx, owner, addr) {
			return addr, nil
		}
	}
	taken := map[netip.Addr]bool{}
	for c := range state.PublicClaims.Scope(tx, "", "") {
		taken[c.Addr] = true
	}
	for i := range places {
		if addr := a.publicAt(i); !taken[addr] && a.takePublic(tx, owner, addr) {
			return addr, nil
		}
	}
	return netip.Addr{}, ErrPublicFull
}

func (a *Allocator) takePublic(tx *table.Txn, owner model.Ref, addr netip.Addr) bool {
	return !slices.Contains(a.PublicExcept, addr) && state.PublicClaims.Insert(tx, &model.PublicClaim{Addr: addr, Owner: owner}) == nil
}

func (a *Allocator) isPublic(addr netip.Addr) bool {
	return !slices.Contains(a.PublicExcept, addr) && slices.ContainsFunc(a.Public, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxPublicPlaces bounds how many addresses of large prefixes are used.
const maxPublicPlaces = 1 << 24

// publicPlaces is how many IPv4 addresses the public pool has.
func (a *Allocator) publicPlaces() (n int) {
	for _, p := range a.Public {
		if p.Addr().Is4() {
			n += 1 << (32 - p.Bits())
		}
	}
	return min(n, maxPublicPlaces)
}

// publicAt gives an address of the pool by its place in all prefixes, one after the
// other.
func (a *Allocator) publicAt(i int) netip.Addr {
	for _, p := range a.Public {
		if !p.Addr().Is4() {
			continue
		}
		if n := 1 << (32 - p.Bits()); i >= n {
			i -= n
			continue
		}
		return at4(p, uint32(i))
	}
	return netip.Addr{}
}

// ReleasePublic gives up a public address of the owner's. Nobody else gets it before the
// data plane has let go of it.
func ReleasePublic(tx *table.Txn, owner model.Ref, addr netip.Addr, now time.Time) {
	c, ok := state.PublicClaims.Get(tx, "", "", addr.String())
	if !ok || c.Owner != owner || c.Released() {
		return
	}
	c = c.Clone()
	c.ReleasedAt = now
	state.PublicClaims.Put(tx, c)
}

// DropPublic removes the claim with that id on an address that was given up, when the data
// plane has let go of it.
func DropPublic(tx *table.Txn, claim model.Ref) {
	if c, ok := state.PublicClaims.Get(tx, "", "", claim.ID); ok && c.Released() {
		state.PublicClaims.Delete(tx, "", "", claim.ID)
	}
}

// Publish gives the primary address of ni a public one, unless it has one: also an elastic
// address. It does nothing for an interface without IPv4, or where there are no public
// addresses at all; else it fails with ErrPublicFull. ni must be the caller's own copy, and
// storing it is the caller's part.
func (a *Allocator) Publish(tx *table.Txn, ni *model.NetworkInterface) (err error) {
	if len(ni.Addresses) == 0 || ni.Public.IsValid() || !a.HasPublic() {
		return nil
	}
	if _, has := ElasticOf(tx, ni.Ref(), ni.Addresses[0]); has {
		return nil
	}
	ni.Public, err = a.ClaimPublic(tx, ni.Ref(), netip.Addr{})
	return err
}

// Unpublish takes the public address away that an interface has while it is attached, if
// it has one, and stores the row.
func Unpublish(tx *table.Txn, interfaceRef model.Ref, now time.Time) {
	ni, ok := state.NetworkInterfaces.Get(tx, interfaceRef.Account, interfaceRef.Region, interfaceRef.ID)
	if !ok || !ni.Public.IsValid() {
		return
	}
	ReleasePublic(tx, ni.Ref(), ni.Public, now)
	ni = ni.Clone()
	ni.Public = netip.Addr{}
	state.NetworkInterfaces.Put(tx, ni)
}

// ElasticOf gives the elastic address that an address of an interface has.
func ElasticOf(tx *table.Txn, interfaceRef model.Ref, private netip.Addr) (*model.ElasticAddress, bool) {
	for e := range state.ElasticAddressesByInterface.Rows(tx, interfaceRef) {
		if e.Private == private {
			return e, true
		}
	}
	return nil, false
}

// Associate gives an elastic address, which may have been another one's, to an address of
// an interface. What that had for a public address before, it loses.
func Associate(tx *table.Txn, e *model.ElasticAddress, id string, ni *model.NetworkInterface, private netip.Addr, now time.Time) {
	if before, has := ElasticOf(tx, ni.Ref(), private); has && before.ID != e.ID {
		Disassociate(tx, before, now)
	}
	if len(ni.Addresses) > 0 && ni.Addresses[0] == private {
		Unpublish(tx, ni.Ref(), now)
	}
	e = e.Clone()
	e.Association, e.Interface, e.Private, e.UpdatedAt = id, ni.ID, private, now
	state.ElasticAddresses.Put(tx, e)
}

// Disassociate takes an elastic address from whatever has it.
func Disassociate(tx *table.Txn, e *model.ElasticAddress, now time.Time) {
	e = e.Clone()
	e.Association, e.Interface, e.Private, e.UpdatedAt = "", "", netip.Addr{}, now
	state.ElasticAddresses.Put(tx, e)
}

// follow has the elastic address of a private one go where that went: to another
// interface, or nowhere when there is none.
func follow(tx *table.Txn, from model.Ref, private netip.Addr, to *model.NetworkInterface, now time.Time) {
	e, has := ElasticOf(tx, from, private)
	switch {
	case has && to == nil:
		Disassociate(tx, e, now)
	case has:
		e = e.Clone()
		e.Interface, e.UpdatedAt = to.ID, now
		state.ElasticAddresses.Put(tx, e)
	}
}
