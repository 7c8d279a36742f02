// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

func TestNetworkRefusals(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/28", "a")
	createVPC := func(cidr string) error {
		return failure(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: &cidr}))
	}
	createSubnet := func(cidr string) error {
		return failure(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: &v, CidrBlock: &cidr}))
	}
	createInterface := func(ip string, secondary int32) error {
		in := &ec2.CreateNetworkInterfaceInput{SubnetId: &s}
		if ip != "" {
			in.PrivateIpAddress = &ip
		}
		if secondary > 0 {
			in.SecondaryPrivateIpAddressCount = &secondary
		}
		return failure(c.ec2.CreateNetworkInterface(c.ctx, in))
	}
	if err := createInterface("10.0.1.10", 0); err != nil {
		t.Fatal(err)
	}
	refuse(c, []refusal{
		{"VPC too large", "InvalidVpc.Range", func() error { return createVPC("10.0.0.0/15") }},
		{"VPC too small", "InvalidVpc.Range", func() error { return createVPC("10.0.0.0/29") }},
		{"VPC without a mask", "InvalidParameterValue", func() error { return createVPC("10.0.0.0") }},
		{"VPC in the transit realm", "InvalidVpc.Range", func() error { return createVPC("240.1.0.0/16") }},
		{"VPC without a block", "MissingParameter", func() error { return failure(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{})) }},
		{"block that overlaps", "CidrConflict", func() error {
			return failure(c.ec2.AssociateVpcCidrBlock(c.ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: &v, CidrBlock: new("10.0.128.0/17")}))
		}},
		{"subnet that overlaps", "InvalidSubnet.Conflict", func() error { return createSubnet("10.0.0.0/23") }},
		{"subnet outside", "InvalidSubnet.Range", func() error { return createSubnet("10.1.0.0/24") }},
		{"subnet too small", "InvalidSubnet.Range", func() error { return createSubnet("10.0.5.0/30") }},
		{"subnet in an unknown zone", "InvalidParameterValue", func() error {
			return failure(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: &v, CidrBlock: new("10.0.5.0/24"), AvailabilityZone: new("us-east-1z")}))
		}},
		{"unknown VPC", "InvalidVpcID.NotFound", func() error {
			return failure(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: new("vpc-00000000000000000"), CidrBlock: new("10.0.5.0/24")}))
		}},
		{"no free addresses", "InsufficientFreeAddressesInSubnet", func() error { return createInterface("", 10) }},
		{"address taken", "InvalidIPAddress.InUse", func() error { return createInterface("10.0.1.10", 0) }},
		{"address reserved", "InvalidParameterValue", func() error { return createInterface("10.0.1.1", 0) }},
		{"address outside", "InvalidParameterValue", func() error { return createInterface("10.0.2.1", 0) }},
		{"no address", "InvalidParameterValue", func() error { return createInterface("10.0.1.300", 0) }},
		{"delete what is not there", "InvalidNetworkInterfaceID.NotFound", func() error {
			return failure(c.ec2.DeleteNetworkInterface(c.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: new("eni-00000000000000000")}))
		}},
		{"unknown filter", "InvalidParameterValue", func() error {
			return failure(c.ec2.DescribeVpcAttribute(c.ctx, &ec2.DescribeVpcAttributeInput{VpcId: &v, Attribute: "colour"}))
		}},
		{"operation that is not served", "InvalidAction", func() error {
			return failure(c.ec2.DescribeVolumes(c.ctx, &ec2.DescribeVolumesInput{}))
		}},
	})
}

