// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/request"
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
	}, request.Query{Filters: in.Filters, IDs: in.ServiceNames, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeVpcEndpointServiceConfigurations lists no endpoint services of the
// caller.
func (a *API) DescribeVpcEndpointServiceConfigurations(ctx context.Context, in *shape.DescribeVpcEndpointServiceConfigurationsInput) (*shape.DescribeVpcEndpointServiceConfigurationsOutput, error) {
	return nothing[shape.DescribeVpcEndpointServiceConfigurationsOutput](ctx, absence{
		operation: "DescribeVpcEndpointServiceConfigurations",
		missing:   request.Missing("InvalidVpcEndpointServiceId.NotFound", "VpcEndpointService"),
		filters:   "service-id service-name service-state supported-ip-address-types",
	}, request.Query{Filters: in.Filters, IDs: in.ServiceIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeVpcEndpointConnections lists no endpoints to services of the caller.
func (a *API) DescribeVpcEndpointConnections(ctx context.Context, in *shape.DescribeVpcEndpointConnectionsInput) (*shape.DescribeVpcEndpointConnectionsOutput, error) {
	return nothing[shape.DescribeVpcEndpointConnectionsOutput](ctx, absence{
		operation: "DescribeVpcEndpointConnections", untagged: true,
		filters: "ip-address-type service-id vpc-endpoint-id vpc-endpoint-owner vpc-endpoint-region vpc-endpoint-state",
	}, request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults})
}
