// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// GetResourceGateway tells of one gateway.
func (a *API) GetResourceGateway(ctx context.Context, in *shape.GetResourceGatewayInput) (*shape.GetResourceGatewayOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	g, err := find(tx, state.ResourceGateways, access.From(ctx), kindGateway, *in.ResourceGatewayIdentifier)
	if err != nil {
		return nil, err
	}
	state, _ := status(tx, &g.Meta)
	return &shape.GetResourceGatewayOutput{
		Name: &g.Name, Id: &g.ID, Arn: new(g.ARN()), Status: &state,
		VpcId: &g.VPC, SubnetIds: g.Subnets, SecurityGroupIds: g.Groups, ServiceManaged: new(false),
		IpAddressType: new(string(g.Family)), Ipv4AddressesPerEni: service.Optional(int32(g.AddressesPerInterface)),
		ResourceConfigDnsResolution: &g.DNSResolution,
		CreatedAt:                   &g.CreatedAt, LastUpdatedAt: lastUpdated(&g.Meta),
	}, nil
}

// ListResourceGateways lists the caller's gateways.
func (a *API) ListResourceGateways(ctx context.Context, in *shape.ListResourceGatewaysInput) (*shape.ListResourceGatewaysOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(who, "ListResourceGateways", nil, in.NextToken, in.MaxResults,
		view.All(tx, who, state.ResourceGateways))
	if err != nil {
		return nil, err
	}
	out := &shape.ListResourceGatewaysOutput{Items: []shape.ResourceGatewaySummary{}, NextToken: next}
	for _, g := range page {
		state, _ := status(tx, &g.Meta)
		out.Items = append(out.Items, shape.ResourceGatewaySummary{
			Name: &g.Name, Id: &g.ID, Arn: new(g.ARN()), Status: &state,
			VpcIdentifier: &g.VPC, SubnetIds: g.Subnets, SecurityGroupIds: g.Groups,
			IpAddressType: new(string(g.Family)), Ipv4AddressesPerEni: service.Optional(int32(g.AddressesPerInterface)),
			ResourceConfigDnsResolution: &g.DNSResolution,
			CreatedAt:                   &g.CreatedAt, LastUpdatedAt: lastUpdated(&g.Meta),
		})
	}
	return out, nil
}

// UpdateResourceGateway changes the security groups of a gateway and of its
// interfaces; nothing else of a gateway can be changed. An empty list is
// refused: to put the VPC's default group back would let out more than any
// request said.
func (a *API) UpdateResourceGateway(ctx context.Context, in *shape.UpdateResourceGatewayInput) (*shape.UpdateResourceGatewayOutput, error) {
	who, now := access.From(ctx), a.Now()
	var out *shape.UpdateResourceGatewayOutput
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := find(tx, state.ResourceGateways, who, kindGateway, *in.ResourceGatewayIdentifier)
		if err != nil {
			return err
		}
		if g.Deleting() {
			return fault.Conflict(kindGateway, g.ID, "resource gateway %s is being deleted", g.ID)
		}
		if in.SecurityGroupIds != nil {
			if len(in.SecurityGroupIds) == 0 {
				return fault.Validation("securityGroupIds", "securityGroupIds is empty; a resource gateway has at least one security group")
			}
			if g, err = a.regroup(tx, g, in.SecurityGroupIds, now); err != nil {
				return err
			}
		}
		out = updatedGateway(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (a *API) regroup(tx *table.Txn, old *model.ResourceGateway, ids []string, now time.Time) (*model.ResourceGateway, error) {
	vpc, ok := state.VPCs.Get(tx, old.Account, old.Region, old.VPC)
	if !ok {
		return nil, fault.NotFound(kindVPC, old.VPC)
	}
	groups, err := a.gatewayGroups(tx, vpc, ids)
	if err != nil {
		return nil, err
	}
	g := old.Clone()
	g.Groups = groups
	g.Update(now)
	state.ResourceGateways.Put(tx, g)
	alloc.Regroup(tx, &g.Meta, g.Interfaces, groups)
	return g, nil
}

func updatedGateway(tx *table.Txn, g *model.ResourceGateway) *shape.UpdateResourceGatewayOutput {
	state, _ := status(tx, &g.Meta)
	return &shape.UpdateResourceGatewayOutput{
		Name: &g.Name, Id: &g.ID, Arn: new(g.ARN()), Status: &state,
		VpcId: &g.VPC, SubnetIds: g.Subnets, SecurityGroupIds: g.Groups, IpAddressType: new(string(g.Family)),
	}
}

// DeleteResourceGateway starts the deletion of a gateway that has no resource
// configurations. Deleting it again changes nothing.
func (a *API) DeleteResourceGateway(ctx context.Context, in *shape.DeleteResourceGatewayInput) (*shape.DeleteResourceGatewayOutput, error) {
	return remove(ctx, a, state.ResourceGateways, kindGateway, *in.ResourceGatewayIdentifier, own(state.ResourceGateways, kindGateway), nil,
		func(_ *table.Txn, g *model.ResourceGateway) *shape.DeleteResourceGatewayOutput {
			return &shape.DeleteResourceGatewayOutput{
				Id: &g.ID, Arn: new(g.ARN()), Name: &g.Name,
				Status: new(shape.ResourceGatewayStatusDeleteInProgress),
			}
		})
}
