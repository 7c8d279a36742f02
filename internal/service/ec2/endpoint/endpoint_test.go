// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestEndpointIsShownAsEC2ShowsIt(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	a, b := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1), n.AddSubnet(t, n.Net, "b", "10.0.2.0/24", -1)
	in := n.EndpointInput(p, a, b)
	in.SubnetConfigurations = []shape.SubnetConfiguration{{SubnetId: &a, Ipv4: new("10.0.1.100")}}
	got := n.AddEndpoint(t, in)
	want := &shape.VpcEndpoint{
		VpcEndpointId: got.VpcEndpointId, VpcEndpointType: new("Resource"), VpcId: n.Net.VpcId, OwnerId: new(servicetest.Account),
		State: new("Pending"), IpAddressType: new("IPV4"), SubnetIds: []string{a, b}, NetworkInterfaceIds: []string{},
		PrivateDnsEnabled: new(false), RequesterManaged: new(false), DnsOptions: &shape.DnsOptions{DnsRecordIpType: new("ipv4")},
		DnsEntries: []shape.DnsEntry{}, RouteTableIds: []string{}, Groups: got.Groups, CreationTimestamp: new(servicetest.Now),
		Tags: []shape.Tag{}, ResourceConfigurationArn: &p.Configuration,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	if len(got.Groups) != 1 || *got.Groups[0].GroupName != "default" {
		t.Errorf("groups %+v, want the default one", got.Groups)
	}
	later := n.DescribeEndpoint(t, got.VpcEndpointId)
	if *later.State != "pending" || *later.IpAddressType != "ipv4" || len(later.NetworkInterfaceIds) != 2 {
		t.Fatalf("described as %+v", later)
	}
	ni := n.DescribeInterface(t, later.NetworkInterfaceIds[0])
	if *ni.PrivateIpAddress != "10.0.1.100" || *ni.InterfaceType != "vpc_endpoint" || !*ni.RequesterManaged || *ni.Status != "in-use" || len(ni.PrivateIpAddresses) != 1 {
		t.Errorf("first interface is %+v", ni)
	}
}

func TestEndpointStatesAreTrue(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	id := n.AddEndpoint(t, n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1))).VpcEndpointId
	n.Acknowledge(t, *id, model.StatusFailed, "no room")
	if got := n.DescribeEndpoint(t, id); *got.State != "failed" || *got.LastError.Message != "no room" {
		t.Errorf("failed endpoint is shown as %s, %+v", *got.State, got.LastError)
	}
	n.Acknowledge(t, *id, model.StatusReady, "")
	if got := n.DescribeEndpoint(t, id); *got.State != "available" || got.LastError != nil {
		t.Errorf("ready endpoint is shown as %s, %+v", *got.State, got.LastError)
	}
	for range 2 {
		if out, err := n.API.DeleteVpcEndpoints(n.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*id}}); err != nil || len(out.Unsuccessful) != 0 {
			t.Fatalf("delete: %+v, %v", out, err)
		}
	}
	if got := n.DescribeEndpoint(t, id); *got.State != "deleting" {
		t.Errorf("deleted endpoint is shown as %s", *got.State)
	}
	for row := range state.EndpointAssociationsByEndpoint.Rows(n.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *id}) {
		if !row.Deleting() {
			t.Errorf("association %s stays", row.ID)
		}
	}
}

func TestDeletingEndpointsTellsWhichDoNotExist(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	id := n.AddEndpoint(t, n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1))).VpcEndpointId
	out, err := n.API.DeleteVpcEndpoints(n.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{"vpce-1", *id}})
	if err != nil || len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].ResourceId != "vpce-1" || *out.Unsuccessful[0].Error.Code != "InvalidVpcEndpoint.NotFound" {
		t.Errorf("got %+v, %v", out, err)
	}
	if got := n.DescribeEndpoint(t, id); *got.State != "deleting" {
		t.Errorf("the endpoint that exists is %s", *got.State)
	}
}

