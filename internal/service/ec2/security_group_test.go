// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// permission is TCP on a range of ports from blocks.
func permission(from, to int32, blocks ...string) shape.IpPermission {
	p := shape.IpPermission{IpProtocol: new("tcp"), FromPort: &from, ToPort: &to}
	for _, b := range blocks {
		if strings.Contains(b, ":") {
			p.Ipv6Ranges = append(p.Ipv6Ranges, shape.Ipv6Range{CidrIpv6: &b})
		} else {
			p.IpRanges = append(p.IpRanges, shape.IpRange{CidrIp: &b})
		}
	}
	return p
}

func fromGroup(p shape.IpPermission, group string) shape.IpPermission {
	p.UserIdGroupPairs = append(p.UserIdGroupPairs, shape.UserIdGroupPair{GroupId: &group})
	return p
}

func (w *world) ingress(group string, permissions ...shape.IpPermission) ([]shape.SecurityGroupRule, error) {
	out, err := w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions})
	if err != nil {
		return nil, err
	}
	return out.SecurityGroupRules, nil
}

func (w *world) revokeIngress(group string, permissions ...shape.IpPermission) error {
	return failure(w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions}))
}

// ingressText shows the permissions of a group, one a line.
func (w *world) ingressText(t *testing.T, group string) []string {
	t.Helper()
	out, err := w.api.DescribeSecurityGroups(w.ctx, &shape.DescribeSecurityGroupsInput{GroupIds: []string{group}})
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
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	added, err := w.ingress(g,
		permission(5432, 5432, "10.0.0.7/16", "2001:db8::/64"),
		shape.IpPermission{IpProtocol: new("6"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), IpRanges: []shape.IpRange{{CidrIp: new("10.9.0.0/16"), Description: new("ops")}}},
		fromGroup(permission(5432, 5432), g),
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
	if diff := cmp.Diff(want, w.ingressText(t, g)); diff != "" {
		t.Error(diff)
	}
	if err := w.revokeIngress(g, permission(5432, 5432, "10.0.0.0/16"), fromGroup(permission(5432, 5432), g)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{
		GroupId: &g, SecurityGroupRuleIds: []string{*added[4].SecurityGroupRuleId, *added[4].SecurityGroupRuleId},
	}); err != nil {
		t.Fatal(err)
	}
	want = []string{"tcp 5432-5432 10.9.0.0/16 2001:db8::/64", "-1 10.8.0.0/16", "50 10.8.0.0/16"}
	if diff := cmp.Diff(want, w.ingressText(t, g)); diff != "" {
		t.Error(diff)
	}
}

func TestSinglePermissionForm(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	in := shape.AuthorizeSecurityGroupIngressInput{GroupId: &g, IpProtocol: new("tcp"), FromPort: new(int32(22)), ToPort: new(int32(22)), CidrIp: new("10.0.0.0/8")}
	if _, err := w.api.AuthorizeSecurityGroupIngress(w.ctx, &in); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tcp 22-22 10.0.0.0/8"}, w.ingressText(t, g)); diff != "" {
		t.Error(diff)
	}
	both, two, none, owner := in, in, in, in
	both.IpPermissions = []shape.IpPermission{permission(1, 1, "10.0.0.0/8")}
	two.SourceSecurityGroupName = new("web")
	none.CidrIp = nil
	owner.CidrIp, owner.SourceSecurityGroupOwnerId = nil, new(servicetest.Account)
	w.refused(t, []refusal{
		{"both forms", "InvalidParameterCombination", func() error { return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &both)) }},
		{"block and group", "InvalidParameterCombination", func() error { return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &two)) }},
		{"no source", "MissingParameter", func() error { return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &none)) }},
		{"owner of no group", "MissingParameter", func() error { return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &owner)) }},
	})
}

