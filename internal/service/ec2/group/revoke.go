// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// RevokeSecurityGroupIngress removes rules that let traffic in.
func (a Groups) RevokeSecurityGroupIngress(ctx context.Context, in *shape.RevokeSecurityGroupIngressInput) (*shape.RevokeSecurityGroupIngressOutput, error) {
	flat := flatRule{in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId}
	revoked, err := a.revoke(ctx, groupChoice{in.GroupId, in.GroupName}, flat, in.IpPermissions, in.SecurityGroupRuleIds, false)
	if err != nil {
		return nil, err
	}
	return &shape.RevokeSecurityGroupIngressOutput{Return: new(true), RevokedSecurityGroupRules: revoked}, nil
}

// RevokeSecurityGroupEgress removes rules that let traffic out.
func (a Groups) RevokeSecurityGroupEgress(ctx context.Context, in *shape.RevokeSecurityGroupEgressInput) (*shape.RevokeSecurityGroupEgressOutput, error) {
	flat := flatRule{in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId}
	revoked, err := a.revoke(ctx, groupChoice{in.GroupId, nil}, flat, in.IpPermissions, in.SecurityGroupRuleIds, true)
	if err != nil {
		return nil, err
	}
	return &shape.RevokeSecurityGroupEgressOutput{Return: new(true), RevokedSecurityGroupRules: revoked}, nil
}

// revoke removes rules, named by permissions or by ids, all or none of them.
func (a Groups) revoke(ctx context.Context, choice groupChoice, flat flatRule, list []shape.IpPermission, ids []string, egress bool) ([]shape.RevokedSecurityGroupRule, error) {
	permissions, err := a.permissions(ctx, flat, list)
	if err != nil {
		return nil, err
	}
	if err := eitherOr(permissions, ids); err != nil {
		return nil, err
	}
	wanted, err := parseRules(access.From(ctx), permissions, egress)
	if err != nil {
		return nil, err
	}
	var gone []model.SecurityGroupRule
	g, err := service.Change(ctx, a.Env, state.SecurityGroups, chosenGroup, choice, func(_ *table.Txn, g *model.SecurityGroup) error {
		places, err := findRules(g, wanted, ids, egress)
		if err != nil {
			return err
		}
		gone = nil
		for _, i := range places {
			gone = append(gone, g.Rules[i])
		}
		g.Rules = slices.DeleteFunc(g.Rules, func(r model.SecurityGroupRule) bool {
			return slices.ContainsFunc(gone, func(o model.SecurityGroupRule) bool { return o.ID == r.ID })
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]shape.RevokedSecurityGroupRule, len(gone))
	for i, r := range gone {
		out[i] = revokedShape(tx, g, r)
	}
	return out, nil
}

// eitherOr demands permissions or rule ids, not both.
func eitherOr(permissions []shape.IpPermission, ids []string) error {
	switch {
	case len(permissions) > 0 && len(ids) > 0:
		return fault.EC2("InvalidParameterCombination", "ipPermissions and the ids of rules exclude each other")
	case len(permissions)+len(ids) == 0:
		return fault.EC2("MissingParameter", "The request must contain ipPermissions or the ids of rules")
	}
	return nil
}

// findRules gives the places of rules of one direction in a group. Each must be
// there; one that is named twice is given once.
func findRules(g *model.SecurityGroup, wanted []model.SecurityGroupRule, ids []string, egress bool) ([]int, error) {
	var places []int
	for _, r := range wanted {
		i := findRule(g, r)
		if i < 0 {
			return nil, fault.EC2("InvalidPermission.NotFound", "The specified rule does not exist in this security group: %s", ruleText(r))
		}
		places = append(places, i)
	}
	for _, id := range ids {
		i := slices.IndexFunc(g.Rules, func(r model.SecurityGroupRule) bool { return r.ID == id && r.Egress == egress })
		if i < 0 {
			return nil, request.Unknown(state.SecurityGroupRules.Type, id)
		}
		if !slices.Contains(places, i) {
			places = append(places, i)
		}
	}
	return places, nil
}
