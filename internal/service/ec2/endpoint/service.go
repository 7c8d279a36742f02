// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/absence"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// DescribeVpcEndpointServices lists no endpoint services: endpoints lead to
// resource configurations, and no service of AWS is here.
func (a Endpoints) DescribeVpcEndpointServices(ctx context.Context, in *shape.DescribeVpcEndpointServicesInput) (*shape.DescribeVpcEndpointServicesOutput, error) {
	return absence.Of[shape.DescribeVpcEndpointServicesOutput](ctx, absence.Kind{
		Operation: "DescribeVpcEndpointServices",
		Missing: func(name string) error {
			return fault.EC2("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
		},
		Filters: "owner service-name service-region service-type supported-ip-address-types",
	}, request.Query{Filters: in.Filters, IDs: in.ServiceNames, Token: in.NextToken, Max: in.MaxResults})
}

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