func TestGatewayRefusals(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v, w := c.vpc("10.0.0.0/16"), c.vpc("10.0.0.0/16")
	a, also := c.subnet(v, "10.0.1.0/28", "a"), c.subnet(v, "10.0.2.0/24", "a")
	foreign, foreignGroup := c.subnet(w, "10.0.1.0/24", "b"), c.group(w, "foreign")
	c.gateway("taken", v, a)
	create := func(name string, change func(*vpclattice.CreateResourceGatewayInput), subnets ...string) func() error {
		return func() error {
			in := &vpclattice.CreateResourceGatewayInput{Name: &name, VpcIdentifier: &v, SubnetIds: subnets, Ipv4AddressesPerEni: new(int32(1))}
			if change != nil {
				change(in)
			}
			return failure(c.lattice.CreateResourceGateway(c.ctx, in))
		}
	}
	groups := func(ids ...string) func(*vpclattice.CreateResourceGatewayInput) {
		return func(in *vpclattice.CreateResourceGatewayInput) { in.SecurityGroupIds = ids }
	}
	refuse(c, []refusal{
		{"name taken", "ConflictException", create("taken", nil, a)},
		{"name with capitals", "ValidationException", create("Upper", nil, a)},
		{"name that looks like an id", "ValidationException", create("rgw-name", nil, a)},
		{"name too short", "ValidationException", create("ab", nil, a)},
		{"no subnets", "ValidationException", create("good", nil)},
		{"subnet of another VPC", "ValidationException", create("good", nil, foreign)},
		{"unknown subnet", "ResourceNotFoundException", create("good", nil, "subnet-00000000000000000")},
		{"two subnets of one zone", "ValidationException", create("good", nil, a, also)},
		{"group of another VPC", "ValidationException", create("good", groups(foreignGroup), a)},
		{"unknown group", "ResourceNotFoundException", create("good", groups("sg-00000000000000000"), a)},
		{"too many groups", "ValidationException", create("good", groups("sg-01", "sg-02", "sg-03", "sg-04", "sg-05", "sg-06"), a)},
		{"no free addresses", "ValidationException", create("good", func(in *vpclattice.CreateResourceGatewayInput) { in.Ipv4AddressesPerEni = new(int32(62)) }, a)},
		{"too many addresses", "ValidationException", create("good", func(in *vpclattice.CreateResourceGatewayInput) { in.Ipv4AddressesPerEni = new(int32(63)) }, also)},
		{"IPv6 in an IPv4 subnet", "ValidationException", create("good", func(in *vpclattice.CreateResourceGatewayInput) {
			in.IpAddressType, in.Ipv4AddressesPerEni = lattice.ResourceGatewayIpAddressTypeIpv6, nil
		}, a)},
	})
	_, err := c.lattice.GetResourceGateway(c.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: new("rgw-00000000000000000")})
	missing := typed[*lattice.ResourceNotFoundException](t, err)
	equal(t, "what is missing", []*string{missing.ResourceId, missing.ResourceType}, []string{"rgw-00000000000000000", "ResourceGateway"})
	invalid := typed[*lattice.ValidationException](t, create("Upper", nil, a)())
	equal(t, "reason and field", []any{invalid.Reason, *invalid.FieldList[0].Name}, []string{"fieldValidationFailed", "name"})
}

func TestConfigurationRefusals(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	p := c.pair()
	create := func(definition lattice.ResourceConfigurationDefinition, ports ...string) func() error {
		return func() error {
			return failure(c.lattice.CreateResourceConfiguration(c.ctx, newConfiguration("good", p.gateway, definition, ports...)))
		}
	}
	ofType := func(kind lattice.ResourceConfigurationType, definition lattice.ResourceConfigurationDefinition) func() error {
		return func() error {
			in := newConfiguration("good", p.gateway, definition)
			in.Type = kind
			return failure(c.lattice.CreateResourceConfiguration(c.ctx, in))
		}
	}
	private := address(otherResource)
	refuse(c, []refusal{
		{"public address", "ValidationException", create(address("8.8.8.8"))},
		{"no address", "ValidationException", create(address("database"))},
		{"IPv6 address behind an IPv4 gateway", "ValidationException", create(address("fd00::1"))},
		{"no definition", "ValidationException", create(nil)},
		{"domain name of both families", "ValidationException", create(&lattice.ResourceConfigurationDefinitionMemberDnsResource{Value: lattice.DnsResource{DomainName: new("db.example.com"), IpAddressType: "DUALSTACK"}})},
		{"ports reversed", "ValidationException", create(private, "90-80")},
		{"port out of range", "ValidationException", create(private, "70000")},
		{"port zero", "ValidationException", create(private, "0")},
		{"no port", "ValidationException", create(private, "http")},
		{"ports that overlap", "ValidationException", create(private, "80-90", "85")},
		{"type GROUP with a resource", "ValidationException", ofType("GROUP", private)},
		{"type CHILD without a group", "ValidationException", ofType("CHILD", private)},
		{"type ARN", "ValidationException", ofType("ARN", nil)},
		{"unknown type", "ValidationException", ofType("DOUBLE", nil)},
		{"name taken", "ConflictException", func() error {
			return failure(c.lattice.CreateResourceConfiguration(c.ctx, newConfiguration("pair", p.gateway, private)))
		}},
		{"unknown gateway", "ResourceNotFoundException", func() error {
			return failure(c.lattice.CreateResourceConfiguration(c.ctx, newConfiguration("good", "rgw-00000000000000000", private)))
		}},
		{"update to a public address", "ValidationException", func() error {
			return failure(c.lattice.UpdateResourceConfiguration(c.ctx, &vpclattice.UpdateResourceConfigurationInput{
				ResourceConfigurationIdentifier: &p.configuration, ResourceConfigurationDefinition: address("8.8.8.8"),
			}))
		}},
		{"update of ports to nonsense", "ValidationException", func() error {
			return failure(c.lattice.UpdateResourceConfiguration(c.ctx, &vpclattice.UpdateResourceConfigurationInput{
				ResourceConfigurationIdentifier: &p.configuration, PortRanges: []string{"2-1"},
			}))
		}},
		{"update of ports to none", "ValidationException", func() error {
			return failure(c.lattice.UpdateResourceConfiguration(c.ctx, &vpclattice.UpdateResourceConfigurationInput{
				ResourceConfigurationIdentifier: &p.configuration, PortRanges: []string{},
			}))
		}},
		{"the router's address", "ValidationException", create(address("10.0.1.1"))},
	})
	_, err := c.lattice.CreateResourceConfiguration(c.ctx, newConfiguration("good", p.gateway, address("8.8.8.8")))
	invalid := typed[*lattice.ValidationException](t, err)
	equal(t, "field", invalid.FieldList[0].Name, "resourceConfigurationDefinition.ipResource.ipAddress")
}

