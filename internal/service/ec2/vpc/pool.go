// SPDX-License-Identifier: Apache-2.0

package vpc

import (
	"net/netip"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/table"
)

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
func (a VPCs) block6Request(provided *bool, given, pool *string) (*block6Request, error) {
	r := &block6Request{env: a.Env, id: a.NewID("vpc-cidr-assoc"), pool: amazonPool}
	switch {
	case service.Value(provided) && given != nil:
		return nil, fault.EC2("InvalidParameterCombination", "amazonProvidedIpv6CidrBlock and ipv6CidrBlock exclude each other")
	case service.Value(provided) && !a.Alloc().HasPool6():
		return nil, request.Unserved("IPv6 blocks without a given range")
	case service.Value(provided):
		return r, nil
	case given == nil && pool != nil:
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter ipv6CidrBlock when it contains ipv6Pool")
	case given == nil:
		return nil, nil
	case service.Value(pool) == "":
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter ipv6Pool when it contains ipv6CidrBlock")
	}
	if *pool == amazonPool {
		return nil, fault.EC2("InvalidParameterValue", "Value (%s) for parameter ipv6Pool is invalid: blocks of this pool are asked for by amazonProvidedIpv6CidrBlock", *pool)
	}
	var err error
	r.pool = *pool
	r.prefix, err = block.VPC6.Parse(*given)
	return r, err
}

// take gives the block for the VPC, which must not overlap those that it has.
func (r *block6Request) take(tx *table.Txn, vpc *model.VPC) (model.CIDRAssociation, error) {
	got := model.CIDRAssociation{ID: r.id, Prefix: r.prefix, Pool: r.pool}
	if !r.prefix.IsValid() {
		claimed, err := r.env.Alloc().ClaimBlock6(tx, vpc.Ref())
		if err != nil {
			return got, fault.EC2("InsufficientCidrBlocks", "the pool %s has no free IPv6 block", r.env.IPv6Pool)
		}
		got.Prefix = claimed
	}
	if other, ok := block.Overlapping(vpc.CIDRs6, got.Prefix); ok {
		return got, fault.EC2("CidrConflict", "The CIDR '%s' conflicts with '%s' of the VPC", got.Prefix, other.Prefix)
	}
	return got, nil
}

// freeBlock6 gives a block of the VPC back that take took from the pool.
func (a VPCs) freeBlock6(tx *table.Txn, vpc *model.VPC, block model.CIDRAssociation) {
	if block.Pool == amazonPool {
		a.Alloc().FreeBlock6(tx, vpc.Ref(), block.Prefix)
	}
}
