// SPDX-License-Identifier: Apache-2.0

package group

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// GroupedRule is a rule with the group that it belongs to.
type GroupedRule struct {
	Group *model.SecurityGroup
	Rule  model.SecurityGroupRule
}

// DescribeSecurityGroupRules lists the rules of the caller's groups.
func (a Groups) DescribeSecurityGroupRules(ctx context.Context, in *shape.DescribeSecurityGroupRulesInput) (*shape.DescribeSecurityGroupRulesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	rules := Rules(tx, who)
	if len(in.SecurityGroupRuleIds) > 0 {
		if rules, err = rulesByID(rules, in.SecurityGroupRuleIds); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(rules, func(x, y GroupedRule) int { return cmp.Compare(x.Rule.ID, y.Rule.ID) })
	q := request.Query{Filters: in.Filters, IDs: in.SecurityGroupRuleIds, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeSecurityGroupRules", q, slices.Values(rules), service.Filters[GroupedRule]{
		Tags: func(r GroupedRule) map[string]string { return r.Rule.Tags },
		Properties: map[string]func(GroupedRule) []string{
			"group-id":               func(r GroupedRule) []string { return request.One(r.Group.ID) },
			"security-group-rule-id": func(r GroupedRule) []string { return request.One(r.Rule.ID) },
		},
	}, func(r GroupedRule) string { return r.Rule.ID })
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeSecurityGroupRulesOutput{NextToken: next, SecurityGroupRules: []shape.SecurityGroupRule{}}
	for _, r := range page {
		out.SecurityGroupRules = append(out.SecurityGroupRules, ruleShape(tx, r.Group, r.Rule))
	}
	return out, nil
}

// Rules gives the rules of all groups that the caller sees: its own, and those of others in its
// VPCs.
func Rules(tx *table.Txn, who access.View) []GroupedRule {
	var rules []GroupedRule
	for _, g := range slices.AppendSeq(view.OthersGroups(tx, who), view.All(tx, who, state.SecurityGroups)) {
		for _, r := range g.Rules {
			rules = append(rules, GroupedRule{g, r})
		}
	}
	return rules
}

func rulesByID(rules []GroupedRule, ids []string) ([]GroupedRule, error) {
	byID := make(map[string]GroupedRule)
	for _, r := range rules {
		if slices.Contains(ids, r.Rule.ID) {
			byID[r.Rule.ID] = r
		}
	}
	for _, id := range ids {
		if _, ok := byID[id]; !ok {
			return nil, request.Unknown(state.SecurityGroupRules.Type, id)
		}
	}
	return slices.Collect(maps.Values(byID)), nil
}

