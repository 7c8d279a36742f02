// SPDX-License-Identifier: Apache-2.0

package vpc_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestVPCComesWithItsParts(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.3.4/16", "2001:db8:1::/56")
	if *v.CidrBlock != "10.0.0.0/16" || *v.State != "pending" || *v.IsDefault || *v.InstanceTenancy != "default" {
		t.Errorf("got %+v", v)
	}
	tables, err := w.API.DescribeRouteTables(w.Ctx, &shape.DescribeRouteTablesInput{
		Filters: slices.Concat(ec2test.Filter("association.main", "true"), ec2test.Filter("vpc-id", *v.VpcId)),
	})
	if err != nil || len(tables.RouteTables) != 1 {
		t.Fatalf("main route table: got %v, %v", tables, err)
	}
	var routes []string
	for _, r := range tables.RouteTables[0].Routes {
		if *r.GatewayId != "local" || *r.State != "active" || *r.Origin != "CreateRouteTable" {
			t.Errorf("got route %+v", r)
		}
		if r.DestinationCidrBlock != nil {
			routes = append(routes, *r.DestinationCidrBlock)
		} else {
			routes = append(routes, *r.DestinationIpv6CidrBlock)
		}
	}
	if diff := cmp.Diff([]string{"10.0.0.0/16", "2001:db8:1::/56"}, routes); diff != "" {
		t.Error(diff)
	}
	acls, err := w.API.DescribeNetworkAcls(w.Ctx, &shape.DescribeNetworkAclsInput{
		Filters: slices.Concat(ec2test.Filter("default", "true"), ec2test.Filter("vpc-id", *v.VpcId)),
	})
	if err != nil || len(acls.NetworkAcls) != 1 || len(acls.NetworkAcls[0].Entries) != 8 {
		t.Errorf("default ACL: got %v, %v", acls, err)
	}
	options, err := w.API.DescribeDhcpOptions(w.Ctx, &shape.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{*v.DhcpOptionsId}})
	if err != nil || *options.DhcpOptions[0].DhcpConfigurations[1].Values[0].Value != "AmazonProvidedDNS" {
		t.Errorf("DHCP options: got %v, %v", options, err)
	}
	groups, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{
		Filters: slices.Concat(ec2test.Filter("group-name", "default"), ec2test.Filter("vpc-id", *v.VpcId)),
	})
	if err != nil || len(groups.SecurityGroups) != 1 {
		t.Fatalf("default group: got %v, %v", groups, err)
	}
	g := groups.SecurityGroups[0]
	if len(g.IpPermissions) != 1 || *g.IpPermissions[0].UserIdGroupPairs[0].GroupId != *g.GroupId {
		t.Errorf("ingress of the default group: got %+v", g.IpPermissions)
	}
	if e := g.IpPermissionsEgress; len(e) != 1 || *e[0].IpRanges[0].CidrIp != "0.0.0.0/0" || *e[0].Ipv6Ranges[0].CidrIpv6 != "::/0" {
		t.Errorf("egress of the default group: got %+v", e)
	}
	if other := w.VPC(t, "10.0.0.0/16"); *other.DhcpOptionsId != *v.DhcpOptionsId {
		t.Error("two VPCs of a region have different DHCP options")
	}
}

