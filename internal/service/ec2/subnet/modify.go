// SPDX-License-Identifier: Apache-2.0

package subnet

import (
	"context"

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

// ModifySubnetAttribute changes one attribute of a subnet.
func (a Subnets) ModifySubnetAttribute(ctx context.Context, in *shape.ModifySubnetAttributeInput) (*shape.ModifySubnetAttributeOutput, error) {
	switch {
	case in.MapCustomerOwnedIpOnLaunch != nil || in.CustomerOwnedIpv4Pool != nil:
		return nil, request.Unserved("customer-owned addresses")
	case in.EnableLniAtDeviceIndex != nil || in.DisableLniAtDeviceIndex != nil:
		return nil, request.Unserved("local network interfaces")
	}
	set, err := request.TheOne(map[string]func(*model.Subnet){
		"assignIpv6AddressOnCreation":             request.SetBool(in.AssignIpv6AddressOnCreation, func(s *model.Subnet, on bool) { s.AssignIPv6 = on }),
		"enableDns64":                             request.SetBool(in.EnableDns64, func(s *model.Subnet, on bool) { s.DNS64 = on }),
		"enableResourceNameDnsAAAARecordOnLaunch": request.SetBool(in.EnableResourceNameDnsAAAARecordOnLaunch, func(s *model.Subnet, on bool) { s.ResourceNameAAAA = on }),
		"enableResourceNameDnsARecordOnLaunch":    request.SetBool(in.EnableResourceNameDnsARecordOnLaunch, func(s *model.Subnet, on bool) { s.ResourceNameA = on }),
		"mapPublicIpOnLaunch":                     request.SetBool(in.MapPublicIpOnLaunch, func(s *model.Subnet, on bool) { s.MapPublicIP = on }),
		"privateDnsHostnameTypeOnLaunch":          setHostnameType(in.PrivateDnsHostnameTypeOnLaunch),
	})
	if err != nil {
		return nil, err
	}
	if in.EnableDns64 != nil && service.Value(in.EnableDns64.Value) {
		return nil, request.Unserved("DNS64") // there is nothing that would translate
	}
	_, err = request.Change(ctx, a.Env, state.Subnets, service.Value(in.SubnetId), func(_ *table.Txn, s *model.Subnet) error {
		set(s)
		return checkSubnet(s)
	})
	return &shape.ModifySubnetAttributeOutput{}, err
}

func setHostnameType(wanted *string) func(*model.Subnet) {
	if wanted == nil {
		return nil
	}
	return func(s *model.Subnet) { s.HostnameType = *wanted }
}

// checkSubnet refuses attributes that do not fit the subnet's address families.
func checkSubnet(s *model.Subnet) error {
	has6 := s.CIDR6.Prefix.IsValid()
	for _, c := range []struct {
		wrong     bool
		attribute string
		why       string
	}{
		{s.AssignIPv6 && !has6, "assignIpv6AddressOnCreation", "has no IPv6 CIDR block"},
		{!s.AssignIPv6 && s.IPv6Native, "assignIpv6AddressOnCreation", "has IPv6 only"},
		{s.ResourceNameAAAA && !has6, "enableResourceNameDnsAAAARecordOnLaunch", "has no IPv6 CIDR block"},
		{s.ResourceNameA && s.IPv6Native, "enableResourceNameDnsARecordOnLaunch", "has IPv6 only"},
		{s.MapPublicIP && s.IPv6Native, "mapPublicIpOnLaunch", "has IPv6 only"},
		{s.HostnameType != shape.HostnameTypeResourceName && s.IPv6Native, "privateDnsHostnameTypeOnLaunch", "has IPv6 only"},
	} {
		if c.wrong {
			return fault.EC2("InvalidParameterValue", "The value for parameter %s is invalid: subnet %s %s", c.attribute, s.ID, c.why)
		}
	}
	return nil
}

// AssociateSubnetCidrBlock gives a subnet its IPv6 block.
func (a Subnets) AssociateSubnetCidrBlock(ctx context.Context, in *shape.AssociateSubnetCidrBlockInput) (*shape.AssociateSubnetCidrBlockOutput, error) {
	if in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil {
		return nil, request.Unserved("address pools of IPAM")
	}
	if in.Ipv6CidrBlock == nil {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter ipv6CidrBlock")
	}
	block, err := block.Subnet6.Parse(*in.Ipv6CidrBlock)
	if err != nil {
		return nil, err
	}
	added := model.CIDRAssociation{ID: a.NewID("subnet-cidr-assoc"), Prefix: block}
	_, err = request.Change(ctx, a.Env, state.Subnets, service.Value(in.SubnetId), func(tx *table.Txn, s *model.Subnet) error {
		if s.CIDR6.Prefix.IsValid() {
			return fault.EC2("CidrLimitExceeded", "The subnet '%s' has an IPv6 CIDR block already: %s", s.ID, s.CIDR6.Prefix)
		}
		v, err := request.Get(tx, access.From(ctx), state.VPCs, s.VPC)
		if err != nil {
			return err
		}
		s.CIDR6 = added
		return placeInVPC(tx, v, block, v.CIDRs6)
	})
	if err != nil {
		return nil, err
	}
	return &shape.AssociateSubnetCidrBlockOutput{
		SubnetId: in.SubnetId, Ipv6CidrBlockAssociation: subnetBlock6Shape(added, shape.SubnetCidrBlockStateCodeAssociating),
	}, nil
}

// DisassociateSubnetCidrBlock takes the IPv6 block from a subnet that has IPv4
// too and in which no interface has IPv6.
func (a Subnets) DisassociateSubnetCidrBlock(ctx context.Context, in *shape.DisassociateSubnetCidrBlockInput) (*shape.DisassociateSubnetCidrBlockOutput, error) {
	var out *shape.DisassociateSubnetCidrBlockOutput
	_, err := service.Change(ctx, a.Env, state.Subnets, subnetOfBlock, service.Value(in.AssociationId), func(tx *table.Txn, s *model.Subnet) error {
		if s.IPv6Native {
			return fault.EC2("OperationNotPermitted", "The IPv6 CIDR block of subnet %s cannot be disassociated: the subnet has no other", s.ID)
		}
		for c := range state.AddressClaimsBySubnet.Rows(tx, s.Ref()) {
			if c.Addr.Is6() {
				return fault.EC2("DependencyViolation", "The IPv6 CIDR block of subnet %s is in use: interface %s has %s", s.ID, c.Interface, c.Addr)
			}
		}
		out = &shape.DisassociateSubnetCidrBlockOutput{
			SubnetId: new(s.ID), Ipv6CidrBlockAssociation: subnetBlock6Shape(s.CIDR6, shape.SubnetCidrBlockStateCodeDisassociating),
		}
		s.Drop6(s.UpdatedAt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func subnetOfBlock(tx *table.Txn, who access.View, id string) (*model.Subnet, error) {
	for s := range view.All(tx, who, state.Subnets) {
		if s.CIDR6.Prefix.IsValid() && s.CIDR6.ID == id {
			return s, nil
		}
	}
	return nil, fault.EC2("InvalidSubnetCidrBlockAssociationID.NotFound", "The subnet CIDR block association ID '%s' does not exist", id)
}
