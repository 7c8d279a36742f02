// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func vpcShape(ref model.Ref) *shape.VPC {
	return &shape.VPC{VPCRegion: new(ref.Region), VPCId: new(ref.ID)}
}

// checkVPC wants a request to name a VPC wholly.
func checkVPC(vpc *shape.VPC) error {
	switch {
	case service.Value(vpc.VPCId) == "":
		return invalidInput("VPC.VPCId is required.")
	case service.Value(vpc.VPCRegion) == "":
		return invalidInput("VPC.VPCRegion is required: the region that %s is in.", *vpc.VPCId)
	}
	return nil
}

// ownVPC finds a VPC of the caller's.
func ownVPC(tx *table.Txn, who access.View, vpc *shape.VPC) (model.Ref, error) {
	if err := checkVPC(vpc); err != nil {
		return model.Ref{}, err
	}
	row, ok := view.InRegion(tx, who, state.VPCs, *vpc.VPCRegion, *vpc.VPCId)
	if !ok {
		return model.Ref{}, invalidVPC(vpc)
	}
	return row.Ref(), nil
}

func invalidVPC(vpc *shape.VPC) error {
	return fault.Route53("InvalidVPCId", "The VPC ID is invalid. Your account has no VPC %s in region %s.", *vpc.VPCId, *vpc.VPCRegion)
}

// checkConflict wants a VPC to see no other zone of the same name, nor this one already. What
// an endpoint's private DNS has there is such a zone.
func (a *API) checkConflict(tx *table.Txn, zone *model.HostedZone, vpc model.Ref) error {
	for other := range state.HostedZonesByVPC.Rows(tx, vpc) {
		if other.Name == zone.Name {
			return fault.Route53("ConflictingDomainExists",
				"The VPC %s in region %s has already been associated with the hosted zone %s with the same domain name.", vpc.ID, vpc.Region, other.ID)
		}
	}
	if e, taken := state.PrivateZoneIn(tx, a.Naming(), vpc, zone.Name, ""); taken {
		return fault.Route53("ConflictingDomainExists",
			"The VPC %s in region %s has already been associated with the hosted zone of the private DNS of VPC endpoint %s with the same domain name.", vpc.ID, vpc.Region, e.ID)
	}
	return nil
}

// AssociateVPCWithHostedZone lets a VPC of the caller's see a zone: its own, or another
// account's that has authorized it.
func (a *API) AssociateVPCWithHostedZone(ctx context.Context, in *shape.AssociateVPCWithHostedZoneInput) (*shape.AssociateVPCWithHostedZoneOutput, error) {
	who := access.From(ctx)
	change := a.newChange(who, in.Comment)
	var out *shape.AssociateVPCWithHostedZoneOutput
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		zone, vpc, err := a.association(tx, who, bareID(zonePrefix, *in.HostedZoneId), in.VPC)
		if err != nil {
			return err
		}
		zone = zone.Clone()
		zone.VPCs, zone.UpdatedAt = append(zone.VPCs, vpc), a.Now()
		state.HostedZones.Put(tx, zone)
		change.Zone = zone.Ref()
		state.ZoneChanges.Put(tx, change)
		out = &shape.AssociateVPCWithHostedZoneOutput{ChangeInfo: changeShape(tx, change)}
		return nil
	})
	return out, err
}

// association finds what is to be associated, and holds it against the rules. A zone of
// another account that has not authorized it is answered as one that is not there, so that
// nobody learns of others' zones.
func (a *API) association(tx *table.Txn, who access.View, id string, in *shape.VPC) (*model.HostedZone, model.Ref, error) {
	vpc, err := ownVPC(tx, who, in)
	if err != nil {
		return nil, vpc, err
	}
	zone, own, ok := view.ZoneOf(tx, who, id)
	if ok && !own {
		_, ok = state.VPCAssociationAuthorizations.Get(tx, zone.Account, "", model.VPCAssociationAuthorizationID(zone.ID, vpc.Region, vpc.ID))
	}
	if !ok {
		return nil, vpc, fault.Route53("NotAuthorizedException",
			"The VPC: %s has not authorized to associate with your hosted zone. Your account has no hosted zone %s; the account that has it must authorize it with CreateVPCAssociationAuthorization.", vpc.ID, id)
	}
	if most := a.Quotas.VPCsPerZone; len(zone.VPCs) >= most {
		return nil, vpc, fault.Route53("LimitsExceeded", "The hosted zone %s is associated with %d VPCs, the most it can be.", zone.ID, most)
	}
	return zone, vpc, a.checkConflict(tx, zone, vpc)
}

// DisassociateVPCFromHostedZone ends that a VPC sees a zone, for the account of either.
func (a *API) DisassociateVPCFromHostedZone(ctx context.Context, in *shape.DisassociateVPCFromHostedZoneInput) (*shape.DisassociateVPCFromHostedZoneOutput, error) {
	if err := checkVPC(in.VPC); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	change := a.newChange(who, in.Comment)
	var out *shape.DisassociateVPCFromHostedZoneOutput
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		id := bareID(zonePrefix, *in.HostedZoneId)
		zone, own, ok := view.ZoneOf(tx, who, id)
		if !ok {
			return noSuchZone(id)
		}
		vpc, ok := view.VPCIn(who, zone, *in.VPC.VPCRegion, *in.VPC.VPCId)
		if !ok && !own {
			return noSuchZone(id) // it is not told that another account has one
		}
		if !ok {
			return fault.Route53("VPCAssociationNotFound", "The VPC %s in region %s is not associated with the hosted zone %s.", *in.VPC.VPCId, *in.VPC.VPCRegion, zone.ID)
		}
		if len(zone.VPCs) == 1 {
			return fault.Route53("LastVPCAssociation",
				"The VPC %s is the last one that is associated with the hosted zone %s, which must have one. Associate another VPC first, or delete the hosted zone.", vpc.ID, zone.ID)
		}
		zone = zone.Clone()
		zone.VPCs, zone.UpdatedAt = slices.DeleteFunc(zone.VPCs, func(ref model.Ref) bool { return ref == vpc }), a.Now()
		state.HostedZones.Put(tx, zone)
		change.Zone = zone.Ref()
		state.ZoneChanges.Put(tx, change)
		out = &shape.DisassociateVPCFromHostedZoneOutput{ChangeInfo: changeShape(tx, change)}
		return nil
	})
	return out, err
}
