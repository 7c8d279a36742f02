// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/state"
)

// Two VPCs have a resource each, at an address of the other's endpoint to be. The
// endpoint that would close the circle is refused, and changes nothing.
func TestAnEndpointThatWouldLeadToItselfIsRefused(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "theirs", "IPV4", "10.0.1.77")
	mine := n.AddSubnet(t, n.Net, "a", "10.0.3.0/24", -1)
	gateway, err := n.Lattice().CreateResourceGateway(n.Ctx, &lattice.CreateResourceGatewayInput{
		Name: new("ours"), VpcIdentifier: n.Net.VpcId, SubnetIds: []string{mine}, IpAddressType: new("IPV4"), Ipv4AddressesPerEni: new(int32(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := n.Lattice().CreateResourceConfiguration(n.Ctx, &lattice.CreateResourceConfigurationInput{
		Name: new("ours"), Type: new("SINGLE"), ResourceGatewayIdentifier: gateway.Id,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.3.99")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	subnets, err := n.API.DescribeSubnets(n.Ctx, &shape.DescribeSubnetsInput{Filters: []shape.Filter{
		{Name: new("vpc-id"), Values: []string{*p.VPC.VpcId}}, {Name: new("cidr-block"), Values: []string{"10.0.1.0/24"}}}})
	if err != nil {
		t.Fatal(err)
	}
	theirs := *subnets.Subnets[0].SubnetId
	at := func(in *shape.CreateVpcEndpointInput, subnet, address string) *shape.CreateVpcEndpointInput {
		in.SubnetIds, in.SubnetConfigurations = nil, []shape.SubnetConfiguration{{SubnetId: &subnet, Ipv4: &address}}
		return in
	}
	there := at(n.EndpointInput(ec2test.Provider{Configuration: *ours.Arn}), theirs, "10.0.1.77")
	there.VpcId = p.VPC.VpcId
	n.AddEndpoint(t, there)
	before := state.VPCEndpoints.CountScope(n.DB.Snapshot(), "111122223333", "us-east-1")
	_, err = n.API.CreateVpcEndpoint(n.Ctx, at(n.EndpointInput(p), mine, "10.0.3.99"))
	if f, ok := err.(*fault.Error); !ok || f.Code != "InvalidParameter" || !strings.Contains(err.Error(), "leads back") {
		t.Errorf("the endpoint that closes the circle: %v", err)
	}
	if after := state.VPCEndpoints.CountScope(n.DB.Snapshot(), "111122223333", "us-east-1"); after != before {
		t.Errorf("%d endpoints after it, want %d", after, before)
	}
	n.AddEndpoint(t, at(n.EndpointInput(p), mine, "10.0.3.98")) // beside it
}
