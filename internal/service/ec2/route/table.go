// SPDX-License-Identifier: Apache-2.0

// Package route is EC2's route tables.
package route

import (
	"context"
	"net/netip"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Tables are the operations on route tables.
type Tables struct{ *service.Env }

// localGateway is the target of the routes that every table has: those to the
// VPC's own blocks.
const localGateway = "local"

// DescribeRouteTables lists the caller's route tables, which are the main ones
// of VPCs: no others can be made yet. All subnets use them without an
// association of their own.
func (a Tables) DescribeRouteTables(ctx context.Context, in *shape.DescribeRouteTablesInput) (*shape.DescribeRouteTablesOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.RouteTable]{
		Operation: "DescribeRouteTables", Table: state.RouteTables, Filters: routeTableFilters,
	}, request.Query{Filters: in.Filters, IDs: in.RouteTableIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeRouteTablesOutput{NextToken: next, RouteTables: []shape.RouteTable{}}
	for _, r := range rows {
		out.RouteTables = append(out.RouteTables, routeTableShape(r, networks(tx, &r.Meta, r.VPC)))
	}
	return out, nil
}

// networks gives the blocks of a VPC that something with this meta belongs to.
func networks(tx *table.Txn, m *model.Meta, vpc string) []netip.Prefix {
	if v, ok := state.VPCs.Get(tx, m.Account, m.Region, vpc); ok {
		return v.Networks()
	}
	return nil
}

func routeTableFilters(tx *table.Txn) service.Filters[*model.RouteTable] {
	type row = *model.RouteTable
	none := func(row) []string { return nil }
	routes := func(four bool) func(row) []string {
		return func(r row) []string {
			var blocks []string
			for _, p := range networks(tx, &r.Meta, r.VPC) {
				if p.Addr().Is4() == four {
					blocks = append(blocks, p.String())
				}
			}
			return blocks
		}
	}
	return service.Filters[row]{
		Properties: map[string]func(row) []string{
			"association.gateway-id":                 none,
			"association.main":                       func(r row) []string { return request.YesNo(r.Main) },
			"association.route-table-association-id": func(r row) []string { return request.One(r.MainAssociation) },
			"association.route-table-id":             func(r row) []string { return request.One(r.ID) },
			"association.subnet-id":                  none,
			"owner-id":                               func(r row) []string { return request.One(r.Account) },
			"route-table-id":                         func(r row) []string { return request.One(r.ID) },
			"route.destination-cidr-block":           routes(true),
			"route.destination-ipv6-cidr-block":      routes(false),
			"route.destination-prefix-list-id":       none,
			"route.egress-only-internet-gateway-id":  none,
			"route.gateway-id":                       func(row) []string { return request.One(localGateway) },
			"route.instance-id":                      none,
			"route.nat-gateway-id":                   none,
			"route.origin":                           func(row) []string { return request.One(shape.RouteOriginCreateRouteTable) },
			"route.state":                            func(row) []string { return request.One(shape.RouteStateActive) },
			"route.transit-gateway-id":               none,
			"route.vpc-peering-connection-id":        none,
			"vpc-id":                                 func(r row) []string { return request.One(r.VPC) },
		},
	}
}

func routeTableShape(r *model.RouteTable, blocks []netip.Prefix) shape.RouteTable {
	out := shape.RouteTable{
		RouteTableId: new(r.ID), VpcId: new(r.VPC), OwnerId: new(r.Account), Tags: request.TagList(r.Tags),
		PropagatingVgws: []shape.PropagatingVgw{}, Associations: []shape.RouteTableAssociation{},
	}
	if r.Main {
		out.Associations = append(out.Associations, shape.RouteTableAssociation{
			Main: new(true), RouteTableAssociationId: new(r.MainAssociation), RouteTableId: new(r.ID),
			AssociationState: &shape.RouteTableAssociationState{State: new(shape.RouteTableAssociationStateCodeAssociated)},
		})
	}
	for _, p := range blocks {
		route := shape.Route{
			GatewayId: new(localGateway), Origin: new(shape.RouteOriginCreateRouteTable), State: new(shape.RouteStateActive),
		}
		if p.Addr().Is4() {
			route.DestinationCidrBlock = new(p.String())
		} else {
			route.DestinationIpv6CidrBlock = new(p.String())
		}
		out.Routes = append(out.Routes, route)
	}
	return out
}
