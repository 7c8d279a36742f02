// SPDX-License-Identifier: Apache-2.0

package iface_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestInterfaceHasWhatWasAskedFor(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "b", "10.0.1.0/24", 1)
	group := n.AddGroup(t, n.Net, "web")
	got := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{
		SubnetId: &subnet, Description: new("mine"), Groups: []string{group},
		PrivateIpAddresses: []shape.PrivateIpAddressSpecification{
			{PrivateIpAddress: new("10.0.1.11")}, {PrivateIpAddress: new("10.0.1.10"), Primary: new(true)},
		},
		Ipv6AddressCount:  new(int32(1)),
		TagSpecifications: []shape.TagSpecification{{ResourceType: new("network-interface"), Tags: []shape.Tag{{Key: new("Name"), Value: new("x")}}}},
	})
	want := &shape.NetworkInterface{
		NetworkInterfaceId: got.NetworkInterfaceId, OwnerId: new(servicetest.Account), VpcId: n.Net.VpcId, SubnetId: &subnet,
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
	if diff := cmp.Diff(*got, n.DescribeInterface(t, *got.NetworkInterfaceId)); diff != "" {
		t.Errorf("described otherwise than created:\n%s", diff)
	}
}

func TestInterfaceDefaults(t *testing.T) {
	n := ec2test.NewNetwork(t)
	both, native := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1), n.AddSubnet(t, n.Net, "a", "", 2)
	for _, c := range []struct {
		in     *shape.CreateNetworkInterfaceInput
		v4, v6 int
	}{
		{&shape.CreateNetworkInterfaceInput{SubnetId: &both}, 1, 0},
		{&shape.CreateNetworkInterfaceInput{SubnetId: &both, SecondaryPrivateIpAddressCount: new(int32(3))}, 4, 0},
		{&shape.CreateNetworkInterfaceInput{SubnetId: &both, PrivateIpAddress: new("10.0.1.50"), SecondaryPrivateIpAddressCount: new(int32(1))}, 2, 0},
		{&shape.CreateNetworkInterfaceInput{SubnetId: &native}, 0, 1},
	} {
		got := n.CreateInterface(t, c.in)
		if len(got.PrivateIpAddresses) != c.v4 || len(got.Ipv6Addresses) != c.v6 || *got.Groups[0].GroupName != "default" {
			t.Errorf("got %d IPv4 and %d IPv6 addresses, groups %+v; want %d, %d, default", len(got.PrivateIpAddresses), len(got.Ipv6Addresses), got.Groups, c.v4, c.v6)
		}
	}
}

func TestBadInterfaceRequestsAreRefused(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet, tiny := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1), n.AddSubnet(t, n.Net, "a", "10.0.2.0/28", -1)
	foreign := n.AddGroup(t, n.AddVPC(t), "foreign")
	n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")})
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
		n.Refused(t, name, c.code, func() error { _, err := n.API.CreateNetworkInterface(n.Ctx, in); return err })
	}
	n.Quotas.InterfacesPerRegion = 1
	n.Refused(t, "quota", "NetworkInterfaceLimitExceeded", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
		return err
	})
}

func TestRepeatedCreateGivesTheSameInterface(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	in := &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: new("token")}
	if diff := cmp.Diff(n.CreateInterface(t, in), n.CreateInterface(t, in)); diff != "" {
		t.Errorf("the repetition answered otherwise:\n%s", diff)
	}
	n.Refused(t, "token with other parameters", "IdempotentParameterMismatch", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: new("token"), Description: new("x")})
		return err
	})
}

