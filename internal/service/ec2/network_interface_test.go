// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// network is a VPC with subnets, made through the API.
type network struct {
	*servicetest.World
	api *API
	ctx context.Context
	vpc *shape.Vpc
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	w := servicetest.New(t)
	n := &network{World: w, api: &API{w.Env}, ctx: servicetest.As(t, servicetest.Account, servicetest.Region)}
	n.vpc = n.addVPC(t)
	return n
}

func (n *network) addVPC(t *testing.T) *shape.Vpc {
	t.Helper()
	out, err := n.api.CreateVpc(n.ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Vpc
}

// subnet makes a subnet in a zone: with the IPv4 block, if any, and the n-th
// IPv6 block of the VPC, if n is not negative.
func (n *network) subnet(t *testing.T, vpc *shape.Vpc, zone, v4 string, v6 int) string {
	t.Helper()
	in := &shape.CreateSubnetInput{VpcId: vpc.VpcId, AvailabilityZone: new("us-east-1" + zone)}
	if v4 != "" {
		in.CidrBlock = new(v4)
	} else {
		in.Ipv6Native = new(true)
	}
	if v6 >= 0 {
		in.Ipv6CidrBlock = new(n.block6(t, vpc, v6))
	}
	out, err := n.api.CreateSubnet(n.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Subnet.SubnetId
}

func (n *network) block6(t *testing.T, vpc *shape.Vpc, i int) string {
	t.Helper()
	a := netip.MustParsePrefix(*vpc.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock).Addr().As16()
	a[7] |= byte(i)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64).String()
}

func (n *network) group(t *testing.T, vpc *shape.Vpc, name string) string {
	t.Helper()
	out, err := n.api.CreateSecurityGroup(n.ctx, &shape.CreateSecurityGroupInput{VpcId: vpc.VpcId, GroupName: new(name), Description: new("test")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.GroupId
}

func (n *network) create(t *testing.T, in *shape.CreateNetworkInterfaceInput) *shape.NetworkInterface {
	t.Helper()
	out, err := n.api.CreateNetworkInterface(n.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.NetworkInterface
}

// refused checks that a call fails with a code and changes nothing.
func (n *network) refused(t *testing.T, name, code string, call func() error) {
	t.Helper()
	before := n.Dump(t)
	if err := call(); !fault.Is(err, code) {
		t.Errorf("%s: got %v, want %s", name, err, code)
	}
	if diff := cmp.Diff(before, n.Dump(t)); diff != "" {
		t.Errorf("%s: the refused call changed the state:\n%s", name, diff)
	}
}

func (n *network) put(t *testing.T, fn func(*table.Txn)) {
	t.Helper()
	if _, err := n.DB.Update(t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func (n *network) acknowledge(t *testing.T, id string, s model.StatusState, reason string) {
	t.Helper()
	n.put(t, func(tx *table.Txn) {
		state.Statuses.Put(tx, &model.Status{Account: servicetest.Account, Region: servicetest.Region, ID: id, State: s, Reason: reason})
	})
}

func (n *network) attach(t *testing.T, id string) *model.Attachment {
	t.Helper()
	row := &model.Attachment{
		Account: servicetest.Account, Region: servicetest.Region, Interface: id, ID: n.NewID("eni-attach"), Host: "host", NamespaceName: "ns",
	}
	n.put(t, func(tx *table.Txn) { state.Attachments.Put(tx, row) })
	return row
}

func (n *network) describeInterface(t *testing.T, id string) shape.NetworkInterface {
	t.Helper()
	out, err := n.api.DescribeNetworkInterfaces(n.ctx, &shape.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return out.NetworkInterfaces[0]
}

func TestInterfaceHasWhatWasAskedFor(t *testing.T) {
	n := newNetwork(t)
	subnet := n.subnet(t, n.vpc, "b", "10.0.1.0/24", 1)
	group := n.group(t, n.vpc, "web")
	got := n.create(t, &shape.CreateNetworkInterfaceInput{
		SubnetId: &subnet, Description: new("mine"), Groups: []string{group},
		PrivateIpAddresses: []shape.PrivateIpAddressSpecification{
			{PrivateIpAddress: new("10.0.1.11")}, {PrivateIpAddress: new("10.0.1.10"), Primary: new(true)},
		},
		Ipv6AddressCount:  new(int32(1)),
		TagSpecifications: []shape.TagSpecification{{ResourceType: new("network-interface"), Tags: []shape.Tag{{Key: new("Name"), Value: new("x")}}}},
	})
	want := &shape.NetworkInterface{
		NetworkInterfaceId: got.NetworkInterfaceId, OwnerId: new(servicetest.Account), VpcId: n.vpc.VpcId, SubnetId: &subnet,
		AvailabilityZone: new("us-east-1b"), AvailabilityZoneId: new("use1-az2"), Description: new("mine"),
		InterfaceType: new("interface"), MacAddress: got.MacAddress, Groups: []shape.GroupIdentifier{{GroupId: &group, GroupName: new("web")}},
		RequesterManaged: new(false), SourceDestCheck: new(true), Status: new("pending"),
		TagSet: []shape.Tag{{Key: new("Name"), Value: new("x")}}, Operator: &shape.OperatorResponse{Managed: new(false)},
		PrivateIpAddress: new("10.0.1.10"), Ipv6Address: got.Ipv6Address, Ipv6Addresses: got.Ipv6Addresses,
		PrivateIpAddresses: []shape.NetworkInterfacePrivateIpAddress{
			{PrivateIpAddress: new("10.0.1.10"), Primary: new(true), PrivateDnsName: new("ip-10-0-1-10.ec2.internal")},
			{PrivateIpAddress: new("10.0.1.11"), Primary: new(false), PrivateDnsName: new("ip-10-0-1-11.ec2.internal")},
		},
		PrivateDnsName: new("ip-10-0-1-10.ec2.internal"), RequesterId: new(servicetest.Account),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("interface (-want +got):\n%s", diff)
	}
	if len(got.Ipv6Addresses) != 1 {
		t.Errorf("IPv6 addresses: %+v", got.Ipv6Addresses)
	}
	got.Status = new("available")
	if diff := cmp.Diff(*got, n.describeInterface(t, *got.NetworkInterfaceId)); diff != "" {
		t.Errorf("described otherwise than created:\n%s", diff)
	}
}

func TestInterfaceDefaults(t *testing.T) {
	n := newNetwork(t)
	both, native := n.subnet(t, n.vpc, "a", "10.0.1.0/24", 1), n.subnet(t, n.vpc, "a", "", 2)
	for _, c := range []struct {
		in     *shape.CreateNetworkInterfaceInput
		v4, v6 int
	}{
		{&shape.CreateNetworkInterfaceInput{SubnetId: &both}, 1, 0},
		{&shape.CreateNetworkInterfaceInput{SubnetId: &both, SecondaryPrivateIpAddressCount: new(int32(3))}, 4, 0},
		{&shape.CreateNetworkInterfaceInput{SubnetId: &both, PrivateIpAddress: new("10.0.1.50"), SecondaryPrivateIpAddressCount: new(int32(1))}, 2, 0},
		{&shape.CreateNetworkInterfaceInput{SubnetId: &native}, 0, 1},
	} {
		got := n.create(t, c.in)
		if len(got.PrivateIpAddresses) != c.v4 || len(got.Ipv6Addresses) != c.v6 || deref(got.Groups[0].GroupName) != "default" {
			t.Errorf("got %d IPv4 and %d IPv6 addresses, groups %+v; want %d, %d, default", len(got.PrivateIpAddresses), len(got.Ipv6Addresses), got.Groups, c.v4, c.v6)
		}
	}
}

func TestBadInterfaceRequestsAreRefused(t *testing.T) {
	n := newNetwork(t)
	subnet, tiny := n.subnet(t, n.vpc, "a", "10.0.1.0/24", -1), n.subnet(t, n.vpc, "a", "10.0.2.0/28", -1)
	foreign := n.group(t, n.addVPC(t), "foreign")
	n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")})
	type change = func(*shape.CreateNetworkInterfaceInput)
	ip := func(text string) change {
		return func(in *shape.CreateNetworkInterfaceInput) { in.PrivateIpAddress = &text }
	}
	for name, c := range map[string]struct {
		code   string
		change change
	}{
		"unknown subnet":       {"InvalidSubnetID.NotFound", func(in *shape.CreateNetworkInterfaceInput) { in.SubnetId = new("subnet-1") }},
		"unknown group":        {"InvalidGroup.NotFound", func(in *shape.CreateNetworkInterfaceInput) { in.Groups = []string{"sg-1"} }},
		"group of another VPC": {"InvalidParameter", func(in *shape.CreateNetworkInterfaceInput) { in.Groups = []string{foreign} }},
		"too many groups":      {"SecurityGroupsPerInterfaceLimitExceeded", func(in *shape.CreateNetworkInterfaceInput) { in.Groups = make([]string, 6) }},
		"not an address":       {"InvalidParameterValue", ip("10.0.1")},
		"IPv6 as IPv4":         {"InvalidParameterValue", ip("2001:db8::1")},
		"out of range":         {"InvalidParameterValue", ip("10.0.2.10")},
		"reserved":             {"InvalidParameterValue", ip("10.0.1.3")},
		"in use":               {"InvalidIPAddress.InUse", ip("10.0.1.10")},
		"IPv6 without a block": {"InvalidParameterValue", func(in *shape.CreateNetworkInterfaceInput) { in.Ipv6AddressCount = new(int32(1)) }},
		"two primaries": {"InvalidParameterCombination", func(in *shape.CreateNetworkInterfaceInput) {
			in.PrivateIpAddress = new("10.0.1.20")
			in.PrivateIpAddresses = []shape.PrivateIpAddressSpecification{{PrivateIpAddress: new("10.0.1.21"), Primary: new(true)}}
		}},
		"count and addresses": {"InvalidParameterCombination", func(in *shape.CreateNetworkInterfaceInput) {
			in.Ipv6AddressCount, in.Ipv6Addresses = new(int32(1)), []shape.InstanceIpv6Address{{Ipv6Address: new("2001:db8::9")}}
		}},
		"no free addresses": {"InsufficientFreeAddressesInSubnet", func(in *shape.CreateNetworkInterfaceInput) {
			in.SubnetId, in.SecondaryPrivateIpAddressCount = &tiny, new(int32(11))
		}},
		"too many addresses": {"PrivateIpAddressLimitExceeded", func(in *shape.CreateNetworkInterfaceInput) { in.SecondaryPrivateIpAddressCount = new(int32(50)) }},
		"negative count":     {"InvalidParameterValue", func(in *shape.CreateNetworkInterfaceInput) { in.Ipv6AddressCount = new(int32(-1)) }},
		"tag of another type": {"InvalidParameterValue", func(in *shape.CreateNetworkInterfaceInput) {
			in.TagSpecifications = []shape.TagSpecification{{ResourceType: new("vpc")}}
		}},
	} {
		in := &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}
		c.change(in)
		n.refused(t, name, c.code, func() error { _, err := n.api.CreateNetworkInterface(n.ctx, in); return err })
	}
	n.Quotas.InterfacesPerRegion = 1
	n.refused(t, "quota", "NetworkInterfaceLimitExceeded", func() error {
		_, err := n.api.CreateNetworkInterface(n.ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
		return err
	})
}

func TestRepeatedCreateGivesTheSameInterface(t *testing.T) {
	n := newNetwork(t)
	subnet := n.subnet(t, n.vpc, "a", "10.0.1.0/24", -1)
	in := &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: new("token")}
	if diff := cmp.Diff(n.create(t, in), n.create(t, in)); diff != "" {
		t.Errorf("the repetition answered otherwise:\n%s", diff)
	}
	n.refused(t, "token with other parameters", "IdempotentParameterMismatch", func() error {
		_, err := n.api.CreateNetworkInterface(n.ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: new("token"), Description: new("x")})
		return err
	})
}

func TestAttachmentsShowAndKeepTheirInterface(t *testing.T) {
	n := newNetwork(t)
	subnet := n.subnet(t, n.vpc, "a", "10.0.1.0/24", -1)
	id := *n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	row := n.attach(t, id)
	check := func(want string) {
		t.Helper()
		got := n.describeInterface(t, id)
		if *got.Status != "in-use" || *got.Attachment.AttachmentId != row.ID || *got.Attachment.Status != want {
			t.Errorf("status %s, attachment %+v, want in-use and %s", *got.Status, got.Attachment, want)
		}
	}
	check("attaching")
	n.acknowledge(t, id, model.StatusFailed, "no namespace")
	check("attaching")
	n.acknowledge(t, id, model.StatusReady, "")
	check("attached")
	del := func() error {
		_, err := n.api.DeleteNetworkInterface(n.ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id})
		return err
	}
	n.refused(t, "attached interface", "InvalidNetworkInterface.InUse", del)
	n.put(t, func(tx *table.Txn) {
		going := row.Clone()
		going.DeletedAt = servicetest.Now
		state.Attachments.Put(tx, going)
	})
	check("detaching")
	n.put(t, func(tx *table.Txn) { state.Attachments.Delete(tx, row.Account, row.Region, row.Interface) })
	if err := del(); err != nil {
		t.Fatal(err)
	}
	n.refused(t, "deleted interface", "InvalidNetworkInterfaceID.NotFound", del)
	if got := state.AddressClaims.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region); got != 0 {
		t.Errorf("%d addresses are still claimed", got)
	}
}

func TestInterfacesAreFiltered(t *testing.T) {
	n := newNetwork(t)
	a, b := n.subnet(t, n.vpc, "a", "10.0.1.0/24", -1), n.subnet(t, n.vpc, "b", "10.0.2.0/24", -1)
	group := n.group(t, n.vpc, "web")
	first := n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &a, Groups: []string{group}, PrivateIpAddress: new("10.0.1.10"), Description: new("first one")})
	n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &b})
	n.attach(t, *first.NetworkInterfaceId)
	for name, value := range map[string]string{
		"addresses.private-ip-address": "10.0.1.10", "attachment.status": "attaching", "availability-zone": "us-east-1a",
		"description": "first*", "group-id": group, "group-name": "web", "mac-address": *first.MacAddress,
		"network-interface-id": *first.NetworkInterfaceId, "private-ip-address": "10.0.1.1?", "status": "in-use", "subnet-id": a,
		"attachment.instance-owner-id": servicetest.Account,
	} {
		out, err := n.api.DescribeNetworkInterfaces(n.ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: &name, Values: []string{value}}}})
		if err != nil || len(out.NetworkInterfaces) != 1 || *out.NetworkInterfaces[0].NetworkInterfaceId != *first.NetworkInterfaceId {
			t.Errorf("filter %s=%s gave %+v, %v", name, value, out, err)
		}
	}
	for name, want := range map[string]int{"vpc-id": 2, "owner-id": 2, "interface-type": 2, "association.public-ip": 0} {
		out, err := n.api.DescribeNetworkInterfaces(n.ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: &name, Values: []string{"*"}}}})
		if err != nil || len(out.NetworkInterfaces) != want {
			t.Errorf("filter %s=* gave %+v, %v, want %d", name, out, err, want)
		}
	}
	_, err := n.api.DescribeNetworkInterfaces(n.ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: new("colour")}}})
	if !fault.Is(err, "InvalidParameterValue") {
		t.Errorf("unknown filter: %v", err)
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	n := newNetwork(t)
	subnet := n.subnet(t, n.vpc, "a", "10.0.1.0/24", 1)
	id := n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")}).NetworkInterfaceId
	four, err := n.api.AssignPrivateIpAddresses(n.ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, PrivateIpAddresses: []string{"10.0.1.11"}})
	if err != nil || *four.AssignedPrivateIpAddresses[0].PrivateIpAddress != "10.0.1.11" {
		t.Fatalf("got %+v, %v", four, err)
	}
	if _, err := n.api.AssignPrivateIpAddresses(n.ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: new(int32(2))}); err != nil {
		t.Fatal(err)
	}
	six, err := n.api.AssignIpv6Addresses(n.ctx, &shape.AssignIpv6AddressesInput{NetworkInterfaceId: id, Ipv6AddressCount: new(int32(2))})
	if err != nil || len(six.AssignedIpv6Addresses) != 2 {
		t.Fatalf("got %+v, %v", six, err)
	}
	if got := n.describeInterface(t, *id); len(got.PrivateIpAddresses) != 4 || len(got.Ipv6Addresses) != 2 || *got.PrivateIpAddress != "10.0.1.10" {
		t.Errorf("the interface has %+v and %+v", got.PrivateIpAddresses, got.Ipv6Addresses)
	}
	unassign := func(addresses ...string) func() error {
		return func() error {
			_, err := n.api.UnassignPrivateIpAddresses(n.ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: id, PrivateIpAddresses: addresses})
			return err
		}
	}
	n.refused(t, "primary address", "InvalidParameterValue", unassign("10.0.1.11", "10.0.1.10"))
	n.refused(t, "address of nobody", "InvalidParameterValue", unassign("10.0.1.99"))
	n.refused(t, "no address", "MissingParameter", unassign())
	n.refused(t, "taken address", "InvalidParameterValue", func() error {
		_, err := n.api.AssignPrivateIpAddresses(n.ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, PrivateIpAddresses: []string{"10.0.1.11"}})
		return err
	})
	if err := unassign("10.0.1.11")(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.api.UnassignIpv6Addresses(n.ctx, &shape.UnassignIpv6AddressesInput{NetworkInterfaceId: id, Ipv6Addresses: six.AssignedIpv6Addresses}); err != nil {
		t.Fatal(err)
	}
	if got := state.AddressClaims.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region); got != 3 {
		t.Errorf("%d addresses are claimed, want 3", got)
	}
}

