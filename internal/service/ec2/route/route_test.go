// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The ids of what the tests' network has beside what users make in it.
const (
	igw, otherGateway = "igw-00000000000000001", "igw-00000000000000002"
	eigw              = "eigw-00000000000000001"
	nat               = "nat-00000000000000001"
)

// network is a VPC with gateways, a subnet with an interface, and a table.
type network struct {
	*ec2test.Network
	subnet, eni, table string
}

func own(id string) model.Meta {
	return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{Network: ec2test.NewNetwork(t)}
	n.Outside.Uplink.Name = "internet"
	n.subnet = n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1)
	n.eni = *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &n.subnet}).NetworkInterfaceId
	n.Attach(t, n.eni)
	vpc := *n.Net.VpcId
	n.Put(t, func(tx *table.Txn) {
		state.InternetGateways.Put(tx, &model.InternetGateway{Meta: own(igw), VPC: vpc})
		state.InternetGateways.Put(tx, &model.InternetGateway{Meta: own(otherGateway)})
		state.EgressOnlyGateways.Put(tx, &model.EgressOnlyGateway{Meta: own(eigw), VPC: vpc})
		state.NATGateways.Put(tx, &model.NATGateway{Meta: own(nat), VPC: vpc})
	})
	n.table = n.newTable(t)
	return n
}

func (n *network) newTable(t *testing.T) string {
	t.Helper()
	out, err := n.API.CreateRouteTable(n.Ctx, &shape.CreateRouteTableInput{VpcId: n.Net.VpcId})
	if err != nil {
		t.Fatal(err)
	}
	return *out.RouteTable.RouteTableId
}

func (n *network) describe(t *testing.T, filters ...shape.Filter) []shape.RouteTable {
	t.Helper()
	out, err := n.API.DescribeRouteTables(n.Ctx, &shape.DescribeRouteTablesInput{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	return out.RouteTables
}

// routes says what the routes of the table are, as they are shown, but for the local ones.
func (n *network) routes(t *testing.T) (lines []string) {
	t.Helper()
	for _, r := range n.describe(t, ec2test.Filter("route-table-id", n.table)[0])[0].Routes {
		line := service.Value(r.DestinationCidrBlock) + service.Value(r.DestinationIpv6CidrBlock) + service.Value(r.DestinationPrefixListId) + " " +
			service.Value(r.GatewayId) + service.Value(r.NatGatewayId) + service.Value(r.EgressOnlyInternetGatewayId) + service.Value(r.NetworkInterfaceId)
		if !strings.HasSuffix(line, " local") {
			lines = append(lines, line+" "+*r.Origin+" "+*r.State)
		}
	}
	return lines
}

func (n *network) create(in shape.CreateRouteInput) error {
	in.RouteTableId = &n.table
	return ec2test.Failure(n.API.CreateRoute(n.Ctx, &in))
}

func (n *network) replace(in shape.ReplaceRouteInput) error {
	in.RouteTableId = &n.table
	return ec2test.Failure(n.API.ReplaceRoute(n.Ctx, &in))
}

func (n *network) delete(in shape.DeleteRouteInput) error {
	in.RouteTableId = &n.table
	return ec2test.Failure(n.API.DeleteRoute(n.Ctx, &in))
}

func succeed(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestRoutesAreKeptAndShown adds, replaces and deletes routes to all kinds of targets.
func TestRoutesAreKeptAndShown(t *testing.T) {
	n := newNetwork(t)
	succeed(t,
		n.create(shape.CreateRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(igw)}),
		n.create(shape.CreateRouteInput{DestinationCidrBlock: new("192.168.5.7/16"), NatGatewayId: new(nat)}),
		n.create(shape.CreateRouteInput{DestinationIpv6CidrBlock: new("::/0"), EgressOnlyInternetGatewayId: new(eigw)}),
		n.create(shape.CreateRouteInput{DestinationIpv6CidrBlock: new("2001:DB8:0:0::1/48"), NetworkInterfaceId: &n.eni}),
		n.create(shape.CreateRouteInput{DestinationCidrBlock: new("10.0.1.0/24"), NetworkInterfaceId: &n.eni}),
		n.replace(shape.ReplaceRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), NatGatewayId: new(nat)}),
		n.replace(shape.ReplaceRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), NatGatewayId: new(nat)}),
		n.delete(shape.DeleteRouteInput{DestinationCidrBlock: new("192.168.0.9/16")}),
	)
	want := []string{
		"0.0.0.0/0 " + nat + " CreateRoute active",
		"::/0 " + eigw + " CreateRoute active",
		"2001:db8::/48 " + n.eni + " CreateRoute active",
		"10.0.1.0/24 " + n.eni + " CreateRoute active",
	}
	if diff := cmp.Diff(want, n.routes(t)); diff != "" {
		t.Error(diff)
	}
	n.Outside.Uplink.Name = ""
	if got := n.describe(t, ec2test.Filter("route.state", "blackhole")...); len(got) != 1 || !strings.HasSuffix(n.routes(t)[1], " blackhole") {
		t.Errorf("without an uplink, %v lead to a blackhole", n.routes(t))
	}
	n.Outside.Uplink.Name = "internet"
	n.Put(t, func(tx *table.Txn) {
		state.NATGateways.Delete(tx, servicetest.Account, servicetest.Region, nat)
		state.EgressOnlyGateways.Delete(tx, servicetest.Account, servicetest.Region, eigw)
		state.Attachments.Delete(tx, servicetest.Account, servicetest.Region, n.eni)
	})
	for _, line := range n.routes(t) {
		if !strings.HasSuffix(line, " blackhole") {
			t.Errorf("%s, and nothing is there", line)
		}
	}
	if got := n.describe(t, ec2test.Filter("route.state", "blackhole")...); len(got) != 1 {
		t.Errorf("%d tables have a blackhole, want 1", len(got))
	}
}

