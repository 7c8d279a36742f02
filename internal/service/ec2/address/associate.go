// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AssociateAddress gives an elastic address to an address of a workload's interface, the
// primary one if none is named. Unless the request says otherwise the elastic address may
// be had by another one, and the other one may have another.
func (a Addresses) AssociateAddress(ctx context.Context, in *shape.AssociateAddressInput) (*shape.AssociateAddressOutput, error) {
	who, id, now := access.From(ctx), a.NewID("eipassoc"), a.Now()
	switch {
	case in.InstanceId != nil && in.NetworkInterfaceId != nil:
		return nil, fault.EC2("InvalidParameterCombination", "You may specify a network interface or an instance, but not both in the same call")
	case in.InstanceId != nil:
		return nil, fault.EC2("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", *in.InstanceId)
	case in.NetworkInterfaceId == nil:
		return nil, fault.EC2("MissingParameter", "Either 'InstanceId' or 'NetworkInterfaceId' must be specified")
	}
	keep := in.AllowReassociation != nil && !*in.AllowReassociation
	out := &shape.AssociateAddressOutput{}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		e, err := find(tx, who, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		ni, private, err := target(tx, who, *in.NetworkInterfaceId, in.PrivateIpAddress)
		if err != nil {
			return err
		}
		if e.Interface == ni.ID && e.Private == private {
			out.AssociationId = new(e.Association)
			return nil
		}
		if err := free(tx, e, ni, private, keep); err != nil {
			return err
		}
		alloc.Associate(tx, e, id, ni, private, now)
		out.AssociationId = new(id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// target gives the interface that a request names, and the address of it that is meant. Its
// VPC has an internet gateway, or the address would be good for nothing.
func target(tx *table.Txn, who access.View, id string, private *string) (*model.NetworkInterface, netip.Addr, error) {
	ni, err := request.Get(tx, who, state.NetworkInterfaces, id)
	var addr netip.Addr
	switch {
	case err != nil:
		return nil, addr, err
	case ni.Owner != "":
		return nil, addr, fault.EC2("OperationNotPermitted", "You are not allowed to manage network interface '%s': it belongs to %s", ni.ID, ni.Owner)
	case len(ni.Addresses) == 0:
		return nil, addr, fault.EC2("InvalidParameterValue", "Network interface %s has no IPv4 address", ni.ID)
	}
	addr = ni.Addresses[0]
	if private != nil {
		if addr, err = netip.ParseAddr(*private); err != nil || !addr.Is4() {
			return nil, addr, fault.EC2("InvalidParameterValue", "Value (%s) for parameter privateIpAddress is invalid. Invalid IPv4 address", *private)
		}
		if !slices.Contains(ni.Addresses, addr) {
			return nil, addr, fault.EC2("InvalidParameterValue", "Value (%s) for parameter privateIpAddress is invalid. %s has no such address", addr, ni.ID)
		}
	}
	if state.InternetGatewaysByVPC.Count(tx, ni.VPCRef()) == 0 {
		return nil, addr, fault.EC2("Gateway.NotAttached", "Network %s is not attached to any internet gateway", ni.VPC)
	}
	return ni, addr, nil
}

// free refuses an elastic address that is a service's, and with keep one that anything has,
// or that something with another one is to get.
func free(tx *table.Txn, e *model.ElasticAddress, ni *model.NetworkInterface, private netip.Addr, keep bool) error {
	if from, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, e.Interface); ok && from.Owner != "" {
		return managed(from)
	}
	if keep && e.Association != "" {
		return fault.EC2("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", e.ID, e.Association)
	}
	if other, has := alloc.ElasticOf(tx, ni.Ref(), private); has && keep {
		return fault.EC2("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", ni.ID, other.Association)
	}
	return nil
}

// DisassociateAddress takes an elastic address from what has it. It stays the caller's.
func (a Addresses) DisassociateAddress(ctx context.Context, in *shape.DisassociateAddressInput) (*shape.DisassociateAddressOutput, error) {
	who, now := access.From(ctx), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		e, err := associated(tx, who, in)
		if err != nil {
			return err
		}
		if ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, e.Interface); ok && ni.Owner != "" {
			return managed(ni)
		}
		alloc.Disassociate(tx, e, now)
		return nil
	})
	return &shape.DisassociateAddressOutput{}, err
}

// associated gives the caller's elastic address that a request names, which something has.
func associated(tx *table.Txn, who access.View, in *shape.DisassociateAddressInput) (*model.ElasticAddress, error) {
	id := service.Value(in.AssociationId)
	switch {
	case in.AssociationId == nil && in.PublicIp == nil:
		return nil, fault.EC2("MissingParameter", "Either public IP or association id must be specified")
	case in.AssociationId != nil && in.PublicIp != nil:
		return nil, fault.EC2("InvalidParameterCombination", "You may specify public IP or association id, but not both in the same call")
	case in.PublicIp != nil:
		e, err := find(tx, who, nil, in.PublicIp)
		if err == nil && e.Association == "" {
			err = fault.EC2("InvalidAssociationID.NotFound", "Address '%s' is not associated", e.Addr)
		}
		return e, err
	}
	e, ok := having(tx, who, func(e *model.ElasticAddress) bool { return id != "" && e.Association == id })
	if !ok {
		return nil, fault.EC2("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
	}
	return e, nil
}
