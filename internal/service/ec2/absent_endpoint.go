// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"

	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
)

// DescribeVpcEndpointServices lists no endpoint services: endpoints lead to
// resource configurations, and no service of AWS is here.
func (a *API) DescribeVpcEndpointServices(ctx context.Context, in *shape.DescribeVpcEndpointServicesInput) (*shape.DescribeVpcEndpointServicesOutput, error) {
	return nothing[shape.DescribeVpcEndpointServicesOutput](ctx, absence{
		operation: "DescribeVpcEndpointServices",
		missing: func(name string) error {
			return fault.EC2("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
		},
		filters: "owner service-name service-region service-type supported-ip-address-types",
	}, query{in.Filters, in.ServiceNames, in.NextToken, in.MaxResults})
}

// DescribeVpcEndpointServiceConfigurations lists no endpoint services of the
// caller.
func (a *API) DescribeVpcEndpointServiceConfigurations(ctx context.Context, in *shape.DescribeVpcEndpointServiceConfigurationsInput) (*shape.DescribeVpcEndpointServiceConfigurationsOutput, error) {
	return nothing[shape.DescribeVpcEndpointServiceConfigurationsOutput](ctx, absence{
		operation: "DescribeVpcEndpointServiceConfigurations",
		missing:   missing("InvalidVpcEndpointServiceId.NotFound", "VpcEndpointService"),
		filters:   "service-id service-name service-state supported-ip-address-types",
	}, query{in.Filters, in.ServiceIds, in.NextToken, in.MaxResults})
}

// DescribeVpcEndpointConnections lists no endpoints to services of the caller.
func (a *API) DescribeVpcEndpointConnections(ctx context.Context, in *shape.DescribeVpcEndpointConnectionsInput) (*shape.DescribeVpcEndpointConnectionsOutput, error) {
	return nothing[shape.DescribeVpcEndpointConnectionsOutput](ctx, absence{
		operation: "DescribeVpcEndpointConnections", untagged: true,
		filters: "ip-address-type service-id vpc-endpoint-id vpc-endpoint-owner vpc-endpoint-region vpc-endpoint-state",
	}, query{filters: in.Filters, token: in.NextToken, max: in.MaxResults})
}

// DescribeSecurityGroupVpcAssociations lists no groups that are associated with
// other VPCs than their own.
func (a *API) DescribeSecurityGroupVpcAssociations(ctx context.Context, in *shape.DescribeSecurityGroupVpcAssociationsInput) (*shape.DescribeSecurityGroupVpcAssociationsOutput, error) {
	return nothing[shape.DescribeSecurityGroupVpcAssociationsOutput](ctx, absence{
		operation: "DescribeSecurityGroupVpcAssociations", untagged: true,
		filters: "group-id group-owner-id state vpc-id vpc-owner-id",
	}, query{filters: in.Filters, token: in.NextToken, max: in.MaxResults})
}

// DescribeSecurityGroupReferences lists no VPCs on the other side of a peering
// connection that refer to the given groups.
func (a *API) DescribeSecurityGroupReferences(ctx context.Context, in *shape.DescribeSecurityGroupReferencesInput) (*shape.DescribeSecurityGroupReferencesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range in.GroupId {
		if _, err := getGroup(tx, caller.From(ctx), id); err != nil {
			return nil, err
		}
	}
	return &shape.DescribeSecurityGroupReferencesOutput{}, nil
}

// DescribeStaleSecurityGroups lists no groups of a VPC with rules about a
// peering connection that is gone.
func (a *API) DescribeStaleSecurityGroups(ctx context.Context, in *shape.DescribeStaleSecurityGroupsInput) (*shape.DescribeStaleSecurityGroupsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := getVPC(tx, caller.From(ctx), deref(in.VpcId)); err != nil {
		return nil, err
	}
	return nothing[shape.DescribeStaleSecurityGroupsOutput](ctx, absence{operation: "DescribeStaleSecurityGroups"}, query{token: in.NextToken, max: in.MaxResults})
}

// GetSubnetCidrReservations lists no reservations of blocks in a subnet.
func (a *API) GetSubnetCidrReservations(ctx context.Context, in *shape.GetSubnetCidrReservationsInput) (*shape.GetSubnetCidrReservationsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := getSubnet(tx, caller.From(ctx), deref(in.SubnetId)); err != nil {
		return nil, err
	}
	return nothing[shape.GetSubnetCidrReservationsOutput](ctx, absence{
		operation: "GetSubnetCidrReservations", filters: "reservationType subnet-id",
	}, query{filters: in.Filters, token: in.NextToken, max: in.MaxResults})
}