// TestLocalRoutesCanLeadElsewhere leads the route to the VPC's own block to an interface,
// and back.
func TestLocalRoutesCanLeadElsewhere(t *testing.T) {
	n := newNetwork(t)
	block := new("10.0.0.0/16")
	succeed(t, n.replace(shape.ReplaceRouteInput{DestinationCidrBlock: block, NetworkInterfaceId: &n.eni}))
	if diff := cmp.Diff([]string{"10.0.0.0/16 " + n.eni + " CreateRouteTable active"}, n.routes(t)); diff != "" {
		t.Error(diff)
	}
	n.Refused(t, "delete a local route", "InvalidParameterValue", func() error { return n.delete(shape.DeleteRouteInput{DestinationCidrBlock: block}) })
	succeed(t, n.replace(shape.ReplaceRouteInput{DestinationCidrBlock: block, LocalTarget: new(true)}))
	if got := n.routes(t); got != nil {
		t.Errorf("got %v", got)
	}
}

// TestRoutesThatCannotBe is refused as on AWS.
func TestRoutesThatCannotBe(t *testing.T) {
	n := newNetwork(t)
	other := n.OfOther(t)
	theirs := *other.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: new(other.AddSubnet(t, other.Net, "a", "10.0.1.0/24", -1))}).NetworkInterfaceId
	elsewhere := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: new(n.AddSubnet(t, n.AddVPC(t), "a", "10.0.1.0/24", -1))}).NetworkInterfaceId
	succeed(t, n.create(shape.CreateRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(igw)}),
		n.create(shape.CreateRouteInput{DestinationCidrBlock: new("100.64.1.0/24"), GatewayId: new(igw)}))
	everywhere, everywhere6 := new("0.0.0.0/0"), new("::/0")
	some := new("192.0.2.0/24")
	for _, c := range []struct {
		name, code, text string
		in               shape.CreateRouteInput
	}{
		{"default route twice", "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.", shape.CreateRouteInput{DestinationCidrBlock: everywhere, GatewayId: new(igw)}},
		{"default route twice, by another", "RouteAlreadyExists", "", shape.CreateRouteInput{DestinationCidrBlock: everywhere, NatGatewayId: new(nat)}},
		{"no destination", "MissingParameter", "", shape.CreateRouteInput{GatewayId: new(igw)}},
		{"two destinations", "InvalidParameterCombination", "", shape.CreateRouteInput{DestinationCidrBlock: some, DestinationIpv6CidrBlock: everywhere6, GatewayId: new(igw)}},
		{"no target", "MissingParameter", "exactly one of", shape.CreateRouteInput{DestinationCidrBlock: some}},
		{"two targets", "InvalidParameterCombination", "", shape.CreateRouteInput{DestinationCidrBlock: some, GatewayId: new(igw), NatGatewayId: new(nat)}},
		{"no block", "InvalidParameterValue", "not a valid IPv4 CIDR block", shape.CreateRouteInput{DestinationCidrBlock: new("10.0.0.0"), GatewayId: new(igw)}},
		{"wrong family", "InvalidParameterValue", "", shape.CreateRouteInput{DestinationCidrBlock: everywhere6, GatewayId: new(igw)}},
		{"IPv4 in IPv6", "InvalidParameterValue", "", shape.CreateRouteInput{DestinationIpv6CidrBlock: new("::ffff:192.0.2.0/120"), GatewayId: new(igw)}},
		{"the VPC's block by a gateway", "InvalidParameterValue", "This route can target only an interface or an instance.", shape.CreateRouteInput{DestinationCidrBlock: new("10.0.0.0/16"), GatewayId: new(igw)}},
		{"the VPC's block", "RouteAlreadyExists", "", shape.CreateRouteInput{DestinationCidrBlock: new("10.0.0.0/16"), NetworkInterfaceId: &n.eni}},
		{"part of a subnet", "InvalidParameterValue", "not that of one of its subnets", shape.CreateRouteInput{DestinationCidrBlock: new("10.0.1.0/25"), NetworkInterfaceId: &n.eni}},
		{"link-local", "InvalidParameterValue", "169.254.0.0/16", shape.CreateRouteInput{DestinationCidrBlock: new("169.254.169.254/32"), NetworkInterfaceId: &n.eni}},
		{"local as a gateway", "InvalidGatewayID.NotFound", "The gateway ID 'local' does not exist", shape.CreateRouteInput{DestinationCidrBlock: some, GatewayId: new("local")}},
		{"a gateway that is not there", "InvalidGatewayID.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, GatewayId: new("igw-00000000000000009")}},
		{"a gateway of no VPC", "InvalidParameterValue", "belong to different networks", shape.CreateRouteInput{DestinationCidrBlock: some, GatewayId: new(otherGateway)}},
		{"a NAT gateway that is not there", "InvalidNatGatewayID.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, NatGatewayId: new("nat-00000000000000009")}},
		{"IPv6 by NAT", "UnsupportedOperation", "", shape.CreateRouteInput{DestinationIpv6CidrBlock: everywhere6, NatGatewayId: new(nat)}},
		{"IPv4 by an egress-only gateway", "InvalidParameterValue", "takes IPv6 only", shape.CreateRouteInput{DestinationCidrBlock: some, EgressOnlyInternetGatewayId: new(eigw)}},
		{"an interface of another account", "InvalidNetworkInterfaceID.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, NetworkInterfaceId: &theirs}},
		{"an interface of another VPC", "InvalidParameterValue", "belong to different networks", shape.CreateRouteInput{DestinationCidrBlock: some, NetworkInterfaceId: &elsewhere}},
		{"a transit gateway", "InvalidTransitGatewayID.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, TransitGatewayId: new("tgw-00000000000000009")}},
		{"a peering connection", "InvalidVpcPeeringConnectionID.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, VpcPeeringConnectionId: new("pcx-00000000000000009")}},
		{"an instance", "InvalidInstanceID.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, InstanceId: new("i-00000000000000009")}},
		{"an endpoint", "InvalidVpcEndpointId.NotFound", "", shape.CreateRouteInput{DestinationCidrBlock: some, VpcEndpointId: new("vpce-00000000000000009")}},
		{"a list by an endpoint", "InvalidParameterValue", "Cannot create or replace a prefix list route targeting a VPC Endpoint.", shape.CreateRouteInput{DestinationPrefixListId: new("pl-00000000000000009"), VpcEndpointId: new("vpce-00000000000000009")}},
		{"a list that is not there", "InvalidPrefixListID.NotFound", "", shape.CreateRouteInput{DestinationPrefixListId: new("pl-00000000000000009"), GatewayId: new(igw)}},
	} {
		n.Refused(t, c.name, c.code, func() error {
			err := n.create(c.in)
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: got %v, want %q in it", c.name, err, c.text)
			}
			return err
		})
	}
	n.RefusedAll(t, []ec2test.Refusal{
		{Name: "replace nothing", Code: "InvalidParameterValue", Call: func() error {
			return n.replace(shape.ReplaceRouteInput{DestinationCidrBlock: some, GatewayId: new(igw)})
		}},
		{Name: "make another route local", Code: "InvalidParameterValue", Call: func() error {
			return n.replace(shape.ReplaceRouteInput{DestinationCidrBlock: everywhere, LocalTarget: new(true)})
		}},
		{Name: "delete nothing", Code: "InvalidRoute.NotFound", Call: func() error {
			return n.delete(shape.DeleteRouteInput{DestinationCidrBlock: some})
		}},
		{Name: "a block over a route", Code: "InvalidVpc.Range", Call: func() error {
			return ec2test.Failure(n.API.AssociateVpcCidrBlock(n.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: n.Net.VpcId, CidrBlock: new("100.64.0.0/16")}))
		}},
		{Name: "propagation", Code: "InvalidGatewayID.NotFound", Call: func() error {
			return ec2test.Failure(n.API.EnableVgwRoutePropagation(n.Ctx, &shape.EnableVgwRoutePropagationInput{RouteTableId: &n.table, GatewayId: new("vgw-00000000000000009")}))
		}},
	})
}

// TestQuotasOfRoutes counts tables and routes, a prefix list as what it may have.
func TestQuotasOfRoutes(t *testing.T) {
	n := newNetwork(t)
	n.Quotas.RouteTablesPerVPC, n.Quotas.RoutesPerTable = 2, 3
	n.Refused(t, "a third table", "RouteTableLimitExceeded", func() error {
		return ec2test.Failure(n.API.CreateRouteTable(n.Ctx, &shape.CreateRouteTableInput{VpcId: n.Net.VpcId}))
	})
	list, err := n.API.CreateManagedPrefixList(n.Ctx, &shape.CreateManagedPrefixListInput{PrefixListName: new("x"), MaxEntries: new(int32(2)), AddressFamily: new("IPv4")})
	if err != nil {
		t.Fatal(err)
	}
	id := list.PrefixList.PrefixListId
	succeed(t,
		n.create(shape.CreateRouteInput{DestinationPrefixListId: id, NatGatewayId: new(nat)}),
		n.create(shape.CreateRouteInput{DestinationCidrBlock: new("192.0.2.0/24"), GatewayId: new(igw)}),
		n.create(shape.CreateRouteInput{DestinationIpv6CidrBlock: new("::/0"), GatewayId: new(igw)}))
	n.Refused(t, "a fourth route", "RouteLimitExceeded", func() error {
		return n.create(shape.CreateRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(igw)})
	})
	n.Refused(t, "a longer list", "RouteLimitExceeded", func() error {
		return ec2test.Failure(n.API.ModifyManagedPrefixList(n.Ctx, &shape.ModifyManagedPrefixListInput{PrefixListId: id, MaxEntries: new(int32(3))}))
	})
	n.Refused(t, "delete a list that a route has", "DependencyViolation", func() error {
		return ec2test.Failure(n.API.DeleteManagedPrefixList(n.Ctx, &shape.DeleteManagedPrefixListInput{PrefixListId: id}))
	})
}

func (n *network) associate(table, subnet, gateway string) (string, error) {
	in := &shape.AssociateRouteTableInput{RouteTableId: &table, SubnetId: service.Optional(subnet), GatewayId: service.Optional(gateway)}
	out, err := n.API.AssociateRouteTable(n.Ctx, in)
	if err != nil {
		return "", err
	}
	return *out.AssociationId, nil
}

// TestAssociations has a subnet and a gateway use tables, and moves the main one.
func TestAssociations(t *testing.T) {
	n := newNetwork(t)
	elsewhere := n.AddSubnet(t, n.AddVPC(t), "a", "10.0.1.0/24", -1)
	id, err := n.associate(n.table, n.subnet, "")
	succeed(t, err)
	n.RefusedAll(t, []ec2test.Refusal{
		{Name: "twice", Code: "Resource.AlreadyAssociated", Call: func() error { return ec2test.Failure(n.associate(n.table, n.subnet, "")) }},
		{Name: "delete what is used", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(n.API.DeleteRouteTable(n.Ctx, &shape.DeleteRouteTableInput{RouteTableId: &n.table}))
		}},
		{Name: "a subnet of another VPC", Code: "InvalidParameterValue", Call: func() error { return ec2test.Failure(n.associate(n.table, elsewhere, "")) }},
		{Name: "what is not there", Code: "InvalidAssociationID.NotFound", Call: func() error {
			return ec2test.Failure(n.API.DisassociateRouteTable(n.Ctx, &shape.DisassociateRouteTableInput{AssociationId: new("rtbassoc-00000000000000009")}))
		}},
		{Name: "nothing", Code: "MissingParameter", Call: func() error { return ec2test.Failure(n.associate(n.table, "", "")) }},
	})
	next := n.newTable(t)
	out, err := n.API.ReplaceRouteTableAssociation(n.Ctx, &shape.ReplaceRouteTableAssociationInput{AssociationId: &id, RouteTableId: &next})
	if err != nil || *out.NewAssociationId == id {
		t.Fatalf("got %v, %v", out, err)
	}
	found := n.describe(t, ec2test.Filter("association.route-table-association-id", *out.NewAssociationId)...)
	if len(found) != 1 || *found[0].RouteTableId != next || *found[0].Associations[0].SubnetId != n.subnet || *found[0].Associations[0].Main {
		t.Errorf("got %v", found)
	}
	main := n.describe(t, append(ec2test.Filter("association.main", "true"), ec2test.Filter("vpc-id", *n.Net.VpcId)...)...)[0]
	before := *main.Associations[0].RouteTableAssociationId
	n.Refused(t, "disassociate the main table", "InvalidParameterValue", func() error {
		return ec2test.Failure(n.API.DisassociateRouteTable(n.Ctx, &shape.DisassociateRouteTableInput{AssociationId: &before}))
	})
	moved, err := n.API.ReplaceRouteTableAssociation(n.Ctx, &shape.ReplaceRouteTableAssociationInput{AssociationId: &before, RouteTableId: &n.table})
	if err != nil || *moved.NewAssociationId == before {
		t.Fatalf("got %v, %v", moved, err)
	}
	n.Refused(t, "delete the main table", "DependencyViolation", func() error {
		return ec2test.Failure(n.API.DeleteRouteTable(n.Ctx, &shape.DeleteRouteTableInput{RouteTableId: &n.table}))
	})
	succeed(t, ec2test.Failure(n.API.DeleteRouteTable(n.Ctx, &shape.DeleteRouteTableInput{RouteTableId: main.RouteTableId})))
	succeed(t, ec2test.Failure(n.API.DisassociateRouteTable(n.Ctx, &shape.DisassociateRouteTableInput{AssociationId: out.NewAssociationId})))
}

// TestEdgeAssociations has what comes in by a gateway use a table, which then leads
// nowhere but to the VPC's own.
func TestEdgeAssociations(t *testing.T) {
	n := newNetwork(t)
	succeed(t,
		n.create(shape.CreateRouteInput{DestinationCidrBlock: new("10.0.1.0/24"), NetworkInterfaceId: &n.eni}),
		ec2test.Failure(n.associate(n.table, "", igw)))
	got := n.describe(t, ec2test.Filter("association.gateway-id", igw)...)
	if len(got) != 1 || *got[0].RouteTableId != n.table {
		t.Errorf("got %v", got)
	}
	n.Refused(t, "a route out", "InvalidParameterValue", func() error {
		return n.create(shape.CreateRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(igw)})
	})
	n.Refused(t, "twice", "Resource.AlreadyAssociated", func() error { return ec2test.Failure(n.associate(n.newTable2(t), "", igw)) })
	n.Refused(t, "a gateway of no VPC", "InvalidParameterValue", func() error { return ec2test.Failure(n.associate(n.table, "", otherGateway)) })
	n.Refused(t, "a gateway that is not there", "InvalidGatewayID.NotFound", func() error { return ec2test.Failure(n.associate(n.table, "", "igw-00000000000000009")) })
}

