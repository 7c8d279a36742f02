// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"encoding/binary"
	"net/netip"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// blockBits6 is the length of the blocks of the IPv6 pool, that of the ones that
// AWS gives: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
const blockBits6 = 56

// maxPoolPlaces bounds how many blocks of a large pool are used.
const maxPoolPlaces = 1 << 24

// poolPlaces is how many blocks the pool has; none when there is no pool.
func poolPlaces(pool netip.Prefix) int {
	if !pool.Addr().Is6() || pool.Bits() > blockBits6 {
		return 0
	}
	return min(maxPoolPlaces, 1<<(blockBits6-pool.Bits()))
}

// poolBlock gives a block of the pool by its number.
func poolBlock(pool netip.Prefix, index int) netip.Prefix {
	addr := pool.Masked().Addr().As16()
	high := binary.BigEndian.Uint64(addr[:8]) | uint64(index)<<(64-blockBits6)
	binary.BigEndian.PutUint64(addr[:8], high)
	return netip.PrefixFrom(netip.AddrFrom16(addr), blockBits6)
}

// poolIndex gives the number of a block that poolBlock made of a pool with so
// many places.
func poolIndex(block netip.Prefix, places int) int {
	addr := block.Addr().As16()
	return int(binary.BigEndian.Uint64(addr[:8])>>(64-blockBits6)) & (places - 1)
}

// HasPool6 reports whether there is a pool that ClaimBlock6 can take from.
func (a *Allocator) HasPool6() bool { return poolPlaces(a.Pool6) > 0 }

// ClaimBlock6 takes a free block of the pool, which there must be, for the owner.
// It fails with ErrTransitFull.
func (a *Allocator) ClaimBlock6(tx *table.Txn, owner model.Ref) (netip.Prefix, error) {
	index, err := a.ClaimTransit(tx, model.SpacePool6, poolPlaces(a.Pool6), owner)
	if err != nil {
		return netip.Prefix{}, err
	}
	return poolBlock(a.Pool6, index), nil
}

// FreeBlock6 gives the owner's block back. One that is of another pool, from before
// the pool was changed, is left alone.
func (a *Allocator) FreeBlock6(tx *table.Txn, owner model.Ref, block netip.Prefix) {
	index := poolIndex(block, poolPlaces(a.Pool6))
	claim, ok := state.TransitClaims.Get(tx, "", "", model.TransitClaimID(model.SpacePool6, index))
	if ok && claim.Owner == owner {
		FreeTransit(tx, model.SpacePool6, index)
	}
}
