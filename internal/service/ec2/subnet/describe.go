// SPDX-License-Identifier: Apache-2.0

package subnet

import (
	"context"
	"strconv"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeSubnets lists the caller's subnets.
func (a Subnets) DescribeSubnets(ctx context.Context, in *shape.DescribeSubnetsInput) (*shape.DescribeSubnetsOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.Subnet]{
		Operation: "DescribeSubnets", Table: state.Subnets, Filters: a.subnetFilters, Others: view.OthersSubnets,
	}, request.Query{Filters: in.Filters, IDs: in.SubnetIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeSubnetsOutput{NextToken: next, Subnets: []shape.Subnet{}}
	for _, s := range rows {
		out.Subnets = append(out.Subnets, *subnetShape(s, freeAddresses(s, claims4(tx, s)), a.Now()))
	}
	return out, nil
}

// subnetFilters has the names of properties in the spellings that EC2 takes.
func (a Subnets) subnetFilters(tx *table.Txn) service.Filters[*model.Subnet] {
	now := a.Now()
	properties := make(map[string]func(*model.Subnet) []string)
	for _, p := range []struct {
		names  []string
		values func(*model.Subnet) []string
	}{
		{[]string{"availability-zone", "availabilityZone"}, func(s *model.Subnet) []string { return request.One(s.Zone) }},
		{[]string{"availability-zone-id", "availabilityZoneId"}, func(s *model.Subnet) []string { return request.One(s.ZoneID) }},
		{[]string{"available-ip-address-count"}, func(s *model.Subnet) []string {
			return request.One(strconv.Itoa(freeAddresses(s, claims4(tx, s))))
		}},
		{[]string{"cidr-block", "cidr", "cidrBlock"}, func(s *model.Subnet) []string {
			if !s.CIDR.IsValid() {
				return nil
			}
			return request.One(s.CIDR.String())
		}},
		{[]string{"customer-owned-ipv4-pool", "enable-lni-at-device-index", "outpost-arn"}, func(*model.Subnet) []string { return nil }},
		{[]string{"default-for-az", "defaultForAz"}, func(s *model.Subnet) []string { return request.YesNo(s.DefaultForZone) }},
		{[]string{"enable-dns64"}, func(s *model.Subnet) []string { return request.YesNo(s.DNS64) }},
		{[]string{"ipv6-cidr-block-association.association-id"}, func(s *model.Subnet) []string { return block.Each(block.OfSubnet6(s, now), block.ID) }},
		{[]string{"ipv6-cidr-block-association.ipv6-cidr-block"}, func(s *model.Subnet) []string { return block.Each(block.OfSubnet6(s, now), block.Text) }},
		{[]string{"ipv6-cidr-block-association.state"}, func(s *model.Subnet) []string { return block.Each(block.OfSubnet6(s, now), block.State) }},
		{[]string{"ipv6-native"}, func(s *model.Subnet) []string { return request.YesNo(s.IPv6Native) }},
		{[]string{"map-customer-owned-ip-on-launch"}, func(*model.Subnet) []string { return request.YesNo(false) }},
		{[]string{"map-public-ip-on-launch"}, func(s *model.Subnet) []string { return request.YesNo(s.MapPublicIP) }},
		{[]string{"owner-id"}, func(s *model.Subnet) []string { return request.One(s.Account) }},
		{[]string{"private-dns-name-options-on-launch.hostname-type"}, func(s *model.Subnet) []string { return request.One(s.HostnameType) }},
		{[]string{"private-dns-name-options-on-launch.enable-resource-name-dns-a-record"}, func(s *model.Subnet) []string { return request.YesNo(s.ResourceNameA) }},
		{[]string{"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record"}, func(s *model.Subnet) []string { return request.YesNo(s.ResourceNameAAAA) }},
		{[]string{"state"}, func(*model.Subnet) []string { return request.One(shape.SubnetStateAvailable) }},
		{[]string{"subnet-arn"}, func(s *model.Subnet) []string { return request.One(subnetARN(s)) }},
		{[]string{"subnet-id"}, func(s *model.Subnet) []string { return request.One(s.ID) }},
		{[]string{"vpc-id"}, func(s *model.Subnet) []string { return request.One(s.VPC) }},
	} {
		for _, name := range p.names {
			properties[name] = p.values
		}
	}
	return service.Filters[*model.Subnet]{Properties: properties}
}

// claims4 counts the IPv4 addresses of a subnet that are taken. Without IPv6
// they need not be looked at.
func claims4(tx *table.Txn, s *model.Subnet) int {
	in := s.Ref()
	if !s.CIDR.IsValid() {
		return 0
	}
	if !s.CIDR6.Prefix.IsValid() {
		return state.AddressClaimsBySubnet.Count(tx, in)
	}
	n := 0
	for c := range state.AddressClaimsBySubnet.Rows(tx, in) {
		if c.Addr.Is4() {
			n++
		}
	}
	return n
}

// reservedAddresses are the first four and the last address of a subnet
// (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
const reservedAddresses = 5

// freeAddresses is how many IPv4 addresses of a subnet can still be given when
// so many are taken.
func freeAddresses(s *model.Subnet, taken int) int {
	if !s.CIDR.IsValid() {
		return 0
	}
	return 1<<(32-s.CIDR.Bits()) - reservedAddresses - taken
}

func subnetARN(s *model.Subnet) string {
	return model.ARN("ec2", s.Region, s.Account, "subnet/"+s.ID)
}

func subnetShape(s *model.Subnet, free int, now time.Time) *shape.Subnet {
	out := &shape.Subnet{
		SubnetId: new(s.ID), SubnetArn: new(subnetARN(s)), OwnerId: new(s.Account), VpcId: new(s.VPC),
		State: new(shape.SubnetStateAvailable), AvailabilityZone: new(s.Zone), AvailabilityZoneId: new(s.ZoneID),
		AvailableIpAddressCount: new(int32(free)), DefaultForAz: new(s.DefaultForZone),
		MapPublicIpOnLaunch: new(s.MapPublicIP), MapCustomerOwnedIpOnLaunch: new(false),
		AssignIpv6AddressOnCreation: new(s.AssignIPv6), EnableDns64: new(s.DNS64), Ipv6Native: new(s.IPv6Native),
		PrivateDnsNameOptionsOnLaunch: &shape.PrivateDnsNameOptionsOnLaunch{
			HostnameType: new(s.HostnameType), EnableResourceNameDnsARecord: new(s.ResourceNameA),
			EnableResourceNameDnsAAAARecord: new(s.ResourceNameAAAA),
		},
		BlockPublicAccessStates: vpc.NoPublicAccessBlock(), Tags: request.TagList(s.Tags),
	}
	if s.CIDR.IsValid() {
		out.CidrBlock = new(s.CIDR.String())
	}
	for _, b := range block.OfSubnet6(s, now) {
		out.Ipv6CidrBlockAssociationSet = append(out.Ipv6CidrBlockAssociationSet, *subnetBlock6Shape(b.CIDRAssociation, b.State))
	}
	return out
}

func subnetBlock6Shape(b model.CIDRAssociation, code string) *shape.SubnetIpv6CidrBlockAssociation {
	return &shape.SubnetIpv6CidrBlockAssociation{
		AssociationId: new(b.ID), Ipv6CidrBlock: new(b.Prefix.String()),
		Ipv6CidrBlockState:   &shape.SubnetCidrBlockState{State: new(code)},
		Ipv6AddressAttribute: new(shape.Ipv6AddressAttributePublic), IpSource: new(shape.IpSourceAmazon),
	}
}

// created is a subnet as the reply to its creation shows it: available,
// its IPv6 block not yet associated
// (https://docs.aws.amazon.com/cli/latest/reference/ec2/create-subnet.html).
func created(s *model.Subnet) *shape.Subnet {
	out := subnetShape(s, freeAddresses(s, 0), s.CreatedAt)
	for i := range out.Ipv6CidrBlockAssociationSet {
		out.Ipv6CidrBlockAssociationSet[i].Ipv6CidrBlockState.State = new(shape.SubnetCidrBlockStateCodeAssociating)
	}
	return out
}
