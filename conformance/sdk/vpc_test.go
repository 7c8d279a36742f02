// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/posternhq/postern/conformance/harness"
)

func TestCallerIdentity(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	out := must(c.sts.GetCallerIdentity(c.ctx, &sts.GetCallerIdentityInput{}))(c)
	equal(t, "account", out.Account, c.key.Account)
	matches(t, "ARN", out.Arn, "arn:aws:iam::"+c.key.Account+":user/.+")
	matches(t, "user", out.UserId, "AIDA[A-Z0-9]{16,17}")
	first := newClient(t, server.Admin, harness.Region)
	equal(t, "first account", must(first.sts.GetCallerIdentity(c.ctx, &sts.GetCallerIdentityInput{}))(c).Account, harness.FirstAccount)
}

func TestRegionsAndZones(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	regions := must(c.ec2.DescribeRegions(c.ctx, &ec2.DescribeRegionsInput{}))(c).Regions
	equal(t, "regions", []*string{regions[0].RegionName, regions[1].RegionName}, []string{harness.Region, harness.OtherRegion})
	equal(t, "number of regions", len(regions), 2)
	zones := must(c.ec2.DescribeAvailabilityZones(c.ctx, &ec2.DescribeAvailabilityZonesInput{
		Filters: []types.Filter{{Name: new("zone-name"), Values: []string{"*a"}}},
	}))(c).AvailabilityZones
	equal(t, "number of zones", len(zones), 1)
	equal(t, "zone", zones[0].ZoneName, "us-east-1a")
	matches(t, "zone id", zones[0].ZoneId, "use1-az[0-9]+")
	equal(t, "zone state", zones[0].State, "available")
	_, err := c.ec2.DescribeAvailabilityZones(c.ctx, &ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1z"}})
	refused(t, err, "InvalidParameterValue")
	attributes := must(c.ec2.DescribeAccountAttributes(c.ctx, &ec2.DescribeAccountAttributesInput{
		AttributeNames: []types.AccountAttributeName{"default-vpc"},
	}))(c).AccountAttributes
	equal(t, "default VPC", attributes[0].AttributeValues[0].AttributeValue, c.defaultVPC())
}

func TestVPCLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	made := must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{
		CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpc, Tags: []types.Tag{{Key: new("Name"), Value: new("first")}}}},
	}))(c).Vpc
	id := *made.VpcId
	matches(t, "id", made.VpcId, "vpc-[0-9a-f]{17}")
	equal(t, "owner", made.OwnerId, c.key.Account)
	one := &ec2.DescribeVpcsInput{VpcIds: []string{id}}
	waited := must(ec2.NewVpcAvailableWaiter(c.ec2).WaitForOutput(c.ctx, one, patience))(c).Vpcs[0]
	if err := ec2.NewVpcExistsWaiter(c.ec2).Wait(c.ctx, one, patience); err != nil {
		t.Error(err)
	}
	equal(t, "CIDR", waited.CidrBlock, "10.0.0.0/16")
	equal(t, "tags", waited.Tags, []types.Tag{{Key: new("Name"), Value: new("first")}})
	equal(t, "tenancy", waited.InstanceTenancy, "default")
	equal(t, "IPv6 block's state", waited.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State, "associated")
	matches(t, "IPv6 block", waited.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock, "[0-9a-f:]+::/56")

	vpcAttributes(c, id)
	vpcBlocks(c, id)
	vpcDefaults(c, waited)

	unchanged(c, func() {
		_, err := c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &id, DryRun: new(true)})
		refused(t, err, "DryRunOperation")
	})
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &id}))(c)
	_, err := c.ec2.DescribeVpcs(c.ctx, one)
	refused(t, err, "InvalidVpcID.NotFound")
	equal(t, "groups that are left, with the default VPC's", len(must(c.ec2.DescribeSecurityGroups(c.ctx, &ec2.DescribeSecurityGroupsInput{}))(c).SecurityGroups), 1)
}

// vpcAttributes reads and changes the attributes that a VPC has, as Terraform
// does: all three are read, one is changed at a time.
func vpcAttributes(c *client, id string) {
	c.t.Helper()
	read := func(name types.VpcAttributeName) *ec2.DescribeVpcAttributeOutput {
		return must(c.ec2.DescribeVpcAttribute(c.ctx, &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: name}))(c)
	}
	equal(c.t, "DNS support", read("enableDnsSupport").EnableDnsSupport.Value, true)
	equal(c.t, "DNS host names", read("enableDnsHostnames").EnableDnsHostnames.Value, false)
	equal(c.t, "usage metrics", read("enableNetworkAddressUsageMetrics").EnableNetworkAddressUsageMetrics.Value, false)
	must(c.ec2.ModifyVpcAttribute(c.ctx, &ec2.ModifyVpcAttributeInput{
		VpcId: &id, EnableDnsHostnames: &types.AttributeBooleanValue{Value: new(true)},
	}))(c)
	equal(c.t, "DNS host names", read("enableDnsHostnames").EnableDnsHostnames.Value, true)
	unchanged(c, func() {
		_, err := c.ec2.ModifyVpcAttribute(c.ctx, &ec2.ModifyVpcAttributeInput{
			VpcId: &id, EnableDnsHostnames: &types.AttributeBooleanValue{Value: new(false)},
			EnableDnsSupport: &types.AttributeBooleanValue{Value: new(false)},
		})
		refused(c.t, err, "InvalidParameterCombination")
	})
}