func TestCreateVpcRefuses(t *testing.T) {
	w := ec2test.NewWorld(t)
	w.Quotas.VPCsPerRegion = 1
	v4 := func(block string) func() error {
		return func() error { return ec2test.Failure(w.API.CreateVpc(w.Ctx, &shape.CreateVpcInput{CidrBlock: &block})) }
	}
	v6 := func(block string) func() error {
		return func() error {
			return ec2test.Failure(w.API.CreateVpc(w.Ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), Ipv6CidrBlock: &block, Ipv6Pool: new("p")}))
		}
	}
	with := func(in shape.CreateVpcInput) func() error {
		return func() error { return ec2test.Failure(w.API.CreateVpc(w.Ctx, &in)) }
	}
	tagged := func(resource string, tags ...shape.Tag) func() error {
		return with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), TagSpecifications: []shape.TagSpecification{{ResourceType: &resource, Tags: tags}}})
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "no block", Code: "MissingParameter", Call: with(shape.CreateVpcInput{})},
		{Name: "no CIDR", Code: "InvalidParameterValue", Call: v4("10.0.0.0")},
		{Name: "IPv6 as IPv4", Code: "InvalidParameterValue", Call: v4("2001:db8::/56")},
		{Name: "mapped", Code: "InvalidParameterValue", Call: v4("::ffff:10.0.0.0/112")},
		{Name: "too large", Code: "InvalidVpc.Range", Call: v4("10.0.0.0/15")},
		{Name: "too small", Code: "InvalidVpc.Range", Call: v4("10.0.0.0/29")},
		{Name: "transit", Code: "InvalidVpc.Range", Call: v4("240.1.0.0/16")},
		{Name: "loopback", Code: "InvalidVpc.Range", Call: v4("127.0.0.0/16")},
		{Name: "link-local", Code: "InvalidVpc.Range", Call: v4("169.254.0.0/20")},
		{Name: "multicast", Code: "InvalidVpc.Range", Call: v4("224.0.0.0/16")},
		{Name: "this network", Code: "InvalidVpc.Range", Call: v4("0.0.0.0/16")},
		{Name: "IPv6 size", Code: "InvalidVpc.Range", Call: v6("2001:db8::/57")},
		{Name: "IPv6 too large", Code: "InvalidVpc.Range", Call: v6("2001:db8::/40")},
		{Name: "IPv6 transit", Code: "InvalidVpc.Range", Call: v6("fd70:6f73:7401::/48")},
		{Name: "IPv6 link-local", Code: "InvalidVpc.Range", Call: v6("fe80::/56")},
		{Name: "IPv6 without pool", Code: "MissingParameter", Call: with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), Ipv6CidrBlock: new("2001:db8::/56")})},
		{Name: "pool without IPv6", Code: "MissingParameter", Call: with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), Ipv6Pool: new("p")})},
		{Name: "block of the pool", Code: "InvalidParameterValue", Call: with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), Ipv6CidrBlock: new("2001:db8::/56"), Ipv6Pool: new("Amazon")})},
		{Name: "both IPv6", Code: "InvalidParameterCombination", Call: with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true), Ipv6CidrBlock: new("2001:db8::/56"), Ipv6Pool: new("p")})},
		{Name: "IPAM", Code: "UnsupportedOperation", Call: with(shape.CreateVpcInput{Ipv4IpamPoolId: new("ipam-pool-1"), Ipv4NetmaskLength: new(int32(16))})},
		{Name: "tenancy", Code: "InvalidParameterValue", Call: with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), InstanceTenancy: new("host")})},
		{Name: "tags of a subnet", Code: "InvalidParameterValue", Call: tagged("subnet", shape.Tag{Key: new("k")})},
		{Name: "reserved tag", Code: "InvalidParameterValue", Call: tagged("vpc", shape.Tag{Key: new("aws:k")})},
	})
	for _, pool := range []netip.Prefix{{}, netip.MustParsePrefix("2001:db8::/60")} {
		w.IPv6Pool = pool
		w.RefusedAll(t, []ec2test.Refusal{{Name: "no pool", Code: "UnsupportedOperation", Call: with(shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)})}})
	}
	w.VPC(t, "10.0.0.0/16")
	w.RefusedAll(t, []ec2test.Refusal{{Name: "quota", Code: "VpcLimitExceeded", Call: v4("10.0.0.0/16")}})
}