func TestBadEndpointRequestsAreRefused(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	six := n.AddProvider(t, "six", "DUALSTACK", "%s::10")
	a, a2 := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1), n.AddSubnet(t, n.Net, "a", "10.0.2.0/24", -1)
	c, native := n.AddSubnet(t, n.Net, "c", "10.0.3.0/24", -1), n.AddSubnet(t, n.Net, "a", "", 4)
	foreign := n.AddSubnet(t, n.AddVPC(t), "b", "10.0.9.0/24", -1)
	own := n.AddSubnet(t, p.VPC, "c", "10.0.9.0/24", -1)
	n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &a, PrivateIpAddress: new("10.0.1.10")})
	type change = func(*shape.CreateVpcEndpointInput)
	subnets := func(ids ...string) change { return func(in *shape.CreateVpcEndpointInput) { in.SubnetIds = ids } }
	arn := func(text string) change {
		return func(in *shape.CreateVpcEndpointInput) { in.ResourceConfigurationArn = &text }
	}
	address := func(text string) change {
		return func(in *shape.CreateVpcEndpointInput) {
			in.SubnetConfigurations = []shape.SubnetConfiguration{{SubnetId: &a, Ipv4: &text}}
		}
	}
	for name, c := range map[string]struct {
		code   string
		change change
	}{
		"no type, so Gateway": {"MissingParameter", func(in *shape.CreateVpcEndpointInput) { in.VpcEndpointType = nil }},
		"type Interface":      {"MissingParameter", func(in *shape.CreateVpcEndpointInput) { in.VpcEndpointType = new("Interface") }},
		"no configuration":    {"MissingParameter", func(in *shape.CreateVpcEndpointInput) { in.ResourceConfigurationArn = nil }},
		"service name":        {"InvalidParameterCombination", func(in *shape.CreateVpcEndpointInput) { in.ServiceName = new("x") }},
		"not an ARN":          {"InvalidParameter", arn("rcfg-1")},
		"ARN of a gateway":    {"InvalidParameter", arn("arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/" + p.Gateway)},
		"unknown resource":    {"InvalidParameter", arn("arn:aws:vpc-lattice:us-east-1:111122223333:resourceconfiguration/rcfg-1")},
		"another account's":   {"InvalidParameter", arn(strings.Replace(p.Configuration, servicetest.Account, servicetest.OtherAccount, 1))},
		"unserved region":     {"InvalidParameter", arn(strings.Replace(p.Configuration, "us-east-1", "us-west-9", 1))},
		"another region":      {"InvalidParameter", arn(strings.Replace(p.Configuration, "us-east-1", "eu-west-1", 1))},
		"unknown VPC":         {"InvalidVpcID.NotFound", func(in *shape.CreateVpcEndpointInput) { in.VpcId = new("vpc-1") }},
		"no subnet":           {"MissingParameter", subnets()},
		"unknown subnet":      {"InvalidSubnetID.NotFound", subnets("subnet-1")},
		"foreign subnet":      {"InvalidParameter", subnets(foreign)},
		"two of a zone":       {"DuplicateSubnetsInSameZone", subnets(a, a2)},
		"one subnet twice":    {"DuplicateSubnetsInSameZone", subnets(a, a)},
		"no common zone":      {"InvalidParameter", subnets(c)},
		"the gateway's VPC":   {"InvalidParameter", func(in *shape.CreateVpcEndpointInput) { in.VpcId, in.SubnetIds = p.VPC.VpcId, []string{own} }},
		"unknown group":       {"InvalidGroup.NotFound", func(in *shape.CreateVpcEndpointInput) { in.SecurityGroupIds = []string{"sg-1"} }},
		"ipv4 without IPv4":   {"InvalidParameter", subnets(native)},
		"dualstack, IPv4 only": {"InvalidParameter", func(in *shape.CreateVpcEndpointInput) {
			in.IpAddressType, in.SubnetIds = new("dualstack"), []string{a2}
		}},
		"ipv6 in dual subnet":  {"InvalidParameter", func(in *shape.CreateVpcEndpointInput) { in.IpAddressType = new("ipv6") }},
		"ipv6 to IPv4":         {"InvalidParameter", func(in *shape.CreateVpcEndpointInput) { in.IpAddressType, in.SubnetIds = new("ipv6"), []string{native} }},
		"ipv4 to IPv6":         {"InvalidParameter", arn(six.Configuration)},
		"address out of range": {"InvalidParameterValue", address("10.0.2.10")},
		"address in use":       {"InvalidIPAddress.InUse", address("10.0.1.10")},
		"not an address":       {"InvalidParameterValue", address("10.0.1")},
		"IPv6 in ipv4": {"InvalidParameter", func(in *shape.CreateVpcEndpointInput) {
			in.SubnetConfigurations = []shape.SubnetConfiguration{{SubnetId: &a, Ipv6: new("2001:db8::1")}}
		}},
		"record type": {"InvalidParameter", func(in *shape.CreateVpcEndpointInput) {
			in.DnsOptions = &shape.DnsOptionsSpecification{DnsRecordIpType: new("ipv6")}
		}},
		"preference": {"InvalidParameterValue", func(in *shape.CreateVpcEndpointInput) {
			in.DnsOptions = &shape.DnsOptionsSpecification{PrivateDnsPreference: new("SOME")}
		}},
	} {
		in := n.EndpointInput(p, a)
		c.change(in)
		n.Refused(t, name, c.code, func() error { _, err := n.API.CreateVpcEndpoint(n.Ctx, in); return err })
	}
	n.Quotas.EndpointsPerVPC = 0
	n.Refused(t, "quota", "VpcEndpointLimitExceeded", func() error {
		_, err := n.API.CreateVpcEndpoint(n.Ctx, n.EndpointInput(p, a))
		return err
	})
}

