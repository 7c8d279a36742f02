// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func fromGroup(p shape.IpPermission, group string) shape.IpPermission {
	p.UserIdGroupPairs = append(p.UserIdGroupPairs, shape.UserIdGroupPair{GroupId: &group})
	return p
}

func revokeIngress(w *ec2test.World, group string, permissions ...shape.IpPermission) error {
	return ec2test.Failure(w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions}))
}

// ingressText shows the permissions of a group, one a line.
func ingressText(t *testing.T, w *ec2test.World, group string) []string {
	t.Helper()
	out, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{GroupIds: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range out.SecurityGroups[0].IpPermissions {
		line := *p.IpProtocol
		if p.FromPort != nil {
			line += fmt.Sprintf(" %d-%d", *p.FromPort, *p.ToPort)
		}
		for _, r := range p.IpRanges {
			line += " " + *r.CidrIp
		}
		for _, r := range p.Ipv6Ranges {
			line += " " + *r.CidrIpv6
		}
		for _, r := range p.UserIdGroupPairs {
			line += " " + strings.ReplaceAll(*r.GroupId, group, "self")
		}
		lines = append(lines, line)
	}
	return lines
}

func TestRulesAreShownTogether(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	added, err := w.Ingress(g,
		ec2test.Permission(5432, 5432, "10.0.0.7/16", "2001:db8::/64"),
		shape.IpPermission{IpProtocol: new("6"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), IpRanges: []shape.IpRange{{CidrIp: new("10.9.0.0/16"), Description: new("ops")}}},
		fromGroup(ec2test.Permission(5432, 5432), g),
		shape.IpPermission{IpProtocol: new("icmp"), FromPort: new(int32(8)), ToPort: new(int32(-1)), IpRanges: []shape.IpRange{{CidrIp: new("0.0.0.0/0")}}},
		shape.IpPermission{IpProtocol: new("-1"), FromPort: new(int32(0)), ToPort: new(int32(0)), IpRanges: []shape.IpRange{{CidrIp: new("10.8.0.0/16")}}},
		shape.IpPermission{IpProtocol: new("50"), IpRanges: []shape.IpRange{{CidrIp: new("10.8.0.0/16")}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	if len(added) != 7 || *added[0].CidrIpv4 != "10.0.0.0/16" || *added[1].CidrIpv6 != "2001:db8::/64" || *added[2].Description != "ops" ||
		*added[3].ReferencedGroupInfo.GroupId != g || *added[5].FromPort != -1 {
		t.Errorf("rules in the reply: %+v", added)
	}
	want := []string{"tcp 5432-5432 10.0.0.0/16 10.9.0.0/16 2001:db8::/64 self", "icmp 8--1 0.0.0.0/0", "-1 10.8.0.0/16", "50 10.8.0.0/16"}
	if diff := cmp.Diff(want, ingressText(t, w, g)); diff != "" {
		t.Error(diff)
	}
	if err := revokeIngress(w, g, ec2test.Permission(5432, 5432, "10.0.0.0/16"), fromGroup(ec2test.Permission(5432, 5432), g)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{
		GroupId: &g, SecurityGroupRuleIds: []string{*added[4].SecurityGroupRuleId, *added[4].SecurityGroupRuleId},
	}); err != nil {
		t.Fatal(err)
	}
	want = []string{"tcp 5432-5432 10.9.0.0/16 2001:db8::/64", "-1 10.8.0.0/16", "50 10.8.0.0/16"}
	if diff := cmp.Diff(want, ingressText(t, w, g)); diff != "" {
		t.Error(diff)
	}
}

func TestSinglePermissionForm(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	in := shape.AuthorizeSecurityGroupIngressInput{GroupId: &g, IpProtocol: new("tcp"), FromPort: new(int32(22)), ToPort: new(int32(22)), CidrIp: new("10.0.0.0/8")}
	if _, err := w.API.AuthorizeSecurityGroupIngress(w.Ctx, &in); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tcp 22-22 10.0.0.0/8"}, ingressText(t, w, g)); diff != "" {
		t.Error(diff)
	}
	both, two, none, owner := in, in, in, in
	both.IpPermissions = []shape.IpPermission{ec2test.Permission(1, 1, "10.0.0.0/8")}
	two.SourceSecurityGroupName = new("web")
	none.CidrIp = nil
	owner.CidrIp, owner.SourceSecurityGroupOwnerId = nil, new(servicetest.Account)
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "both forms", Code: "InvalidParameterCombination", Call: func() error { return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &both)) }},
		{Name: "block and group", Code: "InvalidParameterCombination", Call: func() error { return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &two)) }},
		{Name: "no source", Code: "MissingParameter", Call: func() error { return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &none)) }},
		{Name: "owner of no group", Code: "MissingParameter", Call: func() error { return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &owner)) }},
	})
}