func TestDefaultVPC(t *testing.T) {
	w := ec2test.NewWorld(t)
	w.RefusedAll(t, []ec2test.Refusal{{Name: "group without VPC", Code: "VPCIdNotSpecified", Call: func() error {
		return ec2test.Failure(w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{GroupName: new("g"), Description: new("d")}))
	}}})
	out, err := w.API.CreateDefaultVpc(w.Ctx, &shape.CreateDefaultVpcInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Vpc.CidrBlock != "172.31.0.0/16" || !*out.Vpc.IsDefault {
		t.Errorf("got %+v", out.Vpc)
	}
	subnets, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{Filters: ec2test.Filter("default-for-az", "true")})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range subnets.Subnets {
		got[*s.AvailabilityZone] = fmt.Sprint(*s.CidrBlock, " ", *s.AvailableIpAddressCount, " ", *s.MapPublicIpOnLaunch)
	}
	want := map[string]string{"us-east-1a": "172.31.0.0/20 4091 true", "us-east-1b": "172.31.16.0/20 4091 true", "us-east-1c": "172.31.32.0/20 4091 true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "second", Code: "DefaultVpcAlreadyExists", Call: func() error {
		return ec2test.Failure(w.API.CreateDefaultVpc(w.Ctx, &shape.CreateDefaultVpcInput{}))
	}}})
	if _, err := w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{GroupName: new("web"), Description: new("d")}); err != nil {
		t.Error(err)
	}
	named, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{GroupNames: []string{"web"}})
	if err != nil || len(named.SecurityGroups) != 1 || *named.SecurityGroups[0].VpcId != *out.Vpc.VpcId {
		t.Errorf("group by name: got %v, %v", named, err)
	}
	attributes, err := w.API.DescribeAccountAttributes(w.Ctx, &shape.DescribeAccountAttributesInput{AttributeNames: []string{"default-vpc"}})
	if err != nil || *attributes.AccountAttributes[0].AttributeValues[0].AttributeValue != *out.Vpc.VpcId {
		t.Errorf("default-vpc: got %v, %v", attributes, err)
	}
}

func TestVPCAttributes(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	read := func() string {
		var all []any
		for _, name := range []string{"enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"} {
			out, err := w.API.DescribeVpcAttribute(w.Ctx, &shape.DescribeVpcAttributeInput{VpcId: v.VpcId, Attribute: &name})
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range []*shape.AttributeBooleanValue{out.EnableDnsSupport, out.EnableDnsHostnames, out.EnableNetworkAddressUsageMetrics} {
				if value != nil {
					all = append(all, *value.Value)
				}
			}
		}
		return fmt.Sprint(all...)
	}
	if got := read(); got != "true false false" {
		t.Errorf("got %s", got)
	}
	on := &shape.AttributeBooleanValue{Value: new(true)}
	if _, err := w.API.ModifyVpcAttribute(w.Ctx, &shape.ModifyVpcAttributeInput{VpcId: v.VpcId, EnableDnsHostnames: on}); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "true true false" {
		t.Errorf("got %s", got)
	}
	modify := func(in shape.ModifyVpcAttributeInput) func() error {
		return func() error { return ec2test.Failure(w.API.ModifyVpcAttribute(w.Ctx, &in)) }
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "none", Code: "MissingParameter", Call: modify(shape.ModifyVpcAttributeInput{VpcId: v.VpcId})},
		{Name: "two", Code: "InvalidParameterCombination", Call: modify(shape.ModifyVpcAttributeInput{VpcId: v.VpcId, EnableDnsSupport: on, EnableDnsHostnames: on})},
		{Name: "unknown VPC", Code: "InvalidVpcID.NotFound", Call: modify(shape.ModifyVpcAttributeInput{VpcId: new("vpc-1"), EnableDnsSupport: on})},
	})
}