func TestAttachmentsShowAndKeepTheirInterface(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	id := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	row := n.Attach(t, id)
	check := func(want string) {
		t.Helper()
		got := n.DescribeInterface(t, id)
		if *got.Status != "in-use" || *got.Attachment.AttachmentId != row.ID || *got.Attachment.Status != want {
			t.Errorf("status %s, attachment %+v, want in-use and %s", *got.Status, got.Attachment, want)
		}
	}
	check("attaching")
	n.Acknowledge(t, id, model.StatusFailed, "no namespace")
	check("attaching")
	n.Acknowledge(t, id, model.StatusReady, "")
	check("attached")
	del := func() error {
		_, err := n.API.DeleteNetworkInterface(n.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id})
		return err
	}
	n.Refused(t, "attached interface", "InvalidNetworkInterface.InUse", del)
	n.Put(t, func(tx *table.Txn) {
		going := row.Clone()
		going.DeletedAt = servicetest.Now
		state.Attachments.Put(tx, going)
	})
	check("detaching")
	n.Put(t, func(tx *table.Txn) { state.Attachments.Delete(tx, row.Account, row.Region, row.Interface) })
	if err := del(); err != nil {
		t.Fatal(err)
	}
	n.Refused(t, "deleted interface", "InvalidNetworkInterfaceID.NotFound", del)
	if got := state.AddressClaims.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region); got != 0 {
		t.Errorf("%d addresses are still claimed", got)
	}
}

func TestInterfacesAreFiltered(t *testing.T) {
	n := ec2test.NewNetwork(t)
	a, b := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1), n.AddSubnet(t, n.Net, "b", "10.0.2.0/24", -1)
	group := n.AddGroup(t, n.Net, "web")
	first := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &a, Groups: []string{group}, PrivateIpAddress: new("10.0.1.10"), Description: new("first one")})
	n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &b})
	n.Attach(t, *first.NetworkInterfaceId)
	for name, value := range map[string]string{
		"addresses.private-ip-address": "10.0.1.10", "attachment.status": "attaching", "availability-zone": "us-east-1a",
		"description": "first*", "group-id": group, "group-name": "web", "mac-address": *first.MacAddress,
		"network-interface-id": *first.NetworkInterfaceId, "private-ip-address": "10.0.1.1?", "status": "in-use", "subnet-id": a,
		"attachment.instance-owner-id": servicetest.Account,
	} {
		out, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: &name, Values: []string{value}}}})
		if err != nil || len(out.NetworkInterfaces) != 1 || *out.NetworkInterfaces[0].NetworkInterfaceId != *first.NetworkInterfaceId {
			t.Errorf("filter %s=%s gave %+v, %v", name, value, out, err)
		}
	}
	for name, want := range map[string]int{"vpc-id": 2, "owner-id": 2, "interface-type": 2, "association.public-ip": 0} {
		out, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: &name, Values: []string{"*"}}}})
		if err != nil || len(out.NetworkInterfaces) != want {
			t.Errorf("filter %s=* gave %+v, %v, want %d", name, out, err, want)
		}
	}
	_, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: new("colour")}}})
	if !fault.Is(err, "InvalidParameterValue") {
		t.Errorf("unknown filter: %v", err)
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1)
	id := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")}).NetworkInterfaceId
	four, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, PrivateIpAddresses: []string{"10.0.1.11"}})
	if err != nil || *four.AssignedPrivateIpAddresses[0].PrivateIpAddress != "10.0.1.11" {
		t.Fatalf("got %+v, %v", four, err)
	}
	if _, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: new(int32(2))}); err != nil {
		t.Fatal(err)
	}
	six, err := n.API.AssignIpv6Addresses(n.Ctx, &shape.AssignIpv6AddressesInput{NetworkInterfaceId: id, Ipv6AddressCount: new(int32(2))})
	if err != nil || len(six.AssignedIpv6Addresses) != 2 {
		t.Fatalf("got %+v, %v", six, err)
	}
	if got := n.DescribeInterface(t, *id); len(got.PrivateIpAddresses) != 4 || len(got.Ipv6Addresses) != 2 || *got.PrivateIpAddress != "10.0.1.10" {
		t.Errorf("the interface has %+v and %+v", got.PrivateIpAddresses, got.Ipv6Addresses)
	}
	unassign := func(addresses ...string) func() error {
		return func() error {
			_, err := n.API.UnassignPrivateIpAddresses(n.Ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: id, PrivateIpAddresses: addresses})
			return err
		}
	}
	n.Refused(t, "primary address", "InvalidParameterValue", unassign("10.0.1.11", "10.0.1.10"))
	n.Refused(t, "address of nobody", "InvalidParameterValue", unassign("10.0.1.99"))
	n.Refused(t, "no address", "MissingParameter", unassign())
	n.Refused(t, "taken address", "InvalidParameterValue", func() error {
		_, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, PrivateIpAddresses: []string{"10.0.1.11"}})
		return err
	})
	if err := unassign("10.0.1.11")(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.API.UnassignIpv6Addresses(n.Ctx, &shape.UnassignIpv6AddressesInput{NetworkInterfaceId: id, Ipv6Addresses: six.AssignedIpv6Addresses}); err != nil {
		t.Fatal(err)
	}
	if got := state.AddressClaims.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region); got != 3 {
		t.Errorf("%d addresses are claimed, want 3", got)
	}
}

