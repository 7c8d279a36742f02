// SPDX-License-Identifier: Apache-2.0

package ec2test

import (
	"fmt"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/service/vpclattice"
)

// Provider is a VPC with a gateway in zones a and b and a resource behind it.
type Provider struct {
	VPC     *shape.Vpc
	Gateway string
	// Configuration is the ARN of the resource configuration.
	Configuration string
}

// Lattice gives the operations of VPC Lattice in the same environment.
func (n *Network) Lattice() *vpclattice.API { return &vpclattice.API{Env: n.Env} }

// AddProvider makes a provider whose resource has an address, in which %s stands
// for its IPv6 subnet.
func (n *Network) AddProvider(t *testing.T, name, family, ip string) Provider {
	t.Helper()
	p := Provider{VPC: n.AddVPC(t)}
	if strings.Contains(ip, "%s") {
		ip = fmt.Sprintf(ip, strings.TrimSuffix(n.Block6(t, p.VPC, 1), "::/64"))
	}
	g, err := n.Lattice().CreateResourceGateway(n.Ctx, &lattice.CreateResourceGatewayInput{
		Name: &name, VpcIdentifier: p.VPC.VpcId, IpAddressType: &family, Ipv4AddressesPerEni: new(int32(1)),
		SubnetIds: []string{n.AddSubnet(t, p.VPC, "a", "10.0.1.0/24", 1), n.AddSubnet(t, p.VPC, "b", "10.0.2.0/24", 2)},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Gateway = *g.Id
	r, err := n.Lattice().CreateResourceConfiguration(n.Ctx, &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new("SINGLE"), ResourceGatewayIdentifier: g.Id,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: &ip}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Configuration = *r.Arn
	return p
}

// EndpointInput is a request for an endpoint to a provider.
func (n *Network) EndpointInput(p Provider, subnets ...string) *shape.CreateVpcEndpointInput {
	return &shape.CreateVpcEndpointInput{
		VpcEndpointType: new("Resource"), VpcId: n.Net.VpcId, SubnetIds: subnets, ResourceConfigurationArn: new(p.Configuration),
		PrivateDnsEnabled: new(false),
	}
}

// AddEndpoint makes an endpoint.
func (n *Network) AddEndpoint(t *testing.T, in *shape.CreateVpcEndpointInput) *shape.VpcEndpoint {
	t.Helper()
	out, err := n.API.CreateVpcEndpoint(n.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.VpcEndpoint
}

// DescribeEndpoint describes one endpoint.
func (n *Network) DescribeEndpoint(t *testing.T, id *string) shape.VpcEndpoint {
	t.Helper()
	out, err := n.API.DescribeVpcEndpoints(n.Ctx, &shape.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*id}})
	if err != nil {
		t.Fatal(err)
	}
	return out.VpcEndpoints[0]
}