func TestVPCBlocksComeAndGo(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	associate := func(in shape.AssociateVpcCidrBlockInput) (*shape.AssociateVpcCidrBlockOutput, error) {
		in.VpcId = v.VpcId
		return w.API.AssociateVpcCidrBlock(w.Ctx, &in)
	}
	second, err := associate(shape.AssociateVpcCidrBlockInput{CidrBlock: new("10.1.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	six, err := associate(shape.AssociateVpcCidrBlockInput{AmazonProvidedIpv6CidrBlock: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	block := netip.MustParsePrefix(*six.Ipv6CidrBlockAssociation.Ipv6CidrBlock)
	if block.Bits() != 56 || !w.IPv6Pool.Contains(block.Addr()) || *six.Ipv6CidrBlockAssociation.Ipv6Pool != "Amazon" {
		t.Errorf("got %+v", six.Ipv6CidrBlockAssociation)
	}
	found, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{Filters: ec2test.Filter("cidr-block-association.association-id", *second.CidrBlockAssociation.AssociationId)})
	if err != nil || len(found.Vpcs) != 1 || len(found.Vpcs[0].CidrBlockAssociationSet) != 2 || len(found.Vpcs[0].Ipv6CidrBlockAssociationSet) != 1 {
		t.Errorf("got %v, %v", found, err)
	}
	groups, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{Filters: ec2test.Filter("egress.ip-permission.ipv6-cidr", "::/0")})
	if err != nil || len(groups.SecurityGroups) != 1 {
		t.Errorf("the default group does not let IPv6 out: got %v, %v", groups, err)
	}
	subnet := w.Subnet(t, *v.VpcId, "10.1.0.0/24")
	disassociate := func(id *string) error {
		return ec2test.Failure(w.API.DisassociateVpcCidrBlock(w.Ctx, &shape.DisassociateVpcCidrBlockInput{AssociationId: id}))
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "overlap", Code: "CidrConflict", Call: func() error {
			return ec2test.Failure(associate(shape.AssociateVpcCidrBlockInput{CidrBlock: new("10.1.128.0/20")}))
		}},
		{Name: "IPv6 overlap", Code: "CidrConflict", Call: func() error {
			return ec2test.Failure(associate(shape.AssociateVpcCidrBlockInput{Ipv6CidrBlock: new(block.String()), Ipv6Pool: new("p")}))
		}},
		{Name: "nothing", Code: "InvalidParameterCombination", Call: func() error { return ec2test.Failure(associate(shape.AssociateVpcCidrBlockInput{})) }},
		{Name: "both", Code: "InvalidParameterCombination", Call: func() error {
			return ec2test.Failure(associate(shape.AssociateVpcCidrBlockInput{CidrBlock: new("10.2.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}))
		}},
		{Name: "in use", Code: "DependencyViolation", Call: func() error { return disassociate(second.CidrBlockAssociation.AssociationId) }},
		{Name: "primary", Code: "OperationNotPermitted", Call: func() error { return disassociate(v.CidrBlockAssociationSet[0].AssociationId) }},
		{Name: "unknown", Code: "InvalidVpcCidrBlockAssociationID.NotFound", Call: func() error { return disassociate(new("vpc-cidr-assoc-1")) }},
	})
	if _, err := w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: subnet.SubnetId}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []*string{second.CidrBlockAssociation.AssociationId, six.Ipv6CidrBlockAssociation.AssociationId} {
		if err := disassociate(id); err != nil {
			t.Error(err)
		}
	}
	if n := state.TransitClaimsBySpace.Count(w.DB.Snapshot(), "ipv6-pool"); n != 0 {
		t.Errorf("%d blocks of the pool are still claimed", n)
	}
	w.Quotas.IPv4BlocksPerVPC, w.Quotas.IPv6BlocksPerVPC = 1, 0
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "IPv4 quota", Code: "CidrLimitExceeded", Call: func() error {
			return ec2test.Failure(associate(shape.AssociateVpcCidrBlockInput{CidrBlock: new("10.2.0.0/16")}))
		}},
		{Name: "IPv6 quota", Code: "CidrLimitExceeded", Call: func() error {
			return ec2test.Failure(associate(shape.AssociateVpcCidrBlockInput{AmazonProvidedIpv6CidrBlock: new(true)}))
		}},
	})
}

