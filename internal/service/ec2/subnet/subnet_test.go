// SPDX-License-Identifier: Apache-2.0

package subnet_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestSubnetSaysWhatClientsExpect(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	out, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{
		VpcId: v.VpcId, CidrBlock: new("10.0.1.9/24"), AvailabilityZoneId: new("use1-az2"),
		TagSpecifications: []shape.TagSpecification{{ResourceType: new("subnet"), Tags: []shape.Tag{{Key: new("Name"), Value: new("a")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := out.Subnet
	got := fmt.Sprint(*s.CidrBlock, " ", *s.AvailabilityZone, " ", *s.AvailableIpAddressCount, " ", *s.State, " ", *s.Tags[0].Value,
		" ", *s.MapPublicIpOnLaunch, *s.AssignIpv6AddressOnCreation, *s.EnableDns64, *s.Ipv6Native, *s.DefaultForAz,
		" ", *s.PrivateDnsNameOptionsOnLaunch.HostnameType, " ", *s.SubnetArn == "arn:aws:ec2:us-east-1:111122223333:subnet/"+*s.SubnetId)
	want := "10.0.1.0/24 us-east-1b 251 available a false false false false false ip-name true"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCreateSubnetRefuses(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", "2001:db8:1::/56")
	other := w.VPC(t, "10.0.0.0/16")
	w.Subnet(t, *v.VpcId, "10.0.1.0/24")
	w.Subnet(t, *other.VpcId, "10.0.2.0/24") // must not be in the way
	with := func(in shape.CreateSubnetInput) func() error {
		in.VpcId = v.VpcId
		return func() error { return ec2test.Failure(w.API.CreateSubnet(w.Ctx, &in)) }
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "unknown VPC", Code: "InvalidVpcID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: new("vpc-1"), CidrBlock: new("10.0.2.0/24")}))
		}},
		{Name: "no block", Code: "MissingParameter", Call: with(shape.CreateSubnetInput{})},
		{Name: "no CIDR", Code: "InvalidParameterValue", Call: with(shape.CreateSubnetInput{CidrBlock: new("ten")})},
		{Name: "too small", Code: "InvalidSubnet.Range", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/29")})},
		{Name: "outside", Code: "InvalidSubnet.Range", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.1.0.0/24")})},
		{Name: "same", Code: "InvalidSubnet.Conflict", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.1.0/24")})},
		{Name: "around", Code: "InvalidSubnet.Conflict", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.0.0/20")})},
		{Name: "IPv6 size", Code: "InvalidSubnet.Range", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), Ipv6CidrBlock: new("2001:db8:1::/62")})},
		{Name: "IPv6 too small", Code: "InvalidSubnet.Range", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), Ipv6CidrBlock: new("2001:db8:1::/68")})},
		{Name: "IPv6 too large", Code: "InvalidSubnet.Range", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), Ipv6CidrBlock: new("2001:db8::/40")})},
		{Name: "IPv6 outside", Code: "InvalidSubnet.Range", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), Ipv6CidrBlock: new("2001:db8:2::/64")})},
		{Name: "unknown zone", Code: "InvalidParameterValue", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), AvailabilityZone: new("us-east-1z")})},
		{Name: "zone of another region", Code: "InvalidParameterValue", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), AvailabilityZone: new("eu-west-1a")})},
		{Name: "name and id of zone", Code: "InvalidParameterCombination", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), AvailabilityZone: new("us-east-1a"), AvailabilityZoneId: new("use1-az1")})},
		{Name: "native with IPv4 and IPv6", Code: "InvalidParameterCombination", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), Ipv6CidrBlock: new("2001:db8:1::/64"), Ipv6Native: new(true)})},
		{Name: "native with IPv4 alone", Code: "MissingParameter", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), Ipv6Native: new(true)})},
		{Name: "native without IPv6", Code: "MissingParameter", Call: with(shape.CreateSubnetInput{Ipv6Native: new(true)})},
		{Name: "outpost", Code: "UnsupportedOperation", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24"), OutpostArn: new("arn")})},
	})
	w.Quotas.SubnetsPerVPC = 1
	w.RefusedAll(t, []ec2test.Refusal{{Name: "quota", Code: "SubnetLimitExceeded", Call: with(shape.CreateSubnetInput{CidrBlock: new("10.0.2.0/24")})}})
}

func TestSubnetsNeverOverlap(t *testing.T) {
	w := ec2test.NewWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		out, err := w.API.CreateVpc(w.Ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/22")})
		if err != nil {
			t.Fatal(err)
		}
		var made []netip.Prefix
		for range 12 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 4).Draw(t, "c")), byte(rapid.IntRange(0, 15).Draw(t, "d") * 16)}),
				rapid.IntRange(22, 28).Draw(t, "bits")).Masked()
			free := netip.MustParsePrefix("10.0.0.0/22").Contains(p.Addr()) && !slices.ContainsFunc(made, p.Overlaps)
			_, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: out.Vpc.VpcId, CidrBlock: new(p.String())})
			if (err == nil) != free {
				t.Fatalf("%s beside %v: got %v, want it made: %v", p, made, err, free)
			}
			if err == nil {
				made = append(made, p)
			}
		}
	})
}