// TestTerraformClearsEgress makes the calls that its ec2test.Provider makes for every
// new group.
func TestTerraformClearsEgress(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	revoke := func(p shape.IpPermission) error {
		p.IpProtocol = new("-1")
		return ec2test.Failure(w.API.RevokeSecurityGroupEgress(w.Ctx, &shape.RevokeSecurityGroupEgressInput{GroupId: &g, IpPermissions: []shape.IpPermission{p}}))
	}
	if err := revoke(ec2test.Permission(0, 0, "0.0.0.0/0")); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "IPv6", Code: "InvalidPermission.NotFound", Call: func() error { return revoke(ec2test.Permission(0, 0, "::/0")) }}})
	out, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{GroupIds: []string{g}})
	if err != nil || len(out.SecurityGroups[0].IpPermissionsEgress) != 0 {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestRulesAreRefused(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	elsewhere := w.VPC(t, "10.0.0.0/16")
	stranger := w.Group(t, *elsewhere.VpcId, "db")
	if _, err := w.Ingress(g, ec2test.Permission(80, 80, "10.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	raw := func(protocol string, from, to *int32) shape.IpPermission {
		return shape.IpPermission{IpProtocol: &protocol, FromPort: from, ToPort: to, IpRanges: []shape.IpRange{{CidrIp: new("10.0.0.0/8")}}}
	}
	add := func(permissions ...shape.IpPermission) func() error {
		return func() error { return ec2test.Failure(w.Ingress(g, permissions...)) }
	}
	pair := func(p shape.UserIdGroupPair) shape.IpPermission {
		return shape.IpPermission{IpProtocol: new("-1"), UserIdGroupPairs: []shape.UserIdGroupPair{p}}
	}
	listed := ec2test.Permission(81, 81)
	listed.PrefixListIds = []shape.PrefixListId{{PrefixListId: new("pl-1")}}
	described := ec2test.Permission(81, 81, "10.0.0.0/8")
	described.IpRanges[0].Description = new("<b>")
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "nothing", Code: "MissingParameter", Call: add()},
		{Name: "no group", Code: "MissingParameter", Call: func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{}))
		}},
		{Name: "group by name without a default VPC", Code: "InvalidGroup.NotFound", Call: func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: new("db"), IpPermissions: []shape.IpPermission{ec2test.Permission(1, 1, "10.0.0.0/8")}}))
		}},
		{Name: "unknown group", Code: "InvalidGroup.NotFound", Call: func() error { return ec2test.Failure(w.Ingress("sg-1", ec2test.Permission(1, 1, "10.0.0.0/8"))) }},
		{Name: "malformed group", Code: "InvalidGroupId.Malformed", Call: func() error { return ec2test.Failure(w.Ingress("db", ec2test.Permission(1, 1, "10.0.0.0/8"))) }},
		{Name: "no source", Code: "MissingParameter", Call: add(ec2test.Permission(1, 1))},
		{Name: "protocol", Code: "InvalidParameterValue", Call: add(raw("tcpip", nil, nil))},
		{Name: "no protocol", Code: "InvalidParameterValue", Call: add(raw("", nil, nil))},
		{Name: "protocol number", Code: "InvalidParameterValue", Call: add(raw("256", nil, nil))},
		{Name: "no ports", Code: "InvalidParameterValue", Call: add(raw("tcp", nil, nil))},
		{Name: "reversed", Code: "InvalidParameterValue", Call: add(ec2test.Permission(90, 80, "10.0.0.0/8"))},
		{Name: "port too large", Code: "InvalidParameterValue", Call: add(ec2test.Permission(80, 65536, "10.0.0.0/8"))},
		{Name: "port -1", Code: "InvalidParameterValue", Call: add(ec2test.Permission(-1, -1, "10.0.0.0/8"))},
		{Name: "from without to", Code: "InvalidParameterValue", Call: add(raw("udp", new(int32(53)), nil))},
		{Name: "to without from", Code: "InvalidParameterValue", Call: add(raw("udp", nil, new(int32(53))))},
		{Name: "TCP by number without ports", Code: "InvalidParameterValue", Call: add(raw("6", nil, nil))},
		{Name: "ICMP without type and code", Code: "InvalidParameterValue", Call: add(raw("icmp", nil, nil))},
		{Name: "ICMP without code", Code: "InvalidParameterValue", Call: add(raw("icmp", new(int32(8)), nil))},
		{Name: "ICMP by number without type", Code: "InvalidParameterValue", Call: add(raw("1", nil, nil))},
		{Name: "ICMP type", Code: "InvalidParameterValue", Call: add(raw("icmp", new(int32(256)), new(int32(0))))},
		{Name: "ICMP code without type", Code: "InvalidParameterValue", Call: add(raw("icmp", new(int32(-1)), new(int32(0))))},
		{Name: "CIDR", Code: "InvalidParameterValue", Call: add(ec2test.Permission(1, 1, "10.0.0.0/33"))},
		{Name: "IPv6 as IPv4", Code: "InvalidParameterValue", Call: add(shape.IpPermission{IpProtocol: new("-1"), IpRanges: []shape.IpRange{{CidrIp: new("::/0")}}})},
		{Name: "prefix list", Code: "InvalidPrefixListID.NotFound", Call: add(listed)},
		{Name: "description", Code: "InvalidParameterValue", Call: add(described)},
		{Name: "source group by name without a default VPC", Code: "InvalidGroup.NotFound", Call: add(pair(shape.UserIdGroupPair{GroupName: new("web")}))},
		{Name: "unknown source group", Code: "InvalidGroup.NotFound", Call: add(pair(shape.UserIdGroupPair{GroupId: new("sg-1")}))},
		{Name: "group of another VPC", Code: "InvalidGroup.NotFound", Call: add(pair(shape.UserIdGroupPair{GroupId: &stranger}))},
		{Name: "group of another account", Code: "InvalidGroup.NotFound", Call: add(pair(shape.UserIdGroupPair{GroupId: &g, UserId: new(servicetest.OtherAccount)}))},
		{Name: "duplicate", Code: "InvalidPermission.Duplicate", Call: add(ec2test.Permission(81, 81, "10.0.0.0/8"), ec2test.Permission(80, 80, "10.1.2.3/8"))},
		{Name: "twice in a request", Code: "InvalidParameterValue", Call: add(ec2test.Permission(81, 81, "10.0.0.0/8", "10.1.0.0/8"))},
		{Name: "revoke absent", Code: "InvalidPermission.NotFound", Call: func() error {
			return revokeIngress(w, g, ec2test.Permission(80, 80, "10.0.0.0/8"), ec2test.Permission(81, 81, "10.0.0.0/8"))
		}},
		{Name: "revoke nothing", Code: "MissingParameter", Call: func() error { return revokeIngress(w, g) }},
		{Name: "revoke unknown id", Code: "InvalidSecurityGroupRuleId.NotFound", Call: func() error {
			return ec2test.Failure(w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &g, SecurityGroupRuleIds: []string{"sgr-1"}}))
		}},
		{Name: "revoke malformed id", Code: "InvalidSecurityGroupRuleId.Malformed", Call: func() error {
			return ec2test.Failure(w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &g, SecurityGroupRuleIds: []string{"rule"}}))
		}},
	})
}

