// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// privateNAT makes a private NAT gateway with an address and waits for it.
func privateNAT(p *postern.Postern, s *postern.Subnet, address string) string {
	p.T.Helper()
	id := *postern.Call[ec2.CreateNatGatewayOutput](p, ec2.Service, "CreateNatGateway", &ec2.CreateNatGatewayInput{
		SubnetId: &s.ID, ConnectivityType: new(ec2.ConnectivityTypePrivate), PrivateIpAddress: &address,
	}).NatGateway.NatGatewayId
	p.Await("NAT gateway "+id, func() (bool, error) { return natState(p, id) == ec2.NatGatewayStateAvailable, nil })
	return id
}

func natState(p *postern.Postern, id string) string {
	p.T.Helper()
	return *postern.Call[ec2.DescribeNatGatewaysOutput](p, ec2.Service, "DescribeNatGateways", &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}).NatGateways[0].State
}

// TestAPrivateNATGateway leads workloads and a resource gateway of one subnet to another
// one: who answers there sees the NAT gateway. It does so again after a restart, and when
// it is deleted its routes lead nowhere.
func TestAPrivateNATGateway(t *testing.T) {
	p := postern.Start(t)
	v := p.VPC("10.0.0.0/16")
	inside, far, way := v.Subnet(0, "10.0.1.0/24"), v.Subnet(0, "10.0.2.0/24"), v.Subnet(0, "10.0.3.0/24")
	open := v.OpenGroup()
	client, server := inside.Workload("10.0.1.10", open), far.Workload("10.0.2.10", open)
	server.Serve(5432)
	nat := privateNAT(p, way, "10.0.3.9")
	table := postern.Call[ec2.CreateRouteTableOutput](p, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &v.ID}).RouteTable.RouteTableId
	postern.Call[ec2.CreateRouteOutput](p, ec2.Service, "CreateRoute", &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: new("10.0.2.0/24"), NatGatewayId: &nat})
	postern.Call[ec2.AssociateRouteTableOutput](p, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: table, SubnetId: &inside.ID})
	sees := func(from *postern.Workload, to netip.Addr, want string) {
		t.Helper()
		p.Await("that the server sees "+want, func() (bool, error) {
			source, err := ask(from, at(to))
			return err == nil && source.String() == want, nil
		})
	}
	sees(client, server.IP, "10.0.3.9")

	gateway := v.Gateway("out", []*postern.Subnet{inside}, []string{open})
	c := gateway.Configuration(server.IP, "5432")
	other := p.VPC("10.0.0.0/16")
	theirs := other.Subnet(0, "10.0.2.0/24") // which overlaps
	all := other.OpenGroup()
	consumer := theirs.Workload("10.0.2.20", all)
	e := other.Endpoint(c, []*postern.Subnet{theirs}, all)
	sees(consumer, e.Address(), "10.0.3.9")
	p.Verify()

	p.Stop()
	p.Up()
	sees(client, server.IP, "10.0.3.9")
	p.Verify()

	postern.Call[ec2.DeleteNatGatewayOutput](p, ec2.Service, "DeleteNatGateway", &ec2.DeleteNatGatewayInput{NatGatewayId: &nat})
	p.Await("the end of the NAT gateway", func() (bool, error) { return natState(p, nat) == ec2.NatGatewayStateDeleted, nil })
	if answers(client, at(server.IP)) || answers(consumer, at(e.Address())) {
		t.Error("a route to a NAT gateway that is deleted leads somewhere")
	}
	p.Verify()
}
