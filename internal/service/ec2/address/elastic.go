// SPDX-License-Identifier: Apache-2.0

// Package address is EC2's elastic addresses.
package address

import (
	"context"
	"errors"
	"net/netip"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Addresses are the operations on elastic addresses.
type Addresses struct{ *service.Env }

// amazonPool is the pool that addresses are of that no customer has brought along.
const amazonPool = "amazon"

// AllocateAddress gives the caller an address of the public pool, to keep.
func (a Addresses) AllocateAddress(ctx context.Context, in *shape.AllocateAddressInput) (*shape.AllocateAddressOutput, error) {
	who := access.From(ctx)
	if err := served(who, in); err != nil {
		return nil, err
	}
	var named netip.Addr
	if in.Address != nil {
		var err error
		if named, err = parse4(*in.Address); err != nil {
			return nil, err
		}
	}
	tags, err := request.TagsFor(in.TagSpecifications, state.ElasticAddresses.Kind())
	if err != nil {
		return nil, err
	}
	e := &model.ElasticAddress{Meta: request.Meta(a.Env, who, "eipalloc", a.Now(), tags)}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) (err error) {
		if view.Count(tx, who, state.ElasticAddresses) >= a.Quotas.AddressesPerRegion {
			return fault.EC2("AddressLimitExceeded", "The maximum number of addresses has been reached.")
		}
		e = e.Clone()
		if e.Addr, err = a.Alloc().ClaimPublic(tx, e.Ref(), named); err != nil {
			return refused(err, named)
		}
		state.ElasticAddresses.Put(tx, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.AllocateAddressOutput{
		AllocationId: new(e.ID), PublicIp: new(e.Addr.String()), Domain: new(shape.DomainTypeVpc),
		PublicIpv4Pool: new(amazonPool), NetworkBorderGroup: new(e.Region),
	}, nil
}

// served refuses the options of an allocation that do not exist here.
func served(who access.View, in *shape.AllocateAddressInput) error {
	switch {
	case in.Domain != nil && *in.Domain != shape.DomainTypeVpc:
		return fault.EC2("InvalidParameterValue", "Invalid value '%s' for domain. Must be 'vpc'", *in.Domain)
	case in.PublicIpv4Pool != nil && *in.PublicIpv4Pool != amazonPool:
		return fault.EC2("InvalidPublicIpv4PoolID.NotFound", "The pool ID '%s' does not exist", *in.PublicIpv4Pool)
	case in.NetworkBorderGroup != nil && *in.NetworkBorderGroup != who.Region:
		return fault.EC2("InvalidParameterValue", "Invalid value '%s' for networkBorderGroup. Must be '%s'", *in.NetworkBorderGroup, who.Region)
	case in.CustomerOwnedIpv4Pool != nil:
		return request.Unserved("customer-owned addresses")
	case in.IpamPoolId != nil:
		return request.Unserved("IPAM pools")
	}
	return nil
}

// refused gives the errors of the public pool their EC2 codes.
func refused(err error, named netip.Addr) error {
	switch {
	case errors.Is(err, alloc.ErrNotPublic):
		return fault.EC2("InvalidAddress.NotFound", "Address '%s' not found: %v", named, err)
	case errors.Is(err, alloc.ErrPublicTaken):
		return fault.EC2("InvalidIPAddress.InUse", "Address '%s' is in use", named)
	case errors.Is(err, alloc.ErrNoPublicPool), errors.Is(err, alloc.ErrPublicFull):
		return fault.EC2("InsufficientAddressCapacity", "%v", err)
	}
	return err
}

func parse4(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		return addr, fault.EC2("InvalidParameterValue", "Value (%s) for parameter publicIp is invalid. Invalid IPv4 address", text)
	}
	return addr, nil
}

// find gives the caller's elastic address that a request names by one of its id and its
// address.
func find(tx *table.Txn, who access.View, id, addr *string) (*model.ElasticAddress, error) {
	switch {
	case id != nil && addr != nil:
		return nil, fault.EC2("InvalidParameterCombination", "You may specify public IP or allocation id, but not both in the same call")
	case id != nil:
		return request.Get(tx, who, state.ElasticAddresses, *id)
	case addr == nil:
		return nil, fault.EC2("MissingParameter", "Either public IP or allocation id must be specified")
	}
	if _, err := parse4(*addr); err != nil {
		return nil, err
	}
	e, ok := having(tx, who, func(e *model.ElasticAddress) bool { return e.Addr.String() == *addr })
	if !ok {
		return nil, notFound(*addr)
	}
	return e, nil
}

func notFound(addr string) error {
	return fault.EC2("InvalidAddress.NotFound", "Address '%s' not found.", addr)
}

// having gives the first of the caller's elastic addresses of which something holds.
func having(tx *table.Txn, who access.View, holds func(*model.ElasticAddress) bool) (*model.ElasticAddress, bool) {
	for e := range view.All(tx, who, state.ElasticAddresses) {
		if holds(e) {
			return e, true
		}
	}
	return nil, false
}

// ReleaseAddress gives an address back that nothing has.
func (a Addresses) ReleaseAddress(ctx context.Context, in *shape.ReleaseAddressInput) (*shape.ReleaseAddressOutput, error) {
	who, now := access.From(ctx), a.Now()
	if g := in.NetworkBorderGroup; g != nil && *g != who.Region {
		return nil, fault.EC2("InvalidParameterValue", "Invalid value '%s' for networkBorderGroup. Must be '%s'", *g, who.Region)
	}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		e, err := find(tx, who, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		if e.Association != "" {
			if ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, e.Interface); ok && ni.Owner != "" {
				return managed(ni)
			}
			return fault.EC2("InvalidIPAddress.InUse", "Address '%s' is in use: %s has it", e.Addr, e.Interface)
		}
		alloc.ReleasePublic(tx, e.Ref(), e.Addr, now)
		state.ElasticAddresses.Delete(tx, e.Account, e.Region, e.ID)
		return nil
	})
	return &shape.ReleaseAddressOutput{}, err
}

// managed is the error for an address of what a service manages.
func managed(ni *model.NetworkInterface) error {
	return fault.EC2("AuthFailure", "You do not have permission to access the specified resource: %s belongs to %s", ni.ID, ni.Owner)
}