func TestRuleQuotaCountsDirectionsAndFamilies(t *testing.T) {
	w := ec2test.NewWorld(t)
	w.Quotas.RulesPerGroup = 2
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	if _, err := w.Ingress(g, ec2test.Permission(1, 1, "10.0.0.0/8", "2001:db8::/64"), fromGroup(ec2test.Permission(1, 1), g)); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "IPv4", Code: "RulesPerSecurityGroupLimitExceeded", Call: func() error { return ec2test.Failure(w.Ingress(g, ec2test.Permission(2, 2, "10.0.0.0/8"))) }},
		{Name: "IPv6", Code: "RulesPerSecurityGroupLimitExceeded", Call: func() error { return ec2test.Failure(w.Ingress(g, ec2test.Permission(2, 2, "2001:db8::/64"))) }},
	})
}

func TestGroupsAreRefused(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	other := w.VPC(t, "10.0.0.0/16")
	w.Group(t, *v.VpcId, "web")
	w.Group(t, *other.VpcId, "web") // names are unique within a VPC only
	create := func(name, description string) func() error {
		return func() error {
			return ec2test.Failure(w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{VpcId: v.VpcId, GroupName: &name, Description: &description}))
		}
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "duplicate", Code: "InvalidGroup.Duplicate", Call: create("web", "d")},
		{Name: "reserved", Code: "InvalidGroup.Reserved", Call: create("default", "d")},
		{Name: "prefix", Code: "InvalidParameterValue", Call: create("sg-web", "d")},
		{Name: "empty", Code: "InvalidParameterValue", Call: create(" ", "d")},
		{Name: "long", Code: "InvalidParameterValue", Call: create(strings.Repeat("x", 256), "d")},
		{Name: "characters", Code: "InvalidParameterValue", Call: create("wéb", "d")},
		{Name: "description", Code: "InvalidParameterValue", Call: create("x", "<b>")},
		{Name: "unknown VPC", Code: "InvalidVpcID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{VpcId: new("vpc-1"), GroupName: new("x"), Description: new("d")}))
		}},
	})
	w.Quotas.GroupsPerRegion = 4
	w.RefusedAll(t, []ec2test.Refusal{{Name: "quota", Code: "SecurityGroupLimitExceeded", Call: create("x", "d")}})
}

