// SPDX-License-Identifier: Apache-2.0

// Package subnet is EC2's subnets, and the default ones of default VPCs.
package subnet

import (
	"context"
	"net/netip"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Subnets are the operations on subnets.
type Subnets struct{ *service.Env }

// CreateSubnet makes a subnet in a zone. It is available at once.
func (a Subnets) CreateSubnet(ctx context.Context, in *shape.CreateSubnetInput) (*shape.CreateSubnetOutput, error) {
	who := access.From(ctx)
	s, err := a.newSubnet(who, in)
	if err != nil {
		return nil, err
	}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		v, err := request.Get(tx, who, state.VPCs, s.VPC)
		if err != nil {
			return err
		}
		if err := a.mayAddSubnet(tx, v); err != nil {
			return err
		}
		if err := placeInVPC(tx, v, s.CIDR, v.CIDRs); err != nil {
			return err
		}
		if err := placeInVPC(tx, v, s.CIDR6.Prefix, v.CIDRs6); err != nil {
			return err
		}
		state.Subnets.Put(tx, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateSubnetOutput{Subnet: created(s)}, nil
}

func (a Subnets) mayAddSubnet(tx *table.Txn, v *model.VPC) error {
	if most := a.Quotas.SubnetsPerVPC; state.SubnetsByVPC.Count(tx, v.Ref()) >= most {
		return fault.EC2("SubnetLimitExceeded", "The maximum number of subnets (%d) of VPC %s has been reached.", most, v.ID)
	}
	return nil
}

// newSubnet makes the row that a request asks for, as far as that can be told
// without its VPC.
func (a Subnets) newSubnet(who access.View, in *shape.CreateSubnetInput) (*model.Subnet, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil || in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil {
		return nil, request.Unserved("address pools of IPAM")
	}
	if in.OutpostArn != nil {
		return nil, request.Unserved("Outposts")
	}
	tags, err := request.TagsFor(in.TagSpecifications, state.Subnets.Kind())
	if err != nil {
		return nil, err
	}
	zone, err := a.chooseZone(who.Region, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	s := &model.Subnet{
		Meta: request.Meta(a.Env, who, "subnet", a.Now(), tags), VPC: service.Value(in.VpcId), Zone: zone.Name, ZoneID: zone.ID,
		IPv6Native: service.Value(in.Ipv6Native), HostnameType: shape.HostnameTypeIpName,
	}
	if s.IPv6Native { // a workload there has nothing but IPv6 to be named after
		s.AssignIPv6, s.HostnameType = true, shape.HostnameTypeResourceName
	}
	switch {
	case s.IPv6Native && in.Ipv6CidrBlock == nil:
		return nil, fault.EC2("MissingParameter", "Either 'ipv6CidrBlock' or 'ipv6IpamPoolId' should be provided.")
	case s.IPv6Native && in.CidrBlock != nil:
		return nil, fault.EC2("InvalidParameterCombination", "cidrBlock and ipv6Native exclude each other")
	case !s.IPv6Native && in.CidrBlock == nil:
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter cidrBlock")
	}
	if in.CidrBlock != nil {
		if s.CIDR, err = block.Subnet.Parse(*in.CidrBlock); err != nil {
			return nil, err
		}
	}
	if in.Ipv6CidrBlock != nil {
		s.CIDR6.ID = a.NewID("subnet-cidr-assoc")
		s.CIDR6.Prefix, err = block.Subnet6.Parse(*in.Ipv6CidrBlock)
	}
	return s, err
}

// chooseZone finds the zone of a request, which is the region's first when none
// is named.
func (a Subnets) chooseZone(region string, name, id *string) (service.Zone, error) {
	zones := a.Zones(region)
	if len(zones) == 0 {
		return service.Zone{}, fault.EC2("InvalidParameterValue", "region %s has no availability zones", region)
	}
	chosen, parameter := service.Value(name), "availabilityZone"
	if id != nil {
		if name != nil {
			return service.Zone{}, fault.EC2("InvalidParameterCombination", "availabilityZone and availabilityZoneId exclude each other")
		}
		chosen, parameter = *id, "availabilityZoneId"
	}
	if chosen == "" {
		return zones[0], nil
	}
	var known []string
	for _, z := range zones {
		own := z.Name
		if id != nil {
			own = z.ID
		}
		if own == chosen {
			return z, nil
		}
		known = append(known, own)
	}
	return service.Zone{}, fault.EC2("InvalidParameterValue", "Value (%s) for parameter %s is invalid. Subnets can currently only be created in the following availability zones: %s.", chosen, parameter, strings.Join(known, ", "))
}

// placeInVPC checks that a subnet's block, if it is there, lies in a block of
// its VPC and overlaps no other subnet.
func placeInVPC(tx *table.Txn, v *model.VPC, p netip.Prefix, blocks []model.CIDRAssociation) error {
	if !p.IsValid() {
		return nil
	}
	if _, ok := block.Within(blocks, p); !ok {
		return fault.EC2("InvalidSubnet.Range", "The CIDR '%s' is invalid: it does not lie in a CIDR block of VPC %s", p, v.ID)
	}
	if other := vpc.SubnetIn(tx, v, p); other != nil {
		return fault.EC2("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet: %s", p, other.ID)
	}
	return nil
}

// DeleteSubnet removes a subnet that nothing uses, with its association with a route table.
func (a Subnets) DeleteSubnet(ctx context.Context, in *shape.DeleteSubnetInput) (*shape.DeleteSubnetOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		s, err := request.Get(tx, who, state.Subnets, service.Value(in.SubnetId))
		if err != nil {
			return err
		}
		if by := state.Held(tx, state.Subnets, s); by != nil {
			return fault.EC2("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted: %s", s.ID, by)
		}
		for row := range state.RouteTableAssociationsBySubnet.Rows(tx, s.Ref()) {
			state.RouteTableAssociations.Delete(tx, row.Account, row.Region, row.ID)
		}
		for used := range state.NetworkACLAssociationsBySubnet.Rows(tx, s.Ref()) {
			state.NetworkACLAssociations.Delete(tx, used.Account, used.Region, used.ID)
		}
		share.Drop(tx, s.Ref())
		state.Subnets.Delete(tx, s.Account, s.Region, s.ID)
		return nil
	})
	return &shape.DeleteSubnetOutput{}, err
}
