// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// subnetBlock6 is the first /64 of a VPC's /56.
func subnetBlock6(block string) string { return strings.TrimSuffix(block, "56") + "64" }

func TestNetworkInterfaceLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}))(c).Vpc
	v = &must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*v.VpcId}}))(c).Vpcs[0]
	block := subnetBlock6(*v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock)
	subnet := *must(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{
		VpcId: v.VpcId, CidrBlock: new("10.0.1.0/24"), Ipv6CidrBlock: &block, AvailabilityZone: new("us-east-1a"),
	}))(c).Subnet.SubnetId
	group := c.group(*v.VpcId, "web")
	made := must(c.ec2.CreateNetworkInterface(c.ctx, &ec2.CreateNetworkInterfaceInput{
		SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10"), Groups: []string{group}, Description: new("of a test"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeNetworkInterface, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}},
	}))(c).NetworkInterface
	id := *made.NetworkInterfaceId
	matches(t, "id", made.NetworkInterfaceId, "eni-[0-9a-f]{17}")
	matches(t, "MAC address", made.MacAddress, "([0-9a-f]{2}:){5}[0-9a-f]{2}")
	one := &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}
	ni := must(ec2.NewNetworkInterfaceAvailableWaiter(c.ec2).WaitForOutput(c.ctx, one, patience))(c).NetworkInterfaces[0]
	equal(t, "address", ni.PrivateIpAddress, "10.0.1.10")
	equal(t, "tags", ni.TagSet, []types.Tag{{Key: new("a"), Value: new("b")}})
	equal(t, "groups", ni.Groups, []types.GroupIdentifier{{GroupId: &group, GroupName: new("web")}})

	interfaceAddresses(c, id)
	interfacePrefixes(c, id)
	interfacePrefixes6(c, id, strings.TrimSuffix(block, "::/64"))
	interfaceAttributes(c, id)
	found := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{
		{Name: new("subnet-id"), Values: []string{subnet}}, {Name: new("group-id"), Values: []string{group}},
	}}))(c).NetworkInterfaces
	equal(t, "interfaces by subnet and group", len(found), 1)
	refuse(c, []refusal{
		{"group in use", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group}))
		}},
		{"subnet in use", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))
		}},
		{"VPC in use", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: v.VpcId}))
		}},
	})
	must(c.ec2.DeleteNetworkInterface(c.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}))(c)
	_, err := c.ec2.DescribeNetworkInterfaces(c.ctx, one)
	refused(t, err, "InvalidNetworkInterfaceID.NotFound")
	must(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group}))(c)
}

