// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AssociateNatGatewayAddress gives a public gateway further elastic addresses, each with a
// private one.
func (a NATGateways) AssociateNatGatewayAddress(ctx context.Context, in *shape.AssociateNatGatewayAddressInput) (*shape.AssociateNatGatewayAddressOutput, error) {
	if in.AvailabilityZone != nil || in.AvailabilityZoneId != nil {
		return nil, fault.EC2("UnsupportedOperation", "AvailabilityZone and AvailabilityZoneId are of NAT gateways of AvailabilityMode regional, which are not served here")
	}
	if len(in.AllocationIds) == 0 {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter AllocationIds")
	}
	list, err := a.readAllocations(in.AllocationIds, in.PrivateIpAddresses, "AllocationIds", "PrivateIpAddresses")
	if err != nil {
		return nil, err
	}
	addresses, err := a.add(ctx, service.Value(in.NatGatewayId), list, false)
	if err != nil {
		return nil, err
	}
	return &shape.AssociateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: addresses}, nil
}

// AssignPrivateNatGatewayAddress gives a private gateway further addresses.
func (a NATGateways) AssignPrivateNatGatewayAddress(ctx context.Context, in *shape.AssignPrivateNatGatewayAddressInput) (*shape.AssignPrivateNatGatewayAddressOutput, error) {
	list, err := readAddresses(in.PrivateIpAddresses, in.PrivateIpAddressCount, "PrivateIpAddresses", "PrivateIpAddressCount")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.EC2("MissingParameter", "The request must contain PrivateIpAddresses or PrivateIpAddressCount")
	}
	addresses, err := a.add(ctx, service.Value(in.NatGatewayId), list, true)
	if err != nil {
		return nil, err
	}
	return &shape.AssignPrivateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: addresses}, nil
}

// add gives a gateway addresses, and shows these.
func (a NATGateways) add(ctx context.Context, id string, list []wanted, private bool) (added []shape.NatGatewayAddress, err error) {
	who := access.From(ctx)
	_, err = request.Change(ctx, a.Env, state.NATGateways, id, func(tx *table.Txn, g *model.NATGateway) error {
		if err := changeable(g, private); err != nil {
			return err
		}
		if err := a.checkCount(len(g.Addresses) + len(list)); err != nil {
			return err
		}
		elastic, err := allocations(tx, who, list)
		if err != nil {
			return err
		}
		if other := associated(elastic); other != "" {
			return fault.EC2("Resource.AlreadyAssociated", "Elastic IP address %s is already associated", other)
		}
		s, err := request.Get(tx, who, state.Subnets, g.Subnet)
		if err != nil {
			return err
		}
		ni, err := request.Get(tx, who, state.NetworkInterfaces, g.Interface)
		if err != nil {
			return err
		}
		ni = ni.Clone()
		got, err := a.Alloc().Assign(tx, ni, s, want(list), alloc.Want{})
		if err != nil {
			return iface.Fault(err)
		}
		state.NetworkInterfaces.Put(tx, ni)
		before := len(g.Addresses)
		g.Update(g.UpdatedAt)
		have(tx, g, ni, place(list, got), elastic)
		added = addressShapes(tx, g)[before:]
		return nil
	})
	return added, err
}

// changeable refuses to change the addresses of a gateway that goes or is gone, or in
// the way of gateways of the other type.
func changeable(g *model.NATGateway, private bool) error {
	switch {
	case g.Gone() || g.Deleting():
		return fault.EC2("IncorrectState", "The NAT gateway %s is being deleted, or has failed or been deleted", g.ID)
	case g.Private && !private:
		return fault.EC2("InvalidParameterValue", "The NAT gateway %s has ConnectivityType private; its addresses are changed by AssignPrivateNatGatewayAddress and UnassignPrivateNatGatewayAddress", g.ID)
	case !g.Private && private:
		return fault.EC2("InvalidParameterValue", "The NAT gateway %s has ConnectivityType public; its addresses are changed by AssociateNatGatewayAddress and DisassociateNatGatewayAddress", g.ID)
	}
	return nil
}

