// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// servedGateway refuses what does not go with an endpoint of type Gateway.
func servedGateway(who access.View, in *shape.CreateVpcEndpointInput) error {
	switch {
	case in.ServiceName == nil:
		return fault.EC2("MissingParameter", "The request must contain the parameter ServiceName for an endpoint of type Gateway")
	case in.ServiceNetworkArn != nil, in.ResourceConfigurationArn != nil, len(in.SubnetIds) > 0, len(in.SubnetConfigurations) > 0, len(in.SecurityGroupIds) > 0:
		return fault.EC2("InvalidParameterCombination", "ServiceNetworkArn, ResourceConfigurationArn, SubnetIds, SubnetConfigurations and SecurityGroupIds do not go with an endpoint of type Gateway, which is the type where VpcEndpointType is left out")
	case service.Value(in.PrivateDnsEnabled):
		return fault.EC2("InvalidParameter", "PrivateDnsEnabled does not go with an endpoint of type Gateway; private DNS is for endpoints of type Interface")
	case in.IpAddressType != nil && *in.IpAddressType != shape.IpAddressTypeIpv4:
		return fault.EC2("InvalidParameter", "IpAddressType is %s; an endpoint of type Gateway has ipv4", *in.IpAddressType)
	case in.ServiceRegion != nil && *in.ServiceRegion != who.Region:
		return fault.EC2("InvalidParameter", "ServiceRegion is %s; endpoint and service must be in the same region, %s", *in.ServiceRegion, who.Region)
	}
	return nil
}

// createGatewayEndpoint adds an endpoint of type Gateway, and a route by it to each route table
// that the request names
// (https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html).
func (a Endpoints) createGatewayEndpoint(tx *table.Txn, n *newEndpoint) (*model.VPCEndpoint, error) {
	v, err := request.Get(tx, n.who, state.VPCs, service.Value(n.in.VpcId))
	if err != nil {
		return nil, err
	}
	offer, err := offered(tx, n.who, service.Value(n.in.ServiceName))
	if err != nil {
		return nil, err
	}
	if _, ok := offer.GatewayList(); !ok {
		return nil, fault.EC2("InvalidParameter", "Endpoint type (Gateway) does not match available service types ([Interface]) of %s.", offer.Name)
	}
	has := 0
	for e := range state.VPCEndpoints.Scope(tx, v.Account, v.Region) {
		if e.Type == model.EndpointGateway {
			has++
		}
	}
	if most := a.Quotas.GatewayEndpointsPerRegion; has >= most {
		return nil, fault.EC2("VpcEndpointLimitExceeded", "Region %s has %d endpoints of type Gateway, the most it can have", v.Region, most)
	}
	e := n.row(v, model.EndpointGateway, nil)
	if err := a.leadTo(tx, n, e, offer); err != nil {
		return nil, err
	}
	if n.in.PolicyDocument != nil {
		if err := setPolicy(e, offer, *n.in.PolicyDocument); err != nil {
			return nil, err
		}
	}
	for _, id := range n.in.RouteTableIds {
		if err := a.route(tx, n.who, e, offer, id); err != nil {
			return nil, err
		}
	}
	state.VPCEndpoints.Put(tx, e)
	return e, nil
}

// changeGateway changes the route tables and the policy of an endpoint of type Gateway.
func (m modification) changeGateway(tx *table.Txn, e *model.VPCEndpoint) error {
	in := m.in
	if len(in.AddSubnetIds)+len(in.RemoveSubnetIds)+len(in.SubnetConfigurations)+len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) > 0 ||
		in.IpAddressType != nil || in.DnsOptions != nil || service.Value(in.PrivateDnsEnabled) {
		return fault.EC2("InvalidParameterCombination", "Only the route tables and the policy of an endpoint of type Gateway can be modified, with AddRouteTableIds, RemoveRouteTableIds, PolicyDocument and ResetPolicy")
	}
	offer, err := m.changePolicy(tx, e)
	if err != nil {
		return err
	}
	for _, id := range in.RemoveRouteTableIds {
		if !slices.Contains(e.RouteTables, id) {
			return fault.EC2("InvalidRouteTableId.NotFound", "The route table %s does not lead to the VPC endpoint %s", id, e.ID)
		}
		unroute(tx, e, id, m.Now())
		e.RouteTables = slices.DeleteFunc(e.RouteTables, func(other string) bool { return other == id })
	}
	for _, id := range in.AddRouteTableIds {
		if err := m.route(tx, m.who, e, offer, id); err != nil {
			return err
		}
	}
	if len(in.AddRouteTableIds)+len(in.RemoveRouteTableIds) > 0 {
		e.Update(m.Now())
	}
	return nil
}

// route has a route table lead to the service by the caller's copy of an endpoint. One that does
// already stays as it is.
func (a Endpoints) route(tx *table.Txn, who access.View, e *model.VPCEndpoint, offer state.Offer, id string) error {
	r, err := request.Get(tx, who, state.RouteTables, id)
	if err != nil {
		return err
	}
	if r.VPC != e.VPC {
		return fault.EC2("InvalidParameter", "Route table %s is of VPC %s, not of %s", id, r.VPC, e.VPC)
	}
	list, _ := offer.GatewayList()
	for _, route := range r.Routes {
		switch {
		case route.PrefixList != list.ID:
		case route.Target == e.ID:
			return nil
		default:
			return fault.EC2("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", id, list.ID)
		}
	}
	r = r.Clone()
	r.Routes = append(r.Routes, model.Route{PrefixList: list.ID, Target: e.ID})
	if err := request.CheckRoutes(tx, a.Env, r); err != nil {
		return err
	}
	if err := request.NumberTable(tx, r); err != nil {
		return err
	}
	r.Update(a.Now())
	state.RouteTables.Put(tx, r)
	e.RouteTables = append(e.RouteTables, id)
	return nil
}

// unroute takes the route by an endpoint out of a table, if both are there.
func unroute(tx *table.Txn, e *model.VPCEndpoint, id string, now time.Time) {
	r, ok := state.RouteTables.Get(tx, e.Account, e.Region, id)
	if !ok {
		return
	}
	r = r.Clone()
	r.Routes = slices.DeleteFunc(r.Routes, func(route model.Route) bool { return route.Target == e.ID })
	r.Update(now)
	state.RouteTables.Put(tx, r)
}

// routeTables are those of an endpoint that are still there.
func routeTables(tx *table.Txn, e *model.VPCEndpoint) []string {
	ids := []string{}
	for _, id := range e.RouteTables {
		if _, ok := state.RouteTables.Get(tx, e.Account, e.Region, id); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
