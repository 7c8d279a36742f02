// SPDX-License-Identifier: Apache-2.0

package route

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// destination is where a route leads to, without what it leads by: a block or a prefix
// list.
type destination struct {
	cidr netip.Prefix
	list string
}

// String is the destination as requests have it.
func (d destination) String() string {
	if d.list != "" {
		return d.list
	}
	return d.cidr.String()
}

// parameter is how requests call a destination of this kind.
func (d destination) parameter() string {
	switch {
	case d.list != "":
		return "destination-prefix-list-id"
	case d.cidr.Addr().Is4():
		return "destination-cidr-block"
	}
	return "destination-ipv6-cidr-block"
}

func (d destination) by(target string) model.Route {
	return model.Route{Dest: d.cidr, PrefixList: d.list, Target: target}
}

// destinationOf reads the one destination of a request. Host bits are cut off, as on AWS.
func destinationOf(four, six, list *string) (d destination, err error) {
	given := 0
	for _, p := range []*string{four, six, list} {
		if p != nil {
			given++
		}
	}
	switch {
	case given == 0:
		return d, fault.EC2("MissingParameter", "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock or destinationPrefixListId")
	case given > 1:
		return d, fault.EC2("InvalidParameterCombination", "The parameters destinationCidrBlock, destinationIpv6CidrBlock and destinationPrefixListId exclude each other")
	case list != nil:
		d.list = *list
		return d, nil
	}
	text, family, parameter := four, 4, "destinationCidrBlock"
	if six != nil {
		text, family, parameter = six, 6, "destinationIpv6CidrBlock"
	}
	if d.cidr, err = netip.ParsePrefix(*text); err != nil || block.Family(d.cidr) != family {
		return d, fault.EC2("InvalidParameterValue", "Value (%s) for parameter %s is invalid. This is not a valid IPv%d CIDR block.", *text, parameter, family)
	}
	d.cidr = d.cidr.Masked()
	return d, nil
}

// placeOf finds the route of a table with the destination of another one; -1 when there
// is none.
func placeOf(r *model.RouteTable, route model.Route) int {
	return slices.IndexFunc(r.Routes, func(o model.Route) bool { return o.Dest == route.Dest && o.PrefixList == route.PrefixList })
}

// isLocal reports whether a destination is that of a local route.
func isLocal(blocks []netip.Prefix, dest netip.Prefix) bool { return slices.Contains(blocks, dest) }