func TestEndpointsToOtherAccountsAreRefused(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	other := n.OfOther(t)
	own := other.AddSubnet(t, other.Net, "a", "10.0.1.0/24", -1)
	theirs := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	for name, c := range map[string]struct {
		code string
		in   *shape.CreateVpcEndpointInput
	}{
		"resource of another account": {"InvalidParameter", other.EndpointInput(p, own)},
		"subnet of another account":   {"InvalidSubnetID.NotFound", other.EndpointInput(p, theirs)},
	} {
		n.Refused(t, name, c.code, func() error { _, err := other.API.CreateVpcEndpoint(other.Ctx, c.in); return err })
	}
	id := n.AddEndpoint(t, n.EndpointInput(p, theirs)).VpcEndpointId
	n.Refused(t, "endpoint of another account", "InvalidVpcEndpointId.NotFound", func() error {
		_, err := n.API.DescribeVpcEndpoints(other.Ctx, &shape.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*id}})
		return err
	})
	if out, err := n.API.DeleteVpcEndpoints(other.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*id}}); err != nil || len(out.Unsuccessful) != 1 {
		t.Errorf("deletion by another account: %+v, %v", out, err)
	}
	if got := n.DescribeEndpoint(t, id); *got.State != "pending" {
		t.Errorf("the endpoint is %s", *got.State)
	}
}

func TestFullSubnetRefusesTheWholeEndpoint(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	a, tiny := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1), n.AddSubnet(t, n.Net, "b", "10.0.2.0/28", -1)
	n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &tiny, SecondaryPrivateIpAddressCount: new(int32(10))})
	n.Refused(t, "full subnet", "InsufficientFreeAddressesInSubnet", func() error {
		_, err := n.API.CreateVpcEndpoint(n.Ctx, n.EndpointInput(p, a, tiny))
		return err
	})
}

func TestEndpointsOfBothFamilies(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "six", "DUALSTACK", "%s::10")
	for kind, subnet := range map[string]string{"dualstack": n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1), "ipv6": n.AddSubnet(t, n.Net, "b", "", 2)} {
		in := n.EndpointInput(p, subnet)
		in.IpAddressType = new(kind)
		e := n.DescribeEndpoint(t, n.AddEndpoint(t, in).VpcEndpointId)
		ni := n.DescribeInterface(t, e.NetworkInterfaceIds[0])
		if *e.IpAddressType != kind || len(ni.Ipv6Addresses) != 1 || len(ni.PrivateIpAddresses) == 1 != (kind == "dualstack") {
			t.Errorf("%s endpoint has %+v and %+v", kind, ni.PrivateIpAddresses, ni.Ipv6Addresses)
		}
	}
}