func TestInterfaceAttributesAreModifiedAndTold(t *testing.T) {
	n := newNetwork(t)
	subnet, group := n.subnet(t, n.vpc, "a", "10.0.1.0/24", -1), n.group(t, n.vpc, "web")
	id := n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	row := n.attach(t, *id)
	modify := func(in shape.ModifyNetworkInterfaceAttributeInput) error {
		in.NetworkInterfaceId = id
		_, err := n.api.ModifyNetworkInterfaceAttribute(n.ctx, &in)
		return err
	}
	tell := func(attribute string) *shape.DescribeNetworkInterfaceAttributeOutput {
		t.Helper()
		out, err := n.api.DescribeNetworkInterfaceAttribute(n.ctx, &shape.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Attribute: &attribute})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, in := range []shape.ModifyNetworkInterfaceAttributeInput{
		{Description: &shape.AttributeValue{Value: new("new")}}, {Groups: []string{group}},
		{SourceDestCheck: &shape.AttributeBooleanValue{Value: new(false)}},
		{Attachment: &shape.NetworkInterfaceAttachmentChanges{AttachmentId: &row.ID, DeleteOnTermination: new(true)}},
	} {
		if err := modify(in); err != nil {
			t.Errorf("modify %+v: %v", in, err)
		}
	}
	if got := *tell("description").Description.Value; got != "new" {
		t.Errorf("description %q", got)
	}
	if got := *tell("groupSet").Groups[0].GroupId; got != group {
		t.Errorf("group %s, want %s", got, group)
	}
	if *tell("sourceDestCheck").SourceDestCheck.Value || !*tell("attachment").Attachment.DeleteOnTermination {
		t.Error("sourceDestCheck or deleteOnTermination was not changed")
	}
	n.refused(t, "two attributes", "InvalidParameterCombination", func() error {
		return modify(shape.ModifyNetworkInterfaceAttributeInput{Description: &shape.AttributeValue{}, Groups: []string{group}})
	})
	n.refused(t, "no attribute", "MissingParameter", func() error { return modify(shape.ModifyNetworkInterfaceAttributeInput{}) })
	n.refused(t, "no groups", "InvalidParameterValue", func() error { return modify(shape.ModifyNetworkInterfaceAttributeInput{Groups: []string{}}) })
	n.refused(t, "unknown attachment", "InvalidAttachmentID.NotFound", func() error {
		return modify(shape.ModifyNetworkInterfaceAttributeInput{Attachment: &shape.NetworkInterfaceAttachmentChanges{AttachmentId: new("eni-attach-1")}})
	})
}

