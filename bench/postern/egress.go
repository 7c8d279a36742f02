// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/instance"
)

// GoOut gives the VPC an internet gateway, a public subnet of that block with a NAT
// gateway, and a route of the VPC's own subnet there. It returns when the NAT gateway is
// available.
func (v *VPC) GoOut(ctx context.Context, block string) error {
	gateway, err := Call[ec2.CreateInternetGatewayOutput](ctx, v.p, ec2.Service, "CreateInternetGateway", &ec2.CreateInternetGatewayInput{})
	if err != nil {
		return err
	}
	id := gateway.InternetGateway.InternetGatewayId
	err = v.p.Client.Do(ctx, ec2.Service, "AttachInternetGateway", &ec2.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: &v.ID}, nil)
	if err != nil {
		return err
	}
	subnet, err := v.MakeSubnet(ctx, block)
	if err != nil {
		return err
	}
	if err := v.lead(ctx, subnet, "0.0.0.0/0", &ec2.CreateRouteInput{GatewayId: id}); err != nil {
		return err
	}
	address, err := Call[ec2.AllocateAddressOutput](ctx, v.p, ec2.Service, "AllocateAddress", &ec2.AllocateAddressInput{Domain: new(ec2.DomainTypeVpc)})
	if err != nil {
		return err
	}
	nat, err := Call[ec2.CreateNatGatewayOutput](ctx, v.p, ec2.Service, "CreateNatGateway",
		&ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId})
	if err != nil {
		return err
	}
	natID := nat.NatGateway.NatGatewayId
	if err := v.p.passes(ctx, *natID); err != nil {
		return err
	}
	return v.lead(ctx, v.Subnet, "0.0.0.0/0", &ec2.CreateRouteInput{NatGatewayId: natID})
}

// passes waits until a NAT gateway is available.
func (p *Postern) passes(ctx context.Context, nat string) error {
	return instance.Poll(ctx, settled, "NAT gateway "+nat, func() (bool, error) {
		out, err := Call[ec2.DescribeNatGatewaysOutput](ctx, p, ec2.Service, "DescribeNatGateways", &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{nat}})
		switch {
		case err != nil:
			return false, err
		case *out.NatGateways[0].State == ec2.NatGatewayStateFailed:
			return false, errors.New(*out.NatGateways[0].FailureMessage)
		}
		return *out.NatGateways[0].State == ec2.NatGatewayStateAvailable, nil
	})
}

// lead gives a subnet of the VPC a route table of its own with a route.
func (v *VPC) lead(ctx context.Context, subnet, dest string, route *ec2.CreateRouteInput) error {
	table, err := v.MakeTable(ctx, subnet)
	if err != nil {
		return err
	}
	route.RouteTableId, route.DestinationCidrBlock = &table, &dest
	return v.p.Client.Do(ctx, ec2.Service, "CreateRoute", route, nil)
}

// MakeTable makes a route table for a subnet of the VPC.
func (v *VPC) MakeTable(ctx context.Context, subnet string) (id string, err error) {
	made, err := Call[ec2.CreateRouteTableOutput](ctx, v.p, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &v.ID})
	if err != nil {
		return "", err
	}
	id = *made.RouteTable.RouteTableId
	return id, v.p.Client.Do(ctx, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: &id, SubnetId: &subnet}, nil)
}

// LeadTo adds a route to a table, by a network interface.
func (p *Postern) LeadTo(ctx context.Context, table, dest, eni string) error {
	return p.Client.Do(ctx, ec2.Service, "CreateRoute",
		&ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: &dest, NetworkInterfaceId: &eni}, nil)
}

// MakeACL makes a network ACL that lets everything pass, for a subnet of the VPC.
func (v *VPC) MakeACL(ctx context.Context, subnet string) (id string, err error) {
	made, err := Call[ec2.CreateNetworkAclOutput](ctx, v.p, ec2.Service, "CreateNetworkAcl", &ec2.CreateNetworkAclInput{VpcId: &v.ID})
	if err != nil {
		return "", err
	}
	id = *made.NetworkAcl.NetworkAclId
	for _, egress := range []bool{false, true} {
		err := v.p.Client.Do(ctx, ec2.Service, "CreateNetworkAclEntry", &ec2.CreateNetworkAclEntryInput{
			NetworkAclId: &id, RuleNumber: new(int32(100)), Protocol: new("-1"), RuleAction: new(ec2.RuleActionAllow), Egress: &egress, CidrBlock: new("0.0.0.0/0"),
		}, nil)
		if err != nil {
			return "", err
		}
	}
	now, err := Call[ec2.DescribeNetworkAclsOutput](ctx, v.p, ec2.Service, "DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{
		Filters: []ec2.Filter{{Name: new("association.subnet-id"), Values: []string{subnet}}},
	})
	if err != nil {
		return "", err
	}
	for _, a := range now.NetworkAcls[0].Associations {
		if *a.SubnetId != subnet {
			continue
		}
		err := v.p.Client.Do(ctx, ec2.Service, "ReplaceNetworkAclAssociation", &ec2.ReplaceNetworkAclAssociationInput{
			AssociationId: a.NetworkAclAssociationId, NetworkAclId: &id,
		}, nil)
		if err != nil {
			return "", err
		}
	}
	return id, nil
}
