// SPDX-License-Identifier: Apache-2.0

package peering

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ModifyVpcPeeringConnectionOptions changes what a side lets the other one do. Each account
// can change those of its own VPC only.
func (a Connections) ModifyVpcPeeringConnectionOptions(ctx context.Context, in *shape.ModifyVpcPeeringConnectionOptionsInput) (*shape.ModifyVpcPeeringConnectionOptionsOutput, error) {
	asked := []*shape.PeeringConnectionOptionsRequest{in.RequesterPeeringConnectionOptions, in.AccepterPeeringConnectionOptions}
	if asked[0] == nil && asked[1] == nil {
		return nil, fault.EC2("MissingParameter", "The request must contain requesterPeeringConnectionOptions or accepterPeeringConnectionOptions")
	}
	for _, o := range asked {
		if o != nil && (service.Value(o.AllowEgressFromLocalClassicLinkToRemoteVpc) || service.Value(o.AllowEgressFromLocalVpcToRemoteClassicLink)) {
			return nil, fault.EC2("UnsupportedOperation", "ClassicLink is not available, and neither are allowEgressFromLocalClassicLinkToRemoteVpc and allowEgressFromLocalVpcToRemoteClassicLink")
		}
	}
	_, _, err := a.change(ctx, service.Value(in.VpcPeeringConnectionId), func(tx *table.Txn, p *model.PeeringConnection, now time.Time) (*model.PeeringConnection, error) {
		if !p.Active() {
			return nil, fault.EC2("OperationNotPermitted", "Peering %s is not active. Peering options can be added only to active peerings.", p.ID)
		}
		for i, s := range p.Sides() {
			if asked[i] != nil && !p.Has(s) {
				return nil, fault.EC2("OperationNotPermitted", "Account %s does not have permission to modify the options of VPC %s in peering %s: each side sets its own", p.Account, s.VPC, p.ID)
			}
		}
		return state.ChangePeering(tx, p, now, func(p *model.PeeringConnection) {
			for i, s := range []*model.PeeringSide{&p.Requester, &p.Accepter} {
				if o := asked[i]; o != nil && o.AllowDnsResolutionFromRemoteVpc != nil {
					s.RemoteDNS = *o.AllowDnsResolutionFromRemoteVpc
				}
			}
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyVpcPeeringConnectionOptionsOutput{
		RequesterPeeringConnectionOptions: changedOptions(asked[0]), AccepterPeeringConnectionOptions: changedOptions(asked[1]),
	}, nil
}

// changedOptions are those that a request has named.
func changedOptions(in *shape.PeeringConnectionOptionsRequest) *shape.PeeringConnectionOptions {
	if in == nil {
		return nil
	}
	return &shape.PeeringConnectionOptions{
		AllowDnsResolutionFromRemoteVpc:            in.AllowDnsResolutionFromRemoteVpc,
		AllowEgressFromLocalClassicLinkToRemoteVpc: in.AllowEgressFromLocalClassicLinkToRemoteVpc,
		AllowEgressFromLocalVpcToRemoteClassicLink: in.AllowEgressFromLocalVpcToRemoteClassicLink,
	}
}