// TestTerraformClearsEgress makes the calls that its provider makes for every
// new group.
func TestTerraformClearsEgress(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	revoke := func(p shape.IpPermission) error {
		p.IpProtocol = new("-1")
		return failure(w.api.RevokeSecurityGroupEgress(w.ctx, &shape.RevokeSecurityGroupEgressInput{GroupId: &g, IpPermissions: []shape.IpPermission{p}}))
	}
	if err := revoke(permission(0, 0, "0.0.0.0/0")); err != nil {
		t.Fatal(err)
	}
	w.refused(t, []refusal{{"IPv6", "InvalidPermission.NotFound", func() error { return revoke(permission(0, 0, "::/0")) }}})
	out, err := w.api.DescribeSecurityGroups(w.ctx, &shape.DescribeSecurityGroupsInput{GroupIds: []string{g}})
	if err != nil || len(out.SecurityGroups[0].IpPermissionsEgress) != 0 {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestRulesAreRefused(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	elsewhere := w.vpc(t, "10.0.0.0/16")
	stranger := w.group(t, *elsewhere.VpcId, "db")
	if _, err := w.ingress(g, permission(80, 80, "10.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	raw := func(protocol string, from, to *int32) shape.IpPermission {
		return shape.IpPermission{IpProtocol: &protocol, FromPort: from, ToPort: to, IpRanges: []shape.IpRange{{CidrIp: new("10.0.0.0/8")}}}
	}
	add := func(permissions ...shape.IpPermission) func() error {
		return func() error { return failure(w.ingress(g, permissions...)) }
	}
	pair := func(p shape.UserIdGroupPair) shape.IpPermission {
		return shape.IpPermission{IpProtocol: new("-1"), UserIdGroupPairs: []shape.UserIdGroupPair{p}}
	}
	listed := permission(81, 81)
	listed.PrefixListIds = []shape.PrefixListId{{PrefixListId: new("pl-1")}}
	described := permission(81, 81, "10.0.0.0/8")
	described.IpRanges[0].Description = new("<b>")
	w.refused(t, []refusal{
		{"nothing", "MissingParameter", add()},
		{"no group", "MissingParameter", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{}))
		}},
		{"group by name without a default VPC", "InvalidGroup.NotFound", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: new("db"), IpPermissions: []shape.IpPermission{permission(1, 1, "10.0.0.0/8")}}))
		}},
		{"unknown group", "InvalidGroup.NotFound", func() error { return failure(w.ingress("sg-1", permission(1, 1, "10.0.0.0/8"))) }},
		{"malformed group", "InvalidGroupId.Malformed", func() error { return failure(w.ingress("db", permission(1, 1, "10.0.0.0/8"))) }},
		{"no source", "MissingParameter", add(permission(1, 1))},
		{"protocol", "InvalidParameterValue", add(raw("tcpip", nil, nil))},
		{"no protocol", "InvalidParameterValue", add(raw("", nil, nil))},
		{"protocol number", "InvalidParameterValue", add(raw("256", nil, nil))},
		{"no ports", "InvalidParameterValue", add(raw("tcp", nil, nil))},
		{"reversed", "InvalidParameterValue", add(permission(90, 80, "10.0.0.0/8"))},
		{"port too large", "InvalidParameterValue", add(permission(80, 65536, "10.0.0.0/8"))},
		{"port -1", "InvalidParameterValue", add(permission(-1, -1, "10.0.0.0/8"))},
		{"from without to", "InvalidParameterValue", add(raw("udp", new(int32(53)), nil))},
		{"to without from", "InvalidParameterValue", add(raw("udp", nil, new(int32(53))))},
		{"TCP by number without ports", "InvalidParameterValue", add(raw("6", nil, nil))},
		{"ICMP without type and code", "InvalidParameterValue", add(raw("icmp", nil, nil))},
		{"ICMP without code", "InvalidParameterValue", add(raw("icmp", new(int32(8)), nil))},
		{"ICMP by number without type", "InvalidParameterValue", add(raw("1", nil, nil))},
		{"ICMP type", "InvalidParameterValue", add(raw("icmp", new(int32(256)), new(int32(0))))},
		{"ICMP code without type", "InvalidParameterValue", add(raw("icmp", new(int32(-1)), new(int32(0))))},
		{"CIDR", "InvalidParameterValue", add(permission(1, 1, "10.0.0.0/33"))},
		{"IPv6 as IPv4", "InvalidParameterValue", add(shape.IpPermission{IpProtocol: new("-1"), IpRanges: []shape.IpRange{{CidrIp: new("::/0")}}})},
		{"prefix list", "UnsupportedOperation", add(listed)},
		{"description", "InvalidParameterValue", add(described)},
		{"source group by name without a default VPC", "InvalidGroup.NotFound", add(pair(shape.UserIdGroupPair{GroupName: new("web")}))},
		{"unknown source group", "InvalidGroup.NotFound", add(pair(shape.UserIdGroupPair{GroupId: new("sg-1")}))},
		{"group of another VPC", "InvalidGroup.NotFound", add(pair(shape.UserIdGroupPair{GroupId: &stranger}))},
		{"group of another account", "InvalidGroup.NotFound", add(pair(shape.UserIdGroupPair{GroupId: &g, UserId: new(servicetest.OtherAccount)}))},
		{"duplicate", "InvalidPermission.Duplicate", add(permission(81, 81, "10.0.0.0/8"), permission(80, 80, "10.1.2.3/8"))},
		{"twice in a request", "InvalidParameterValue", add(permission(81, 81, "10.0.0.0/8", "10.1.0.0/8"))},
		{"revoke absent", "InvalidPermission.NotFound", func() error {
			return w.revokeIngress(g, permission(80, 80, "10.0.0.0/8"), permission(81, 81, "10.0.0.0/8"))
		}},
		{"revoke nothing", "MissingParameter", func() error { return w.revokeIngress(g) }},
		{"revoke unknown id", "InvalidSecurityGroupRuleId.NotFound", func() error {
			return failure(w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &g, SecurityGroupRuleIds: []string{"sgr-1"}}))
		}},
		{"revoke malformed id", "InvalidSecurityGroupRuleId.Malformed", func() error {
			return failure(w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &g, SecurityGroupRuleIds: []string{"rule"}}))
		}},
	})
}

