// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// vpc makes a VPC and gives its id.
func (c *client) vpc(cidr string) string {
	c.t.Helper()
	return *must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: &cidr}))(c).Vpc.VpcId
}

// subnet makes a subnet in a zone of the region, told by its letter.
func (c *client) subnet(vpc, cidr, zone string) string {
	c.t.Helper()
	return *must(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{
		VpcId: &vpc, CidrBlock: &cidr, AvailabilityZone: new(c.region + zone),
	}))(c).Subnet.SubnetId
}

// group makes a security group.
func (c *client) group(vpc, name string) string {
	c.t.Helper()
	return *must(c.ec2.CreateSecurityGroup(c.ctx, &ec2.CreateSecurityGroupInput{
		VpcId: &vpc, GroupName: &name, Description: new("for " + name),
	}))(c).GroupId
}

// gateway makes a resource gateway with one address an interface.
func (c *client) gateway(name, vpc string, subnets ...string) string {
	c.t.Helper()
	return *must(c.lattice.CreateResourceGateway(c.ctx, &vpclattice.CreateResourceGatewayInput{
		Name: &name, VpcIdentifier: &vpc, SubnetIds: subnets, Ipv4AddressesPerEni: new(int32(1)),
	}))(c).Id
}

// resource and otherResource are addresses of resources, in no subnet, so that
// no gateway has them for itself.
const resource, otherResource = "10.0.200.10", "10.0.200.11"

// defaultVPC gives the VPC that the account came with.
func (c *client) defaultVPC() string {
	c.t.Helper()
	found := must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{
		Filters: []ec2types.Filter{{Name: new("is-default"), Values: []string{"true"}}},
	}))(c).Vpcs
	if len(found) != 1 {
		c.t.Fatalf("%d default VPCs, want 1", len(found))
	}
	return *found[0].VpcId
}

// address defines a resource by its address.
func address(text string) lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinitionMemberIpResource{Value: lattice.IpResource{IpAddress: &text}}
}

// configuration makes a resource configuration and gives its id and ARN.
func (c *client) configuration(name, gateway, ip string, ports ...string) (id, arn string) {
	c.t.Helper()
	out := must(c.lattice.CreateResourceConfiguration(c.ctx, &vpclattice.CreateResourceConfigurationInput{
		Name: &name, Type: lattice.ResourceConfigurationTypeSingle, ResourceGatewayIdentifier: &gateway,
		ResourceConfigurationDefinition: address(ip), PortRanges: ports,
	}))(c)
	return *out.Id, *out.Arn
}

// newEndpoint is a request for a resource endpoint.
func newEndpoint(vpc, arn string, subnets ...string) *ec2.CreateVpcEndpointInput {
	return &ec2.CreateVpcEndpointInput{
		VpcEndpointType: ec2types.VpcEndpointTypeResource, VpcId: &vpc, ResourceConfigurationArn: &arn, SubnetIds: subnets,
	}
}

// endpoint makes a resource endpoint and gives its id.
func (c *client) endpoint(vpc, arn string, subnets ...string) string {
	c.t.Helper()
	return *must(c.ec2.CreateVpcEndpoint(c.ctx, newEndpoint(vpc, arn, subnets...)))(c).VpcEndpoint.VpcEndpointId
}

// pair is the whole of a small story: a resource in one VPC, an endpoint's
// place in another with the same CIDR.
type pair struct {
	provider, providerSubnet, consumer, consumerSubnet string
	gateway, configuration, arn                        string
}

func (c *client) pair() pair {
	c.t.Helper()
	var p pair
	p.provider, p.consumer = c.vpc("10.0.0.0/16"), c.vpc("10.0.0.0/16")
	p.providerSubnet, p.consumerSubnet = c.subnet(p.provider, "10.0.1.0/24", "a"), c.subnet(p.consumer, "10.0.1.0/24", "a")
	p.gateway = c.gateway("pair", p.provider, p.providerSubnet)
	p.configuration, p.arn = c.configuration("pair", p.gateway, resource, "5432")
	return p
}

// awaitGateway waits until a gateway is active.
func (c *client) awaitGateway(id string) *vpclattice.GetResourceGatewayOutput {
	c.t.Helper()
	var out *vpclattice.GetResourceGatewayOutput
	c.await("gateway "+id, func() (done bool, err error) {
		out, err = c.lattice.GetResourceGateway(c.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &id})
		return err == nil && out.Status == lattice.ResourceGatewayStatusActive, err
	})
	return out
}