func TestParallelSubnetsNeverOverlap(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	var mu sync.Mutex
	var made []netip.Prefix
	var all sync.WaitGroup
	for i := range 30 {
		block := []string{"10.0.0.0/20", "10.0.1.0/24", "10.0.2.0/24"}[i%3]
		all.Go(func() {
			out, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: &block})
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made = append(made, netip.MustParsePrefix(*out.Subnet.CidrBlock))
		})
	}
	all.Wait()
	if len(made) == 0 {
		t.Error("no subnet was made")
	}
	for i, p := range made {
		if slices.ContainsFunc(made[:i], p.Overlaps) {
			t.Errorf("subnets overlap: %v", made)
		}
	}
}

func TestAvailableAddressesCountClaims(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", "2001:db8:1::/56")
	plain := w.Subnet(t, *v.VpcId, "10.0.1.0/28")
	dual, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: new("10.0.2.0/28"), Ipv6CidrBlock: new("2001:db8:1::/64")})
	if err != nil {
		t.Fatal(err)
	}
	native, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: v.VpcId, Ipv6CidrBlock: new("2001:db8:1:1::/64"), Ipv6Native: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	claim := func(tx *table.Txn, subnet *string, addr string) {
		state.AddressClaims.Put(tx, &model.AddressClaim{Account: servicetest.Account, Region: servicetest.Region, Subnet: *subnet, Addr: netip.MustParseAddr(addr)})
	}
	w.Put(t, func(tx *table.Txn) {
		claim(tx, plain.SubnetId, "10.0.1.4")
		claim(tx, dual.Subnet.SubnetId, "10.0.2.4")
		claim(tx, dual.Subnet.SubnetId, "2001:db8:1::4")
		claim(tx, native.Subnet.SubnetId, "2001:db8:1:1::4")
	})
	for id, want := range map[string]int32{*plain.SubnetId: 10, *dual.Subnet.SubnetId: 10, *native.Subnet.SubnetId: 0} {
		out, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{SubnetIds: []string{id}})
		if err != nil || *out.Subnets[0].AvailableIpAddressCount != want {
			t.Errorf("%s: got %v, %v, want %d", id, out, err, want)
		}
	}
	out, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{Filters: ec2test.Filter("available-ip-address-count", "10")})
	if err != nil || len(out.Subnets) != 2 {
		t.Errorf("filter: got %v, %v", out, err)
	}
	native6 := native.Subnet
	if native6.CidrBlock != nil || !*native6.AssignIpv6AddressOnCreation || *native6.PrivateDnsNameOptionsOnLaunch.HostnameType != "resource-name" {
		t.Errorf("subnet with IPv6 only: got %+v", native6)
	}
}