func TestRuleQuotaCountsDirectionsAndFamilies(t *testing.T) {
	w := newWorld(t)
	w.Quotas.RulesPerGroup = 2
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	if _, err := w.ingress(g, permission(1, 1, "10.0.0.0/8", "2001:db8::/64"), fromGroup(permission(1, 1), g)); err != nil {
		t.Fatal(err)
	}
	w.refused(t, []refusal{
		{"IPv4", "RulesPerSecurityGroupLimitExceeded", func() error { return failure(w.ingress(g, permission(2, 2, "10.0.0.0/8"))) }},
		{"IPv6", "RulesPerSecurityGroupLimitExceeded", func() error { return failure(w.ingress(g, permission(2, 2, "2001:db8::/64"))) }},
	})
}

func TestGroupsAreRefused(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	other := w.vpc(t, "10.0.0.0/16")
	w.group(t, *v.VpcId, "web")
	w.group(t, *other.VpcId, "web") // names are unique within a VPC only
	create := func(name, description string) func() error {
		return func() error {
			return failure(w.api.CreateSecurityGroup(w.ctx, &shape.CreateSecurityGroupInput{VpcId: v.VpcId, GroupName: &name, Description: &description}))
		}
	}
	w.refused(t, []refusal{
		{"duplicate", "InvalidGroup.Duplicate", create("web", "d")},
		{"reserved", "InvalidGroup.Reserved", create("default", "d")},
		{"prefix", "InvalidParameterValue", create("sg-web", "d")},
		{"empty", "InvalidParameterValue", create(" ", "d")},
		{"long", "InvalidParameterValue", create(strings.Repeat("x", 256), "d")},
		{"characters", "InvalidParameterValue", create("wéb", "d")},
		{"description", "InvalidParameterValue", create("x", "<b>")},
		{"unknown VPC", "InvalidVpcID.NotFound", func() error {
			return failure(w.api.CreateSecurityGroup(w.ctx, &shape.CreateSecurityGroupInput{VpcId: new("vpc-1"), GroupName: new("x"), Description: new("d")}))
		}},
	})
	w.Quotas.GroupsPerRegion = 4
	w.refused(t, []refusal{{"quota", "SecurityGroupLimitExceeded", create("x", "d")}})
}

func TestDeleteSecurityGroupInUse(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g, other := w.group(t, *v.VpcId, "db"), w.group(t, *v.VpcId, "web")
	remove := func(id string) error {
		return failure(w.api.DeleteSecurityGroup(w.ctx, &shape.DeleteSecurityGroupInput{GroupId: &id}))
	}
	if _, err := w.ingress(g, fromGroup(permission(1, 1), g)); err != nil { // its own rules are not in the way
		t.Fatal(err)
	}
	if _, err := w.ingress(other, fromGroup(permission(1, 1), g)); err != nil {
		t.Fatal(err)
	}
	defaults, err := w.api.DescribeSecurityGroups(w.ctx, &shape.DescribeSecurityGroupsInput{Filters: filter("group-name", "default")})
	if err != nil {
		t.Fatal(err)
	}
	w.refused(t, []refusal{
		{"default", "CannotDelete", func() error { return remove(*defaults.SecurityGroups[0].GroupId) }},
		{"rule of another", "DependencyViolation", func() error { return remove(g) }},
	})
	if err := w.revokeIngress(other, fromGroup(permission(1, 1), g)); err != nil {
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
		w.put(t, user.put)
		w.refused(t, []refusal{{user.name, "DependencyViolation", func() error { return remove(g) }}})
		w.put(t, user.del)
	}
	if err := remove(g); err != nil {
		t.Fatal(err)
	}
	w.refused(t, []refusal{{"again", "InvalidGroup.NotFound", func() error { return remove(g) }}})
}