func TestDeleteSecurityGroupInUse(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g, other := w.Group(t, *v.VpcId, "db"), w.Group(t, *v.VpcId, "web")
	remove := func(id string) error {
		return ec2test.Failure(w.API.DeleteSecurityGroup(w.Ctx, &shape.DeleteSecurityGroupInput{GroupId: &id}))
	}
	if _, err := w.Ingress(g, fromGroup(ec2test.Permission(1, 1), g)); err != nil { // its own rules are not in the way
		t.Fatal(err)
	}
	if _, err := w.Ingress(other, fromGroup(ec2test.Permission(1, 1), g)); err != nil {
		t.Fatal(err)
	}
	defaults, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{Filters: ec2test.Filter("group-name", "default")})
	if err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "default", Code: "CannotDelete", Call: func() error { return remove(*defaults.SecurityGroups[0].GroupId) }},
		{Name: "rule of another", Code: "DependencyViolation", Call: func() error { return remove(g) }},
	})
	if err := revokeIngress(w, other, fromGroup(ec2test.Permission(1, 1), g)); err != nil {
		t.Fatal(err)
	}
	meta := model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "x-1"}
	for _, user := range []struct {
		name string
		put  func(*table.Txn)
		del  func(*table.Txn)
	}{
		{"interface",
			func(tx *table.Txn) {
				state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta, Groups: []string{g}})
			},
			func(tx *table.Txn) { state.NetworkInterfaces.Delete(tx, meta.Account, meta.Region, meta.ID) }},
		{"gateway",
			func(tx *table.Txn) {
				state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: meta, Groups: []string{g}})
			},
			func(tx *table.Txn) { state.ResourceGateways.Delete(tx, meta.Account, meta.Region, meta.ID) }},
		{"endpoint",
			func(tx *table.Txn) { state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta, Groups: []string{g}}) },
			func(tx *table.Txn) { state.VPCEndpoints.Delete(tx, meta.Account, meta.Region, meta.ID) }},
	} {
		w.Put(t, user.put)
		w.RefusedAll(t, []ec2test.Refusal{{Name: user.name, Code: "DependencyViolation", Call: func() error { return remove(g) }}})
		w.Put(t, user.del)
	}
	if err := remove(g); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "again", Code: "InvalidGroup.NotFound", Call: func() error { return remove(g) }}})
}

