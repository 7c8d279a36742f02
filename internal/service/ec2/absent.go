// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// Clients list what a VPC might have before they change or delete it. Of the
// kinds in this file nothing can be made here, so that the lists are empty.

// DescribeAddresses lists no elastic addresses.
func (a *API) DescribeAddresses(ctx context.Context, in *shape.DescribeAddressesInput) (*shape.DescribeAddressesOutput, error) {
	if len(in.PublicIps) > 0 {
		return nil, fault.EC2("InvalidAddress.NotFound", "Address '%s' not found.", in.PublicIps[0])
	}
	return nothing[shape.DescribeAddressesOutput](ctx, absence{
		operation: "DescribeAddresses", missing: request.Missing("InvalidAllocationID.NotFound", "allocation"),
		filters: `allocation-id association-id domain instance-id network-border-group network-interface-id network-interface-owner-id
			private-ip-address public-ip`,
	}, request.Query{Filters: in.Filters, IDs: in.AllocationIds})
}

// DescribeCarrierGateways lists no carrier gateways.
func (a *API) DescribeCarrierGateways(ctx context.Context, in *shape.DescribeCarrierGatewaysInput) (*shape.DescribeCarrierGatewaysOutput, error) {
	return nothing[shape.DescribeCarrierGatewaysOutput](ctx, absence{
		operation: "DescribeCarrierGateways", missing: request.Missing("InvalidCarrierGatewayID.NotFound", "carrierGateway"),
		filters: "carrier-gateway-id owner-id state vpc-id",
	}, request.Query{Filters: in.Filters, IDs: in.CarrierGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeCustomerGateways lists no customer gateways.
func (a *API) DescribeCustomerGateways(ctx context.Context, in *shape.DescribeCustomerGatewaysInput) (*shape.DescribeCustomerGatewaysOutput, error) {
	return nothing[shape.DescribeCustomerGatewaysOutput](ctx, absence{
		operation: "DescribeCustomerGateways", missing: request.Missing("InvalidCustomerGatewayID.NotFound", "customerGateway"),
		filters: "bgp-asn customer-gateway-id ip-address state type",
	}, request.Query{Filters: in.Filters, IDs: in.CustomerGatewayIds})
}

// DescribeEgressOnlyInternetGateways lists no egress-only internet gateways.
func (a *API) DescribeEgressOnlyInternetGateways(ctx context.Context, in *shape.DescribeEgressOnlyInternetGatewaysInput) (*shape.DescribeEgressOnlyInternetGatewaysOutput, error) {
	return nothing[shape.DescribeEgressOnlyInternetGatewaysOutput](ctx, absence{operation: "DescribeEgressOnlyInternetGateways"},
		request.Query{Filters: in.Filters, IDs: in.EgressOnlyInternetGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeFlowLogs lists no flow logs.
func (a *API) DescribeFlowLogs(ctx context.Context, in *shape.DescribeFlowLogsInput) (*shape.DescribeFlowLogsOutput, error) {
	return nothing[shape.DescribeFlowLogsOutput](ctx, absence{
		operation: "DescribeFlowLogs",
		filters:   "deliver-log-status flow-log-id log-destination-type log-group-name resource-id traffic-type",
	}, request.Query{Filters: in.Filter, IDs: in.FlowLogIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeInternetGateways lists no internet gateways: none can be made yet.
func (a *API) DescribeInternetGateways(ctx context.Context, in *shape.DescribeInternetGatewaysInput) (*shape.DescribeInternetGatewaysOutput, error) {
	return nothing[shape.DescribeInternetGatewaysOutput](ctx, absence{
		operation: "DescribeInternetGateways", missing: request.Missing("InvalidInternetGatewayID.NotFound", "internetGateway"),
		filters: "attachment.state attachment.vpc-id internet-gateway-id owner-id",
	}, request.Query{Filters: in.Filters, IDs: in.InternetGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeNatGateways lists no NAT gateways.
func (a *API) DescribeNatGateways(ctx context.Context, in *shape.DescribeNatGatewaysInput) (*shape.DescribeNatGatewaysOutput, error) {
	return nothing[shape.DescribeNatGatewaysOutput](ctx, absence{
		operation: "DescribeNatGateways",
		missing:   func(id string) error { return fault.EC2("NatGatewayNotFound", "The Nat Gateway %s was not found", id) },
		filters:   "nat-gateway-id state subnet-id vpc-id",
	}, request.Query{Filters: in.Filter, IDs: in.NatGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeVpcPeeringConnections lists no peering connections.
func (a *API) DescribeVpcPeeringConnections(ctx context.Context, in *shape.DescribeVpcPeeringConnectionsInput) (*shape.DescribeVpcPeeringConnectionsOutput, error) {
	return nothing[shape.DescribeVpcPeeringConnectionsOutput](ctx, absence{
		operation: "DescribeVpcPeeringConnections", missing: request.Missing("InvalidVpcPeeringConnectionID.NotFound", "vpcPeeringConnection"),
		filters: `accepter-vpc-info.cidr-block accepter-vpc-info.owner-id accepter-vpc-info.vpc-id expiration-time
			requester-vpc-info.cidr-block requester-vpc-info.owner-id requester-vpc-info.vpc-id status-code status-message
			vpc-peering-connection-id`,
	}, request.Query{Filters: in.Filters, IDs: in.VpcPeeringConnectionIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeVpnGateways lists no virtual private gateways.
func (a *API) DescribeVpnGateways(ctx context.Context, in *shape.DescribeVpnGatewaysInput) (*shape.DescribeVpnGatewaysOutput, error) {
	return nothing[shape.DescribeVpnGatewaysOutput](ctx, absence{
		operation: "DescribeVpnGateways", missing: request.Missing("InvalidVpnGatewayID.NotFound", "vpnGateway"),
		filters: "amazon-side-asn attachment.state attachment.vpc-id availability-zone state type vpn-gateway-id",
	}, request.Query{Filters: in.Filters, IDs: in.VpnGatewayIds})
}

// DescribeVpnConnections lists no VPN connections.
func (a *API) DescribeVpnConnections(ctx context.Context, in *shape.DescribeVpnConnectionsInput) (*shape.DescribeVpnConnectionsOutput, error) {
	return nothing[shape.DescribeVpnConnectionsOutput](ctx, absence{
		operation: "DescribeVpnConnections", missing: request.Missing("InvalidVpnConnectionID.NotFound", "vpnConnection"),
		filters: `bgp-asn customer-gateway-configuration customer-gateway-id option.static-routes-only route.destination-cidr-block
			state transit-gateway-id type vpn-connection-id vpn-gateway-id`,
	}, request.Query{Filters: in.Filters, IDs: in.VpnConnectionIds})
}

// DescribeTransitGateways lists no transit gateways.
func (a *API) DescribeTransitGateways(ctx context.Context, in *shape.DescribeTransitGatewaysInput) (*shape.DescribeTransitGatewaysOutput, error) {
	return nothing[shape.DescribeTransitGatewaysOutput](ctx, absence{
		operation: "DescribeTransitGateways", missing: request.Missing("InvalidTransitGatewayID.NotFound", "transitGateway"),
		filters: `options.amazon-side-asn options.association-default-route-table-id options.auto-accept-shared-attachments
			options.default-route-table-association options.default-route-table-propagation options.dns-support
			options.propagation-default-route-table-id options.vpn-ecmp-support owner-id state transit-gateway-id`,
	}, request.Query{Filters: in.Filters, IDs: in.TransitGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

var noTransitAttachment = request.Missing("InvalidTransitGatewayAttachmentID.NotFound", "transitGatewayAttachment")

// DescribeTransitGatewayAttachments lists no attachments to transit gateways.
func (a *API) DescribeTransitGatewayAttachments(ctx context.Context, in *shape.DescribeTransitGatewayAttachmentsInput) (*shape.DescribeTransitGatewayAttachmentsOutput, error) {
	return nothing[shape.DescribeTransitGatewayAttachmentsOutput](ctx, absence{
		operation: "DescribeTransitGatewayAttachments", missing: noTransitAttachment,
		filters: `association.state association.transit-gateway-route-table-id resource-id resource-owner-id resource-type state
			transit-gateway-attachment-id transit-gateway-id transit-gateway-owner-id`,
	}, request.Query{Filters: in.Filters, IDs: in.TransitGatewayAttachmentIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeTransitGatewayVpcAttachments lists no attachments of VPCs to transit
// gateways.
func (a *API) DescribeTransitGatewayVpcAttachments(ctx context.Context, in *shape.DescribeTransitGatewayVpcAttachmentsInput) (*shape.DescribeTransitGatewayVpcAttachmentsOutput, error) {
	return nothing[shape.DescribeTransitGatewayVpcAttachmentsOutput](ctx, absence{
		operation: "DescribeTransitGatewayVpcAttachments", missing: noTransitAttachment,
		filters: "state transit-gateway-attachment-id transit-gateway-id vpc-id",
	}, request.Query{Filters: in.Filters, IDs: in.TransitGatewayAttachmentIds, Token: in.NextToken, Max: in.MaxResults})
}