// interfaceAddresses assigns further addresses and takes them away again.
func interfaceAddresses(c *client, id string) {
	c.t.Helper()
	more := must(c.ec2.AssignPrivateIpAddresses(c.ctx, &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.1.20"},
	}))(c)
	equal(c.t, "assigned", more.AssignedPrivateIpAddresses[0].PrivateIpAddress, "10.0.1.20")
	assigned := must(c.ec2.AssignIpv6Addresses(c.ctx, &ec2.AssignIpv6AddressesInput{NetworkInterfaceId: &id, Ipv6AddressCount: new(int32(1))}))(c)
	equal(c.t, "number of IPv6 addresses", len(assigned.AssignedIpv6Addresses), 1)
	ni := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{
		Filters: []types.Filter{{Name: new("addresses.private-ip-address"), Values: []string{"10.0.1.20"}}},
	}))(c).NetworkInterfaces
	equal(c.t, "interface by address", ni[0].NetworkInterfaceId, id)
	equal(c.t, "numbers of addresses", []int{len(ni[0].PrivateIpAddresses), len(ni[0].Ipv6Addresses)}, []int{2, 1})
	must(c.ec2.UnassignIpv6Addresses(c.ctx, &ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: &id, Ipv6Addresses: assigned.AssignedIpv6Addresses}))(c)
	must(c.ec2.UnassignPrivateIpAddresses(c.ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.1.20"}}))(c)
	refuse(c, []refusal{
		{"primary address", "InvalidParameterValue", func() error {
			return failure(c.ec2.UnassignPrivateIpAddresses(c.ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.1.10"}}))
		}},
		{"address of another subnet", "InvalidParameterValue", func() error {
			return failure(c.ec2.AssignPrivateIpAddresses(c.ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.2.20"}}))
		}},
	})
}

// interfacePrefixes assigns prefixes and takes them away again.
func interfacePrefixes(c *client, id string) {
	c.t.Helper()
	assign := func(in ec2.AssignPrivateIpAddressesInput) ([]types.Ipv4PrefixSpecification, error) {
		in.NetworkInterfaceId = &id
		out, err := c.ec2.AssignPrivateIpAddresses(c.ctx, &in)
		if err != nil {
			return nil, err
		}
		return out.AssignedIpv4Prefixes, nil
	}
	named := must(assign(ec2.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.32/28"}}))(c)
	equal(c.t, "assigned prefix", named, []types.Ipv4PrefixSpecification{{Ipv4Prefix: new("10.0.1.32/28")}})
	counted := must(assign(ec2.AssignPrivateIpAddressesInput{Ipv4PrefixCount: new(int32(1))}))(c)
	ni := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))(c).NetworkInterfaces[0]
	equal(c.t, "prefixes", ni.Ipv4Prefixes, append(named, counted...))
	refuse(c, []refusal{
		{"address of a prefix", "InvalidParameterValue", func() error {
			return failure(c.ec2.AssignPrivateIpAddresses(c.ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.1.33"}}))
		}},
		{"prefix of another length", "InvalidParameterValue", func() error {
			return failure(assign(ec2.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.64/27"}}))
		}},
		{"prefixes and their number", "InvalidParameterCombination", func() error {
			return failure(assign(ec2.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.64/28"}, Ipv4PrefixCount: new(int32(1))}))
		}},
		{"more prefixes than the subnet has", "InsufficientCidrBlocks", func() error {
			return failure(assign(ec2.AssignPrivateIpAddressesInput{Ipv4PrefixCount: new(int32(20))}))
		}},
	})
	must(c.ec2.UnassignPrivateIpAddresses(c.ctx, &ec2.UnassignPrivateIpAddressesInput{
		NetworkInterfaceId: &id, Ipv4Prefixes: []string{"10.0.1.32/28", *counted[0].Ipv4Prefix},
	}))(c)
	ni = must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))(c).NetworkInterfaces[0]
	equal(c.t, "number of prefixes", len(ni.Ipv4Prefixes), 0)
}

// interfacePrefixes6 does the same with those of IPv6.
func interfacePrefixes6(c *client, id, block string) {
	c.t.Helper()
	assign := func(in ec2.AssignIpv6AddressesInput) ([]string, error) {
		in.NetworkInterfaceId = &id
		out, err := c.ec2.AssignIpv6Addresses(c.ctx, &in)
		if err != nil {
			return nil, err
		}
		return out.AssignedIpv6Prefixes, nil
	}
	prefix := block + ":2::/80"
	named := must(assign(ec2.AssignIpv6AddressesInput{Ipv6Prefixes: []string{prefix}}))(c)
	equal(c.t, "assigned prefix", named, []string{prefix})
	counted := must(assign(ec2.AssignIpv6AddressesInput{Ipv6PrefixCount: new(int32(1))}))(c)
	ni := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))(c).NetworkInterfaces[0]
	equal(c.t, "prefixes", ni.Ipv6Prefixes, []types.Ipv6PrefixSpecification{{Ipv6Prefix: &prefix}, {Ipv6Prefix: &counted[0]}})
	refuse(c, []refusal{
		{"address of an IPv6 prefix", "InvalidIPAddress.InUse", func() error {
			return failure(assign(ec2.AssignIpv6AddressesInput{Ipv6Addresses: []string{block + ":2::5"}}))
		}},
		{"IPv6 prefix of another length", "InvalidParameterValue", func() error {
			return failure(assign(ec2.AssignIpv6AddressesInput{Ipv6Prefixes: []string{block + "::/64"}}))
		}},
		{"IPv6 prefixes and their number", "InvalidParameterCombination", func() error {
			return failure(assign(ec2.AssignIpv6AddressesInput{Ipv6Prefixes: []string{block + ":3::/80"}, Ipv6PrefixCount: new(int32(1))}))
		}},
	})
	gone := must(c.ec2.UnassignIpv6Addresses(c.ctx, &ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: &id, Ipv6Prefixes: []string{prefix, counted[0]}}))(c)
	equal(c.t, "unassigned prefixes", gone.UnassignedIpv6Prefixes, []string{prefix, counted[0]})
	ni = must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))(c).NetworkInterfaces[0]
	equal(c.t, "number of IPv6 prefixes", len(ni.Ipv6Prefixes), 0)
}

// interfaceAttributes changes what can be changed, one attribute a call.
func interfaceAttributes(c *client, id string) {
	c.t.Helper()
	for _, change := range []*ec2.ModifyNetworkInterfaceAttributeInput{
		{NetworkInterfaceId: &id, Description: &types.AttributeValue{Value: new("changed")}},
		{NetworkInterfaceId: &id, SourceDestCheck: &types.AttributeBooleanValue{Value: new(false)}},
	} {
		must(c.ec2.ModifyNetworkInterfaceAttribute(c.ctx, change))(c)
	}
	read := func(name types.NetworkInterfaceAttribute) *ec2.DescribeNetworkInterfaceAttributeOutput {
		return must(c.ec2.DescribeNetworkInterfaceAttribute(c.ctx, &ec2.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, Attribute: name}))(c)
	}
	equal(c.t, "description", read("description").Description.Value, "changed")
	equal(c.t, "source/destination check", read("sourceDestCheck").SourceDestCheck.Value, false)
}
