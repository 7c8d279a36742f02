// SPDX-License-Identifier: Apache-2.0

// Package route is EC2's route tables: their routes, and who uses them.
package route

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Tables are the operations on route tables.
type Tables struct{ *service.Env }

// CreateRouteTable makes a route table that nothing uses yet.
func (a Tables) CreateRouteTable(ctx context.Context, in *shape.CreateRouteTableInput) (*shape.CreateRouteTableOutput, error) {
	who := access.From(ctx)
	tags, err := request.TagsFor(in.TagSpecifications, state.RouteTables.Kind())
	if err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	once := a.Idempotent(who, "CreateRouteTable", in.ClientToken, fingerprint)
	r := &model.RouteTable{Meta: request.Meta(a.Env, who, "rtb", a.Now(), tags), VPC: service.Value(in.VpcId)}
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.RouteTable, error) {
			return request.Get(tx, who, state.RouteTables, id)
		},
		func(tx *table.Txn) (*model.RouteTable, error) {
			v, err := request.Get(tx, who, state.VPCs, r.VPC)
			if err != nil {
				return nil, err
			}
			if most := a.Quotas.RouteTablesPerVPC; state.RouteTablesByVPC.Count(tx, v.Ref()) >= most {
				return nil, fault.EC2("RouteTableLimitExceeded", "The maximum number of route tables (%d) of VPC %s has been reached.", most, v.ID)
			}
			state.RouteTables.Put(tx, r)
			return r, nil
		},
		func(tx *table.Txn, made *model.RouteTable) *shape.RouteTable {
			s := a.shown(tx).table(made)
			return &s
		})
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateRouteTableOutput{RouteTable: out, ClientToken: in.ClientToken}, nil
}

// DeleteRouteTable removes a table that nothing uses, with its routes.
func (a Tables) DeleteRouteTable(ctx context.Context, in *shape.DeleteRouteTableInput) (*shape.DeleteRouteTableOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		r, err := request.Get(tx, who, state.RouteTables, service.Value(in.RouteTableId))
		if err != nil {
			return err
		}
		if r.Main {
			return fault.EC2("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted. It is the main route table of %s", r.ID, r.VPC)
		}
		if by := state.Held(tx, state.RouteTables, r); by != nil {
			return fault.EC2("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted. It is used by %s", r.ID, by)
		}
		state.RouteTables.Delete(tx, r.Account, r.Region, r.ID)
		return nil
	})
	return &shape.DeleteRouteTableOutput{}, err
}

// DescribeRouteTables lists the caller's route tables. Subnets without an association of
// their own use the main one of their VPC.
func (a Tables) DescribeRouteTables(ctx context.Context, in *shape.DescribeRouteTablesInput) (*shape.DescribeRouteTablesOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.RouteTable]{
		Operation: "DescribeRouteTables", Table: state.RouteTables, Filters: func(tx *table.Txn) service.Filters[*model.RouteTable] { return filters(a.shown(tx)) }, Others: view.OthersRouteTables,
	}, request.Query{Filters: in.Filters, IDs: in.RouteTableIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeRouteTablesOutput{NextToken: next, RouteTables: []shape.RouteTable{}}
	for _, r := range rows {
		out.RouteTables = append(out.RouteTables, a.shown(tx).table(r))
	}
	return out, nil
}

func filters(s shown) service.Filters[*model.RouteTable] {
	type row = *model.RouteTable
	routes := func(value func(shape.Route) *string) func(row) []string {
		return func(r row) (values []string) {
			for _, route := range s.routes(r) {
				values = append(values, request.One(service.Value(value(route)))...)
			}
			return values
		}
	}
	associations := func(value func(shape.RouteTableAssociation) *string) func(row) []string {
		return func(r row) (values []string) {
			for _, a := range associationShapes(s.tx, r) {
				values = append(values, request.One(service.Value(value(a)))...)
			}
			return values
		}
	}
	return service.Filters[row]{
		Properties: map[string]func(row) []string{
			"association.gateway-id": associations(func(a shape.RouteTableAssociation) *string { return a.GatewayId }),
			"association.main": func(r row) (values []string) {
				for _, a := range associationShapes(s.tx, r) {
					values = append(values, request.YesNo(*a.Main)...)
				}
				return values
			},
			"association.route-table-association-id": associations(func(a shape.RouteTableAssociation) *string { return a.RouteTableAssociationId }),
			"association.route-table-id":             associations(func(a shape.RouteTableAssociation) *string { return a.RouteTableId }),
			"association.subnet-id":                  associations(func(a shape.RouteTableAssociation) *string { return a.SubnetId }),
			"owner-id":                               func(r row) []string { return request.One(r.Account) },
			"route-table-id":                         func(r row) []string { return request.One(r.ID) },
			"route.destination-cidr-block":           routes(func(r shape.Route) *string { return r.DestinationCidrBlock }),
			"route.destination-ipv6-cidr-block":      routes(func(r shape.Route) *string { return r.DestinationIpv6CidrBlock }),
			"route.destination-prefix-list-id":       routes(func(r shape.Route) *string { return r.DestinationPrefixListId }),
			"route.egress-only-internet-gateway-id":  routes(func(r shape.Route) *string { return r.EgressOnlyInternetGatewayId }),
			"route.gateway-id":                       routes(func(r shape.Route) *string { return r.GatewayId }),
			"route.instance-id":                      routes(func(r shape.Route) *string { return r.InstanceId }),
			"route.nat-gateway-id":                   routes(func(r shape.Route) *string { return r.NatGatewayId }),
			"route.origin":                           routes(func(r shape.Route) *string { return r.Origin }),
			"route.state":                            routes(func(r shape.Route) *string { return r.State }),
			"route.transit-gateway-id":               routes(func(r shape.Route) *string { return r.TransitGatewayId }),
			"route.vpc-peering-connection-id":        routes(func(r shape.Route) *string { return r.VpcPeeringConnectionId }),
			"vpc-id":                                 func(r row) []string { return request.One(r.VPC) },
		},
	}
}

// EnableVgwRoutePropagation fails: there are no virtual private gateways to learn routes
// from.
func (a Tables) EnableVgwRoutePropagation(ctx context.Context, in *shape.EnableVgwRoutePropagationInput) (*shape.EnableVgwRoutePropagationOutput, error) {
	return nil, a.noPropagation(ctx, in.RouteTableId, in.GatewayId)
}

// DisableVgwRoutePropagation fails as EnableVgwRoutePropagation does.
func (a Tables) DisableVgwRoutePropagation(ctx context.Context, in *shape.DisableVgwRoutePropagationInput) (*shape.DisableVgwRoutePropagationOutput, error) {
	return nil, a.noPropagation(ctx, in.RouteTableId, in.GatewayId)
}

func (a Tables) noPropagation(ctx context.Context, id, gateway *string) error {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return err
	}
	if _, err := request.Get(tx, access.From(ctx), state.RouteTables, service.Value(id)); err != nil {
		return err
	}
	return fault.EC2("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", service.Value(gateway))
}
