// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AuthorizeSecurityGroupIngress adds rules that let traffic in.
func (a Groups) AuthorizeSecurityGroupIngress(ctx context.Context, in *shape.AuthorizeSecurityGroupIngressInput) (*shape.AuthorizeSecurityGroupIngressOutput, error) {
	flat := flatRule{in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId}
	added, err := a.authorize(ctx, groupChoice{in.GroupId, in.GroupName}, flat, in.IpPermissions, in.TagSpecifications, false)
	if err != nil {
		return nil, err
	}
	return &shape.AuthorizeSecurityGroupIngressOutput{Return: new(true), SecurityGroupRules: added}, nil
}

// AuthorizeSecurityGroupEgress adds rules that let traffic out.
func (a Groups) AuthorizeSecurityGroupEgress(ctx context.Context, in *shape.AuthorizeSecurityGroupEgressInput) (*shape.AuthorizeSecurityGroupEgressOutput, error) {
	flat := flatRule{in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId}
	added, err := a.authorize(ctx, groupChoice{in.GroupId, nil}, flat, in.IpPermissions, in.TagSpecifications, true)
	if err != nil {
		return nil, err
	}
	return &shape.AuthorizeSecurityGroupEgressOutput{Return: new(true), SecurityGroupRules: added}, nil
}

// authorize adds the rules of permissions to a group, all or none of them.
func (a Groups) authorize(ctx context.Context, choice groupChoice, flat flatRule, list []shape.IpPermission, specifications []shape.TagSpecification, egress bool) ([]shape.SecurityGroupRule, error) {
	permissions, err := a.permissions(ctx, flat, list)
	if err != nil {
		return nil, err
	}
	if len(permissions) == 0 {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	tags, err := request.TagsFor(specifications, state.SecurityGroupRules.Type)
	if err != nil {
		return nil, err
	}
	added, err := parseRules(access.From(ctx), permissions, egress)
	if err != nil {
		return nil, err
	}
	for i := range added {
		added[i].ID, added[i].Tags = a.NewID("sgr"), tags
	}
	var made []model.SecurityGroupRule
	g, err := service.Change(ctx, a.Env, state.SecurityGroups, chosenGroup, choice, func(tx *table.Txn, g *model.SecurityGroup) error {
		made = nil
		for _, r := range added {
			if err := checkReference(tx, g, &r); err != nil {
				return err
			}
			if findRule(g, r) >= 0 {
				return duplicateRule(r)
			}
			g.Rules, made = append(g.Rules, r), append(made, r)
		}
		return request.CheckRules(tx, a.Env, g)
	})
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]shape.SecurityGroupRule, len(made))
	for i, r := range made {
		out[i] = ruleShape(tx, g, r)
	}
	return out, nil
}

func duplicateRule(r model.SecurityGroupRule) error {
	return fault.EC2("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", ruleText(r))
}

// checkReference refuses rules that refer to a group that is not in the VPC of
// their own or in one that it is peered with, or to a prefix list that is not there. It
// notes the peering connection by which a group of a peer is referred to, which a request
// may leave out (https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-security-groups.html).
func checkReference(tx *table.Txn, g *model.SecurityGroup, r *model.SecurityGroupRule) error {
	if r.PrefixList != "" {
		if _, ok := state.ListOf(tx, g.Sibling(r.PrefixList)); !ok {
			return request.Unknown(state.PrefixLists.Kind(), r.PrefixList)
		}
		return nil
	}
	if r.Group == "" || g.Peer(*r) == g.Ref() {
		return nil
	}
	other, ok := peerOf(tx, g, *r)
	if ok && other.VPCRef() == g.VPCRef() {
		if r.Peering != "" {
			return fault.EC2("InvalidParameterValue", "Security group %s is in the VPC of %s, %s, and is not reached by VPC peering connection %s", other.ID, g.ID, g.VPC, r.Peering)
		}
		return nil
	}
	for p, vpc := range state.PeersOf(tx, g.VPCRef()) {
		if ok && vpc.Ref() == other.VPCRef() && (r.Peering == "" || r.Peering == p.ID) {
			r.Peering = p.ID
			return nil
		}
	}
	if !ok || r.GroupAccount != "" {
		return request.Unknown(state.SecurityGroups.Kind(), r.Group)
	}
	return fault.EC2("InvalidGroup.NotFound", "You have specified two resources that belong to different networks: %s is in %s, %s in %s", g.ID, g.VPC, other.ID, other.VPC)
}