// vpcBlocks adds a second CIDR block, up to the quota of two, and takes it away.
func vpcBlocks(c *client, id string) {
	c.t.Helper()
	added := must(c.ec2.AssociateVpcCidrBlock(c.ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: &id, CidrBlock: new("10.1.0.0/16")}))(c)
	matches(c.t, "association", added.CidrBlockAssociation.AssociationId, "vpc-cidr-assoc-[0-9a-f]{17}")
	refuse(c, []refusal{
		{"block over the quota", "CidrLimitExceeded", func() error {
			return failure(c.ec2.AssociateVpcCidrBlock(c.ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: &id, CidrBlock: new("10.2.0.0/16")}))
		}},
		{"primary block", "OperationNotPermitted", func() error {
			v := must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{id}}))(c).Vpcs[0]
			for _, a := range v.CidrBlockAssociationSet {
				if *a.CidrBlock == *v.CidrBlock {
					return failure(c.ec2.DisassociateVpcCidrBlock(c.ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: a.AssociationId}))
				}
			}
			return nil
		}},
	})
	found := must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{
		{Name: new("cidr-block-association.cidr-block"), Values: []string{"10.1.*"}}, {Name: new("tag:Name"), Values: []string{"f?rst"}},
	}}))(c).Vpcs
	equal(c.t, "VPCs with the second block", len(found), 1)
	must(c.ec2.DisassociateVpcCidrBlock(c.ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: added.CidrBlockAssociation.AssociationId}))(c)
	_, err := c.ec2.DisassociateVpcCidrBlock(c.ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: new("vpc-cidr-assoc-00000000000000000")})
	refused(c.t, err, "InvalidVpcCidrBlockAssociationID.NotFound")
}

// vpcDefaults looks at what comes with a VPC, by the filters that Terraform uses.
func vpcDefaults(c *client, v types.Vpc) {
	c.t.Helper()
	inVPC := types.Filter{Name: new("vpc-id"), Values: []string{*v.VpcId}}
	by := func(name, value string) []types.Filter {
		return []types.Filter{{Name: &name, Values: []string{value}}, inVPC}
	}
	tables := must(c.ec2.DescribeRouteTables(c.ctx, &ec2.DescribeRouteTablesInput{Filters: by("association.main", "true")}))(c).RouteTables
	equal(c.t, "number of main tables", len(tables), 1)
	equal(c.t, "main", tables[0].Associations[0].Main, true)
	equal(c.t, "local route", *tables[0].Routes[0].DestinationCidrBlock+" "+*tables[0].Routes[0].GatewayId, "10.0.0.0/16 local")
	acls := must(c.ec2.DescribeNetworkAcls(c.ctx, &ec2.DescribeNetworkAclsInput{Filters: by("default", "true")}))(c).NetworkAcls
	equal(c.t, "number of default ACLs", len(acls), 1)
	matches(c.t, "ACL", acls[0].NetworkAclId, "acl-[0-9a-f]{17}")
	groups := must(c.ec2.DescribeSecurityGroups(c.ctx, &ec2.DescribeSecurityGroupsInput{Filters: by("group-name", "default")}))(c).SecurityGroups
	equal(c.t, "number of default groups", len(groups), 1)
	equal(c.t, "rules in and out", []int{len(groups[0].IpPermissions), len(groups[0].IpPermissionsEgress)}, []int{1, 1})
	options := must(c.ec2.DescribeDhcpOptions(c.ctx, &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{*v.DhcpOptionsId}}))(c).DhcpOptions
	equal(c.t, "number of DHCP options", len(options), 1)
	equal(c.t, "internet gateways", len(must(c.ec2.DescribeInternetGateways(c.ctx, &ec2.DescribeInternetGatewaysInput{}))(c).InternetGateways), 0)
	must(c.ec2.DescribePrefixLists(c.ctx, &ec2.DescribePrefixListsInput{}))(c)
	for _, call := range []error{
		failure(c.ec2.DescribeRouteTables(c.ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{"rtb-00000000000000000"}})),
		failure(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{{Name: new("colour"), Values: []string{"red"}}}})),
		failure(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: groups[0].GroupId})),
	} {
		if call == nil {
			c.t.Error("a call that must be refused went well")
		}
	}
}