// ModifySecurityGroupRules replaces rules of a group by others that keep the
// ids, directions and tags, all or none of them.
func (a Groups) ModifySecurityGroupRules(ctx context.Context, in *shape.ModifySecurityGroupRulesInput) (*shape.ModifySecurityGroupRulesOutput, error) {
	who := access.From(ctx)
	replacements := make(map[string]model.SecurityGroupRule)
	for _, update := range in.SecurityGroupRules {
		id := service.Value(update.SecurityGroupRuleId)
		if _, twice := replacements[id]; twice {
			return nil, fault.EC2("InvalidParameterValue", "The security group rule ID '%s' appears more than once", id)
		}
		r, err := parseRequestedRule(who, update.SecurityGroupRule)
		if err != nil {
			return nil, err
		}
		replacements[id] = r
	}
	_, err := service.Change(ctx, a.Env, state.SecurityGroups, chosenGroup, groupChoice{id: in.GroupId}, func(tx *table.Txn, g *model.SecurityGroup) error {
		return a.replaceRules(tx, g, replacements)
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifySecurityGroupRulesOutput{Return: new(true)}, nil
}

func (a Groups) replaceRules(tx *table.Txn, g *model.SecurityGroup, replacements map[string]model.SecurityGroupRule) error {
	for _, id := range slices.Sorted(maps.Keys(replacements)) {
		i := slices.IndexFunc(g.Rules, func(r model.SecurityGroupRule) bool { return r.ID == id })
		if i < 0 {
			return request.Unknown(state.SecurityGroupRules.Type, id)
		}
		r := replacements[id]
		if was, now := sourceKind(g.Rules[i]), sourceKind(r); was != now {
			return fault.EC2("InvalidParameterValue", "Invalid rule type for security group rule '%s'. You may not specify %s for an existing rule with %s.", id, now, was)
		}
		r.ID, r.Egress, r.Tags = id, g.Rules[i].Egress, g.Rules[i].Tags
		if err := checkReference(tx, g, &r); err != nil {
			return err
		}
		g.Rules[i] = r
	}
	for i, r := range g.Rules {
		if slices.ContainsFunc(g.Rules[:i], r.Same) {
			return duplicateRule(r)
		}
	}
	return request.CheckRules(tx, a.Env, g)
}

// sourceKind is how requests call the kind of source that a rule has, which
// cannot be changed.
func sourceKind(r model.SecurityGroupRule) string {
	switch {
	case r.Group != "":
		return "ReferencedGroupId"
	case r.PrefixList != "":
		return "PrefixListId"
	case r.CIDR.Addr().Is4():
		return "CidrIpv4"
	}
	return "CidrIpv6"
}

// parseRequestedRule makes a rule, without its id and direction, out of the
// form that has exactly one source.
func parseRequestedRule(who access.View, in *shape.SecurityGroupRuleRequest) (model.SecurityGroupRule, error) {
	if in == nil {
		return model.SecurityGroupRule{}, fault.EC2("MissingParameter", "The request must contain the parameter securityGroupRule for each rule")
	}
	p := shape.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort}
	sources := 0
	if in.CidrIpv4 != nil {
		p.IpRanges = []shape.IpRange{{CidrIp: in.CidrIpv4, Description: in.Description}}
		sources++
	}
	if in.CidrIpv6 != nil {
		p.Ipv6Ranges = []shape.Ipv6Range{{CidrIpv6: in.CidrIpv6, Description: in.Description}}
		sources++
	}
	if in.ReferencedGroupId != nil {
		p.UserIdGroupPairs = []shape.UserIdGroupPair{{GroupId: in.ReferencedGroupId, Description: in.Description}}
		sources++
	}
	if in.PrefixListId != nil {
		p.PrefixListIds = []shape.PrefixListId{{PrefixListId: in.PrefixListId, Description: in.Description}}
		sources++
	}
	switch {
	case sources == 0:
		return model.SecurityGroupRule{}, fault.EC2("MissingParameter", "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId")
	case sources > 1:
		return model.SecurityGroupRule{}, fault.EC2("InvalidParameterCombination", "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified")
	}
	rules, err := parseRules(who, []shape.IpPermission{p}, false)
	if err != nil {
		return model.SecurityGroupRule{}, err
	}
	return rules[0], nil
}

// UpdateSecurityGroupRuleDescriptionsIngress changes what rules that let
// traffic in say about themselves.
func (a Groups) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *shape.UpdateSecurityGroupRuleDescriptionsIngressInput) (*shape.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	err := a.describeRules(ctx, groupChoice{in.GroupId, in.GroupName}, in.IpPermissions, in.SecurityGroupRuleDescriptions, false)
	if err != nil {
		return nil, err
	}
	return &shape.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: new(true)}, nil
}

// UpdateSecurityGroupRuleDescriptionsEgress changes what rules that let traffic
// out say about themselves.
func (a Groups) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *shape.UpdateSecurityGroupRuleDescriptionsEgressInput) (*shape.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	err := a.describeRules(ctx, groupChoice{in.GroupId, in.GroupName}, in.IpPermissions, in.SecurityGroupRuleDescriptions, true)
	if err != nil {
		return nil, err
	}
	return &shape.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: new(true)}, nil
}

// describeRules gives rules of a group new descriptions, all or none of them.
func (a Groups) describeRules(ctx context.Context, choice groupChoice, permissions []shape.IpPermission, updates []shape.SecurityGroupRuleDescription, egress bool) error {
	var ids []string
	texts := make(map[string]string)
	for _, u := range updates {
		ids = append(ids, service.Value(u.SecurityGroupRuleId))
		texts[service.Value(u.SecurityGroupRuleId)] = service.Value(u.Description)
		if err := checkRuleDescription(service.Value(u.Description)); err != nil {
			return err
		}
	}
	if err := eitherOr(permissions, ids); err != nil {
		return err
	}
	permissions, err := a.withGroupIDs(ctx, permissions)
	if err != nil {
		return err
	}
	wanted, err := parseRules(access.From(ctx), permissions, egress)
	if err != nil {
		return err
	}
	_, err = service.Change(ctx, a.Env, state.SecurityGroups, chosenGroup, choice, func(_ *table.Txn, g *model.SecurityGroup) error {
		places, err := findRules(g, wanted, ids, egress)
		if err != nil {
			return err
		}
		for n, i := range places {
			if len(wanted) > 0 {
				g.Rules[i].Description = wanted[n].Description
			} else {
				g.Rules[i].Description = texts[g.Rules[i].ID]
			}
		}
		return nil
	})
	return err
}
