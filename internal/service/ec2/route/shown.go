// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/netip"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// localGateway is the target of the routes that every table has: those to the
// VPC's own blocks.
const localGateway = "local"

// shown makes what replies have of tables, as they are in a transaction.
type shown struct {
	tx *table.Txn
	// outside says that there is something behind internet gateways.
	outside bool
}

func (a Tables) shown(tx *table.Txn) shown { return shown{tx, a.Outside.Uplink.There()} }

func (s shown) table(r *model.RouteTable) shape.RouteTable {
	return shape.RouteTable{
		RouteTableId: new(r.ID), VpcId: new(r.VPC), OwnerId: new(r.Account), Tags: request.TagList(r.Tags),
		PropagatingVgws: []shape.PropagatingVgw{}, Associations: associationShapes(s.tx, r), Routes: s.routes(r),
	}
}

func associationShapes(tx *table.Txn, r *model.RouteTable) []shape.RouteTableAssociation {
	out := []shape.RouteTableAssociation{}
	if r.Main {
		out = append(out, shape.RouteTableAssociation{
			Main: new(true), RouteTableAssociationId: new(r.MainAssociation), RouteTableId: new(r.ID), AssociationState: associated(),
		})
	}
	for a := range state.RouteTableAssociationsByTable.Rows(tx, r.Ref()) {
		s := shape.RouteTableAssociation{Main: new(false), RouteTableAssociationId: new(a.ID), RouteTableId: new(r.ID), AssociationState: associated()}
		if a.Subnet != "" {
			s.SubnetId = new(a.Subnet)
		} else {
			s.GatewayId = new(a.Gateway)
		}
		out = append(out, s)
	}
	return out
}

func associated() *shape.RouteTableAssociationState {
	return &shape.RouteTableAssociationState{State: new(shape.RouteTableAssociationStateCodeAssociated)}
}

// routes gives the local routes of a table, one for each block of its VPC, and then
// the others.
func (s shown) routes(r *model.RouteTable) []shape.Route {
	out := []shape.Route{}
	blocks := networks(s.tx, r)
	for _, p := range blocks {
		local := model.Route{Dest: p, Target: localGateway}
		if i := placeOf(r, local); i >= 0 {
			local = r.Routes[i]
		}
		out = append(out, s.route(r, local, shape.RouteOriginCreateRouteTable))
	}
	for _, route := range r.Routes {
		if !isLocal(blocks, route.Dest) {
			out = append(out, s.route(r, route, shape.RouteOriginCreateRoute))
		}
	}
	return out
}

func (s shown) route(r *model.RouteTable, route model.Route, origin string) shape.Route {
	out := shape.Route{Origin: new(origin), State: new(shape.RouteStateActive)}
	switch {
	case route.PrefixList != "":
		out.DestinationPrefixListId = new(route.PrefixList)
	case route.Dest.Addr().Is4():
		out.DestinationCidrBlock = new(route.Dest.String())
	default:
		out.DestinationIpv6CidrBlock = new(route.Dest.String())
	}
	id := route.Target
	switch kind, _, _ := strings.Cut(id, "-"); kind {
	case "eni":
		out.NetworkInterfaceId = new(id)
	case "nat":
		out.NatGatewayId = new(id)
	case "pcx":
		out.VpcPeeringConnectionId = new(id)
	case "eigw":
		out.EgressOnlyInternetGatewayId = new(id)
	default:
		out.GatewayId = new(id)
	}
	if id != localGateway && !s.leads(r, id) {
		out.State = new(shape.RouteStateBlackhole)
	}
	return out
}

// leads reports whether what a route leads to is there. Gateways to the outside are
// nothing while there is no uplink.
func (s shown) leads(r *model.RouteTable, target string) bool {
	kind, _, _ := strings.Cut(target, "-")
	return state.Leads(s.tx, r, target) && (s.outside || kind != "igw" && kind != "eigw")
}

// networks gives the blocks of a table's VPC.
func networks(tx *table.Txn, r *model.RouteTable) []netip.Prefix {
	if v, ok := state.VPCs.Get(tx, r.Account, r.Region, r.VPC); ok {
		return v.Networks()
	}
	return nil
}
