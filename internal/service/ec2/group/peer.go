// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/absence"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
)

// DescribeSecurityGroupVpcAssociations lists no groups that are associated with
// other VPCs than their own.
func (a Groups) DescribeSecurityGroupVpcAssociations(ctx context.Context, in *shape.DescribeSecurityGroupVpcAssociationsInput) (*shape.DescribeSecurityGroupVpcAssociationsOutput, error) {
	return absence.Of[shape.DescribeSecurityGroupVpcAssociationsOutput](ctx, absence.Kind{
		Operation: "DescribeSecurityGroupVpcAssociations", Untagged: true,
		Filters: "group-id group-owner-id state vpc-id vpc-owner-id",
	}, request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeSecurityGroupReferences lists no VPCs on the other side of a peering
// connection that refer to the given groups.
func (a Groups) DescribeSecurityGroupReferences(ctx context.Context, in *shape.DescribeSecurityGroupReferencesInput) (*shape.DescribeSecurityGroupReferencesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range in.GroupId {
		if _, err := request.Get(tx, access.From(ctx), state.SecurityGroups, id); err != nil {
			return nil, err
		}
	}
	return &shape.DescribeSecurityGroupReferencesOutput{}, nil
}

// DescribeStaleSecurityGroups lists no groups of a VPC with rules about a
// peering connection that is gone.
func (a Groups) DescribeStaleSecurityGroups(ctx context.Context, in *shape.DescribeStaleSecurityGroupsInput) (*shape.DescribeStaleSecurityGroupsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := request.Get(tx, access.From(ctx), state.VPCs, service.Value(in.VpcId)); err != nil {
		return nil, err
	}
	return absence.Of[shape.DescribeStaleSecurityGroupsOutput](ctx, absence.Kind{Operation: "DescribeStaleSecurityGroups"}, request.Query{Token: in.NextToken, Max: in.MaxResults})
}
