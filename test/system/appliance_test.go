// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// TestRoutesLeadToAppliances sends by a route to a workload that has addresses of its own
// making: only while the route is in the table that the subnet uses, the interface is
// attached, and its addresses are not checked.
func TestRoutesLeadToAppliances(t *testing.T) {
	needPrograms(t, "ip")
	p := postern.Start(t)
	v := p.VPC("10.0.0.0/16")
	clients, appliances := v.Subnet(0, "10.0.1.0/24"), v.Subnet(0, "10.0.2.0/24")
	open := v.OpenGroup()
	client, appliance := clients.Workload("10.0.1.10", open), appliances.Workload("10.0.2.10", open)
	inNamespace(t, appliance.NS.Name, "ip addr add 192.0.2.1/32 dev lo && ip addr add 203.0.113.1/32 dev lo && ip link set lo up")
	appliance.Serve(5432)
	reaches := func(want bool, why string) {
		t.Helper()
		p.Await(why, func() (bool, error) {
			return answers(client, "192.0.2.1:5432") == want && answers(client, "203.0.113.1:5432") == want, nil
		})
	}
	reaches(false, "nothing where no route leads")
	list := postern.Call[ec2.CreateManagedPrefixListOutput](p, ec2.Service, "CreateManagedPrefixList", &ec2.CreateManagedPrefixListInput{
		PrefixListName: new("beyond"), AddressFamily: new("IPv4"), MaxEntries: new(int32(1)), Entries: []ec2.AddPrefixListEntry{{Cidr: new("203.0.113.0/24")}},
	}).PrefixList.PrefixListId
	table := postern.Call[ec2.CreateRouteTableOutput](p, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &v.ID}).RouteTable.RouteTableId
	for _, route := range []ec2.CreateRouteInput{{DestinationPrefixListId: list}, {DestinationCidrBlock: new("192.0.2.0/24")}} {
		route.RouteTableId, route.NetworkInterfaceId = table, &appliance.ENI
		postern.Call[ec2.CreateRouteOutput](p, ec2.Service, "CreateRoute", &route)
	}
	uncheck := func(on bool) {
		postern.Call[ec2.ModifyNetworkInterfaceAttributeOutput](p, ec2.Service, "ModifyNetworkInterfaceAttribute", &ec2.ModifyNetworkInterfaceAttributeInput{
			NetworkInterfaceId: &appliance.ENI, SourceDestCheck: &ec2.AttributeBooleanValue{Value: new(!on)},
		})
	}
	uncheck(true)
	reaches(false, "nothing by a table that the subnet does not use")
	a := postern.Call[ec2.AssociateRouteTableOutput](p, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: table, SubnetId: &clients.ID}).AssociationId
	reaches(true, "answers by the routes")
	uncheck(false)
	reaches(false, "nothing from an interface that is checked")
	uncheck(true)
	reaches(true, "answers again")
	postern.Call[ec2.DisassociateRouteTableOutput](p, ec2.Service, "DisassociateRouteTable", &ec2.DisassociateRouteTableInput{AssociationId: a})
	reaches(false, "nothing without the association")
	main := postern.Call[ec2.DescribeRouteTablesOutput](p, ec2.Service, "DescribeRouteTables", &ec2.DescribeRouteTablesInput{Filters: []ec2.Filter{
		{Name: new("association.main"), Values: []string{"true"}}, {Name: new("vpc-id"), Values: []string{v.ID}},
	}}).RouteTables[0].Associations[0].RouteTableAssociationId
	postern.Call[ec2.ReplaceRouteTableAssociationOutput](p, ec2.Service, "ReplaceRouteTableAssociation", &ec2.ReplaceRouteTableAssociationInput{AssociationId: main, RouteTableId: table})
	reaches(true, "answers by the main table")
	if r := p.Command("detach", appliance.ENI); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	reaches(false, "nothing where nothing is")
	found := postern.Call[ec2.DescribeRouteTablesOutput](p, ec2.Service, "DescribeRouteTables", &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table}})
	for _, route := range found.RouteTables[0].Routes {
		if *route.Origin == ec2.RouteOriginCreateRoute && *route.State != ec2.RouteStateBlackhole {
			t.Errorf("the route is %s, and nothing is attached", *route.State)
		}
	}
	p.Verify()
}

// An appliance that changes nothing stands between a subnet and an internet gateway: what
// the subnet sends outside has its public address there, as if nothing were between, and
// both ways lead over the appliance by an edge association. The sender's own packets pass
// the router twice with the same addresses.
func TestAnApplianceStandsBeforeTheInternet(t *testing.T) {
	needPrograms(t, "ip")
	internet := postern.NewInternet(t)
	p := postern.Start(t, internet.Flags()...)
	v := p.VPC("10.0.0.0/16")
	behind, front := v.Subnet(0, "10.0.1.0/24"), v.Subnet(0, "10.0.2.0/24")
	gateway := v.InternetGateway()
	open := v.OpenGroup()
	client, appliance := behind.Workload("10.0.1.10", open), front.Workload("10.0.2.10", open)
	address := client.Publish()
	inNamespace(t, appliance.NS.Name, "sysctl -qw net.ipv4.ip_forward=1")
	postern.Call[ec2.ModifyNetworkInterfaceAttributeOutput](p, ec2.Service, "ModifyNetworkInterfaceAttribute", &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: &appliance.ENI, SourceDestCheck: &ec2.AttributeBooleanValue{Value: new(false)},
	})
	p.Route(v.RouteTable(front), "0.0.0.0/0", gateway)
	p.Route(v.RouteTable(behind), "0.0.0.0/0", appliance.ENI)
	edge := v.RouteTable()
	p.Route(edge, "10.0.1.0/24", appliance.ENI)
	postern.Call[ec2.AssociateRouteTableOutput](p, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: &edge, GatewayId: &gateway})

	l, err := internet.Listen("tcp4", internet.Addr.String()+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var ends [2]net.Conn
	p.Await("a connection by the appliance", func() (bool, error) {
		ends[0], err = client.Dial(t.Context(), "tcp4", l.Addr().String())
		return err == nil, nil
	})
	l.(*net.TCPListener).SetDeadline(time.Now().Add(testnet.Patience))
	if ends[1], err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(ends[1].RemoteAddr().String()); host != address.String() {
		t.Errorf("the server sees %s, want %s", host, address)
	}
	for range 20 { // past the lane, and on it
		for i, end := range ends {
			defer end.Close()
			if _, err := end.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			ends[1-i].SetReadDeadline(time.Now().Add(testnet.Patience))
			if _, err := ends[1-i].Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}

	// It goes by the appliance, and both ends learn when it no longer may.
	if r := p.Command("detach", appliance.ENI); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	ends[0].SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err = ends[0].Write([]byte("x")); err == nil { // the reset may be there before
		_, err = ends[0].Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client has %v without the appliance, want a reset", err)
	}
	p.Verify()
}