// wantName wants the name of an endpoint to be told when every resolver has it, in the
// domain of now, and not before.
func wantName(t *testing.T, n *ec2test.Network, id, rcfg string) {
	t.Helper()
	const domain = "vpc-lattice-rsc.us-east-1.postern.internal"
	entry := func() *shape.DnsEntry {
		out, err := n.API.DescribeVpcEndpointAssociations(n.Ctx, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{id}})
		if err != nil || len(out.VpcEndpointAssociations) != 1 {
			t.Fatalf("got %+v, %v", out, err)
		}
		return out.VpcEndpointAssociations[0].DnsEntry
	}
	if got := entry(); got != nil {
		t.Errorf("name %s before it resolves", *got.DnsName)
	}
	for a := range state.EndpointAssociationsByEndpoint.Rows(n.DB.Snapshot(), model.Ref{Account: "111122223333", Region: "us-east-1", ID: id}) {
		named := func(domain string) {
			names := model.NamesStatus{State: model.StatusReady, Domain: domain}
			n.Put(t, func(tx *table.Txn) {
				state.Statuses.Put(tx, &model.Status{Account: a.Account, Region: a.Region, ID: a.ID, State: model.StatusReady, Names: names})
			})
		}
		named("vpc-lattice-rsc.us-east-1.former.example.")
		if got := entry(); got != nil {
			t.Errorf("name %s while the resolvers have a former one", *got.DnsName)
		}
		named(domain + ".")
	}
	got := entry()
	if want := id + "." + rcfg + ".4232ccc." + domain; got == nil || *got.DnsName != want || *got.HostedZoneId != model.EndpointZoneID(domain) {
		t.Errorf("name %+v, want %s", got, want)
	}
}

func TestAssociationsTellNames(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	id := n.AddEndpoint(t, n.EndpointInput(p, subnet)).VpcEndpointId
	n.AddEndpoint(t, n.EndpointInput(p, subnet))
	n.Acknowledge(t, *id, model.StatusReady, "")
	for a := range state.EndpointAssociationsByEndpoint.Rows(n.DB.Snapshot(), model.Ref{Account: "111122223333", Region: "us-east-1", ID: *id}) {
		n.Acknowledge(t, a.ID, model.StatusReady, "")
	}
	out, err := n.API.DescribeVpcEndpointAssociations(n.Ctx, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{*id}})
	if err != nil || len(out.VpcEndpointAssociations) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	got := out.VpcEndpointAssociations[0]
	_, rcfg, _ := strings.Cut(p.Configuration, "/")
	wantName(t, n, *id, rcfg)
	if *got.AssociatedResourceArn != p.Configuration || *got.AssociatedResourceAccessibility != "Accessible" || !strings.HasPrefix(*got.Id, "vpce-rsc-asc-") {
		t.Errorf("got %+v", got)
	}
	for _, c := range []struct {
		name, value string
		want        int
	}{
		{"vpc-endpoint-id", *id, 1}, {"associated-resource-id", rcfg, 2}, {"association-id", *got.Id, 1},
		{"associated-resource-accessibility", "AVAILABLE", 1}, {"associated-resource-accessibility", "Pending", 1}, {"service-network-arn", "*", 0},
	} {
		out, err := n.API.DescribeVpcEndpointAssociations(n.Ctx, &shape.DescribeVpcEndpointAssociationsInput{Filters: []shape.Filter{{Name: &c.name, Values: []string{c.value}}}})
		if err != nil || len(out.VpcEndpointAssociations) != c.want {
			t.Errorf("filter %s=%s gave %+v, %v, want %d", c.name, c.value, out, err, c.want)
		}
	}
	n.Refused(t, "unknown endpoint", "InvalidVpcEndpointId.NotFound", func() error {
		_, err := n.API.DescribeVpcEndpointAssociations(n.Ctx, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{"vpce-1"}})
		return err
	})
}