func TestInterfaceAttributesAreModifiedAndTold(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet, group := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1), n.AddGroup(t, n.Net, "web")
	id := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	row := n.Attach(t, *id)
	modify := func(in shape.ModifyNetworkInterfaceAttributeInput) error {
		in.NetworkInterfaceId = id
		_, err := n.API.ModifyNetworkInterfaceAttribute(n.Ctx, &in)
		return err
	}
	tell := func(attribute string) *shape.DescribeNetworkInterfaceAttributeOutput {
		t.Helper()
		out, err := n.API.DescribeNetworkInterfaceAttribute(n.Ctx, &shape.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Attribute: &attribute})
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
	n.Refused(t, "two attributes", "InvalidParameterCombination", func() error {
		return modify(shape.ModifyNetworkInterfaceAttributeInput{Description: &shape.AttributeValue{}, Groups: []string{group}})
	})
	n.Refused(t, "no attribute", "MissingParameter", func() error { return modify(shape.ModifyNetworkInterfaceAttributeInput{}) })
	n.Refused(t, "no groups", "InvalidParameterValue", func() error { return modify(shape.ModifyNetworkInterfaceAttributeInput{Groups: []string{}}) })
	n.Refused(t, "unknown attachment", "InvalidAttachmentID.NotFound", func() error {
		return modify(shape.ModifyNetworkInterfaceAttributeInput{Attachment: &shape.NetworkInterfaceAttachmentChanges{AttachmentId: new("eni-attach-1")}})
	})
}

func TestInterfacesBelongToTheirAccountAndRegion(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	id := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	for _, ctx := range []context.Context{
		servicetest.As(t, servicetest.OtherAccount, servicetest.Region), servicetest.As(t, servicetest.Account, servicetest.OtherRegion),
	} {
		n.Refused(t, "delete from elsewhere", "InvalidNetworkInterfaceID.NotFound", func() error {
			_, err := n.API.DeleteNetworkInterface(ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: id})
			return err
		})
		n.Refused(t, "subnet from elsewhere", "InvalidSubnetID.NotFound", func() error {
			_, err := n.API.CreateNetworkInterface(ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
			return err
		})
		if out, err := n.API.DescribeNetworkInterfaces(ctx, &shape.DescribeNetworkInterfacesInput{}); err != nil || len(out.NetworkInterfaces) != 0 {
			t.Errorf("from elsewhere: %+v, %v", out, err)
		}
	}
}

func TestParallelInterfacesShareNoAddress(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/26", -1)
	var wg sync.WaitGroup
	for range 59 {
		wg.Go(func() {
			if _, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n.Refused(t, "full subnet", "InsufficientFreeAddressesInSubnet", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
		return err
	})
}