// DisassociateNatGatewayAddress takes elastic addresses from a public gateway, but not the
// primary one. No new connection goes by them, and those that there are may end.
func (a NATGateways) DisassociateNatGatewayAddress(ctx context.Context, in *shape.DisassociateNatGatewayAddressInput) (*shape.DisassociateNatGatewayAddressOutput, error) {
	if len(in.AssociationIds) == 0 {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter AssociationIds")
	}
	find := func(tx *table.Txn, g *model.NATGateway, id string) (int, error) {
		at := slices.IndexFunc(g.Addresses, func(addr model.NATAddress) bool {
			e := elasticOf(tx, g, addr)
			return e != nil && e.Association == id
		})
		if at < 0 {
			return at, fault.EC2("InvalidAssociationID.NotFound", "The association ID '%s' does not exist: it is none of NAT gateway %s", id, g.ID)
		}
		return at, nil
	}
	addresses, err := a.give(ctx, service.Value(in.NatGatewayId), in.AssociationIds, find, drain(in.MaxDrainDurationSeconds), false)
	if err != nil {
		return nil, err
	}
	return &shape.DisassociateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: addresses}, nil
}

// UnassignPrivateNatGatewayAddress takes addresses from a private gateway, but not the
// primary one, as DisassociateNatGatewayAddress does.
func (a NATGateways) UnassignPrivateNatGatewayAddress(ctx context.Context, in *shape.UnassignPrivateNatGatewayAddressInput) (*shape.UnassignPrivateNatGatewayAddressOutput, error) {
	if len(in.PrivateIpAddresses) == 0 {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter PrivateIpAddresses")
	}
	if _, err := iface.ParseAddresses(in.PrivateIpAddresses, netip.Addr.Is4, "IPv4"); err != nil {
		return nil, err
	}
	find := func(_ *table.Txn, g *model.NATGateway, text string) (int, error) {
		at := slices.IndexFunc(g.Addresses, func(addr model.NATAddress) bool { return addr.Private.String() == text })
		if at < 0 {
			return at, fault.EC2("InvalidParameterValue", "The address %s is not assigned to NAT gateway %s", text, g.ID)
		}
		return at, nil
	}
	addresses, err := a.give(ctx, service.Value(in.NatGatewayId), in.PrivateIpAddresses, find, drain(in.MaxDrainDurationSeconds), true)
	if err != nil {
		return nil, err
	}
	return &shape.UnassignPrivateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: addresses}, nil
}

// defaultDrain is how long connections by an address that was given up may last when the
// request does not say.
const defaultDrain = 350 * time.Second

func drain(seconds *int32) time.Duration {
	if seconds == nil {
		return defaultDrain
	}
	return time.Duration(*seconds) * time.Second
}

// give has a gateway give addresses up, which find finds by what the request calls them,
// and shows these.
func (a NATGateways) give(
	ctx context.Context, id string, names []string, find func(*table.Txn, *model.NATGateway, string) (int, error), drain time.Duration, private bool,
) (given []shape.NatGatewayAddress, err error) {
	_, err = request.Change(ctx, a.Env, state.NATGateways, id, func(tx *table.Txn, g *model.NATGateway) error {
		if err := changeable(g, private); err != nil {
			return err
		}
		var places []int
		for _, name := range names {
			at, err := find(tx, g, name)
			switch {
			case err != nil:
				return err
			case at == 0:
				return fault.EC2("InvalidParameterValue", "The primary address %s of NAT gateway %s cannot be taken from it", g.Addresses[0].Private, g.ID)
			}
			places = append(places, at)
		}
		g.Update(g.UpdatedAt)
		for _, at := range places {
			if addr := &g.Addresses[at]; !addr.GivenUp() {
				addr.GivenUpAt, addr.DrainedAt = g.UpdatedAt, g.UpdatedAt.Add(drain)
			}
		}
		given = nil
		for _, at := range places {
			given = append(given, addressShapes(tx, g)[at])
		}
		return nil
	})
	return given, err
}
