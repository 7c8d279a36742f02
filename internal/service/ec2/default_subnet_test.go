// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
)

func TestDefaultSubnetsComeBack(t *testing.T) {
	w := newWorld(t)
	create := func(in shape.CreateDefaultSubnetInput) (*shape.CreateDefaultSubnetOutput, error) {
		return w.api.CreateDefaultSubnet(w.ctx, &in)
	}
	zone := func(name string) shape.CreateDefaultSubnetInput {
		return shape.CreateDefaultSubnetInput{AvailabilityZone: &name}
	}
	w.refused(t, []refusal{{"no default VPC", "DefaultVpcDoesNotExist", func() error { return failure(create(zone("us-east-1a"))) }}})
	v := w.defaultVPC(t)
	subnets, err := w.api.DescribeSubnets(w.ctx, &shape.DescribeSubnetsInput{Filters: filter("availability-zone", "us-east-1b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.DeleteSubnet(w.ctx, &shape.DeleteSubnetInput{SubnetId: subnets.Subnets[0].SubnetId}); err != nil {
		t.Fatal(err)
	}
	w.subnet(t, v, "172.31.17.0/24") // lies where the deleted one was
	w.refused(t, []refusal{
		{"there is one", "DefaultSubnetAlreadyExistsInAvailabilityZone", func() error { return failure(create(zone("us-east-1a"))) }},
		{"no zone", "MissingParameter", func() error { return failure(create(shape.CreateDefaultSubnetInput{})) }},
		{"unknown zone", "InvalidParameterValue", func() error { return failure(create(zone("us-east-1z"))) }},
		{"IPv6 without a block", "InvalidParameterValue", func() error {
			return failure(create(shape.CreateDefaultSubnetInput{AvailabilityZone: new("us-east-1b"), Ipv6Native: new(true)}))
		}},
	})
	out, err := create(shape.CreateDefaultSubnetInput{AvailabilityZoneId: new("use1-az2")})
	if err != nil {
		t.Fatal(err)
	}
	s := out.Subnet
	if *s.CidrBlock != "172.31.48.0/20" || !*s.DefaultForAz || !*s.MapPublicIpOnLaunch || *s.State != "available" || *s.VpcId != v || *s.AvailabilityZone != "us-east-1b" {
		t.Errorf("got %+v", s)
	}
}

func TestDefaultSubnetsHaveIPv6Only(t *testing.T) {
	w := newWorld(t)
	v := w.defaultVPC(t)
	subnets, err := w.api.DescribeSubnets(w.ctx, &shape.DescribeSubnetsInput{Filters: filter("availability-zone", "us-east-1a")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.DeleteSubnet(w.ctx, &shape.DeleteSubnetInput{SubnetId: subnets.Subnets[0].SubnetId}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.AssociateVpcCidrBlock(w.ctx, &shape.AssociateVpcCidrBlockInput{VpcId: &v, Ipv6CidrBlock: new("2001:db8::/56"), Ipv6Pool: new("p")}); err != nil {
		t.Fatal(err)
	}
	w.subnet6(t, v, "2001:db8::/60")
	out, err := w.api.CreateDefaultSubnet(w.ctx, &shape.CreateDefaultSubnetInput{AvailabilityZone: new("us-east-1a"), Ipv6Native: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	s := out.Subnet
	if *s.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != "2001:db8:0:10::/64" || s.CidrBlock != nil || *s.MapPublicIpOnLaunch || !*s.AssignIpv6AddressOnCreation || !*s.Ipv6Native {
		t.Errorf("got %+v", s)
	}
}

func TestDefaultVPCHasRoomForSixteenDefaultSubnets(t *testing.T) {
	w := newWorld(t)
	v := w.defaultVPC(t)
	w.subnet(t, v, "172.31.128.0/17")
	w.subnet(t, v, "172.31.64.0/18")
	w.subnet(t, v, "172.31.63.240/28")
	subnets, err := w.api.DescribeSubnets(w.ctx, &shape.DescribeSubnetsInput{Filters: filter("cidr-block", "172.31.0.0/20")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.DeleteSubnet(w.ctx, &shape.DeleteSubnetInput{SubnetId: subnets.Subnets[0].SubnetId}); err != nil {
		t.Fatal(err)
	}
	w.subnet(t, v, "172.31.0.0/21")
	w.refused(t, []refusal{{"no room", "InsufficientCidrBlocks", func() error {
		return failure(w.api.CreateDefaultSubnet(w.ctx, &shape.CreateDefaultSubnetInput{AvailabilityZone: new("us-east-1a")}))
	}}})
}

func TestTenancyChangesToDefaultOnly(t *testing.T) {
	w := newWorld(t)
	made, err := w.api.CreateVpc(w.ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), InstanceTenancy: new("dedicated")})
	if err != nil {
		t.Fatal(err)
	}
	modify := func(id, tenancy string) (*shape.ModifyVpcTenancyOutput, error) {
		return w.api.ModifyVpcTenancy(w.ctx, &shape.ModifyVpcTenancyInput{VpcId: &id, InstanceTenancy: &tenancy})
	}
	w.refused(t, []refusal{
		{"dedicated", "InvalidParameterValue", func() error { return failure(modify(*made.Vpc.VpcId, "dedicated")) }},
		{"unknown VPC", "InvalidVpcID.NotFound", func() error { return failure(modify("vpc-00000000000000000", "default")) }},
	})
	out, err := modify(*made.Vpc.VpcId, "default")
	if err != nil || !*out.ReturnValue {
		t.Fatalf("got %v, %v", out, err)
	}
	got, err := w.api.DescribeVpcs(w.ctx, &shape.DescribeVpcsInput{VpcIds: []string{*made.Vpc.VpcId}})
	if err != nil || *got.Vpcs[0].InstanceTenancy != "default" {
		t.Errorf("got %v, %v", got, err)
	}
}