func TestModifyEndpointChangesGroupsEverywhere(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	group := n.AddGroup(t, n.Net, "web")
	e := n.AddEndpoint(t, n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)))
	before := *e.Groups[0].GroupId
	modify := func(in shape.ModifyVpcEndpointInput) error {
		in.VpcEndpointId = e.VpcEndpointId
		_, err := n.API.ModifyVpcEndpoint(n.Ctx, &in)
		return err
	}
	if err := modify(shape.ModifyVpcEndpointInput{AddSecurityGroupIds: []string{group}, RemoveSecurityGroupIds: []string{before}}); err != nil {
		t.Fatal(err)
	}
	got := n.DescribeEndpoint(t, e.VpcEndpointId)
	ni := n.DescribeInterface(t, got.NetworkInterfaceIds[0])
	if len(got.Groups) != 1 || *got.Groups[0].GroupId != group || len(ni.Groups) != 1 || *ni.Groups[0].GroupId != group {
		t.Errorf("endpoint has %+v, interface %+v, want %s", got.Groups, ni.Groups, group)
	}
	n.Refused(t, "last group", "InvalidParameter", func() error { return modify(shape.ModifyVpcEndpointInput{RemoveSecurityGroupIds: []string{group}}) })
	n.Refused(t, "unknown group", "InvalidGroup.NotFound", func() error { return modify(shape.ModifyVpcEndpointInput{AddSecurityGroupIds: []string{"sg-1"}}) })
	n.Refused(t, "subnets", "InvalidParameter", func() error { return modify(shape.ModifyVpcEndpointInput{AddSubnetIds: []string{"subnet-1"}}) })
}

func TestRepeatedCreateGivesTheSameEndpoint(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	in := n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1))
	in.ClientToken = new("token")
	if diff := cmp.Diff(n.AddEndpoint(t, in), n.AddEndpoint(t, in)); diff != "" {
		t.Errorf("the repetition answered otherwise:\n%s", diff)
	}
	other := *in
	other.IpAddressType = new("ipv4")
	n.Refused(t, "token with other parameters", "IdempotentParameterMismatch", func() error { _, err := n.API.CreateVpcEndpoint(n.Ctx, &other); return err })
}

func TestInterfacesOfEndpointsAndGatewaysAreNotTheCallersToManage(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	n.AddEndpoint(t, n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)))
	all, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{})
	if err != nil || len(all.NetworkInterfaces) != 3 {
		t.Fatalf("got %+v, %v", all, err)
	}
	for _, ni := range all.NetworkInterfaces {
		for name, call := range map[string]func(context.Context) error{
			"delete": func(ctx context.Context) error {
				_, err := n.API.DeleteNetworkInterface(ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: ni.NetworkInterfaceId})
				return err
			},
			"modify": func(ctx context.Context) error {
				_, err := n.API.ModifyNetworkInterfaceAttribute(ctx, &shape.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: ni.NetworkInterfaceId, Description: &shape.AttributeValue{}})
				return err
			},
			"assign": func(ctx context.Context) error {
				_, err := n.API.AssignPrivateIpAddresses(ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: ni.NetworkInterfaceId, SecondaryPrivateIpAddressCount: new(int32(1))})
				return err
			},
		} {
			n.Refused(t, name, "OperationNotPermitted", func() error { return call(n.Ctx) })
		}
	}
}

func TestEndpointsAreFilteredAndPaged(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	for i := range 3 {
		in := n.EndpointInput(p, subnet)
		in.TagSpecifications = []shape.TagSpecification{{ResourceType: new("vpc-endpoint"), Tags: []shape.Tag{{Key: new("n"), Value: new(fmt.Sprint(i))}}}}
		n.AddEndpoint(t, in)
	}
	for name, c := range map[string]struct {
		value string
		want  int
	}{"vpc-id": {*n.Net.VpcId, 3}, "vpc-endpoint-state": {"pending", 3}, "vpc-endpoint-type": {"Resource", 3}, "tag:n": {"1", 1}, "ip-address-type": {"ipv6", 0}} {
		in := &shape.DescribeVpcEndpointsInput{Filters: []shape.Filter{{Name: &name, Values: []string{c.value}}}, MaxResults: new(int32(2))}
		got := 0
		for {
			out, err := n.API.DescribeVpcEndpoints(n.Ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			got += len(out.VpcEndpoints)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if got != c.want {
			t.Errorf("filter %s=%s gave %d endpoints, want %d", name, c.value, got, c.want)
		}
	}
}

func TestNothingIsDeletedUnderAnEndpoint(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	subnet, group := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1), n.AddGroup(t, n.Net, "web")
	in := n.EndpointInput(p, subnet)
	in.SecurityGroupIds = []string{group}
	n.AddEndpoint(t, in)
	n.Refused(t, "subnet", "DependencyViolation", func() error {
		_, err := n.API.DeleteSubnet(n.Ctx, &shape.DeleteSubnetInput{SubnetId: &subnet})
		return err
	})
	n.Refused(t, "group", "DependencyViolation", func() error {
		_, err := n.API.DeleteSecurityGroup(n.Ctx, &shape.DeleteSecurityGroupInput{GroupId: &group})
		return err
	})
	n.Refused(t, "VPC", "DependencyViolation", func() error { _, err := n.API.DeleteVpc(n.Ctx, &shape.DeleteVpcInput{VpcId: n.Net.VpcId}); return err })
	n.Refused(t, "configuration", "ConflictException", func() error {
		_, err := n.Lattice().DeleteResourceConfiguration(n.Ctx, &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &p.Configuration})
		return err
	})
}

