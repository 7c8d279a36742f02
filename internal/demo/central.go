// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// The blocks of the central VPC's subnets, and what it is outside.
const (
	publicCIDR  = "10.0.0.0/24"
	privateCIDR = "10.0.1.0/24"
	publicPool  = "198.51.100.0/28"
	anywhere    = "0.0.0.0/0"
)

// central is the VPC that goes out for all others, by identifier.
type central struct {
	vpc, public, private string
	gatewayGroup         string
	address, allocation  string // the NAT gateway's public address
	nat                  string
}

// makeCentral makes a VPC whose public subnet has the way out, and whose private one goes
// by the NAT gateway in it.
func (d *demo) makeCentral(ctx context.Context) error {
	c := &d.abroad.central
	vpc, err := call[ec2.CreateVpcOutput](ctx, d, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new(networkCIDR)})
	if err != nil {
		return err
	}
	c.vpc = *vpc.Vpc.VpcId
	for _, s := range []struct {
		cidr string
		id   *string
	}{{publicCIDR, &c.public}, {privateCIDR, &c.private}} {
		subnet, err := call[ec2.CreateSubnetOutput](ctx, d, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
			VpcId: &c.vpc, CidrBlock: &s.cidr, AvailabilityZone: new("us-east-1a"),
		})
		if err != nil {
			return err
		}
		*s.id = *subnet.Subnet.SubnetId
	}
	if err := d.makeWayOut(ctx); err != nil {
		return err
	}
	if err := d.makeNAT(ctx); err != nil {
		return err
	}
	d.screen.done("the private subnet goes out by %s, which is %s there", c.nat, c.address)
	return nil
}

// makeWayOut makes the internet gateway and leads the public subnet there.
func (d *demo) makeWayOut(ctx context.Context) error {
	c := &d.abroad.central
	gateway, err := call[ec2.CreateInternetGatewayOutput](ctx, d, ec2.Service, "CreateInternetGateway", &ec2.CreateInternetGatewayInput{})
	if err != nil {
		return err
	}
	id := gateway.InternetGateway.InternetGatewayId
	if _, err := call[ec2.AttachInternetGatewayOutput](ctx, d, ec2.Service, "AttachInternetGateway", &ec2.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: &c.vpc}); err != nil {
		return err
	}
	return d.leadOut(ctx, c.public, &ec2.CreateRouteInput{GatewayId: id})
}

// leadOut gives a subnet a route table of its own with a default route.
func (d *demo) leadOut(ctx context.Context, subnet string, route *ec2.CreateRouteInput) error {
	table, err := call[ec2.CreateRouteTableOutput](ctx, d, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &d.abroad.central.vpc})
	if err != nil {
		return err
	}
	id := table.RouteTable.RouteTableId
	route.RouteTableId, route.DestinationCidrBlock = id, new(anywhere)
	if _, err := call[ec2.CreateRouteOutput](ctx, d, ec2.Service, "CreateRoute", route); err != nil {
		return err
	}
	_, err = call[ec2.AssociateRouteTableOutput](ctx, d, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: id, SubnetId: &subnet})
	return err
}

// makeNAT makes the NAT gateway with an address of the public pool, and leads the private
// subnet there.
func (d *demo) makeNAT(ctx context.Context) error {
	c := &d.abroad.central
	address, err := call[ec2.AllocateAddressOutput](ctx, d, ec2.Service, "AllocateAddress", &ec2.AllocateAddressInput{Domain: new(ec2.DomainTypeVpc)})
	if err != nil {
		return err
	}
	c.address, c.allocation = *address.PublicIp, *address.AllocationId
	nat, err := call[ec2.CreateNatGatewayOutput](ctx, d, ec2.Service, "CreateNatGateway", &ec2.CreateNatGatewayInput{SubnetId: &c.public, AllocationId: &c.allocation})
	if err != nil {
		return err
	}
	c.nat = *nat.NatGateway.NatGatewayId
	err = waitFor(ctx, d.postern.Process(), c.nat, settled, func() (bool, error) {
		got, err := quietly[ec2.DescribeNatGatewaysOutput](ctx, d, ec2.Service, "DescribeNatGateways", &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{c.nat}})
		if err != nil {
			return false, err
		}
		return active(c.nat, *got.NatGateways[0].State, ec2.NatGatewayStateAvailable, ec2.NatGatewayStatePending)
	})
	if err != nil {
		return err
	}
	return d.leadOut(ctx, c.private, &ec2.CreateRouteInput{NatGatewayId: &c.nat})
}