// awaitConfiguration waits until a resource configuration is active.
func (c *client) awaitConfiguration(id string) *vpclattice.GetResourceConfigurationOutput {
	c.t.Helper()
	var out *vpclattice.GetResourceConfigurationOutput
	c.await("resource configuration "+id, func() (done bool, err error) {
		out, err = c.lattice.GetResourceConfiguration(c.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &id})
		return err == nil && out.Status == lattice.ResourceConfigurationStatusActive, err
	})
	return out
}

// awaitEndpoint waits until an endpoint is available.
func (c *client) awaitEndpoint(id string) ec2types.VpcEndpoint {
	c.t.Helper()
	var endpoint ec2types.VpcEndpoint
	c.await("endpoint "+id, func() (done bool, err error) {
		out, err := c.ec2.DescribeVpcEndpoints(c.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil {
			return false, err
		}
		endpoint = out.VpcEndpoints[0]
		return endpoint.State == "available", nil
	})
	return endpoint
}

// awaitGone waits until a resource of VPC Lattice is not found any more.
func (c *client) awaitGone(what string, get func() error) {
	c.t.Helper()
	c.await("the end of "+what, func() (bool, error) {
		err := get()
		var gone *lattice.ResourceNotFoundException
		if errors.As(err, &gone) {
			return true, nil
		}
		return false, err
	})
}

// unchanged checks that calls leave the caller's resources as they are.
func unchanged(c *client, during func()) {
	c.t.Helper()
	before := everything(c)
	during()
	if after := everything(c); after != before {
		c.t.Errorf("something changed; before:\n%s\nafter:\n%s", before, after)
	}
}

// everything is a text of all that a caller has in a region. States are left
// out where they come true by themselves.
func everything(c *client) string {
	c.t.Helper()
	interfaces := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{}))(c).NetworkInterfaces
	for i := range interfaces {
		interfaces[i].Status, interfaces[i].Attachment = "", nil
	}
	endpoints := must(c.ec2.DescribeVpcEndpoints(c.ctx, &ec2.DescribeVpcEndpointsInput{}))(c).VpcEndpoints
	for i := range endpoints {
		endpoints[i].State = ""
	}
	gateways := must(c.lattice.ListResourceGateways(c.ctx, &vpclattice.ListResourceGatewaysInput{}))(c).Items
	for i := range gateways {
		gateways[i].Status = ""
	}
	configurations := must(c.lattice.ListResourceConfigurations(c.ctx, &vpclattice.ListResourceConfigurationsInput{}))(c).Items
	for i := range configurations {
		configurations[i].Status = ""
	}
	return asJSON(c.t, []any{
		must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{}))(c).Vpcs,
		must(c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{}))(c).Subnets,
		must(c.ec2.DescribeSecurityGroups(c.ctx, &ec2.DescribeSecurityGroupsInput{}))(c).SecurityGroups,
		must(c.ec2.DescribeSecurityGroupRules(c.ctx, &ec2.DescribeSecurityGroupRulesInput{}))(c).SecurityGroupRules,
		must(c.ec2.DescribeTags(c.ctx, &ec2.DescribeTagsInput{}))(c).Tags,
		interfaces, endpoints, gateways, configurations,
	})
}

// refusal is a call that must be refused with a code.
type refusal struct {
	name, code string
	call       func() error
}

// refuse makes each call and checks its code, and that nothing changed.
func refuse(c *client, table []refusal) {
	c.t.Helper()
	for _, each := range table {
		c.t.Run(each.name, func(t *testing.T) {
			here := *c
			here.t, here.ctx = t, t.Context()
			unchanged(&here, func() { refused(t, each.call(), each.code) })
		})
	}
}

// alwaysRefused is refuse, of an operation that nothing here can ever be asked
// for: that counts as called.
func alwaysRefused(c *client, operation string, each refusal) {
	c.t.Helper()
	refuse(c, []refusal{each})
	calls.Lock()
	defer calls.Unlock()
	calls.made[operation] = true
}

// failure drops the output of a call.
func failure[O any](_ O, err error) error { return err }
