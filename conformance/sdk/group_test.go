// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// tcp permits one TCP port from an IPv4 block.
func tcp(port int32, cidr string) types.IpPermission {
	return types.IpPermission{
		IpProtocol: new("tcp"), FromPort: &port, ToPort: &port,
		IpRanges: []types.IpRange{{CidrIp: &cidr, Description: new("from " + cidr)}},
	}
}

func TestSecurityGroupLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	group, other := c.group(v, "database"), c.group(v, "clients")
	one := &ec2.DescribeSecurityGroupsInput{GroupIds: []string{group}}
	if err := ec2.NewSecurityGroupExistsWaiter(c.ec2).Wait(c.ctx, one, patience); err != nil {
		t.Error(err)
	}
	in := must(c.ec2.AuthorizeSecurityGroupIngress(c.ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &group, IpPermissions: []types.IpPermission{
			tcp(5432, "10.0.0.0/8"),
			{IpProtocol: new("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &other}}},
		},
	}))(c).SecurityGroupRules
	equal(t, "number of rules", len(in), 2)
	matches(t, "id of a rule", in[0].SecurityGroupRuleId, "sgr-[0-9a-f]{17}")
	equal(t, "port and block", []any{in[0].FromPort, in[0].ToPort, in[0].CidrIpv4, in[0].IsEgress}, []any{5432, 5432, "10.0.0.0/8", false})
	equal(t, "group referred to", in[1].ReferencedGroupInfo.GroupId, other)
	groupRules(c, group, *in[0].SecurityGroupRuleId)
	groupEgress(c, group)
	groupRefusals(c, v, group, other)

	must(c.ec2.RevokeSecurityGroupIngress(c.ctx, &ec2.RevokeSecurityGroupIngressInput{
		GroupId: &group, SecurityGroupRuleIds: []string{*in[0].SecurityGroupRuleId, *in[1].SecurityGroupRuleId},
	}))(c)
	g := must(c.ec2.DescribeSecurityGroups(c.ctx, one))(c).SecurityGroups[0]
	equal(t, "rules left", len(g.IpPermissions), 0)
	for _, id := range []string{group, other} {
		must(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &id}))(c)
	}
	_, err := c.ec2.DescribeSecurityGroups(c.ctx, one)
	refused(t, err, "InvalidGroup.NotFound")
}

// groupRules reads one rule and changes it in both ways that there are.
func groupRules(c *client, group, id string) {
	c.t.Helper()
	read := func() types.SecurityGroupRule {
		return must(c.ec2.DescribeSecurityGroupRules(c.ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{id}}))(c).SecurityGroupRules[0]
	}
	equal(c.t, "description", read().Description, "from 10.0.0.0/8")
	must(c.ec2.ModifySecurityGroupRules(c.ctx, &ec2.ModifySecurityGroupRulesInput{
		GroupId: &group, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
			SecurityGroupRuleId: &id, SecurityGroupRule: &types.SecurityGroupRuleRequest{
				IpProtocol: new("tcp"), FromPort: new(int32(5433)), ToPort: new(int32(5434)), CidrIpv4: new("10.1.0.0/16"),
			},
		}},
	}))(c)
	got := read()
	equal(c.t, "changed rule", []any{got.FromPort, got.ToPort, got.CidrIpv4}, []any{5433, 5434, "10.1.0.0/16"})
	must(c.ec2.UpdateSecurityGroupRuleDescriptionsIngress(c.ctx, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: &group, SecurityGroupRuleDescriptions: []types.SecurityGroupRuleDescription{{SecurityGroupRuleId: &id, Description: new("renamed")}},
	}))(c)
	equal(c.t, "description", read().Description, "renamed")
	found := must(c.ec2.DescribeSecurityGroupRules(c.ctx, &ec2.DescribeSecurityGroupRulesInput{
		Filters: []types.Filter{{Name: new("group-id"), Values: []string{group}}},
	}))(c).SecurityGroupRules
	equal(c.t, "rules of the group", len(found), 3)
}

// groupEgress does what Terraform does to each new group: it revokes what all
// groups allow at first, for IPv4, then for IPv6, where nothing is there.
func groupEgress(c *client, group string) {
	c.t.Helper()
	all := []types.IpPermission{{IpProtocol: new("-1"), IpRanges: []types.IpRange{{CidrIp: new("0.0.0.0/0")}}}}
	all6 := []types.IpPermission{{IpProtocol: new("-1"), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: new("::/0")}}}}
	must(c.ec2.RevokeSecurityGroupEgress(c.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &group, IpPermissions: all}))(c)
	_, err := c.ec2.RevokeSecurityGroupEgress(c.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &group, IpPermissions: all6})
	refused(c.t, err, "InvalidPermission.NotFound")
	out := must(c.ec2.AuthorizeSecurityGroupEgress(c.ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &group, IpPermissions: all6}))(c).SecurityGroupRules
	equal(c.t, "direction", out[0].IsEgress, true)
	must(c.ec2.UpdateSecurityGroupRuleDescriptionsEgress(c.ctx, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{
		GroupId: &group, IpPermissions: []types.IpPermission{{IpProtocol: new("-1"), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: new("::/0"), Description: new("all")}}}},
	}))(c)
	g := must(c.ec2.DescribeSecurityGroups(c.ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{group}}))(c).SecurityGroups[0]
	equal(c.t, "description", g.IpPermissionsEgress[0].Ipv6Ranges[0].Description, "all")
}

func groupRefusals(c *client, v, group, other string) {
	c.t.Helper()
	authorize := func(id string, p types.IpPermission) error {
		return failure(c.ec2.AuthorizeSecurityGroupIngress(c.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: []types.IpPermission{p}}))
	}
	reversed := tcp(90, "10.0.0.0/8")
	reversed.ToPort = new(int32(80))
	refuse(c, []refusal{
		{"rule twice", "InvalidPermission.Duplicate", func() error { return authorize(group, tcp2(5433, 5434, "10.1.0.0/16")) }},
		{"ports reversed", "InvalidParameterValue", func() error { return authorize(group, reversed) }},
		{"port out of range", "InvalidParameterValue", func() error { return authorize(group, tcp(70000, "10.0.0.0/8")) }},
		{"malformed CIDR", "InvalidParameterValue", func() error { return authorize(group, tcp(80, "10.0.0.0/40")) }},
		{"unknown group", "InvalidGroup.NotFound", func() error { return authorize("sg-00000000000000000", tcp(80, "10.0.0.0/8")) }},
		{"name taken", "InvalidGroup.Duplicate", func() error {
			return failure(c.ec2.CreateSecurityGroup(c.ctx, &ec2.CreateSecurityGroupInput{VpcId: &v, GroupName: new("clients"), Description: new("again")}))
		}},
		{"referred to", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &other}))
		}},
		{"VPC in use", "DependencyViolation", func() error { return failure(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &v})) }},
		{"dry run", "DryRunOperation", func() error {
			return failure(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &other, DryRun: new(true)}))
		}},
	})
}

// tcp2 permits a range of TCP ports from an IPv4 block.
func tcp2(from, to int32, cidr string) types.IpPermission {
	p := tcp(from, cidr)
	p.ToPort = &to
	return p
}
