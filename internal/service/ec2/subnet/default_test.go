// SPDX-License-Identifier: Apache-2.0

package subnet_test

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

func TestDefaultSubnetsComeBack(t *testing.T) {
	w := ec2test.NewWorld(t)
	create := func(in shape.CreateDefaultSubnetInput) (*shape.CreateDefaultSubnetOutput, error) {
		return w.API.CreateDefaultSubnet(w.Ctx, &in)
	}
	zone := func(name string) shape.CreateDefaultSubnetInput {
		return shape.CreateDefaultSubnetInput{AvailabilityZone: &name}
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "no default VPC", Code: "DefaultVpcDoesNotExist", Call: func() error { return ec2test.Failure(create(zone("us-east-1a"))) }}})
	v := w.DefaultVPC(t)
	subnets, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{Filters: ec2test.Filter("availability-zone", "us-east-1b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: subnets.Subnets[0].SubnetId}); err != nil {
		t.Fatal(err)
	}
	w.Subnet(t, v, "172.31.17.0/24") // lies where the deleted one was
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "there is one", Code: "DefaultSubnetAlreadyExistsInAvailabilityZone", Call: func() error { return ec2test.Failure(create(zone("us-east-1a"))) }},
		{Name: "no zone", Code: "MissingParameter", Call: func() error { return ec2test.Failure(create(shape.CreateDefaultSubnetInput{})) }},
		{Name: "unknown zone", Code: "InvalidParameterValue", Call: func() error { return ec2test.Failure(create(zone("us-east-1z"))) }},
		{Name: "IPv6 without a block", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(create(shape.CreateDefaultSubnetInput{AvailabilityZone: new("us-east-1b"), Ipv6Native: new(true)}))
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
	w := ec2test.NewWorld(t)
	v := w.DefaultVPC(t)
	subnets, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{Filters: ec2test.Filter("availability-zone", "us-east-1a")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: subnets.Subnets[0].SubnetId}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: &v, Ipv6CidrBlock: new("2001:db8::/56"), Ipv6Pool: new("p")}); err != nil {
		t.Fatal(err)
	}
	w.Subnet6(t, v, "2001:db8::/60")
	out, err := w.API.CreateDefaultSubnet(w.Ctx, &shape.CreateDefaultSubnetInput{AvailabilityZone: new("us-east-1a"), Ipv6Native: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	s := out.Subnet
	if *s.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != "2001:db8:0:10::/64" || s.CidrBlock != nil || *s.MapPublicIpOnLaunch || !*s.AssignIpv6AddressOnCreation || !*s.Ipv6Native {
		t.Errorf("got %+v", s)
	}
}

func TestDefaultVPCHasRoomForSixteenDefaultSubnets(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.DefaultVPC(t)
	w.Subnet(t, v, "172.31.128.0/17")
	w.Subnet(t, v, "172.31.64.0/18")
	w.Subnet(t, v, "172.31.63.240/28")
	subnets, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{Filters: ec2test.Filter("cidr-block", "172.31.0.0/20")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: subnets.Subnets[0].SubnetId}); err != nil {
		t.Fatal(err)
	}
	w.Subnet(t, v, "172.31.0.0/21")
	w.RefusedAll(t, []ec2test.Refusal{{Name: "no room", Code: "InsufficientCidrBlocks", Call: func() error {
		return ec2test.Failure(w.API.CreateDefaultSubnet(w.Ctx, &shape.CreateDefaultSubnetInput{AvailabilityZone: new("us-east-1a")}))
	}}})
}
