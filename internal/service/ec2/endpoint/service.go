// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/absence"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// DescribeVpcEndpointServiceConfigurations lists no endpoint services of the
// caller.
func (a Endpoints) DescribeVpcEndpointServiceConfigurations(ctx context.Context, in *shape.DescribeVpcEndpointServiceConfigurationsInput) (*shape.DescribeVpcEndpointServiceConfigurationsOutput, error) {
	return absence.Of[shape.DescribeVpcEndpointServiceConfigurationsOutput](ctx, absence.Kind{
		Operation: "DescribeVpcEndpointServiceConfigurations",
		Missing:   request.Missing("InvalidVpcEndpointServiceId.NotFound", "VpcEndpointService"),
		Filters:   "service-id service-name service-state supported-ip-address-types",
	}, request.Query{Filters: in.Filters, IDs: in.ServiceIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeVpcEndpointConnections lists no endpoints to services of the caller.
func (a Endpoints) DescribeVpcEndpointConnections(ctx context.Context, in *shape.DescribeVpcEndpointConnectionsInput) (*shape.DescribeVpcEndpointConnectionsOutput, error) {
	return absence.Of[shape.DescribeVpcEndpointConnectionsOutput](ctx, absence.Kind{
		Operation: "DescribeVpcEndpointConnections", Untagged: true,
		Filters: "ip-address-type service-id vpc-endpoint-id vpc-endpoint-owner vpc-endpoint-region vpc-endpoint-state",
	}, request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults})
}