func TestParallelEndpointsShareNothing(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	a, b := n.AddSubnet(t, n.Net, "a", "10.0.1.0/26", -1), n.AddSubnet(t, n.Net, "b", "10.0.2.0/26", -1)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := n.API.CreateVpcEndpoint(n.Ctx, n.EndpointInput(p, a, b)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[netip.Addr]string)
	tx := n.DB.Snapshot()
	for ni := range state.NetworkInterfacesByVPC.Rows(tx, model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *n.Net.VpcId}) {
		for _, addr := range ni.All() {
			if other := seen[addr]; other != "" {
				t.Errorf("%s and %s both have %v", other, ni.ID, addr)
			}
			seen[addr] = ni.ID
		}
	}
	if len(seen) != 80 {
		t.Errorf("%d addresses, want 80", len(seen))
	}
}

// An endpoint cannot come to a configuration that is being deleted at the same
// time: one of the two requests wins.
func TestEndpointAndDeletionOfItsConfigurationExclude(t *testing.T) {
	for range 20 {
		n := ec2test.NewNetwork(t)
		p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
		subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
		var made, deleted error
		var wg sync.WaitGroup
		wg.Go(func() { _, made = n.API.CreateVpcEndpoint(n.Ctx, n.EndpointInput(p, subnet)) })
		wg.Go(func() {
			_, deleted = n.Lattice().DeleteResourceConfiguration(n.Ctx, &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &p.Configuration})
		})
		wg.Wait()
		if (made == nil) == (deleted == nil) {
			t.Fatalf("creation: %v, deletion: %v", made, deleted)
		}
	}
}

// An endpoint is pending while it is modified, as clients expect, and a deletion
// that is stuck says why.
func TestAModifiedEndpointIsPendingUntilTheKernelHasIt(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	id := n.AddEndpoint(t, n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1))).VpcEndpointId
	say := func(generation int64, s model.StatusState, reason string) {
		t.Helper()
		n.Put(t, func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{
				Account: servicetest.Account, Region: servicetest.Region, ID: *id, State: s, Reason: reason, Generation: generation, Established: true,
			})
		})
	}
	check := func(want, reason string) {
		t.Helper()
		got, why := n.DescribeEndpoint(t, id), ""
		if got.FailureReason != nil {
			why = *got.FailureReason
		}
		if *got.State != want || why != reason {
			t.Errorf("endpoint is %s (%s), want %s (%s)", *got.State, why, want, reason)
		}
	}
	say(0, model.StatusReady, "")
	check("available", "")
	group := n.AddGroup(t, n.Net, "other")
	if _, err := n.API.ModifyVpcEndpoint(n.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, AddSecurityGroupIds: []string{group}}); err != nil {
		t.Fatal(err)
	}
	check("pending", "")
	say(1, model.StatusFailed, "no room")
	check("failed", "no room")
	say(1, model.StatusReady, "")
	if _, err := n.API.DeleteVpcEndpoints(n.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*id}}); err != nil {
		t.Fatal(err)
	}
	check("deleting", "")
	say(2, model.StatusFailed, "device or resource busy")
	check("deleting", "device or resource busy")
}