func TestRulesAreModified(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	added, err := w.ingress(g, permission(80, 80, "10.0.0.0/8"), permission(81, 81, "10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	modify := func(id string, request *shape.SecurityGroupRuleRequest) error {
		return failure(w.api.ModifySecurityGroupRules(w.ctx, &shape.ModifySecurityGroupRulesInput{
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
	w.refused(t, []refusal{
		{"duplicate", "InvalidPermission.Duplicate", func() error { return modify(first, tcp(81, "10.0.0.0/8")) }},
		{"unknown", "InvalidSecurityGroupRuleId.NotFound", func() error { return modify("sgr-1", tcp(90, "10.0.0.0/8")) }},
		{"two sources", "InvalidParameterCombination", func() error { return modify(first, two) }},
		{"two blocks", "InvalidParameterCombination", func() error { return modify(first, both) }},
		{"no source", "MissingParameter", func() error { return modify(first, none) }},
		{"other family", "InvalidParameterValue", func() error { return modify(first, &six) }},
		{"group for a block", "InvalidParameterValue", func() error { return modify(first, &group) }},
		{"no rule", "MissingParameter", func() error { return modify(first, nil) }},
	})
	_, err = w.api.UpdateSecurityGroupRuleDescriptionsIngress(w.ctx, &shape.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: &g, SecurityGroupRuleDescriptions: []shape.SecurityGroupRuleDescription{{SecurityGroupRuleId: added[1].SecurityGroupRuleId, Description: new("by id")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	byRange := permission(90, 90, "10.1.0.0/16")
	byRange.IpRanges[0].Description = new("by range")
	if _, err = w.api.UpdateSecurityGroupRuleDescriptionsIngress(w.ctx, &shape.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: &g, IpPermissions: []shape.IpPermission{byRange},
	}); err != nil {
		t.Fatal(err)
	}
	w.refused(t, []refusal{{"other direction", "InvalidSecurityGroupRuleId.NotFound", func() error {
		return failure(w.api.UpdateSecurityGroupRuleDescriptionsEgress(w.ctx, &shape.UpdateSecurityGroupRuleDescriptionsEgressInput{
			GroupId: &g, SecurityGroupRuleDescriptions: []shape.SecurityGroupRuleDescription{{SecurityGroupRuleId: &first, Description: new("x")}},
		}))
	}}})
	out, err := w.api.DescribeSecurityGroupRules(w.ctx, &shape.DescribeSecurityGroupRulesInput{Filters: filter("group-id", g)})
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
	one, err := w.api.DescribeSecurityGroupRules(w.ctx, &shape.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{first}})
	if err != nil || len(one.SecurityGroupRules) != 1 || *one.SecurityGroupRules[0].SecurityGroupRuleId != first {
		t.Errorf("by id: got %v, %v", one, err)
	}
}

func TestEgressRulesHaveTags(t *testing.T) {
	w := newWorld(t)
	v := w.vpc(t, "10.0.0.0/16")
	g := w.group(t, *v.VpcId, "db")
	authorize := func(resource string) (*shape.AuthorizeSecurityGroupEgressOutput, error) {
		return w.api.AuthorizeSecurityGroupEgress(w.ctx, &shape.AuthorizeSecurityGroupEgressInput{
			GroupId: &g, IpPermissions: []shape.IpPermission{permission(443, 443, "10.0.0.0/8")},
			TagSpecifications: []shape.TagSpecification{{ResourceType: &resource, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}}},
		})
	}
	w.refused(t, []refusal{{"tags of a group", "InvalidParameterValue", func() error { return failure(authorize("security-group")) }}})
	added, err := authorize("security-group-rule")
	if err != nil {
		t.Fatal(err)
	}
	r := added.SecurityGroupRules[0]
	if !*r.IsEgress || *r.Tags[0].Value != "v" || *r.SecurityGroupRuleArn != "arn:aws:ec2:us-east-1:111122223333:security-group-rule/"+*r.SecurityGroupRuleId {
		t.Errorf("got %+v", r)
	}
	if got := w.ingressText(t, g); len(got) != 0 {
		t.Errorf("an egress rule lets in %v", got)
	}
	found, err := w.api.DescribeSecurityGroupRules(w.ctx, &shape.DescribeSecurityGroupRulesInput{Filters: filter("tag:k", "v")})
	if err != nil || len(found.SecurityGroupRules) != 1 {
		t.Errorf("by tag: got %v, %v", found, err)
	}
	revoked, err := w.api.RevokeSecurityGroupEgress(w.ctx, &shape.RevokeSecurityGroupEgressInput{GroupId: &g, SecurityGroupRuleIds: []string{*r.SecurityGroupRuleId}})
	if err != nil || *revoked.RevokedSecurityGroupRules[0].CidrIpv4 != "10.0.0.0/8" {
		t.Errorf("revoke: got %v, %v", revoked, err)
	}
}
