// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"context"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeNatGateways lists the caller's gateways, for a while also those that have failed
// or are gone.
func (a NATGateways) DescribeNatGateways(ctx context.Context, in *shape.DescribeNatGatewaysInput) (*shape.DescribeNatGatewaysOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.NATGateway]{
		Operation: "DescribeNatGateways", Table: state.NATGateways, Filters: filters,
	}, request.Query{Filters: in.Filter, IDs: in.NatGatewayIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeNatGatewaysOutput{NextToken: next, NatGateways: []shape.NatGateway{}}
	for _, g := range rows {
		out.NatGateways = append(out.NatGateways, *gatewayShape(tx, g))
	}
	return out, nil
}

func filters(tx *table.Txn) service.Filters[*model.NATGateway] {
	type row = *model.NATGateway
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"nat-gateway-id": func(g row) []string { return request.One(g.ID) },
		"state":          func(g row) []string { return request.One(standingOf(tx, g).state) },
		"subnet-id":      func(g row) []string { return request.One(g.Subnet) },
		"vpc-id":         func(g row) []string { return request.One(g.VPC) },
	}}
}

// standing is the life cycle of a gateway in the words of EC2, and the reason of a
// failure.
type standing struct{ state, code, message string }

// standingOf tells where a gateway stands. EC2 has no word for one that is being changed,
// which is available, and shows what is amiss then with the addresses.
func standingOf(tx *table.Txn, g *model.NATGateway) standing {
	switch {
	case g.Gone() && g.Deleting():
		return standing{shape.NatGatewayStateDeleted, g.FailureCode, g.FailureMessage}
	case g.Gone():
		return standing{shape.NatGatewayStateFailed, g.FailureCode, g.FailureMessage}
	}
	status := statusOf(tx, g)
	switch model.LifecycleOf(&g.Meta, status) {
	case model.Ready, model.Updating, model.UpdateFailed:
		return standing{state: shape.NatGatewayStateAvailable}
	case model.Failed:
		return standing{shape.NatGatewayStateFailed, internalError, status.Reason}
	case model.Deleting:
		return standing{state: shape.NatGatewayStateDeleting}
	case model.DeleteFailed:
		return standing{shape.NatGatewayStateDeleting, internalError, status.Reason}
	}
	return standing{state: shape.NatGatewayStatePending}
}

// internalError is the code of failures that are not the caller's.
const internalError = "InternalError"

func statusOf(tx *table.Txn, g *model.NATGateway) *model.Status {
	status, _ := state.Statuses.Get(tx, g.Account, g.Region, g.ID)
	return status
}

func gatewayShape(tx *table.Txn, g *model.NATGateway) *shape.NatGateway {
	now := standingOf(tx, g)
	out := &shape.NatGateway{
		NatGatewayId: new(g.ID), VpcId: new(g.VPC), SubnetId: new(g.Subnet), State: new(now.state), CreateTime: new(g.CreatedAt),
		FailureCode: service.Optional(now.code), FailureMessage: service.Optional(now.message),
		ConnectivityType: new(shape.ConnectivityTypePublic), AvailabilityMode: new(shape.AvailabilityModeZonal),
		NatGatewayAddresses: addressShapes(tx, g), Tags: request.TagList(g.Tags),
	}
	if g.Private {
		out.ConnectivityType = new(shape.ConnectivityTypePrivate)
	}
	if now.state == shape.NatGatewayStateDeleted {
		out.DeleteTime = new(g.GoneAt)
	}
	return out
}

// created is a gateway as the reply to its creation shows it: pending, also when it is
// known already that nothing becomes of it.
func created(tx *table.Txn, g *model.NATGateway) *shape.NatGateway {
	out := gatewayShape(tx, g)
	out.State, out.FailureCode, out.FailureMessage = new(shape.NatGatewayStatePending), nil, nil
	for i := range out.NatGatewayAddresses {
		out.NatGatewayAddresses[i].Status = new(coming(g))
	}
	return out
}

// coming is the status of an address that the data plane does not have yet.
func coming(g *model.NATGateway) string {
	if g.Private {
		return shape.NatGatewayAddressStatusAssigning
	}
	return shape.NatGatewayAddressStatusAssociating
}

// addressShapes gives the addresses of a gateway, the primary one first.
func addressShapes(tx *table.Txn, g *model.NATGateway) []shape.NatGatewayAddress {
	status := statusOf(tx, g)
	list := make([]shape.NatGatewayAddress, len(g.Addresses))
	for i, addr := range g.Addresses {
		s := shape.NatGatewayAddress{
			AllocationId: service.Optional(addr.Allocation), NetworkInterfaceId: service.Optional(g.Interface), IsPrimary: new(i == 0),
		}
		if addr.Private.IsValid() {
			s.PrivateIp = new(addr.Private.String())
		}
		if e, ok := state.ElasticAddresses.Get(tx, g.Account, g.Region, addr.Allocation); ok {
			s.PublicIp = new(e.Addr.String())
		}
		if e := elasticOf(tx, g, addr); e != nil {
			s.AssociationId = new(e.Association)
		}
		now, message := addressStatus(g, addr, status)
		s.Status, s.FailureMessage = new(now), service.Optional(message)
		list[i] = s
	}
	return list
}

// elasticOf gives the elastic address that an address of a gateway has; nil when it has
// none, or something else has it by now.
func elasticOf(tx *table.Txn, g *model.NATGateway, addr model.NATAddress) *model.ElasticAddress {
	e, ok := state.ElasticAddresses.Get(tx, g.Account, g.Region, addr.Allocation)
	if !ok || g.Interface == "" || e.Interface != g.Interface || e.Private != addr.Private {
		return nil
	}
	return e
}

// addressStatus tells in the words of EC2 what is done about an address, and why that
// does not succeed.
func addressStatus(g *model.NATGateway, addr model.NATAddress, status *model.Status) (now, message string) {
	life := model.LifecycleOf(&g.Meta, status)
	leaving := shape.NatGatewayAddressStatusDisassociating
	if g.Private {
		leaving = shape.NatGatewayAddressStatusUnassigning
	}
	switch {
	case g.FailureCode != "":
		return shape.NatGatewayAddressStatusFailed, g.FailureMessage
	case g.Gone():
		return shape.NatGatewayAddressStatusSucceeded, ""
	case g.Deleting(), addr.GivenUp():
		return leaving, ""
	case life.InError() && addr.Generation == g.Generation:
		return shape.NatGatewayAddressStatusFailed, status.Reason
	case status == nil || status.Generation < addr.Generation || life == model.Pending:
		return coming(g), ""
	}
	return shape.NatGatewayAddressStatusSucceeded, ""
}