func TestRulesAreModified(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	added, err := w.Ingress(g, ec2test.Permission(80, 80, "10.0.0.0/8"), ec2test.Permission(81, 81, "10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	modify := func(id string, request *shape.SecurityGroupRuleRequest) error {
		return ec2test.Failure(w.API.ModifySecurityGroupRules(w.Ctx, &shape.ModifySecurityGroupRulesInput{
			GroupId: &g, SecurityGroupRules: []shape.SecurityGroupRuleUpdate{{SecurityGroupRuleId: &id, SecurityGroupRule: request}},
		}))
	}
	tcp := func(port int32, block string) *shape.SecurityGroupRuleRequest {
		return &shape.SecurityGroupRuleRequest{IpProtocol: new("tcp"), FromPort: &port, ToPort: &port, CidrIpv4: &block, Description: new("new")}
	}
	first := *added[0].SecurityGroupRuleId
	if err := modify(first, tcp(90, "10.1.0.0/16")); err != nil {
		t.Fatal(err)
	}
	two, both, none := tcp(90, "10.0.0.0/8"), tcp(90, "10.0.0.0/8"), tcp(90, "")
	two.ReferencedGroupId, both.CidrIpv6, none.CidrIpv4 = &g, new("2001:db8::/64"), nil
	six, group := *none, *none
	six.CidrIpv6, group.ReferencedGroupId = new("2001:db8::/64"), &g
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "duplicate", Code: "InvalidPermission.Duplicate", Call: func() error { return modify(first, tcp(81, "10.0.0.0/8")) }},
		{Name: "unknown", Code: "InvalidSecurityGroupRuleId.NotFound", Call: func() error { return modify("sgr-1", tcp(90, "10.0.0.0/8")) }},
		{Name: "two sources", Code: "InvalidParameterCombination", Call: func() error { return modify(first, two) }},
		{Name: "two blocks", Code: "InvalidParameterCombination", Call: func() error { return modify(first, both) }},
		{Name: "no source", Code: "MissingParameter", Call: func() error { return modify(first, none) }},
		{Name: "other family", Code: "InvalidParameterValue", Call: func() error { return modify(first, &six) }},
		{Name: "group for a block", Code: "InvalidParameterValue", Call: func() error { return modify(first, &group) }},
		{Name: "no rule", Code: "MissingParameter", Call: func() error { return modify(first, nil) }},
	})
	_, err = w.API.UpdateSecurityGroupRuleDescriptionsIngress(w.Ctx, &shape.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: &g, SecurityGroupRuleDescriptions: []shape.SecurityGroupRuleDescription{{SecurityGroupRuleId: added[1].SecurityGroupRuleId, Description: new("by id")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	byRange := ec2test.Permission(90, 90, "10.1.0.0/16")
	byRange.IpRanges[0].Description = new("by range")
	if _, err = w.API.UpdateSecurityGroupRuleDescriptionsIngress(w.Ctx, &shape.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: &g, IpPermissions: []shape.IpPermission{byRange},
	}); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "other direction", Code: "InvalidSecurityGroupRuleId.NotFound", Call: func() error {
		return ec2test.Failure(w.API.UpdateSecurityGroupRuleDescriptionsEgress(w.Ctx, &shape.UpdateSecurityGroupRuleDescriptionsEgressInput{
			GroupId: &g, SecurityGroupRuleDescriptions: []shape.SecurityGroupRuleDescription{{SecurityGroupRuleId: &first, Description: new("x")}},
		}))
	}}})
	out, err := w.API.DescribeSecurityGroupRules(w.Ctx, &shape.DescribeSecurityGroupRulesInput{Filters: ec2test.Filter("group-id", g)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.SecurityGroupRules {
		if !*r.IsEgress {
			got = append(got, fmt.Sprint(*r.FromPort, " ", *r.CidrIpv4, " ", *r.Description))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"81 10.0.0.0/8 by id", "90 10.1.0.0/16 by range"}, got); diff != "" {
		t.Error(diff)
	}
	one, err := w.API.DescribeSecurityGroupRules(w.Ctx, &shape.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{first}})
	if err != nil || len(one.SecurityGroupRules) != 1 || *one.SecurityGroupRules[0].SecurityGroupRuleId != first {
		t.Errorf("by id: got %v, %v", one, err)
	}
}

func TestEgressRulesHaveTags(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	g := w.Group(t, *v.VpcId, "db")
	authorize := func(resource string) (*shape.AuthorizeSecurityGroupEgressOutput, error) {
		return w.API.AuthorizeSecurityGroupEgress(w.Ctx, &shape.AuthorizeSecurityGroupEgressInput{
			GroupId: &g, IpPermissions: []shape.IpPermission{ec2test.Permission(443, 443, "10.0.0.0/8")},
			TagSpecifications: []shape.TagSpecification{{ResourceType: &resource, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}}},
		})
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "tags of a group", Code: "InvalidParameterValue", Call: func() error { return ec2test.Failure(authorize("security-group")) }}})
	added, err := authorize("security-group-rule")
	if err != nil {
		t.Fatal(err)
	}
	r := added.SecurityGroupRules[0]
	if !*r.IsEgress || *r.Tags[0].Value != "v" || *r.SecurityGroupRuleArn != "arn:aws:ec2:us-east-1:111122223333:security-group-rule/"+*r.SecurityGroupRuleId {
		t.Errorf("got %+v", r)
	}
	if got := ingressText(t, w, g); len(got) != 0 {
		t.Errorf("an egress rule lets in %v", got)
	}
	found, err := w.API.DescribeSecurityGroupRules(w.Ctx, &shape.DescribeSecurityGroupRulesInput{Filters: ec2test.Filter("tag:k", "v")})
	if err != nil || len(found.SecurityGroupRules) != 1 {
		t.Errorf("by tag: got %v, %v", found, err)
	}
	revoked, err := w.API.RevokeSecurityGroupEgress(w.Ctx, &shape.RevokeSecurityGroupEgressInput{GroupId: &g, SecurityGroupRuleIds: []string{*r.SecurityGroupRuleId}})
	if err != nil || *revoked.RevokedSecurityGroupRules[0].CidrIpv4 != "10.0.0.0/8" {
		t.Errorf("revoke: got %v, %v", revoked, err)
	}
}
