// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// InRegion finds the caller's own row in a region that the request names, for services
// that are global.
func InRegion[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], region, id string) (T, bool) {
	if who.Account == "" {
		var none T
		return none, false
	}
	return rows.Get(tx, who.Account, region, id)
}

// ZoneOf finds a hosted zone by its id, whosever it is, and says whether it is the
// caller's. Requests that join a VPC of the caller's to a zone of another account, or part
// them, need it; whoever does the first must look for that account's authorization.
func ZoneOf(tx *table.Txn, who access.View, id string) (zone *model.HostedZone, own, ok bool) {
	for z := range state.HostedZonesByID.Rows(tx, id) {
		return z, who.Owns(z.Account), true
	}
	return nil, false, false
}

// VPCIn finds what a zone has as one of its VPCs. Of a zone of another account it finds
// only the caller's.
func VPCIn(who access.View, zone *model.HostedZone, region, id string) (model.Ref, bool) {
	for _, vpc := range zone.VPCs {
		if vpc.Region == region && vpc.ID == id && (who.Owns(zone.Account) || who.Owns(vpc.Account)) {
			return vpc, true
		}
	}
	return model.Ref{}, false
}
