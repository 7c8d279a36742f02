// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"
	"slices"
	"strconv"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeSecurityGroups lists the caller's groups. Names find groups of the
// default VPC.
func (a Groups) DescribeSecurityGroups(ctx context.Context, in *shape.DescribeSecurityGroupsInput) (*shape.DescribeSecurityGroupsOutput, error) {
	named, err := a.groupsByName(ctx, in.GroupNames)
	if err != nil {
		return nil, err
	}
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.SecurityGroup]{
		Operation: "DescribeSecurityGroups", Table: state.SecurityGroups, Filters: groupFilters, Others: view.OthersGroups,
	}, request.Query{Filters: in.Filters, IDs: slices.Concat(in.GroupIds, named), Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeSecurityGroupsOutput{NextToken: next, SecurityGroups: []shape.SecurityGroup{}}
	for _, g := range rows {
		out.SecurityGroups = append(out.SecurityGroups, groupShape(tx, g))
	}
	return out, nil
}

func groupFilters(tx *table.Txn) service.Filters[*model.SecurityGroup] {
	f := service.Filters[*model.SecurityGroup]{
		Properties: map[string]func(*model.SecurityGroup) []string{
			"description": func(g *model.SecurityGroup) []string { return request.One(g.Description) },
			"group-id":    func(g *model.SecurityGroup) []string { return request.One(g.ID) },
			"group-name":  func(g *model.SecurityGroup) []string { return request.One(g.Name) },
			"owner-id":    func(g *model.SecurityGroup) []string { return request.One(g.Account) },
			"vpc-id":      func(g *model.SecurityGroup) []string { return request.One(g.VPC) },
		},
	}
	for name, value := range ruleProperties(tx) {
		f.Properties["ip-permission."+name] = ofRules(value, false)
		f.Properties["egress.ip-permission."+name] = ofRules(value, true)
	}
	return f
}

// ofRules collects a property of all rules of one direction.
func ofRules(value func(*model.SecurityGroup, model.SecurityGroupRule) string, egress bool) func(*model.SecurityGroup) []string {
	return func(g *model.SecurityGroup) []string {
		var values []string
		for _, r := range g.Rules {
			if v := value(g, r); r.Egress == egress && v != "" {
				values = append(values, v)
			}
		}
		return values
	}
}

