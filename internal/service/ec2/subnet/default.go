// SPDX-License-Identifier: Apache-2.0

package subnet

import (
	"context"
	"net/netip"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateDefaultSubnet makes the default subnet of a zone again: a /20 in the
// first free place of the default VPC, or a /64 with IPv6 only
// (https://docs.aws.amazon.com/vpc/latest/userguide/work-with-default-vpc.html).
func (a Subnets) CreateDefaultSubnet(ctx context.Context, in *shape.CreateDefaultSubnetInput) (*shape.CreateDefaultSubnetOutput, error) {
	who := access.From(ctx)
	if service.Value(in.AvailabilityZone) == "" && service.Value(in.AvailabilityZoneId) == "" {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter availabilityZone or availabilityZoneId")
	}
	zone, err := a.chooseZone(who.Region, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	s := vpc.NewDefaultSubnet(a.Env, &model.VPC{Meta: model.Meta{Account: who.Account, Region: who.Region}}, zone, a.Now())
	if service.Value(in.Ipv6Native) {
		s.IPv6Native, s.AssignIPv6, s.MapPublicIP, s.HostnameType = true, true, false, shape.HostnameTypeResourceName
		s.CIDR6.ID = a.NewID("subnet-cidr-assoc")
	}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error { return a.insertDefaultSubnet(tx, who, s) })
	if err != nil {
		return nil, err
	}
	return &shape.CreateDefaultSubnetOutput{Subnet: created(s)}, nil
}

// insertDefaultSubnet finds a place in the default VPC for the subnet.
func (a Subnets) insertDefaultSubnet(tx *table.Txn, who access.View, s *model.Subnet) error {
	v := vpc.Default(tx, who.Account, who.Region)
	if v == nil {
		return fault.EC2("DefaultVpcDoesNotExist", "There is no default VPC for this account in this region; create-default-vpc makes one")
	}
	for other := range state.SubnetsByVPC.Rows(tx, v.Ref()) {
		if other.DefaultForZone && other.Zone == s.Zone {
			return fault.EC2("DefaultSubnetAlreadyExistsInAvailabilityZone", "'%s' is already the default subnet in %s.", other.ID, s.Zone)
		}
	}
	if err := a.mayAddSubnet(tx, v); err != nil {
		return err
	}
	blocks, bits := v.CIDRs, vpc.DefaultSubnetBits
	if s.IPv6Native {
		blocks, bits = v.CIDRs6, block.MinSubnet6
	}
	block, ok := freeBlock(tx, v, blocks, bits)
	switch {
	case len(blocks) == 0:
		return fault.EC2("InvalidParameterValue", "The default VPC '%s' has no IPv6 CIDR block", v.ID)
	case !ok:
		return fault.EC2("InsufficientCidrBlocks", "The default VPC '%s' has no room for another /%d", v.ID, bits)
	}
	s.VPC = v.ID
	if s.IPv6Native {
		s.CIDR6.Prefix = block
	} else {
		s.CIDR = block
	}
	state.Subnets.Put(tx, s)
	return nil
}

// freeBlock gives the first block of a size in those of the VPC that overlaps no
// subnet.
func freeBlock(tx *table.Txn, v *model.VPC, blocks []model.CIDRAssociation, bits int) (netip.Prefix, bool) {
	for _, in := range blocks {
		if in.Prefix.Bits() > bits {
			continue
		}
		for next := in.Prefix.Addr(); in.Prefix.Contains(next); {
			block := netip.PrefixFrom(next, bits)
			s := vpc.SubnetIn(tx, v, block)
			if s == nil {
				return block, true
			}
			last := model.Last(block)
			for _, taken := range []netip.Prefix{s.CIDR, s.CIDR6.Prefix} {
				if taken.IsValid() && taken.Overlaps(block) && last.Less(model.Last(taken)) {
					last = model.Last(taken)
				}
			}
			next = last.Next()
		}
	}
	return netip.Prefix{}, false
}
