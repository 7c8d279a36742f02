// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
)

// Services, service networks, target groups and what belongs to them cannot be
// made here, and clients list them before anything else. None of these lists
// has an error for an identifier that does not exist.

// nothing gives the empty list, when there could be one: tokens for further
// pages were never given.
func nothing[T any](ctx context.Context, operation string, token *string, limit *int32) (*T, error) {
	rows := func(func(*model.ResourceGateway) bool) {}
	if _, _, err := paginate(access.From(ctx), operation, nil, token, limit, rows); err != nil {
		return nil, err
	}
	return new(T), nil
}

// ListServices lists no services.
func (a *API) ListServices(ctx context.Context, in *shape.ListServicesInput) (*shape.ListServicesOutput, error) {
	return nothing[shape.ListServicesOutput](ctx, "ListServices", in.NextToken, in.MaxResults)
}

// ListServiceNetworks lists no service networks.
func (a *API) ListServiceNetworks(ctx context.Context, in *shape.ListServiceNetworksInput) (*shape.ListServiceNetworksOutput, error) {
	return nothing[shape.ListServiceNetworksOutput](ctx, "ListServiceNetworks", in.NextToken, in.MaxResults)
}

// ListTargetGroups lists no target groups.
func (a *API) ListTargetGroups(ctx context.Context, in *shape.ListTargetGroupsInput) (*shape.ListTargetGroupsOutput, error) {
	return nothing[shape.ListTargetGroupsOutput](ctx, "ListTargetGroups", in.NextToken, in.MaxResults)
}

// ListServiceNetworkServiceAssociations lists no services in service networks.
func (a *API) ListServiceNetworkServiceAssociations(ctx context.Context, in *shape.ListServiceNetworkServiceAssociationsInput) (*shape.ListServiceNetworkServiceAssociationsOutput, error) {
	return nothing[shape.ListServiceNetworkServiceAssociationsOutput](ctx, "ListServiceNetworkServiceAssociations", in.NextToken, in.MaxResults)
}

// ListServiceNetworkResourceAssociations lists no resource configurations in
// service networks.
func (a *API) ListServiceNetworkResourceAssociations(ctx context.Context, in *shape.ListServiceNetworkResourceAssociationsInput) (*shape.ListServiceNetworkResourceAssociationsOutput, error) {
	return nothing[shape.ListServiceNetworkResourceAssociationsOutput](ctx, "ListServiceNetworkResourceAssociations", in.NextToken, in.MaxResults)
}

// ListServiceNetworkVpcAssociations lists no VPCs of service networks.
func (a *API) ListServiceNetworkVpcAssociations(ctx context.Context, in *shape.ListServiceNetworkVpcAssociationsInput) (*shape.ListServiceNetworkVpcAssociationsOutput, error) {
	return nothing[shape.ListServiceNetworkVpcAssociationsOutput](ctx, "ListServiceNetworkVpcAssociations", in.NextToken, in.MaxResults)
}

// ListServiceNetworkVpcEndpointAssociations lists no endpoints of service
// networks.
func (a *API) ListServiceNetworkVpcEndpointAssociations(ctx context.Context, in *shape.ListServiceNetworkVpcEndpointAssociationsInput) (*shape.ListServiceNetworkVpcEndpointAssociationsOutput, error) {
	return nothing[shape.ListServiceNetworkVpcEndpointAssociationsOutput](ctx, "ListServiceNetworkVpcEndpointAssociations", in.NextToken, in.MaxResults)
}

// ListAccessLogSubscriptions lists no subscriptions to access logs.
func (a *API) ListAccessLogSubscriptions(ctx context.Context, in *shape.ListAccessLogSubscriptionsInput) (*shape.ListAccessLogSubscriptionsOutput, error) {
	return nothing[shape.ListAccessLogSubscriptionsOutput](ctx, "ListAccessLogSubscriptions", in.NextToken, in.MaxResults)
}
