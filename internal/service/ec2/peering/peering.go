// SPDX-License-Identifier: Apache-2.0

// Package peering is EC2's VPC peering connections.
package peering

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

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

// Connections are the operations on VPC peering connections.
type Connections struct{ *service.Env }

// CreateVpcPeeringConnection asks the owner of another VPC to peer it with one of the
// caller's. What is wrong with the other one makes the connection fail and is no error of
// the request, as on AWS: who asks is not told what others have.
func (a Connections) CreateVpcPeeringConnection(ctx context.Context, in *shape.CreateVpcPeeringConnectionInput) (*shape.CreateVpcPeeringConnectionOutput, error) {
	who := access.From(ctx)
	tags, err := request.TagsFor(in.TagSpecifications, shape.ResourceTypeVpcPeeringConnection)
	switch region := service.Value(in.PeerRegion); {
	case err != nil:
		return nil, err
	case service.Value(in.VpcId) == "":
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter vpcId")
	case service.Value(in.PeerVpcId) == "":
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter peerVpcId")
	case region != "" && region != who.Region:
		return nil, fault.EC2("UnsupportedOperation", "PeerRegion %s is not the region of the request, %s; VPCs of different regions cannot be peered here", region, who.Region)
	}
	now := a.Now()
	p := &model.PeeringConnection{
		Meta:      request.Meta(a.Env, who, "pcx", now, tags),
		Requester: model.PeeringSide{Account: who.Account, VPC: *in.VpcId},
		Accepter:  model.PeeringSide{Account: cmp.Or(service.Value(in.PeerOwnerId), who.Account), VPC: *in.PeerVpcId},
	}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error { return a.create(tx, who, p.Clone(), now) })
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	p.Code, p.ExpiresAt = model.PeeringPending, now.Add(model.PeeringPatience)
	out := connectionShape(tx, p)
	out.Status = status(shape.VpcPeeringConnectionStateReasonCodeInitiatingRequest, "Initiating Request to "+p.Accepter.Account)
	return &shape.CreateVpcPeeringConnectionOutput{VpcPeeringConnection: out}, nil
}

func (a Connections) create(tx *table.Txn, who access.View, p *model.PeeringConnection, now time.Time) error {
	own, err := request.Get(tx, who, state.VPCs, p.Requester.VPC)
	switch {
	case err != nil:
		return err
	case p.VPCOf(p.Accepter) == own.Ref():
		return fault.EC2("InvalidParameterValue", "VPC %s cannot be peered with itself: peerVpcId must be another VPC", own.ID)
	}
	requests := 0
	for other := range state.PeeringConnectionsByParty.Rows(tx, own.Ref()) {
		peer, _ := other.Across(own.Ref())
		if other.Live() && peer == p.VPCOf(p.Accepter) {
			return fault.EC2("VpcPeeringConnectionAlreadyExists", "VPC peering connection %s between %s and %s already exists, and is %s.", other.ID, own.ID, peer.ID, other.Code)
		}
		if other.Code == model.PeeringPending && other.Requester.VPC == own.ID {
			requests++
		}
	}
	if most := a.Quotas.PeeringRequestsPerVPC; requests >= most {
		return fault.EC2("OutstandingVpcPeeringConnectionLimitExceeded", "VPC %s has %d VPC peering connection requests that wait, and can have no more.", own.ID, most)
	}
	if !fits(tx, p) {
		fail(p, now)
		state.PeeringConnections.Put(tx, p)
		return nil
	}
	p.Code, p.Message = model.PeeringPending, "Pending Acceptance by "+p.Accepter.Account
	p.ExpiresAt = now.Add(model.PeeringPatience)
	state.PeeringConnections.Put(tx, p)
	if !p.IsAsked() {
		theirs := p.Clone()
		theirs.Account, theirs.Tags = p.Accepter.Account, nil
		state.PeeringConnections.Put(tx, theirs)
	}
	return nil
}

// fits reports whether both VPCs exist and have no addresses in common.
func fits(tx *table.Txn, p *model.PeeringConnection) bool {
	var vpcs [2]*model.VPC
	for i, s := range p.Sides() {
		ref, there := p.VPCOf(s), false
		if vpcs[i], there = state.VPCs.Get(tx, ref.Account, ref.Region, ref.ID); !there {
			return false
		}
	}
	return !slices.ContainsFunc(vpcs[0].Networks(), func(own netip.Prefix) bool {
		_, overlaps := block.Overlapping(slices.Concat(vpcs[1].CIDRs, vpcs[1].CIDRs6), own)
		return overlaps
	})
}