// ruleProperties are the properties of rules that groups can be found by; an
// empty value means that a rule does not have it.
func ruleProperties(tx *table.Txn) map[string]func(*model.SecurityGroup, model.SecurityGroupRule) string {
	port := func(n int) string {
		if n < 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	block := func(r model.SecurityGroupRule, four bool) string {
		if !r.CIDR.IsValid() || r.CIDR.Addr().Is4() != four {
			return ""
		}
		return r.CIDR.String()
	}
	type group = *model.SecurityGroup
	type rule = model.SecurityGroupRule
	return map[string]func(group, rule) string{
		"cidr":      func(_ group, r rule) string { return block(r, true) },
		"ipv6-cidr": func(_ group, r rule) string { return block(r, false) },
		"from-port": func(_ group, r rule) string { return port(r.From) },
		"to-port":   func(_ group, r rule) string { return port(r.To) },
		"protocol":  func(_ group, r rule) string { return r.Protocol },
		"group-id":  func(_ group, r rule) string { return r.Group },
		"group-name": func(g group, r rule) string {
			if other, ok := peerOf(tx, g, r); ok && r.GroupAccount == "" {
				return other.Name
			}
			return ""
		},
		"prefix-list-id": func(_ group, r rule) string { return r.PrefixList },
		"user-id": func(g group, r rule) string {
			if r.Group == "" {
				return ""
			}
			return g.Peer(r).Account
		},
	}
}

// peerOf gives the group that a rule refers to.
func peerOf(tx *table.Txn, g *model.SecurityGroup, r model.SecurityGroupRule) (*model.SecurityGroup, bool) {
	peer := g.Peer(r)
	return state.SecurityGroups.Get(tx, peer.Account, peer.Region, peer.ID)
}

func groupShape(tx *table.Txn, g *model.SecurityGroup) shape.SecurityGroup {
	return shape.SecurityGroup{
		GroupId: new(g.ID), SecurityGroupArn: new(groupARN(g)), OwnerId: new(g.Account), VpcId: new(g.VPC),
		GroupName: new(g.Name), Description: new(g.Description), Tags: request.TagList(g.Tags),
		IpPermissions: permissionShapes(tx, g, false), IpPermissionsEgress: permissionShapes(tx, g, true),
	}
}

// permissionShapes puts the rules of one direction together that have the same
// protocol and ports, in the order in which they were added.
func permissionShapes(tx *table.Txn, g *model.SecurityGroup, egress bool) []shape.IpPermission {
	type traffic struct {
		protocol string
		from, to int
	}
	place := make(map[traffic]int)
	out := []shape.IpPermission{}
	for _, r := range g.Rules {
		if r.Egress != egress {
			continue
		}
		key := traffic{r.Protocol, r.From, r.To}
		i, ok := place[key]
		if !ok {
			i = len(out)
			place[key] = i
			out = append(out, newPermission(r))
		}
		addSource(tx, &out[i], g, r)
	}
	return out
}

// newPermission has empty lists of sources, which clients expect to be there,
// and ports only for protocols that have them.
func newPermission(r model.SecurityGroupRule) shape.IpPermission {
	p := shape.IpPermission{
		IpProtocol: new(r.Protocol), IpRanges: []shape.IpRange{}, Ipv6Ranges: []shape.Ipv6Range{},
		UserIdGroupPairs: []shape.UserIdGroupPair{}, PrefixListIds: []shape.PrefixListId{},
	}
	switch r.Protocol {
	case "tcp", "udp", "icmp", "icmpv6":
		p.FromPort, p.ToPort = new(int32(r.From)), new(int32(r.To))
	}
	return p
}

func addSource(tx *table.Txn, p *shape.IpPermission, g *model.SecurityGroup, r model.SecurityGroupRule) {
	description := service.Optional(r.Description)
	switch {
	case r.Group != "":
		pair := shape.UserIdGroupPair{GroupId: new(r.Group), UserId: new(g.Peer(r).Account), Description: description}
		if r.Peering != "" {
			far := reachedBy(tx, g, r)
			pair.VpcPeeringConnectionId, pair.PeeringStatus, pair.VpcId = new(r.Peering), new(far.status), service.Optional(far.vpc)
		}
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, pair)
	case r.PrefixList != "":
		p.PrefixListIds = append(p.PrefixListIds, shape.PrefixListId{PrefixListId: new(r.PrefixList), Description: description})
	case r.CIDR.Addr().Is4():
		p.IpRanges = append(p.IpRanges, shape.IpRange{CidrIp: new(r.CIDR.String()), Description: description})
	default:
		p.Ipv6Ranges = append(p.Ipv6Ranges, shape.Ipv6Range{CidrIpv6: new(r.CIDR.String()), Description: description})
	}
}

func ruleShape(tx *table.Txn, g *model.SecurityGroup, r model.SecurityGroupRule) shape.SecurityGroupRule {
	out := shape.SecurityGroupRule{
		SecurityGroupRuleId: new(r.ID), SecurityGroupRuleArn: new(model.ARN("ec2", g.Region, g.Account, "security-group-rule/"+r.ID)),
		GroupId: new(g.ID), GroupOwnerId: new(g.Account), IsEgress: new(r.Egress), IpProtocol: new(r.Protocol),
		FromPort: new(int32(r.From)), ToPort: new(int32(r.To)), Description: service.Optional(r.Description), Tags: request.TagList(r.Tags),
	}
	switch {
	case r.Group != "":
		out.ReferencedGroupInfo = &shape.ReferencedSecurityGroup{GroupId: new(r.Group), UserId: new(g.Peer(r).Account), VpcId: new(g.VPC)}
		if r.Peering != "" {
			far := reachedBy(tx, g, r)
			out.ReferencedGroupInfo.VpcPeeringConnectionId, out.ReferencedGroupInfo.PeeringStatus = new(r.Peering), new(far.status)
			out.ReferencedGroupInfo.VpcId = service.Optional(far.vpc)
		}
	case r.PrefixList != "":
		out.PrefixListId = new(r.PrefixList)
	case r.CIDR.Addr().Is4():
		out.CidrIpv4 = new(r.CIDR.String())
	default:
		out.CidrIpv6 = new(r.CIDR.String())
	}
	return out
}

func revokedShape(tx *table.Txn, g *model.SecurityGroup, r model.SecurityGroupRule) shape.RevokedSecurityGroupRule {
	s := ruleShape(tx, g, r)
	return shape.RevokedSecurityGroupRule{
		SecurityGroupRuleId: s.SecurityGroupRuleId, GroupId: s.GroupId, IsEgress: s.IsEgress, IpProtocol: s.IpProtocol,
		FromPort: s.FromPort, ToPort: s.ToPort, CidrIpv4: s.CidrIpv4, CidrIpv6: s.CidrIpv6,
		ReferencedGroupId: service.Optional(r.Group), PrefixListId: s.PrefixListId, Description: s.Description,
	}
}