func TestInterfacesBelongToTheirAccountAndRegion(t *testing.T) {
	n := newNetwork(t)
	subnet := n.subnet(t, n.vpc, "a", "10.0.1.0/24", -1)
	id := n.create(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	for _, ctx := range []context.Context{
		servicetest.As(t, servicetest.OtherAccount, servicetest.Region), servicetest.As(t, servicetest.Account, servicetest.OtherRegion),
	} {
		n.refused(t, "delete from elsewhere", "InvalidNetworkInterfaceID.NotFound", func() error {
			_, err := n.api.DeleteNetworkInterface(ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: id})
			return err
		})
		n.refused(t, "subnet from elsewhere", "InvalidSubnetID.NotFound", func() error {
			_, err := n.api.CreateNetworkInterface(ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
			return err
		})
		if out, err := n.api.DescribeNetworkInterfaces(ctx, &shape.DescribeNetworkInterfacesInput{}); err != nil || len(out.NetworkInterfaces) != 0 {
			t.Errorf("from elsewhere: %+v, %v", out, err)
		}
	}
}

func TestParallelInterfacesShareNoAddress(t *testing.T) {
	n := newNetwork(t)
	subnet := n.subnet(t, n.vpc, "a", "10.0.1.0/26", -1)
	var wg sync.WaitGroup
	for range 59 {
		wg.Go(func() {
			if _, err := n.api.CreateNetworkInterface(n.ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n.refused(t, "full subnet", "InsufficientFreeAddressesInSubnet", func() error {
		_, err := n.api.CreateNetworkInterface(n.ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
		return err
	})
}
