// SPDX-License-Identifier: Apache-2.0

package vpc

import (
	"context"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AssociateVpcCidrBlock adds an IPv4 or an IPv6 block to a VPC.
func (a VPCs) AssociateVpcCidrBlock(ctx context.Context, in *shape.AssociateVpcCidrBlockInput) (*shape.AssociateVpcCidrBlockOutput, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil || in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil {
		return nil, request.Unserved("address pools of IPAM")
	}
	block6, err := a.block6Request(in.AmazonProvidedIpv6CidrBlock, in.Ipv6CidrBlock, in.Ipv6Pool)
	switch {
	case err != nil:
		return nil, err
	case (in.CidrBlock == nil) == (block6 == nil):
		return nil, fault.EC2("InvalidParameterCombination", "The request must contain exactly one of the parameters cidrBlock, amazonProvidedIpv6CidrBlock and ipv6CidrBlock")
	case block6 != nil:
		return a.associateVPC6(ctx, service.Value(in.VpcId), block6)
	}
	block, err := block.VPC.Parse(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	return a.associateVPC4(ctx, service.Value(in.VpcId), block)
}

func (a VPCs) associateVPC4(ctx context.Context, id string, p netip.Prefix) (*shape.AssociateVpcCidrBlockOutput, error) {
	added := model.CIDRAssociation{ID: a.NewID("vpc-cidr-assoc"), Prefix: p}
	_, err := request.Change(ctx, a.Env, state.VPCs, id, func(tx *table.Txn, v *model.VPC) error {
		if other, ok := block.Overlapping(v.CIDRs, p); ok {
			return fault.EC2("CidrConflict", "The CIDR '%s' conflicts with '%s' of the VPC", p, other.Prefix)
		}
		if len(v.CIDRs) >= a.Quotas.IPv4BlocksPerVPC {
			return tooManyBlocks(v, a.Quotas.IPv4BlocksPerVPC, "IPv4")
		}
		v.CIDRs = append(v.CIDRs, added)
		if err := freeOfPeers(tx, v, p); err != nil {
			return err
		}
		return freeOfRoutes(tx, v, p)
	})
	if err != nil {
		return nil, err
	}
	return &shape.AssociateVpcCidrBlockOutput{
		VpcId: new(id), CidrBlockAssociation: blockShape(added, shape.VpcCidrBlockStateCodeAssociating),
	}, nil
}

func (a VPCs) associateVPC6(ctx context.Context, id string, block6 *block6Request) (*shape.AssociateVpcCidrBlockOutput, error) {
	var added model.CIDRAssociation
	ruleID := a.NewID("sgr")
	v, err := request.Change(ctx, a.Env, state.VPCs, id, func(tx *table.Txn, v *model.VPC) error {
		if len(v.CIDRs6) >= a.Quotas.IPv6BlocksPerVPC {
			return tooManyBlocks(v, a.Quotas.IPv6BlocksPerVPC, "IPv6")
		}
		var err error
		if added, err = block6.take(tx, v); err != nil {
			return err
		}
		if len(v.CIDRs6) == 0 {
			openDefaultGroup6(tx, v, ruleID)
		}
		v.CIDRs6 = append(v.CIDRs6, added)
		if err := freeOfPeers(tx, v, added.Prefix); err != nil {
			return err
		}
		return freeOfRoutes(tx, v, added.Prefix)
	})
	if err != nil {
		return nil, err
	}
	return &shape.AssociateVpcCidrBlockOutput{
		VpcId: new(id), Ipv6CidrBlockAssociation: block6Shape(v, added, shape.VpcCidrBlockStateCodeAssociating),
	}, nil
}

func tooManyBlocks(v *model.VPC, quota int, family string) error {
	return fault.EC2("CidrLimitExceeded", "The maximum number of %s CIDR blocks (%d) of VPC %s has been reached.", family, quota, v.ID)
}

// freeOfRoutes sees that a new block of a VPC has no destination of a route in it, which
// the local route would take over
// (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html).
func freeOfRoutes(tx *table.Txn, v *model.VPC, added netip.Prefix) error {
	for r := range state.RouteTablesByVPC.Rows(tx, v.Ref()) {
		for _, route := range r.Routes {
			if route.Dest.IsValid() && added.Bits() <= route.Dest.Bits() && added.Contains(route.Dest.Addr()) {
				return fault.EC2("InvalidVpc.Range", "The CIDR '%s' is invalid: it is the same as or larger than the destination %s of a route in route table %s", added, route.Dest, r.ID)
			}
		}
	}
	return nil
}

// freeOfPeers sees that a new block of a VPC has no addresses in common with a VPC that it is
// peered with.
func freeOfPeers(tx *table.Txn, v *model.VPC, added netip.Prefix) error {
	for p, peer := range state.PeersOf(tx, v.Ref()) {
		if other, overlaps := block.Overlapping(slices.Concat(peer.CIDRs, peer.CIDRs6), added); overlaps {
			return fault.EC2("InvalidVpc.Range", "The CIDR '%s' is invalid: it overlaps '%s' of VPC %s, which is on the other side of VPC peering connection %s", added, other.Prefix, peer.ID, p.ID)
		}
	}
	return nil
}

// dropLocal takes the local route to a block that is gone out of all tables, where it leads
// elsewhere.
func dropLocal(tx *table.Txn, v *model.VPC, gone netip.Prefix) {
	for r := range state.RouteTablesByVPC.Rows(tx, v.Ref()) {
		i := slices.IndexFunc(r.Routes, func(route model.Route) bool { return route.Dest == gone })
		if i < 0 {
			continue
		}
		r = r.Clone()
		r.Routes = slices.Delete(r.Routes, i, i+1)
		state.RouteTables.Put(tx, r)
	}
}

// DisassociateVpcCidrBlock takes a block from a VPC, unless it is the first one
// or subnets lie in it.
func (a VPCs) DisassociateVpcCidrBlock(ctx context.Context, in *shape.DisassociateVpcCidrBlockInput) (*shape.DisassociateVpcCidrBlockOutput, error) {
	id := service.Value(in.AssociationId)
	has := func(b model.CIDRAssociation) bool { return b.ID == id }
	var out *shape.DisassociateVpcCidrBlockOutput
	_, err := service.Change(ctx, a.Env, state.VPCs, vpcOfBlock, id, func(tx *table.Txn, v *model.VPC) error {
		out = &shape.DisassociateVpcCidrBlockOutput{VpcId: new(v.ID)}
		var gone model.CIDRAssociation
		if i := slices.IndexFunc(v.CIDRs6, has); i >= 0 {
			gone = v.CIDRs6[i]
			out.Ipv6CidrBlockAssociation = block6Shape(v, gone, shape.VpcCidrBlockStateCodeDisassociating)
			a.freeBlock6(tx, v, gone)
		} else {
			gone = v.CIDRs[slices.IndexFunc(v.CIDRs, has)]
			out.CidrBlockAssociation = blockShape(gone, shape.VpcCidrBlockStateCodeDisassociating)
		}
		if s := SubnetIn(tx, v, gone.Prefix); s != nil {
			return fault.EC2("DependencyViolation", "The CIDR block '%s' cannot be disassociated: subnet %s lies in it", gone.Prefix, s.ID)
		}
		v.Drop(gone, v.UpdatedAt)
		dropLocal(tx, v, gone.Prefix)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// vpcOfBlock finds the VPC with a block that may be taken from it.
func vpcOfBlock(tx *table.Txn, who access.View, id string) (*model.VPC, error) {
	has := func(b model.CIDRAssociation) bool { return b.ID == id }
	for v := range view.All(tx, who, state.VPCs) {
		switch i := slices.IndexFunc(v.CIDRs, has); {
		case i == 0:
			return nil, fault.EC2("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", id)
		case i > 0, slices.ContainsFunc(v.CIDRs6, has):
			return v, nil
		}
	}
	return nil, fault.EC2("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", id)
}

// SubnetIn finds a subnet of the VPC in a block.
func SubnetIn(tx *table.Txn, v *model.VPC, block netip.Prefix) *model.Subnet {
	for s := range state.SubnetsByVPC.Rows(tx, v.Ref()) {
		if s.CIDR.IsValid() && block.Overlaps(s.CIDR) || s.CIDR6.Prefix.IsValid() && block.Overlaps(s.CIDR6.Prefix) {
			return s
		}
	}
	return nil
}

// openDefaultGroup6 lets IPv6 out of the default group of a VPC that gets its
// first IPv6 block, if the group lets all of IPv4 out.
func openDefaultGroup6(tx *table.Txn, v *model.VPC, ruleID string) {
	g, ok := state.SecurityGroups.Get(tx, v.Account, v.Region, v.DefaultGroup)
	has := func(to netip.Prefix) bool { return slices.ContainsFunc(g.Rules, AllOut("", to).Same) }
	if !ok || !has(Everywhere4) || has(Everywhere6) {
		return
	}
	g = g.Clone()
	g.Rules = append(g.Rules, AllOut(ruleID, Everywhere6))
	state.SecurityGroups.Put(tx, g)
}