func TestDeleteVpcTakesOnlyItsPartsAlong(t *testing.T) {
	w := ec2test.NewWorld(t)
	keep := w.VPC(t, "10.0.0.0/16")
	before := w.Dump(t)
	out, err := w.API.CreateVpc(w.Ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	id := *out.Vpc.VpcId
	remove := func() error { return ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: &id})) }
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
		t.Errorf("making and deleting a VPC left something:\n%s", diff)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "again", Code: "InvalidVpcID.NotFound", Call: remove}})
	if _, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{VpcIds: []string{*keep.VpcId}}); err != nil {
		t.Error(err)
	}
}

// TestDeletedVPCsLeaveHostedZones: a zone does not keep its VPC, and loses it alone.
func TestDeletedVPCsLeaveHostedZones(t *testing.T) {
	w := ec2test.NewWorld(t)
	gone, stays := w.VPC(t, "10.0.0.0/16"), w.VPC(t, "10.0.0.0/16")
	ref := func(v shape.Vpc) model.Ref {
		return model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *v.VpcId}
	}
	zone := &model.HostedZone{Meta: model.Meta{Account: servicetest.OtherAccount, ID: "Z1"}, Name: "example.com.", VPCs: []model.Ref{ref(gone), ref(stays)}}
	w.Put(t, func(tx *table.Txn) { state.HostedZones.Put(tx, zone) })
	if _, err := w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: gone.VpcId}); err != nil {
		t.Fatal(err)
	}
	left, _ := state.HostedZones.Get(w.DB.Snapshot(), zone.Account, "", zone.ID)
	if !slices.Equal(left.VPCs, []model.Ref{ref(stays)}) {
		t.Errorf("the zone has %v, want %v alone", left.VPCs, ref(stays))
	}
}

func TestPartitionsDoNotSeeEachOther(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	for name, ctx := range map[string]struct{ account, region string }{
		"account": {servicetest.OtherAccount, servicetest.Region},
		"region":  {servicetest.Account, servicetest.OtherRegion},
	} {
		stranger := servicetest.As(t, ctx.account, ctx.region)
		all, err := w.API.DescribeVpcs(stranger, &shape.DescribeVpcsInput{})
		if err != nil || len(all.Vpcs) != 0 {
			t.Errorf("other %s lists %v, %v", name, all, err)
		}
		w.RefusedAll(t, []ec2test.Refusal{
			{Name: name + " describe", Code: "InvalidVpcID.NotFound", Call: func() error {
				return ec2test.Failure(w.API.DescribeVpcs(stranger, &shape.DescribeVpcsInput{VpcIds: []string{*v.VpcId}}))
			}},
			{Name: name + " delete", Code: "InvalidVpcID.NotFound", Call: func() error {
				return ec2test.Failure(w.API.DeleteVpc(stranger, &shape.DeleteVpcInput{VpcId: v.VpcId}))
			}},
			{Name: name + " subnet", Code: "InvalidVpcID.NotFound", Call: func() error {
				return ec2test.Failure(w.API.CreateSubnet(stranger, &shape.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: new("10.0.0.0/24")}))
			}},
			{Name: name + " tag", Code: "InvalidVpcID.NotFound", Call: func() error {
				return ec2test.Failure(w.API.CreateTags(stranger, &shape.CreateTagsInput{Resources: []string{*v.VpcId}, Tags: []shape.Tag{{Key: new("k")}}}))
			}},
		})
	}
}

