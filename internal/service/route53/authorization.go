// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"regexp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// vpcID is what ids of VPCs look like. Whether one exists is not looked at when another
// account's is authorized.
var vpcID = regexp.MustCompile(`^vpc-[0-9a-f]{8}([0-9a-f]{9})?$`)

// authorizedVPC wants a request to name what can be a VPC.
func authorizedVPC(vpc *shape.VPC) error {
	if err := checkVPC(vpc); err != nil {
		return err
	}
	if !vpcID.MatchString(*vpc.VPCId) {
		return fault.Route53("InvalidVPCId", "The VPC ID is invalid. VPC.VPCId is %q, and ids of VPCs are vpc- and 17 hexadecimal digits.", *vpc.VPCId)
	}
	return nil
}

// CreateVPCAssociationAuthorization lets the account of a VPC associate it with a zone of
// the caller's. To do it again changes nothing.
func (a *API) CreateVPCAssociationAuthorization(ctx context.Context, in *shape.CreateVPCAssociationAuthorizationInput) (*shape.CreateVPCAssociationAuthorizationOutput, error) {
	if err := authorizedVPC(in.VPC); err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	out := &shape.CreateVPCAssociationAuthorizationOutput{VPC: in.VPC}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		zone, err := findZone(tx, who, *in.HostedZoneId)
		if err != nil {
			return err
		}
		out.HostedZoneId = new(zone.ID)
		row := &model.VPCAssociationAuthorization{Account: zone.Account, Zone: zone.ID, Region: *in.VPC.VPCRegion, VPC: *in.VPC.VPCId, CreatedAt: now}
		account, region, id := row.RowKey()
		if _, ok := state.VPCAssociationAuthorizations.Get(tx, account, region, id); ok {
			return nil
		}
		if most := a.Quotas.AuthorizationsPerZone; state.VPCAssociationAuthorizationsByZone.Count(tx, zone.Ref()) >= most {
			return fault.Route53("TooManyVPCAssociationAuthorizations",
				"The hosted zone %s has %d authorizations, the most it can have. Delete those of VPCs that are associated by now.", zone.ID, most)
		}
		state.VPCAssociationAuthorizations.Put(tx, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteVPCAssociationAuthorization takes an authorization back. An association that was
// made by it stays.
func (a *API) DeleteVPCAssociationAuthorization(ctx context.Context, in *shape.DeleteVPCAssociationAuthorizationInput) (*shape.DeleteVPCAssociationAuthorizationOutput, error) {
	if err := authorizedVPC(in.VPC); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		zone, err := findZone(tx, who, *in.HostedZoneId)
		if err != nil {
			return err
		}
		id := model.VPCAssociationAuthorizationID(zone.ID, *in.VPC.VPCRegion, *in.VPC.VPCId)
		if !state.VPCAssociationAuthorizations.Delete(tx, zone.Account, "", id) {
			return fault.Route53("VPCAssociationAuthorizationNotFound", "The VPC %s in region %s is not authorized for the hosted zone %s.", *in.VPC.VPCId, *in.VPC.VPCRegion, zone.ID)
		}
		return nil
	})
	return &shape.DeleteVPCAssociationAuthorizationOutput{}, err
}

// authorizationsPerPage is how many authorizations a list gives at once.
const authorizationsPerPage = 50

// ListVPCAssociationAuthorizations lists the VPCs that are authorized for a zone.
func (a *API) ListVPCAssociationAuthorizations(ctx context.Context, in *shape.ListVPCAssociationAuthorizationsInput) (*shape.ListVPCAssociationAuthorizationsOutput, error) {
	size, err := pageSize("MaxResults", in.MaxResults, authorizationsPerPage)
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	zone, err := findZone(tx, who, *in.HostedZoneId)
	if err != nil {
		return nil, err
	}
	page := service.NewPage(who, "ListVPCAssociationAuthorizations", zone.ID, in.NextToken, new(int32(size)), authorizationsPerPage)
	rows, next, err := service.Paginate(page, state.VPCAssociationAuthorizationsByZone.Rows(tx, zone.Ref()), func(row *model.VPCAssociationAuthorization) string {
		return model.VPCAssociationAuthorizationID(row.Zone, row.Region, row.VPC)
	})
	if err != nil {
		return nil, asFault(err)
	}
	out := &shape.ListVPCAssociationAuthorizationsOutput{HostedZoneId: new(zone.ID), VPCs: []shape.VPC{}, NextToken: service.Optional(next)}
	for _, row := range rows {
		out.VPCs = append(out.VPCs, shape.VPC{VPCRegion: new(row.Region), VPCId: new(row.VPC)})
	}
	return out, nil
}