// fail makes a connection one that cannot be, in the words of AWS, which do not say why.
func fail(p *model.PeeringConnection, now time.Time) {
	p.End(model.PeeringFailed, "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range", "", now)
}

// AcceptVpcPeeringConnection makes a connection active that somebody has asked the caller for.
func (a Connections) AcceptVpcPeeringConnection(ctx context.Context, in *shape.AcceptVpcPeeringConnectionInput) (*shape.AcceptVpcPeeringConnectionOutput, error) {
	p, tx, err := a.change(ctx, service.Value(in.VpcPeeringConnectionId), func(tx *table.Txn, p *model.PeeringConnection, now time.Time) (*model.PeeringConnection, error) {
		if err := answerable(p, "accepted"); err != nil {
			return nil, err
		}
		if !fits(tx, p) { // any more
			return state.ChangePeering(tx, p, now, func(p *model.PeeringConnection) { fail(p, now) }), nil
		}
		for _, s := range p.Sides() {
			most, active := a.Quotas.PeeringConnectionsPerVPC, 0
			for range state.PeersOf(tx, p.VPCOf(s)) {
				active++
			}
			if active >= most {
				return nil, fault.EC2("ActiveVpcPeeringConnectionPerVpcLimitExceeded", "VPC %s has %d active VPC peering connections, and can have no more.", s.VPC, most)
			}
		}
		return state.ChangePeering(tx, p, now, func(p *model.PeeringConnection) {
			p.Code, p.Message, p.ExpiresAt = model.PeeringActive, "Active", time.Time{}
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.AcceptVpcPeeringConnectionOutput{VpcPeeringConnection: connectionShape(tx, p)}, nil
}

// answerable sees that a connection is a request, and the caller the one who is asked.
func answerable(p *model.PeeringConnection, what string) error {
	switch {
	case !p.IsAsked():
		return fault.EC2("OperationNotPermitted", "VPC peering connection %s can be %s only by the owner of the accepter VPC, account %s", p.ID, what, p.Accepter.Account)
	case p.Code != model.PeeringPending:
		return wrongState(p, what)
	}
	return nil
}

func wrongState(p *model.PeeringConnection, what string) error {
	return fault.EC2("InvalidStateTransition", "VPC peering connection %s is in the state %s, and cannot be %s", p.ID, p.Code, what)
}

// RejectVpcPeeringConnection turns a request down.
func (a Connections) RejectVpcPeeringConnection(ctx context.Context, in *shape.RejectVpcPeeringConnectionInput) (*shape.RejectVpcPeeringConnectionOutput, error) {
	_, _, err := a.change(ctx, service.Value(in.VpcPeeringConnectionId), func(tx *table.Txn, p *model.PeeringConnection, now time.Time) (*model.PeeringConnection, error) {
		if err := answerable(p, "rejected"); err != nil {
			return nil, err
		}
		by := p.Account
		return state.ChangePeering(tx, p, now, func(p *model.PeeringConnection) { p.End(model.PeeringRejected, "Rejected by "+by, by, now) }), nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.RejectVpcPeeringConnectionOutput{Return: new(true)}, nil
}

// DeleteVpcPeeringConnection ends a connection, which either side can do, or takes a request
// back. Routes to it stay, and lead nowhere.
func (a Connections) DeleteVpcPeeringConnection(ctx context.Context, in *shape.DeleteVpcPeeringConnectionInput) (*shape.DeleteVpcPeeringConnectionOutput, error) {
	_, _, err := a.change(ctx, service.Value(in.VpcPeeringConnectionId), func(tx *table.Txn, p *model.PeeringConnection, now time.Time) (*model.PeeringConnection, error) {
		requested := p.Code == model.PeeringPending && p.Asks()
		if !p.Active() && !requested {
			return nil, wrongState(p, "deleted")
		}
		by := p.Account
		return state.ChangePeering(tx, p, now, func(p *model.PeeringConnection) { p.End(model.PeeringDeleted, "Deleted by "+by, by, now) }), nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteVpcPeeringConnectionOutput{Return: new(true)}, nil
}

// change changes both rows of a connection of the caller's, and gives the caller's with the
// view of the tables behind that.
func (a Connections) change(ctx context.Context, id string, with func(*table.Txn, *model.PeeringConnection, time.Time) (*model.PeeringConnection, error)) (changed *model.PeeringConnection, tx *table.Txn, err error) {
	who, now := access.From(ctx), a.Now()
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		p, err := request.Get(tx, who, state.PeeringConnections, id)
		if err != nil {
			return err
		}
		changed, err = with(tx, p, now)
		return err
	})
	if err == nil {
		tx, err = a.DB.View(ctx)
	}
	return changed, tx, err
}
