// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"slices"

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

// CreateEgressOnlyInternetGateway gives a VPC a gateway by which it reaches what is
// outside by IPv6, and nobody reaches it. A VPC has one at most.
func (a Gateways) CreateEgressOnlyInternetGateway(ctx context.Context, in *shape.CreateEgressOnlyInternetGatewayInput) (*shape.CreateEgressOnlyInternetGatewayOutput, error) {
	who := access.From(ctx)
	tags, err := request.TagsFor(in.TagSpecifications, state.EgressOnlyGateways.Kind())
	if err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	g := &model.EgressOnlyGateway{Meta: request.Meta(a.Env, who, "eigw", a.Now(), tags)}
	once := a.Idempotent(who, "CreateEgressOnlyInternetGateway", in.ClientToken, fingerprint)
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.EgressOnlyGateway, error) {
			return request.Get(tx, who, state.EgressOnlyGateways, id)
		},
		func(tx *table.Txn) (*model.EgressOnlyGateway, error) {
			v, err := request.Get(tx, who, state.VPCs, service.Value(in.VpcId))
			switch most := a.Quotas.EgressOnlyGatewaysPerRegion; {
			case err != nil:
				return nil, err
			case state.EgressOnlyGatewaysByVPC.Count(tx, v.Ref()) > 0:
				return nil, fault.EC2("InvalidParameterValue", "Network %s already has an egress-only internet gateway attached", v.ID)
			case state.EgressOnlyGateways.CountScope(tx, g.Account, g.Region) >= most:
				return nil, fault.EC2("EgressOnlyInternetGatewayLimitExceeded", "The maximum number of egress-only internet gateways (%d) has been reached.", most)
			}
			made := g.Clone()
			made.VPC = v.ID
			state.EgressOnlyGateways.Put(tx, made)
			return made, nil
		},
		func(_ *table.Txn, g *model.EgressOnlyGateway) *shape.EgressOnlyInternetGateway {
			return new(egressShape(g))
		})
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateEgressOnlyInternetGatewayOutput{EgressOnlyInternetGateway: out, ClientToken: in.ClientToken}, nil
}

// DeleteEgressOnlyInternetGateway removes a gateway. Routes to it stay, and lead nowhere.
func (a Gateways) DeleteEgressOnlyInternetGateway(ctx context.Context, in *shape.DeleteEgressOnlyInternetGatewayInput) (*shape.DeleteEgressOnlyInternetGatewayOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := request.Get(tx, who, state.EgressOnlyGateways, service.Value(in.EgressOnlyInternetGatewayId))
		if err != nil {
			return err
		}
		state.EgressOnlyGateways.Delete(tx, g.Account, g.Region, g.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteEgressOnlyInternetGatewayOutput{ReturnCode: new(true)}, nil
}

// DescribeEgressOnlyInternetGateways lists the caller's egress-only gateways. Ids that do
// not exist are left out, as AWS does.
func (a Gateways) DescribeEgressOnlyInternetGateways(ctx context.Context, in *shape.DescribeEgressOnlyInternetGatewaysInput) (*shape.DescribeEgressOnlyInternetGatewaysOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.EgressOnlyGateway
	rows := request.Taken(view.All(tx, who, state.EgressOnlyGateways), func(g row) bool {
		return len(in.EgressOnlyInternetGatewayIds) == 0 || slices.Contains(in.EgressOnlyInternetGatewayIds, g.ID)
	})
	page, next, err := request.Paginate(who, "DescribeEgressOnlyInternetGateways",
		request.Query{Filters: in.Filters, IDs: in.EgressOnlyInternetGatewayIds, Token: in.NextToken, Max: in.MaxResults},
		rows, service.Filters[row]{Tags: func(g row) map[string]string { return g.Tags }}, func(g row) string { return g.ID })
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeEgressOnlyInternetGatewaysOutput{NextToken: next, EgressOnlyInternetGateways: []shape.EgressOnlyInternetGateway{}}
	for _, g := range page {
		out.EgressOnlyInternetGateways = append(out.EgressOnlyInternetGateways, egressShape(g))
	}
	return out, nil
}

func egressShape(g *model.EgressOnlyGateway) shape.EgressOnlyInternetGateway {
	return shape.EgressOnlyInternetGateway{
		EgressOnlyInternetGatewayId: new(g.ID), Tags: request.TagList(g.Tags), Attachments: attachments(g.VPC, shape.AttachmentStatusAttached),
	}
}
