// SPDX-License-Identifier: Apache-2.0

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

// AssociateRouteTable has a subnet use a table, or what comes in by an internet gateway.
func (a Tables) AssociateRouteTable(ctx context.Context, in *shape.AssociateRouteTableInput) (*shape.AssociateRouteTableOutput, error) {
	who := access.From(ctx)
	switch {
	case in.PublicIpv4Pool != nil:
		return nil, request.Unserved("associations of route tables with public IPv4 pools")
	case in.SubnetId == nil && in.GatewayId == nil:
		return nil, fault.EC2("MissingParameter", "Either 'subnetId' or 'gatewayId' should be provided.")
	case in.SubnetId != nil && in.GatewayId != nil:
		return nil, fault.EC2("InvalidParameterCombination", "The parameters subnetId and gatewayId exclude each other")
	}
	row := &model.RouteTableAssociation{
		Account: who.Account, Region: who.Region, ID: a.NewID("rtbassoc"), Table: service.Value(in.RouteTableId),
		Subnet: service.Value(in.SubnetId), Gateway: service.Value(in.GatewayId),
	}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		r, err := request.Get(tx, who, state.RouteTables, row.Table)
		if err != nil {
			return err
		}
		if err := mayUse(tx, who, r, row); err != nil {
			return err
		}
		if used(tx, row) {
			return fault.EC2("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", r.ID)
		}
		state.RouteTableAssociations.Put(tx, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.AssociateRouteTableOutput{AssociationId: new(row.ID), AssociationState: associated()}, nil
}

// mayUse sees that what an association is for is in the VPC of a table, and that the
// table is good for it.
func mayUse(tx *table.Txn, who access.View, r *model.RouteTable, a *model.RouteTableAssociation) error {
	if a.Subnet != "" {
		s, err := request.Get(tx, who, state.Subnets, a.Subnet)
		if err == nil && s.VPC != r.VPC {
			err = fault.EC2("InvalidParameterValue", "Route table %s and subnet %s belong to different networks", r.ID, s.ID)
		}
		return err
	}
	g, ok := view.Get(tx, who, state.InternetGateways, a.Gateway)
	switch {
	case !ok:
		return fault.EC2("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", a.Gateway)
	case g.VPC != r.VPC:
		return fault.EC2("InvalidParameterValue", "Route table %s and network gateway %s belong to different networks", r.ID, g.ID)
	}
	return edgeRoutes(tx, r, g.ID)
}

// used reports whether the subnet or gateway of an association has one already.
func used(tx *table.Txn, a *model.RouteTableAssociation) bool {
	if a.Subnet != "" {
		return state.RouteTableAssociationsBySubnet.Count(tx, a.Sibling(a.Subnet)) > 0
	}
	return state.RouteTableAssociationsByGateway.Count(tx, a.Sibling(a.Gateway)) > 0
}

// DisassociateRouteTable has a subnet use the main table again, or a gateway none. The
// main association stays.
func (a Tables) DisassociateRouteTable(ctx context.Context, in *shape.DisassociateRouteTableInput) (*shape.DisassociateRouteTableOutput, error) {
	who, id := access.From(ctx), service.Value(in.AssociationId)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		if r := mainBy(tx, who, id); r != nil {
			return fault.EC2("InvalidParameterValue", "cannot disassociate the main route table association %s", id)
		}
		row, ok := view.Get(tx, who, state.RouteTableAssociations, id)
		if !ok {
			return noAssociation(id)
		}
		state.RouteTableAssociations.Delete(tx, row.Account, row.Region, row.ID)
		return nil
	})
	return &shape.DisassociateRouteTableOutput{}, err
}

func noAssociation(id string) error {
	return fault.EC2("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

// mainBy finds the table whose main association has an id; nil when none has.
func mainBy(tx *table.Txn, who access.View, id string) *model.RouteTable {
	for r := range view.All(tx, who, state.RouteTables) {
		if r.Main && r.MainAssociation == id {
			return r
		}
	}
	return nil
}

// ReplaceRouteTableAssociation has a subnet or gateway use another table, or makes another
// table the main one. The association has a new id.
func (a Tables) ReplaceRouteTableAssociation(ctx context.Context, in *shape.ReplaceRouteTableAssociationInput) (*shape.ReplaceRouteTableAssociationOutput, error) {
	who, id, next := access.From(ctx), service.Value(in.AssociationId), a.NewID("rtbassoc")
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		r, err := request.Get(tx, who, state.RouteTables, service.Value(in.RouteTableId))
		if err != nil {
			return err
		}
		if was := mainBy(tx, who, id); was != nil {
			return moveMain(tx, was, r, next)
		}
		row, ok := view.Get(tx, who, state.RouteTableAssociations, id)
		if !ok {
			return noAssociation(id)
		}
		if err := mayUse(tx, who, r, row); err != nil {
			return err
		}
		state.RouteTableAssociations.Delete(tx, row.Account, row.Region, row.ID)
		row = row.Clone()
		row.ID, row.Table = next, r.ID
		state.RouteTableAssociations.Put(tx, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ReplaceRouteTableAssociationOutput{NewAssociationId: new(next), AssociationState: associated()}, nil
}

// moveMain makes another table of a VPC the main one.
func moveMain(tx *table.Txn, was, now *model.RouteTable, association string) error {
	if was.VPC != now.VPC {
		return fault.EC2("InvalidParameterValue", "Route table %s and route table %s belong to different networks", now.ID, was.ID)
	}
	v, ok := state.VPCs.Get(tx, was.Account, was.Region, was.VPC)
	if !ok {
		return request.Unknown(state.VPCs.Kind(), was.VPC)
	}
	was = was.Clone()
	was.Main, was.MainAssociation = false, ""
	state.RouteTables.Put(tx, was)
	if now.ID == was.ID {
		now = was
	}
	now, v = now.Clone(), v.Clone()
	now.Main, now.MainAssociation, v.MainTable = true, association, now.ID
	state.RouteTables.Put(tx, now)
	state.VPCs.Put(tx, v)
	return nil
}