// newTable2 gives the VPC's main table, which makes nothing.
func (n *network) newTable2(t *testing.T) string {
	return *n.describe(t, append(ec2test.Filter("association.main", "true"), ec2test.Filter("vpc-id", *n.Net.VpcId)...)...)[0].RouteTableId
}

// TestDeletionsTakeTheirTables deletes a subnet with its association, and wants a VPC's
// tables gone before it.
func TestDeletionsTakeTheirTables(t *testing.T) {
	n := newNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.2.0/24", 2)
	id, err := n.associate(n.table, subnet, "")
	succeed(t, err, ec2test.Failure(n.API.DeleteSubnet(n.Ctx, &shape.DeleteSubnetInput{SubnetId: &subnet})))
	if got := n.describe(t, ec2test.Filter("association.route-table-association-id", id)...); len(got) != 0 {
		t.Errorf("the association is left: %v", got)
	}
	succeed(t, ec2test.Failure(n.API.DeleteRouteTable(n.Ctx, &shape.DeleteRouteTableInput{RouteTableId: &n.table})))
	m := ec2test.NewNetwork(t)
	made, err := m.API.CreateRouteTable(m.Ctx, &shape.CreateRouteTableInput{VpcId: m.Net.VpcId})
	succeed(t, err)
	m.Refused(t, "a VPC with a table", "DependencyViolation", func() error {
		return ec2test.Failure(m.API.DeleteVpc(m.Ctx, &shape.DeleteVpcInput{VpcId: m.Net.VpcId}))
	})
	succeed(t, ec2test.Failure(m.API.DeleteRouteTable(m.Ctx, &shape.DeleteRouteTableInput{RouteTableId: made.RouteTable.RouteTableId})),
		ec2test.Failure(m.API.DeleteVpc(m.Ctx, &shape.DeleteVpcInput{VpcId: m.Net.VpcId})))
}

// TestTablesWithRoutesHaveNumbers wants different ones in a VPC, from one on.
func TestTablesWithRoutesHaveNumbers(t *testing.T) {
	n := newNetwork(t)
	var got []string
	for range 3 {
		succeed(t, n.create(shape.CreateRouteInput{DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(igw)}))
		row, _ := state.RouteTables.Get(n.DB.Snapshot(), servicetest.Account, servicetest.Region, n.table)
		got = append(got, fmt.Sprint(row.Number))
		n.table = n.newTable(t)
	}
	if want := []string{"1", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
