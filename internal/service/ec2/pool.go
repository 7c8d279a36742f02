// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"encoding/binary"
	"net/netip"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// maxPoolPlaces bounds how many blocks of a large pool are used.
const maxPoolPlaces = 1 << 24

// poolPlaces is how many blocks the pool has; none when there is no pool.
func poolPlaces(pool netip.Prefix) int {
	if !pool.Addr().Is6() || pool.Bits() > poolBlock6 {
		return 0
	}
	return min(maxPoolPlaces, 1<<(poolBlock6-pool.Bits()))
}

// poolBlock gives a block of the pool by its number.
func poolBlock(pool netip.Prefix, index int) netip.Prefix {
	addr := pool.Masked().Addr().As16()
	high := binary.BigEndian.Uint64(addr[:8]) | uint64(index)<<(64-poolBlock6)
	binary.BigEndian.PutUint64(addr[:8], high)
	return netip.PrefixFrom(netip.AddrFrom16(addr), poolBlock6)
}

// poolIndex gives the number of a block that poolBlock made of a pool with so
// many places.
func poolIndex(block netip.Prefix, places int) int {
	addr := block.Addr().As16()
	return int(binary.BigEndian.Uint64(addr[:8])>>(64-poolBlock6)) & (places - 1)
}

// amazonPool is how the pool of blocks that are chosen here is called.
const amazonPool = model.AmazonPool

// block6Request is a request for an IPv6 block of a VPC: a given prefix, or any.
type block6Request struct {
	env    *service.Env
	id     string
	prefix netip.Prefix
	pool   string
}

// block6Request reads the parameters for an IPv6 block; nil when none is
// wanted.
func (a *API) block6Request(provided *bool, block, pool *string) (*block6Request, error) {
	r := &block6Request{env: a.Env, id: a.NewID("vpc-cidr-assoc"), pool: amazonPool}
	switch {
	case deref(provided) && block != nil:
		return nil, fault.EC2("InvalidParameterCombination", "amazonProvidedIpv6CidrBlock and ipv6CidrBlock exclude each other")
	case deref(provided) && poolPlaces(a.IPv6Pool) == 0:
		return nil, unserved("IPv6 blocks without a given range")
	case deref(provided):
		return r, nil
	case block == nil && pool != nil:
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter ipv6CidrBlock when it contains ipv6Pool")
	case block == nil:
		return nil, nil
	case deref(pool) == "":
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter ipv6Pool when it contains ipv6CidrBlock")
	}
	if *pool == amazonPool {
		return nil, fault.EC2("InvalidParameterValue", "Value (%s) for parameter ipv6Pool is invalid: blocks of this pool are asked for by amazonProvidedIpv6CidrBlock", *pool)
	}
	var err error
	r.pool = *pool
	r.prefix, err = vpcBlock6.parse(*block)
	return r, err
}

// take gives the block for the VPC, which must not overlap those that it has.
func (r *block6Request) take(tx *table.Txn, vpc *model.VPC) (model.CIDRAssociation, error) {
	got := model.CIDRAssociation{ID: r.id, Prefix: r.prefix, Pool: r.pool}
	if !r.prefix.IsValid() {
		index, err := r.env.ClaimTransit(tx, model.SpacePool6, poolPlaces(r.env.IPv6Pool), vpc.Ref())
		if err != nil {
			return got, fault.EC2("InsufficientCidrBlocks", "the pool %s has no free IPv6 block", r.env.IPv6Pool)
		}
		got.Prefix = poolBlock(r.env.IPv6Pool, index)
	}
	if other, ok := overlapping(vpc.CIDRs6, got.Prefix); ok {
		return got, fault.EC2("CidrConflict", "The CIDR '%s' conflicts with '%s' of the VPC", got.Prefix, other.Prefix)
	}
	return got, nil
}

// freeBlock6 gives a block of the VPC back that take took from the pool.
func (a *API) freeBlock6(tx *table.Txn, vpc *model.VPC, block model.CIDRAssociation) {
	if block.Pool != amazonPool {
		return
	}
	index := poolIndex(block.Prefix, poolPlaces(a.IPv6Pool))
	claim, ok := state.TransitClaims.Get(tx, "", "", model.TransitClaimID(model.SpacePool6, index))
	if ok && claim.Owner == vpc.Ref() { // else the pool was another one then
		service.FreeTransit(tx, model.SpacePool6, index)
	}
}