// offerDomains offers each public domain by the resource gateway in the private subnet.
func (d *demo) offerDomains(ctx context.Context) (err error) {
	c := &d.abroad.central
	if c.gatewayGroup, err = d.makeGroup(ctx, network{vpc: c.vpc}, "gateway", "the resource gateway"); err != nil {
		return err
	}
	out, err := call[vpclattice.CreateResourceGatewayOutput](ctx, d, vpclattice.Service, "CreateResourceGateway",
		&vpclattice.CreateResourceGatewayInput{
			Name: new("central-gateway"), VpcIdentifier: &c.vpc, SubnetIds: []string{c.private}, SecurityGroupIds: []string{c.gatewayGroup},
			ResourceConfigDnsResolution: new(vpclattice.ResourceConfigDnsResolutionPublic),
		})
	if err != nil {
		return err
	}
	d.world.gateway = *out.Id
	if err := d.gatewayActive(ctx); err != nil {
		return err
	}
	if err := d.makeConfigurationGroup(ctx, "partners", ""); err != nil {
		return err
	}
	for _, p := range partners {
		if err := d.makeChild(ctx, p.label, "", 443, byName(p.domain())); err != nil {
			return err
		}
	}
	d.screen.done("%s: %d domains, each on port 443; their addresses are nobody's business but the gateway's", d.merger.group, len(partners))
	return nil
}

// makeConsumer makes a VPC without any way out.
func (d *demo) makeConsumer(ctx context.Context) error {
	n, err := d.makeNetwork(ctx)
	if err != nil {
		return err
	}
	if err := d.nameHosts(ctx, n.vpc); err != nil {
		return err
	}
	d.world.consumer = n
	if d.world.clientGroup, err = d.makeGroup(ctx, n, "client", "those who ask"); err != nil {
		return err
	}
	if d.world.endpointGroup, err = d.makeGroup(ctx, n, "endpoint", "the one endpoint"); err != nil {
		return err
	}
	return d.admit(ctx, d.world.endpointGroup, d.world.clientGroup, ports{443, 443})
}

// openPartners makes the consumer's endpoint, and a hosted zone for each domain that leads
// there.
func (d *demo) openPartners(ctx context.Context) error {
	out, err := call[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &d.world.consumer.vpc, SubnetIds: []string{d.world.consumer.subnet},
		SecurityGroupIds: []string{d.world.endpointGroup}, ResourceConfigurationArn: &d.merger.groupARN,
	})
	if err != nil {
		return err
	}
	d.world.endpoint = *out.VpcEndpoint.VpcEndpointId
	if err := d.findNames(ctx, len(partners)); err != nil {
		return err
	}
	for _, p := range partners {
		zone, err := d.makeZone(ctx, p.zone, d.world.consumer.vpc)
		if err != nil {
			return err
		}
		if err := d.changeRecords(ctx, zone, upsert(p.domain(), "CNAME", recordTTL, d.merger.names[d.merger.children[p.label]])); err != nil {
			return err
		}
	}
	d.screen.done("%d names lead to one endpoint", len(partners))
	return nil
}

// partner is a public domain that the consumers are given.
type partner struct{ label, zone, address string }

func (p partner) domain() string { return p.label + "." + p.zone }

func (p partner) String() string { return fmt.Sprintf("%s at %s", p.domain(), p.address) }
