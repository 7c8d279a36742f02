// SPDX-License-Identifier: Apache-2.0

package route

import (
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// target is what a route leads by, as a request names it.
type target struct {
	parameter string
	id        *string
}

// localTarget is the parameter that makes a local route one again.
const localTarget = "localTarget"

func (t target) value() string { return service.Value(t.id) }

// targetOf gives the one target of a request.
func targetOf(all []target) (found target, err error) {
	var names []string
	for _, t := range all {
		if t.id != nil {
			found = t
			names = append(names, t.parameter)
		}
	}
	switch len(names) {
	case 0:
		return found, fault.EC2("MissingParameter", "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId, egressOnlyInternetGatewayId, vpcEndpointId, transitGatewayId or instanceId")
	case 1:
		return found, nil
	}
	return found, fault.EC2("InvalidParameterCombination", "The request must contain exactly one target, and has %s", strings.Join(names, ", "))
}

// absent are the errors for targets of kinds that are not here, by parameter: there is
// none with any id.
var absent = map[string]struct{ code, text string }{
	"transitGatewayId": {"InvalidTransitGatewayID.NotFound", "The transitGateway ID '%s' does not exist"},
	"instanceId":       {"InvalidInstanceID.NotFound", "The instance ID '%s' does not exist"},
	"localGatewayId":   {"InvalidLocalGatewayID.NotFound", "The local gateway ID '%s' does not exist"},
	"carrierGatewayId": {"InvalidCarrierGatewayID.NotFound", "The carrierGateway ID '%s' does not exist"},
	"coreNetworkArn":   {"InvalidCoreNetworkArn.NotFound", "The core network ARN '%s' does not exist"},
	"odbNetworkArn":    {"InvalidOdbNetworkArn.NotFound", "The ODB network ARN '%s' does not exist"},
}

// check sees that the target is the account's and in the table's VPC.
func (t target) check(tx *table.Txn, who access.View, r *model.RouteTable, d destination) error {
	id := t.value()
	if missing, ok := absent[t.parameter]; ok {
		return fault.EC2(missing.code, missing.text, id)
	}
	switch t.parameter {
	case "gatewayId":
		g, ok := view.Get(tx, who, state.InternetGateways, id)
		return t.inVPC(r, ok && g.VPC == r.VPC, ok, "network gateway", "InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist")
	case "natGatewayId":
		n, ok := view.Get(tx, who, state.NATGateways, id)
		ok = ok && !n.Gone() && !n.Deleting()
		return t.inVPC(r, ok && n.VPC == r.VPC, ok, "NAT gateway", "InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist")
	case "egressOnlyInternetGatewayId":
		g, ok := view.Get(tx, who, state.EgressOnlyGateways, id)
		return t.inVPC(r, ok && g.VPC == r.VPC, ok, "egress only internet gateway", "InvalidGatewayID.NotFound", "The eigw ID '%s' does not exist")
	case "vpcPeeringConnectionId":
		p, ok := view.Get(tx, who, state.PeeringConnections, id)
		here := false
		if ok = ok && p.Live(); ok { // what is not accepted yet leads nowhere until then
			_, here = p.Across(r.Sibling(r.VPC))
		}
		return t.inVPC(r, here, ok, "vpc peering connection", "InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '%s' does not exist")
	case "networkInterfaceId":
		ni, ok := view.Get(tx, who, state.NetworkInterfaces, id)
		return t.inVPC(r, ok && ni.VPC == r.VPC, ok, "interface", "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist")
	case "vpcEndpointId":
		if d.list != "" {
			return fault.EC2("InvalidParameterValue", "Cannot create or replace a prefix list route targeting a VPC Endpoint.")
		}
		if e, ok := view.Get(tx, who, state.VPCEndpoints, id); ok {
			return fault.EC2("InvalidParameterValue", "The VPC endpoint '%s' is of type %s. Only one of type GatewayLoadBalancer can be the target of a route.", id, e.Type)
		}
		return fault.EC2("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
	}
	return nil
}

// inVPC is the error for a target that is not in the table's VPC, or not at all.
func (t target) inVPC(r *model.RouteTable, here, exists bool, noun, code, text string) error {
	switch {
	case here:
		return nil
	case exists:
		return fault.EC2("InvalidParameterValue", "Route table %s and %s %s belong to different networks", r.ID, noun, t.value())
	}
	return fault.EC2(code, text, t.value())
}

// checkFamily sees that the target takes packets of a family.
func (t target) checkFamily(d destination, six bool) error {
	switch {
	case six && t.parameter == "natGatewayId":
		return fault.EC2("UnsupportedOperation", "The destination %s has IPv6 addresses, and NAT gateways that translate IPv6 are not served here", d)
	case !six && t.parameter == "egressOnlyInternetGatewayId":
		return fault.EC2("InvalidParameterValue", "The destination %s has IPv4 addresses, and an egress-only internet gateway takes IPv6 only", d)
	}
	return nil
}

// checkEdge sees that a table that an internet gateway uses has no routes out of the VPC:
// what comes in goes to a subnet, by its own route or by an interface
// (https://docs.aws.amazon.com/vpc/latest/userguide/gateway-route-tables.html).
func checkEdge(tx *table.Txn, r *model.RouteTable) error {
	gateway := ""
	for a := range state.RouteTableAssociationsByTable.Rows(tx, r.Ref()) {
		if a.Gateway != "" {
			gateway = a.Gateway
		}
	}
	if gateway == "" {
		return nil
	}
	return edgeRoutes(tx, r, gateway)
}

func edgeRoutes(tx *table.Txn, r *model.RouteTable, gateway string) error {
	v, ok := state.VPCs.Get(tx, r.Account, r.Region, r.VPC)
	for _, route := range r.Routes {
		switch {
		case route.PrefixList != "":
			return fault.EC2("InvalidParameterValue", "Route table %s is associated with gateway %s, and cannot have a route to a prefix list, %s", r.ID, gateway, route.PrefixList)
		case !strings.HasPrefix(route.Target, "eni-"):
			return fault.EC2("InvalidParameterValue", "invalid route table %s for an association with gateway %s: its route to %s has the target %s, want a network interface or local", r.ID, gateway, route.Dest, route.Target)
		case !ok || !isLocal(v.Networks(), route.Dest) && !isSubnet(tx, v, route.Dest):
			return fault.EC2("InvalidParameterValue", "Route table contains unsupported route destination. The unsupported route destination %s is neither a CIDR block of the VPC nor of one of its subnets.", route.Dest)
		}
	}
	return nil
}
