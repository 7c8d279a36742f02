// SPDX-License-Identifier: Apache-2.0

package peering

import (
	"context"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeVpcPeeringConnections lists the connections of the caller's VPCs, for a while also
// those that have come to their end.
func (a Connections) DescribeVpcPeeringConnections(ctx context.Context, in *shape.DescribeVpcPeeringConnectionsInput) (*shape.DescribeVpcPeeringConnectionsOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.PeeringConnection]{
		Operation: "DescribeVpcPeeringConnections", Table: state.PeeringConnections, Filters: filters,
	}, request.Query{Filters: in.Filters, IDs: in.VpcPeeringConnectionIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcPeeringConnectionsOutput{NextToken: next, VpcPeeringConnections: []shape.VpcPeeringConnection{}}
	for _, p := range rows {
		out.VpcPeeringConnections = append(out.VpcPeeringConnections, *connectionShape(tx, p))
	}
	return out, nil
}

func filters(tx *table.Txn) service.Filters[*model.PeeringConnection] {
	type row = *model.PeeringConnection
	all := service.Filters[row]{Properties: map[string]func(row) []string{
		"vpc-peering-connection-id": func(p row) []string { return request.One(p.ID) },
		"status-code":               func(p row) []string { return request.One(p.Code) },
		"status-message":            func(p row) []string { return request.One(p.Message) },
		"expiration-time": func(p row) []string {
			if p.ExpiresAt.IsZero() {
				return nil
			}
			return request.One(p.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z"))
		},
	}}
	for i, side := range []string{"requester", "accepter"} {
		of := func(p row) model.PeeringSide { return p.Sides()[i] }
		all.Properties[side+"-vpc-info.owner-id"] = func(p row) []string { return request.One(of(p).Account) }
		all.Properties[side+"-vpc-info.vpc-id"] = func(p row) []string { return request.One(of(p).VPC) }
		all.Properties[side+"-vpc-info.cidr-block"] = func(p row) (blocks []string) {
			if v := shownVPC(tx, p, of(p)); v != nil {
				for _, b := range v.CIDRs {
					blocks = append(blocks, b.Prefix.String())
				}
			}
			return blocks
		}
	}
	return all
}

// shownVPC gives the VPC of a side when its blocks are shown: those of who asks always, and
// those of the other one as long as the connection is active.
func shownVPC(tx *table.Txn, p *model.PeeringConnection, s model.PeeringSide) *model.VPC {
	if s == p.Accepter && !p.Has(s) && !p.Active() {
		return nil
	}
	ref := p.VPCOf(s)
	v, ok := state.VPCs.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil
	}
	return v
}

func connectionShape(tx *table.Txn, p *model.PeeringConnection) *shape.VpcPeeringConnection {
	out := &shape.VpcPeeringConnection{
		VpcPeeringConnectionId: new(p.ID), Status: status(p.Code, p.Message), Tags: request.TagList(p.Tags),
		RequesterVpcInfo: info(tx, p, p.Requester), AccepterVpcInfo: info(tx, p, p.Accepter),
	}
	if !p.ExpiresAt.IsZero() {
		out.ExpirationTime = new(p.ExpiresAt.Truncate(time.Second))
	}
	return out
}

func status(code, message string) *shape.VpcPeeringConnectionStateReason {
	return &shape.VpcPeeringConnectionStateReason{Code: new(code), Message: new(message)}
}

func info(tx *table.Txn, p *model.PeeringConnection, s model.PeeringSide) *shape.VpcPeeringConnectionVpcInfo {
	out := &shape.VpcPeeringConnectionVpcInfo{OwnerId: new(s.Account), VpcId: new(s.VPC), Region: new(p.Region)}
	if p.Live() {
		out.PeeringOptions = &shape.VpcPeeringConnectionOptionsDescription{
			AllowDnsResolutionFromRemoteVpc:            new(s.RemoteDNS),
			AllowEgressFromLocalClassicLinkToRemoteVpc: new(false), AllowEgressFromLocalVpcToRemoteClassicLink: new(false),
		}
	}
	v := shownVPC(tx, p, s)
	if v == nil {
		return out
	}
	for i, b := range v.CIDRs {
		text := b.Prefix.String()
		if i == 0 {
			out.CidrBlock = new(text)
		}
		out.CidrBlockSet = append(out.CidrBlockSet, shape.CidrBlock{CidrBlock: new(text)})
	}
	for _, b := range v.CIDRs6 {
		out.Ipv6CidrBlockSet = append(out.Ipv6CidrBlockSet, shape.Ipv6CidrBlock{Ipv6CidrBlock: new(b.Prefix.String())})
	}
	return out
}
