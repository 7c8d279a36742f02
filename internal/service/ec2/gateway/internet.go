// SPDX-License-Identifier: Apache-2.0

// Package gateway is EC2's internet gateways, by which a VPC reaches what is outside, and
// its egress-only ones.
package gateway

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Gateways are the operations on both kinds of internet gateways.
type Gateways struct{ *service.Env }

// CreateInternetGateway makes a gateway that is attached to no VPC.
func (a Gateways) CreateInternetGateway(ctx context.Context, in *shape.CreateInternetGatewayInput) (*shape.CreateInternetGatewayOutput, error) {
	tags, err := request.TagsFor(in.TagSpecifications, state.InternetGateways.Kind())
	if err != nil {
		return nil, err
	}
	g := &model.InternetGateway{Meta: request.Meta(a.Env, access.From(ctx), "igw", a.Now(), tags)}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if most := a.Quotas.InternetGatewaysPerRegion; state.InternetGateways.CountScope(tx, g.Account, g.Region) >= most {
			return fault.EC2("InternetGatewayLimitExceeded", "The maximum number of internet gateways (%d) has been reached.", most)
		}
		state.InternetGateways.Put(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateInternetGatewayOutput{InternetGateway: new(internetShape(g))}, nil
}

// AttachInternetGateway gives a VPC a gateway, the only one that it has.
func (a Gateways) AttachInternetGateway(ctx context.Context, in *shape.AttachInternetGatewayInput) (*shape.AttachInternetGatewayOutput, error) {
	who := access.From(ctx)
	_, err := request.Change(ctx, a.Env, state.InternetGateways, service.Value(in.InternetGatewayId), func(tx *table.Txn, g *model.InternetGateway) error {
		v, err := request.Get(tx, who, state.VPCs, service.Value(in.VpcId))
		switch {
		case err != nil:
			return err
		case g.VPC != "":
			return fault.EC2("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.ID, g.VPC)
		case state.InternetGatewaysByVPC.Count(tx, v.Ref()) > 0:
			return fault.EC2("InvalidParameterValue", "Network %s already has an internet gateway attached", v.ID)
		}
		g.VPC = v.ID
		return nil
	})
	return &shape.AttachInternetGatewayOutput{}, err
}

// DetachInternetGateway takes a gateway from its VPC, in which nothing has a public address
// any more. Routes to it stay, and lead nowhere.
func (a Gateways) DetachInternetGateway(ctx context.Context, in *shape.DetachInternetGatewayInput) (*shape.DetachInternetGatewayOutput, error) {
	who, id := access.From(ctx), service.Value(in.VpcId)
	_, err := request.Change(ctx, a.Env, state.InternetGateways, service.Value(in.InternetGatewayId), func(tx *table.Txn, g *model.InternetGateway) error {
		if g.VPC != id { // also when the VPC is gone: clients take this for done
			return fault.EC2("Gateway.NotAttached", "resource %s is not attached to network %s", g.ID, id)
		}
		v, err := request.Get(tx, who, state.VPCs, id)
		switch {
		case err != nil:
			return err
		case mapped(tx, v):
			return fault.EC2("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", v.ID)
		}
		if by := state.Held(tx, state.InternetGateways, g); by != nil {
			return fault.EC2("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be detached: %s", g.ID, by)
		}
		g.VPC = ""
		return nil
	})
	return &shape.DetachInternetGatewayOutput{}, err
}

// mapped reports whether anything in a VPC has a public address.
func mapped(tx *table.Txn, v *model.VPC) bool {
	for e := range state.ElasticAddresses.Scope(tx, v.Account, v.Region) {
		if ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, e.Interface); ok && ni.VPC == v.ID {
			return true
		}
	}
	for ni := range state.NetworkInterfacesByVPC.Rows(tx, v.Ref()) {
		if ni.Public.IsValid() {
			return true
		}
	}
	return false
}

// DeleteInternetGateway removes a gateway that no VPC has.
func (a Gateways) DeleteInternetGateway(ctx context.Context, in *shape.DeleteInternetGatewayInput) (*shape.DeleteInternetGatewayOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := request.Get(tx, who, state.InternetGateways, service.Value(in.InternetGatewayId))
		if err != nil {
			return err
		}
		if g.VPC != "" {
			return fault.EC2("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be deleted: it is attached to %s", g.ID, g.VPC)
		}
		if by := state.Held(tx, state.InternetGateways, g); by != nil {
			return fault.EC2("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be deleted: %s", g.ID, by)
		}
		state.InternetGateways.Delete(tx, g.Account, g.Region, g.ID)
		return nil
	})
	return &shape.DeleteInternetGatewayOutput{}, err
}

// DescribeInternetGateways lists the caller's internet gateways.
func (a Gateways) DescribeInternetGateways(ctx context.Context, in *shape.DescribeInternetGatewaysInput) (*shape.DescribeInternetGatewaysOutput, error) {
	rows, _, next, err := request.Describe(ctx, a.DB, request.Listing[*model.InternetGateway]{
		Operation: "DescribeInternetGateways", Table: state.InternetGateways, Filters: internetFilters,
	}, request.Query{Filters: in.Filters, IDs: in.InternetGatewayIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeInternetGatewaysOutput{NextToken: next, InternetGateways: []shape.InternetGateway{}}
	for _, g := range rows {
		out.InternetGateways = append(out.InternetGateways, internetShape(g))
	}
	return out, nil
}

func internetFilters(*table.Txn) service.Filters[*model.InternetGateway] {
	type row = *model.InternetGateway
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"attachment.state": func(g row) []string {
			if g.VPC == "" {
				return nil
			}
			return request.One(attached)
		},
		"attachment.vpc-id":   func(g row) []string { return request.One(g.VPC) },
		"internet-gateway-id": func(g row) []string { return request.One(g.ID) },
		"owner-id":            func(g row) []string { return request.One(g.Account) },
	}}
}

// attached is how EC2 shows the state of an internet gateway that a VPC has; it is not in
// the enumeration of the model
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InternetGatewayAttachment.html).
const attached = "available"

func internetShape(g *model.InternetGateway) shape.InternetGateway {
	return shape.InternetGateway{
		InternetGatewayId: new(g.ID), OwnerId: new(g.Account), Tags: request.TagList(g.Tags), Attachments: attachments(g.VPC, attached),
	}
}

func attachments(vpc, state string) []shape.InternetGatewayAttachment {
	if vpc == "" {
		return []shape.InternetGatewayAttachment{}
	}
	return []shape.InternetGatewayAttachment{{State: new(state), VpcId: new(vpc)}}
}