func TestParallelVPCsHaveTheirOwnPlaces(t *testing.T) {
	w := ec2test.NewWorld(t)
	var all sync.WaitGroup
	for i := range 20 {
		ctx := servicetest.As(t, []string{servicetest.Account, servicetest.OtherAccount}[i%2], servicetest.Region)
		all.Go(func() {
			_, err := w.API.CreateVpc(ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	places, blocks := make(map[int]bool), make(map[netip.Prefix]bool)
	for v := range state.VPCs.All(w.DB.Snapshot()) {
		places[v.TransitIndex], blocks[v.CIDRs6[0].Prefix] = true, true
	}
	if len(places) != 20 || len(blocks) != 20 {
		t.Errorf("20 VPCs have %d places and %d IPv6 blocks", len(places), len(blocks))
	}
	if n := state.DHCPOptions.CountScope(w.DB.Snapshot(), servicetest.Account, servicetest.Region); n != 1 {
		t.Errorf("the region has %d sets of DHCP options", n)
	}
}

func TestPagesAndFiltersOfVPCs(t *testing.T) {
	w := ec2test.NewWorld(t)
	var want []string
	for i := range 7 {
		v := w.VPC(t, fmt.Sprintf("10.%d.0.0/16", i))
		want = append(want, *v.VpcId)
	}
	slices.Sort(want)
	var got []string
	in := &shape.DescribeVpcsInput{MaxResults: new(int32(3)), Filters: ec2test.Filter("cidr", "10.?.0.0/16")}
	for {
		out, err := w.API.DescribeVpcs(w.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Vpcs {
			got = append(got, *v.VpcId)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "token", Code: "InvalidNextToken", Call: func() error {
			return ec2test.Failure(w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{NextToken: new("x")}))
		}},
		{Name: "filter", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{Filters: ec2test.Filter("colour", "red")}))
		}},
	})
}

func TestHostNamesNeedTheResolver(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	set := func(in shape.ModifyVpcAttributeInput) error {
		in.VpcId = v.VpcId
		return ec2test.Failure(w.API.ModifyVpcAttribute(w.Ctx, &in))
	}
	on, off := &shape.AttributeBooleanValue{Value: new(true)}, &shape.AttributeBooleanValue{Value: new(false)}
	if err := set(shape.ModifyVpcAttributeInput{EnableDnsSupport: off}); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "host names", Code: "InvalidParameterValue", Call: func() error { return set(shape.ModifyVpcAttributeInput{EnableDnsHostnames: on}) }}})
	for _, step := range []shape.ModifyVpcAttributeInput{
		{EnableDnsHostnames: off}, {EnableDnsSupport: on}, {EnableDnsHostnames: on},
		{EnableDnsSupport: off}, // in either order, as clients that turn both off do
		{EnableDnsHostnames: off},
	} {
		if err := set(step); err != nil {
			t.Errorf("%+v: %v", step, err)
		}
	}
}

func TestTenancyChangesToDefaultOnly(t *testing.T) {
	w := ec2test.NewWorld(t)
	made, err := w.API.CreateVpc(w.Ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), InstanceTenancy: new("dedicated")})
	if err != nil {
		t.Fatal(err)
	}
	modify := func(id, tenancy string) (*shape.ModifyVpcTenancyOutput, error) {
		return w.API.ModifyVpcTenancy(w.Ctx, &shape.ModifyVpcTenancyInput{VpcId: &id, InstanceTenancy: &tenancy})
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "dedicated", Code: "InvalidParameterValue", Call: func() error { return ec2test.Failure(modify(*made.Vpc.VpcId, "dedicated")) }},
		{Name: "unknown VPC", Code: "InvalidVpcID.NotFound", Call: func() error { return ec2test.Failure(modify("vpc-00000000000000000", "default")) }},
	})
	out, err := modify(*made.Vpc.VpcId, "default")
	if err != nil || !*out.ReturnValue {
		t.Fatalf("got %v, %v", out, err)
	}
	got, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{VpcIds: []string{*made.Vpc.VpcId}})
	if err != nil || *got.Vpcs[0].InstanceTenancy != "default" {
		t.Errorf("got %v, %v", got, err)
	}
}