// CreateRoute adds a route to a table.
func (a Tables) CreateRoute(ctx context.Context, in *shape.CreateRouteInput) (*shape.CreateRouteOutput, error) {
	d, err := destinationOf(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	t, err := targetOf([]target{
		{"gatewayId", in.GatewayId}, {"natGatewayId", in.NatGatewayId}, {"networkInterfaceId", in.NetworkInterfaceId},
		{"egressOnlyInternetGatewayId", in.EgressOnlyInternetGatewayId}, {"vpcEndpointId", in.VpcEndpointId},
		{"transitGatewayId", in.TransitGatewayId}, {"vpcPeeringConnectionId", in.VpcPeeringConnectionId}, {"instanceId", in.InstanceId},
		{"localGatewayId", in.LocalGatewayId}, {"carrierGatewayId", in.CarrierGatewayId}, {"coreNetworkArn", in.CoreNetworkArn},
		{"odbNetworkArn", in.OdbNetworkArn},
	})
	if err != nil {
		return nil, err
	}
	_, err = a.change(ctx, in.RouteTableId, func(tx *table.Txn, r *model.RouteTable) error {
		if err := checkRoute(tx, access.From(ctx), r, d, t); err != nil {
			return err
		}
		if isLocal(networks(tx, r), d.cidr) || placeOf(r, d.by("")) >= 0 {
			return fault.EC2("RouteAlreadyExists", "The route identified by %s already exists.", d)
		}
		r.Routes = append(r.Routes, d.by(t.value()))
		if err := checkEdge(tx, r); err != nil {
			return err
		}
		return request.CheckRoutes(tx, a.Env, r)
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateRouteOutput{Return: new(true)}, nil
}

// ReplaceRoute has a route lead by something else. A local one can be led to an interface
// or a NAT gateway, and back.
func (a Tables) ReplaceRoute(ctx context.Context, in *shape.ReplaceRouteInput) (*shape.ReplaceRouteOutput, error) {
	d, err := destinationOf(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	targets := []target{
		{"gatewayId", in.GatewayId}, {"natGatewayId", in.NatGatewayId}, {"networkInterfaceId", in.NetworkInterfaceId},
		{"egressOnlyInternetGatewayId", in.EgressOnlyInternetGatewayId}, {"vpcEndpointId", in.VpcEndpointId},
		{"transitGatewayId", in.TransitGatewayId}, {"vpcPeeringConnectionId", in.VpcPeeringConnectionId}, {"instanceId", in.InstanceId},
		{"localGatewayId", in.LocalGatewayId}, {"carrierGatewayId", in.CarrierGatewayId}, {"coreNetworkArn", in.CoreNetworkArn},
		{"odbNetworkArn", in.OdbNetworkArn},
	}
	if service.Value(in.LocalTarget) {
		targets = append(targets, target{localTarget, new(localGateway)})
	}
	t, err := targetOf(targets)
	if err != nil {
		return nil, err
	}
	_, err = a.change(ctx, in.RouteTableId, func(tx *table.Txn, r *model.RouteTable) error {
		local := isLocal(networks(tx, r), d.cidr)
		at := placeOf(r, d.by(""))
		if at < 0 && !local {
			return fault.EC2("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", d)
		}
		if t.parameter == localTarget {
			if !local {
				return fault.EC2("InvalidParameterValue", "The route '%s' of route table %s is not local, and cannot have the local target", d, r.ID)
			}
			if at >= 0 {
				r.Routes = slices.Delete(r.Routes, at, at+1)
			}
			return nil
		}
		if err := checkRoute(tx, access.From(ctx), r, d, t); err != nil {
			return err
		}
		if at >= 0 {
			r.Routes[at] = d.by(t.value())
		} else {
			r.Routes = append(r.Routes, d.by(t.value()))
		}
		return checkEdge(tx, r)
	})
	return &shape.ReplaceRouteOutput{}, err
}

// DeleteRoute removes a route from a table. Local ones stay.
func (a Tables) DeleteRoute(ctx context.Context, in *shape.DeleteRouteInput) (*shape.DeleteRouteOutput, error) {
	d, err := destinationOf(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	_, err = a.change(ctx, in.RouteTableId, func(tx *table.Txn, r *model.RouteTable) error {
		if isLocal(networks(tx, r), d.cidr) {
			return fault.EC2("InvalidParameterValue", "cannot remove local route %s in route table %s", d, r.ID)
		}
		at := placeOf(r, d.by(""))
		if at < 0 {
			return fault.EC2("InvalidRoute.NotFound", "no route with %s %s in route table %s", d.parameter(), d, r.ID)
		}
		if err := checkOwned(r.Routes[at]); err != nil {
			return err
		}
		r.Routes = slices.Delete(r.Routes, at, at+1)
		return nil
	})
	return &shape.DeleteRouteOutput{}, err
}

// checkOwned refuses to change a route that is there because of an endpoint.
func checkOwned(route model.Route) error {
	if !strings.HasPrefix(route.Target, "vpce-") {
		return nil
	}
	return fault.EC2("InvalidParameterValue", "The route to %s is that of VPC endpoint %s: take the route table away from the endpoint, with RemoveRouteTableIds of ModifyVpcEndpoint", route.PrefixList, route.Target)
}

// change changes the routes of a table. The first one gives it a number.
func (a Tables) change(ctx context.Context, id *string, with func(*table.Txn, *model.RouteTable) error) (*model.RouteTable, error) {
	return request.Change(ctx, a.Env, state.RouteTables, service.Value(id), func(tx *table.Txn, r *model.RouteTable) error {
		if err := with(tx, r); err != nil {
			return err
		}
		return request.NumberTable(tx, r)
	})
}

// checkRoute looks at a destination and a target in a table, without the table's other
// routes.
func checkRoute(tx *table.Txn, who access.View, r *model.RouteTable, d destination, t target) error {
	v, ok := state.VPCs.Get(tx, r.Account, r.Region, r.VPC)
	if !ok {
		return request.Unknown(state.VPCs.Kind(), r.VPC)
	}
	if err := t.check(tx, who, r, d); err != nil {
		return err
	}
	if d.list != "" {
		return checkList(tx, r, d, t)
	}
	if in, ok := model.Unroutable(d.cidr); ok {
		return fault.EC2("InvalidParameterValue", "The destination CIDR block %s is invalid: it lies in %s, which no route can lead to", d, in)
	}
	if err := t.checkFamily(d, d.cidr.Addr().Is6()); err != nil {
		return err
	}
	if _, inside := block.Within(slices.Concat(v.CIDRs, v.CIDRs6), d.cidr); !inside {
		return nil
	}
	switch {
	case t.parameter != "networkInterfaceId" && t.parameter != "natGatewayId":
		return fault.EC2("InvalidParameterValue", "The destination CIDR block %s is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance.", d)
	case isLocal(v.Networks(), d.cidr) || isSubnet(tx, v, d.cidr):
		return nil
	}
	return fault.EC2("InvalidParameterValue", "The destination CIDR block %s is more specific than one of this VPC's CIDR blocks, and not that of one of its subnets.", d)
}

func checkList(tx *table.Txn, r *model.RouteTable, d destination, t target) error {
	l, ok := state.ListOf(tx, r.Sibling(d.list))
	if !ok {
		return request.Unknown(state.PrefixLists.Kind(), d.list)
	}
	return t.checkFamily(d, l.IPv6)
}

// isSubnet reports whether a block is that of a subnet.
func isSubnet(tx *table.Txn, v *model.VPC, p netip.Prefix) bool {
	for s := range state.SubnetsByVPC.Rows(tx, v.Ref()) {
		if s.CIDR == p || s.CIDR6.Prefix == p {
			return true
		}
	}
	return false
}