func TestEndpointRefusals(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	p := c.pair()
	also, far := c.subnet(p.consumer, "10.0.2.0/24", "a"), c.subnet(p.consumer, "10.0.3.0/24", "b")
	foreignGroup := c.group(p.provider, "foreign")
	create := func(vpc, arn string, subnets ...string) func() error {
		return func() error { return failure(c.ec2.CreateVpcEndpoint(c.ctx, newEndpoint(vpc, arn, subnets...))) }
	}
	changed := func(change func(*ec2.CreateVpcEndpointInput)) func() error {
		return func() error {
			in := newEndpoint(p.consumer, p.arn, p.consumerSubnet)
			change(in)
			return failure(c.ec2.CreateVpcEndpoint(c.ctx, in))
		}
	}
	unknownARN := p.arn[:len(p.arn)-17] + "00000000000000000"
	refuse(c, []refusal{
		{"subnet of another VPC", "InvalidParameter", create(p.consumer, p.arn, p.providerSubnet)},
		{"unknown subnet", "InvalidSubnetID.NotFound", create(p.consumer, p.arn, "subnet-00000000000000000")},
		{"unknown VPC", "InvalidVpcID.NotFound", create("vpc-00000000000000000", p.arn, p.consumerSubnet)},
		{"two subnets of one zone", "DuplicateSubnetsInSameZone", create(p.consumer, p.arn, p.consumerSubnet, also)},
		{"no zone in common", "InvalidParameter", create(p.consumer, p.arn, far)},
		{"no subnet", "MissingParameter", create(p.consumer, p.arn)},
		{"unknown resource", "InvalidParameter", create(p.consumer, unknownARN, p.consumerSubnet)},
		{"no ARN", "InvalidParameter", create(p.consumer, "resource", p.consumerSubnet)},
		{"VPC of the gateway", "InvalidParameter", create(p.provider, p.arn, p.providerSubnet)},
		{"group of another VPC", "InvalidParameter", changed(func(in *ec2.CreateVpcEndpointInput) { in.SecurityGroupIds = []string{foreignGroup} })},
		{"unknown group", "InvalidGroup.NotFound", changed(func(in *ec2.CreateVpcEndpointInput) { in.SecurityGroupIds = []string{"sg-00000000000000000"} })},
		{"no resource", "MissingParameter", changed(func(in *ec2.CreateVpcEndpointInput) { in.ResourceConfigurationArn = nil })},
		{"type Interface", "MissingParameter", changed(func(in *ec2.CreateVpcEndpointInput) { in.VpcEndpointType = "Interface" })},
		{"IPv6 in an IPv4 subnet", "InvalidParameter", changed(func(in *ec2.CreateVpcEndpointInput) { in.IpAddressType = "ipv6" })},
	})
}
