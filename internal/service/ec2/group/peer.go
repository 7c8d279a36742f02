// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/absence"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeSecurityGroupVpcAssociations lists no groups that are associated with
// other VPCs than their own.
func (a Groups) DescribeSecurityGroupVpcAssociations(ctx context.Context, in *shape.DescribeSecurityGroupVpcAssociationsInput) (*shape.DescribeSecurityGroupVpcAssociationsOutput, error) {
	return absence.Of[shape.DescribeSecurityGroupVpcAssociationsOutput](ctx, absence.Kind{
		Operation: "DescribeSecurityGroupVpcAssociations", Untagged: true,
		Filters: "group-id group-owner-id state vpc-id vpc-owner-id",
	}, request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults})
}

// reached is how a rule refers to a group of a peer.
type reached struct {
	status string // of the peering connection
	vpc    string // empty when nothing is known of the connection any more
}

// reachedBy tells where the group is that a rule refers to by a peering connection.
func reachedBy(tx *table.Txn, g *model.SecurityGroup, r model.SecurityGroupRule) reached {
	vpc := g.VPCRef()
	p, ok := state.PeeringConnections.Get(tx, vpc.Account, vpc.Region, r.Peering)
	if !ok {
		return reached{status: model.PeeringDeleted}
	}
	other, _ := p.Across(vpc)
	return reached{p.Code, other.ID}
}

// DescribeSecurityGroupReferences lists the VPCs on the other side of peering connections
// in which rules refer to the given groups.
func (a Groups) DescribeSecurityGroupReferences(ctx context.Context, in *shape.DescribeSecurityGroupReferencesInput) (*shape.DescribeSecurityGroupReferencesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeSecurityGroupReferencesOutput{}
	for _, id := range in.GroupId {
		g, err := request.Get(tx, access.From(ctx), state.SecurityGroups, id)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for from := range state.SecurityGroupsByPeers.Rows(tx, g.Ref()) {
			for _, r := range from.Rules {
				_, ok := state.PeerOf(tx, from.VPCRef(), r.Peering)
				if !ok || from.Peer(r) != g.Ref() || seen[r.Peering] {
					continue
				}
				seen[r.Peering] = true
				out.SecurityGroupReferenceSet = append(out.SecurityGroupReferenceSet, shape.SecurityGroupReference{
					GroupId: new(g.ID), ReferencingVpcId: new(from.VPC), VpcPeeringConnectionId: new(r.Peering),
				})
			}
		}
	}
	return out, nil
}

// DescribeStaleSecurityGroups lists the caller's groups of a VPC with rules about a peering
// connection that is no more, or about a peer's group that is gone.
func (a Groups) DescribeStaleSecurityGroups(ctx context.Context, in *shape.DescribeStaleSecurityGroupsInput) (*shape.DescribeStaleSecurityGroupsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	v, err := request.Get(tx, who, state.VPCs, service.Value(in.VpcId))
	if err != nil {
		return nil, err
	}
	var stale []shape.StaleSecurityGroup
	for g := range view.All(tx, who, state.SecurityGroups) {
		if g.VPCRef() != v.Ref() {
			continue
		}
		s := shape.StaleSecurityGroup{GroupId: new(g.ID), GroupName: new(g.Name), Description: new(g.Description), VpcId: new(g.VPC)}
		s.StaleIpPermissions, s.StaleIpPermissionsEgress = stalePermissions(tx, g, false), stalePermissions(tx, g, true)
		if len(s.StaleIpPermissions)+len(s.StaleIpPermissionsEgress) > 0 {
			stale = append(stale, s)
		}
	}
	page, next, err := request.Paginate(who, "DescribeStaleSecurityGroups", request.Query{Token: in.NextToken, Max: in.MaxResults},
		slices.Values(stale), service.Filters[shape.StaleSecurityGroup]{}, func(s shape.StaleSecurityGroup) string { return *s.GroupId })
	if err != nil {
		return nil, err
	}
	return &shape.DescribeStaleSecurityGroupsOutput{StaleSecurityGroupSet: page, NextToken: next}, nil
}

// stalePermissions are those of one direction of which nothing matches any more.
func stalePermissions(tx *table.Txn, g *model.SecurityGroup, egress bool) (out []shape.StaleIpPermission) {
	stale := *g
	stale.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r model.SecurityGroupRule) bool {
		_, leads := state.PeerOf(tx, g.VPCRef(), r.Peering)
		_, there := peerOf(tx, g, r)
		return r.Peering == "" || leads && there
	})
	for _, p := range permissionShapes(tx, &stale, egress) {
		out = append(out, shape.StaleIpPermission{
			IpProtocol: p.IpProtocol, FromPort: p.FromPort, ToPort: p.ToPort, UserIdGroupPairs: p.UserIdGroupPairs, IpRanges: []string{}, PrefixListIds: []string{},
		})
	}
	return out
}