func TestSubnetAttributesAndIPv6(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", "2001:db8:1::/56")
	s := w.Subnet(t, *v.VpcId, "10.0.1.0/24")
	on := &shape.AttributeBooleanValue{Value: new(true)}
	modify := func(in shape.ModifySubnetAttributeInput) func() error {
		in.SubnetId = s.SubnetId
		return func() error { return ec2test.Failure(w.API.ModifySubnetAttribute(w.Ctx, &in)) }
	}
	associate := func(block string) error {
		return ec2test.Failure(w.API.AssociateSubnetCidrBlock(w.Ctx, &shape.AssociateSubnetCidrBlockInput{SubnetId: s.SubnetId, Ipv6CidrBlock: &block}))
	}
	now := func() shape.Subnet {
		out, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{SubnetIds: []string{*s.SubnetId}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Subnets[0]
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "IPv6 without a block", Code: "InvalidParameterValue", Call: modify(shape.ModifySubnetAttributeInput{AssignIpv6AddressOnCreation: on})},
		{Name: "none", Code: "MissingParameter", Call: modify(shape.ModifySubnetAttributeInput{})},
		{Name: "two", Code: "InvalidParameterCombination", Call: modify(shape.ModifySubnetAttributeInput{MapPublicIpOnLaunch: on, EnableDns64: on})},
		{Name: "DNS64", Code: "UnsupportedOperation", Call: modify(shape.ModifySubnetAttributeInput{EnableDns64: on})},
		{Name: "customer-owned", Code: "UnsupportedOperation", Call: modify(shape.ModifySubnetAttributeInput{MapCustomerOwnedIpOnLaunch: on})},
		{Name: "block outside", Code: "InvalidSubnet.Range", Call: func() error { return associate("2001:db8:2::/64") }},
	})
	for _, step := range []func() error{
		modify(shape.ModifySubnetAttributeInput{MapPublicIpOnLaunch: on}),
		modify(shape.ModifySubnetAttributeInput{PrivateDnsHostnameTypeOnLaunch: new("resource-name")}),
		func() error { return associate("2001:db8:1:2::/64") },
		modify(shape.ModifySubnetAttributeInput{AssignIpv6AddressOnCreation: on}),
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	got := now()
	if !*got.MapPublicIpOnLaunch || !*got.AssignIpv6AddressOnCreation || *got.PrivateDnsNameOptionsOnLaunch.HostnameType != "resource-name" {
		t.Errorf("got %+v", got)
	}
	association := got.Ipv6CidrBlockAssociationSet[0]
	if *association.Ipv6CidrBlock != "2001:db8:1:2::/64" || *association.Ipv6CidrBlockState.State != "associated" {
		t.Errorf("got %+v", association)
	}
	disassociate := func() error {
		return ec2test.Failure(w.API.DisassociateSubnetCidrBlock(w.Ctx, &shape.DisassociateSubnetCidrBlockInput{AssociationId: association.AssociationId}))
	}
	claim := &model.AddressClaim{Account: servicetest.Account, Region: servicetest.Region, Subnet: *s.SubnetId, Addr: netip.MustParseAddr("2001:db8:1:2::4")}
	w.Put(t, func(tx *table.Txn) { state.AddressClaims.Put(tx, claim) })
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "second block", Code: "CidrLimitExceeded", Call: func() error { return associate("2001:db8:1:3::/64") }},
		{Name: "in use", Code: "DependencyViolation", Call: disassociate},
	})
	w.Put(t, func(tx *table.Txn) {
		state.AddressClaims.Delete(tx, claim.Account, claim.Region, model.AddressClaimID(claim.Subnet, claim.Addr))
	})
	if err := disassociate(); err != nil {
		t.Fatal(err)
	}
	if got := now(); *got.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State != "disassociated" || *got.AssignIpv6AddressOnCreation {
		t.Errorf("after disassociation: got %+v", got)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "again", Code: "InvalidSubnetCidrBlockAssociationID.NotFound", Call: disassociate},
		{Name: "empty id", Code: "InvalidSubnetCidrBlockAssociationID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DisassociateSubnetCidrBlock(w.Ctx, &shape.DisassociateSubnetCidrBlockInput{AssociationId: new("")}))
		}},
	})
}

func TestDeleteSubnetInUse(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	s := w.Subnet(t, *v.VpcId, "10.0.1.0/24")
	remove := func() error {
		return ec2test.Failure(w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: s.SubnetId}))
	}
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	w.Put(t, func(tx *table.Txn) {
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-1"), Subnet: *s.SubnetId})
	})
	w.RefusedAll(t, []ec2test.Refusal{{Name: "interface", Code: "DependencyViolation", Call: remove}})
	w.Put(t, func(tx *table.Txn) {
		state.NetworkInterfaces.Delete(tx, servicetest.Account, servicetest.Region, "eni-1")
		state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: meta("rgw-1"), Subnets: []string{*s.SubnetId}})
	})
	w.RefusedAll(t, []ec2test.Refusal{{Name: "gateway", Code: "DependencyViolation", Call: remove}})
	w.Put(t, func(tx *table.Txn) {
		state.ResourceGateways.Delete(tx, servicetest.Account, servicetest.Region, "rgw-1")
	})
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "again", Code: "InvalidSubnetID.NotFound", Call: remove},
		{Name: "describe", Code: "InvalidSubnetID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{SubnetIds: []string{*s.SubnetId}}))
		}},
	})
}

func TestIPv6SubnetsHaveManySizes(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", "2001:db8::/44")
	for i, block := range []string{"2001:db8:8::/48", "2001:db8:4::/52", "2001:db8:3::/56", "2001:db8:2::/60", "2001:db8:1::/64"} {
		native := w.Subnet6(t, *v.VpcId, block)
		both := w.Subnet(t, *v.VpcId, fmt.Sprintf("10.0.%d.0/24", i))
		if _, err := w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: native.SubnetId}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.AssociateSubnetCidrBlock(w.Ctx, &shape.AssociateSubnetCidrBlockInput{SubnetId: both.SubnetId, Ipv6CidrBlock: &block}); err != nil {
			t.Fatal(err)
		}
		ni, err := w.API.CreateNetworkInterface(w.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: both.SubnetId, Ipv6AddressCount: new(int32(2))})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range ni.NetworkInterface.Ipv6Addresses {
			if !netip.MustParsePrefix(block).Contains(netip.MustParseAddr(*a.Ipv6Address)) {
				t.Errorf("%s is not in %s", *a.Ipv6Address, block)
			}
		}
	}
	whole := w.VPC(t, "10.1.0.0/16", "2001:db8:100::/44")
	w.Subnet6(t, *whole.VpcId, "2001:db8:100::/44") // all of the VPC's
}