func TestDefaultVPC(t *testing.T) {
	t.Parallel()
	c := newAccount(t).in(harness.OtherRegion)
	id := c.defaultVPC()
	made := must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{id}}))(c).Vpcs[0]
	equal(t, "CIDR", made.CidrBlock, "172.31.0.0/16")
	equal(t, "default", made.IsDefault, true)
	subnets := must(c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{
		Filters: []types.Filter{{Name: new("default-for-az"), Values: []string{"true"}}},
	}))(c).Subnets
	zones := must(c.ec2.DescribeAvailabilityZones(c.ctx, &ec2.DescribeAvailabilityZonesInput{}))(c).AvailabilityZones
	equal(t, "number of default subnets", len(subnets), len(zones))
	slices.SortFunc(subnets, func(a, b types.Subnet) int { return strings.Compare(*a.AvailabilityZone, *b.AvailabilityZone) })
	unchanged(c, func() {
		_, err := c.ec2.CreateDefaultVpc(c.ctx, &ec2.CreateDefaultVpcInput{})
		refused(t, err, "DefaultVpcAlreadyExists")
	})
	must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: subnets[0].SubnetId}))(c)
	subnets[0] = *must(c.ec2.CreateDefaultSubnet(c.ctx, &ec2.CreateDefaultSubnetInput{AvailabilityZone: subnets[0].AvailabilityZone}))(c).Subnet
	equal(t, "block of the new default subnet", subnets[0].CidrBlock, "172.31.0.0/20")
	unchanged(c, func() {
		_, err := c.ec2.CreateDefaultSubnet(c.ctx, &ec2.CreateDefaultSubnetInput{AvailabilityZone: subnets[0].AvailabilityZone})
		refused(t, err, "DefaultSubnetAlreadyExistsInAvailabilityZone")
	})
	tenancy := must(c.ec2.ModifyVpcTenancy(c.ctx, &ec2.ModifyVpcTenancyInput{VpcId: &id, InstanceTenancy: types.VpcTenancyDefault}))(c)
	equal(t, "tenancy changed", tenancy.ReturnValue, true)
	for _, s := range subnets {
		equal(t, "public addresses on launch", s.MapPublicIpOnLaunch, true)
		must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: s.SubnetId}))(c)
	}
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &id}))(c)
	again := must(c.ec2.CreateDefaultVpc(c.ctx, &ec2.CreateDefaultVpcInput{}))(c).Vpc
	equal(t, "default VPC", *again.VpcId, c.defaultVPC())
}

func TestSubnetLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}))(c).Vpc
	v = &must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*v.VpcId}}))(c).Vpcs[0]
	id := c.subnet(*v.VpcId, "10.0.1.0/24", "b")
	one := &ec2.DescribeSubnetsInput{SubnetIds: []string{id}}
	s := must(ec2.NewSubnetAvailableWaiter(c.ec2).WaitForOutput(c.ctx, one, patience))(c).Subnets[0]
	matches(t, "id", s.SubnetId, "subnet-[0-9a-f]{17}")
	equal(t, "ARN", s.SubnetArn, "arn:aws:ec2:us-east-1:"+c.key.Account+":subnet/"+id)
	equal(t, "zone", s.AvailabilityZone, "us-east-1b")
	equal(t, "free addresses", s.AvailableIpAddressCount, 251)
	// What Terraform compares with its defaults.
	equal(t, "on launch", []*bool{s.MapPublicIpOnLaunch, s.AssignIpv6AddressOnCreation, s.EnableDns64, s.Ipv6Native}, make([]bool, 4))
	equal(t, "host names", s.PrivateDnsNameOptionsOnLaunch.HostnameType, "ip-name")

	block := subnetBlock6(*v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock)
	added := must(c.ec2.AssociateSubnetCidrBlock(c.ctx, &ec2.AssociateSubnetCidrBlockInput{SubnetId: &id, Ipv6CidrBlock: &block}))(c)
	for _, change := range []*ec2.ModifySubnetAttributeInput{
		{SubnetId: &id, AssignIpv6AddressOnCreation: &types.AttributeBooleanValue{Value: new(true)}},
		{SubnetId: &id, AssignIpv6AddressOnCreation: &types.AttributeBooleanValue{Value: new(false)}},
		{SubnetId: &id, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: new(true)}},
	} {
		must(c.ec2.ModifySubnetAttribute(c.ctx, change))(c)
	}
	s = must(c.ec2.DescribeSubnets(c.ctx, one))(c).Subnets[0]
	equal(t, "public addresses", s.MapPublicIpOnLaunch, true)
	equal(t, "IPv6 block", s.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock, block)
	must(c.ec2.DisassociateSubnetCidrBlock(c.ctx, &ec2.DisassociateSubnetCidrBlockInput{AssociationId: added.Ipv6CidrBlockAssociation.AssociationId}))(c)
	must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &id}))(c)
	_, err := c.ec2.DescribeSubnets(c.ctx, one)
	refused(t, err, "InvalidSubnetID.NotFound")
}
