// SPDX-License-Identifier: Apache-2.0

package absence

import (
	"context"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// DescribeCarrierGateways lists no carrier gateways.
func (a Lists) DescribeCarrierGateways(ctx context.Context, in *shape.DescribeCarrierGatewaysInput) (*shape.DescribeCarrierGatewaysOutput, error) {
	return Of[shape.DescribeCarrierGatewaysOutput](ctx, Kind{
		Operation: "DescribeCarrierGateways", Missing: request.Missing("InvalidCarrierGatewayID.NotFound", "carrierGateway"),
		Filters: "carrier-gateway-id owner-id state vpc-id",
	}, request.Query{Filters: in.Filters, IDs: in.CarrierGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeCustomerGateways lists no customer gateways.
func (a Lists) DescribeCustomerGateways(ctx context.Context, in *shape.DescribeCustomerGatewaysInput) (*shape.DescribeCustomerGatewaysOutput, error) {
	return Of[shape.DescribeCustomerGatewaysOutput](ctx, Kind{
		Operation: "DescribeCustomerGateways", Missing: request.Missing("InvalidCustomerGatewayID.NotFound", "customerGateway"),
		Filters: "bgp-asn customer-gateway-id ip-address state type",
	}, request.Query{Filters: in.Filters, IDs: in.CustomerGatewayIds})
}

// DescribeFlowLogs lists no flow logs.
func (a Lists) DescribeFlowLogs(ctx context.Context, in *shape.DescribeFlowLogsInput) (*shape.DescribeFlowLogsOutput, error) {
	return Of[shape.DescribeFlowLogsOutput](ctx, Kind{
		Operation: "DescribeFlowLogs",
		Filters:   "deliver-log-status flow-log-id log-destination-type log-group-name resource-id traffic-type",
	}, request.Query{Filters: in.Filter, IDs: in.FlowLogIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeVpnGateways lists no virtual private gateways.
func (a Lists) DescribeVpnGateways(ctx context.Context, in *shape.DescribeVpnGatewaysInput) (*shape.DescribeVpnGatewaysOutput, error) {
	return Of[shape.DescribeVpnGatewaysOutput](ctx, Kind{
		Operation: "DescribeVpnGateways", Missing: request.Missing("InvalidVpnGatewayID.NotFound", "vpnGateway"),
		Filters: "amazon-side-asn attachment.state attachment.vpc-id availability-zone state type vpn-gateway-id",
	}, request.Query{Filters: in.Filters, IDs: in.VpnGatewayIds})
}

// DescribeVpnConnections lists no VPN connections.
func (a Lists) DescribeVpnConnections(ctx context.Context, in *shape.DescribeVpnConnectionsInput) (*shape.DescribeVpnConnectionsOutput, error) {
	return Of[shape.DescribeVpnConnectionsOutput](ctx, Kind{
		Operation: "DescribeVpnConnections", Missing: request.Missing("InvalidVpnConnectionID.NotFound", "vpnConnection"),
		Filters: `bgp-asn customer-gateway-configuration customer-gateway-id option.static-routes-only route.destination-cidr-block
			state transit-gateway-id type vpn-connection-id vpn-gateway-id`,
	}, request.Query{Filters: in.Filters, IDs: in.VpnConnectionIds})
}

// DescribeTransitGateways lists no transit gateways.
func (a Lists) DescribeTransitGateways(ctx context.Context, in *shape.DescribeTransitGatewaysInput) (*shape.DescribeTransitGatewaysOutput, error) {
	return Of[shape.DescribeTransitGatewaysOutput](ctx, Kind{
		Operation: "DescribeTransitGateways", Missing: request.Missing("InvalidTransitGatewayID.NotFound", "transitGateway"),
		Filters: `options.amazon-side-asn options.association-default-route-table-id options.auto-accept-shared-attachments
			options.default-route-table-association options.default-route-table-propagation options.dns-support
			options.propagation-default-route-table-id options.vpn-ecmp-support owner-id state transit-gateway-id`,
	}, request.Query{Filters: in.Filters, IDs: in.TransitGatewayIds, Token: in.NextToken, Max: in.MaxResults})
}

var noTransitAttachment = request.Missing("InvalidTransitGatewayAttachmentID.NotFound", "transitGatewayAttachment")

// DescribeTransitGatewayAttachments lists no attachments to transit gateways.
func (a Lists) DescribeTransitGatewayAttachments(ctx context.Context, in *shape.DescribeTransitGatewayAttachmentsInput) (*shape.DescribeTransitGatewayAttachmentsOutput, error) {
	return Of[shape.DescribeTransitGatewayAttachmentsOutput](ctx, Kind{
		Operation: "DescribeTransitGatewayAttachments", Missing: noTransitAttachment,
		Filters: `association.state association.transit-gateway-route-table-id resource-id resource-owner-id resource-type state
			transit-gateway-attachment-id transit-gateway-id transit-gateway-owner-id`,
	}, request.Query{Filters: in.Filters, IDs: in.TransitGatewayAttachmentIds, Token: in.NextToken, Max: in.MaxResults})
}

// DescribeTransitGatewayVpcAttachments lists no attachments of VPCs to transit
// gateways.
func (a Lists) DescribeTransitGatewayVpcAttachments(ctx context.Context, in *shape.DescribeTransitGatewayVpcAttachmentsInput) (*shape.DescribeTransitGatewayVpcAttachmentsOutput, error) {
	return Of[shape.DescribeTransitGatewayVpcAttachmentsOutput](ctx, Kind{
		Operation: "DescribeTransitGatewayVpcAttachments", Missing: noTransitAttachment,
		Filters: "state transit-gateway-attachment-id transit-gateway-id vpc-id",
	}, request.Query{Filters: in.Filters, IDs: in.TransitGatewayAttachmentIds, Token: in.NextToken, Max: in.MaxResults})
}
