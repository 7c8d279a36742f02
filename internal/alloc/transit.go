// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"errors"
	"fmt"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ErrTransitFull is the cause when the transit realm has no free place.
var ErrTransitFull = errors.New("no free place in the transit realm")

// ClaimTransit takes a free place below size in a space of the transit realm
// for the owner. A claim collides with another only when both take the same
// place: the random probes read single rows. It fails with ErrTransitFull.
func (a *Allocator) ClaimTransit(tx *table.Txn, space string, size int, owner model.Ref) (int, error) {
	for range probes {
		index := a.Intn(size)
		if state.TransitClaims.Insert(tx, &model.TransitClaim{Space: space, Index: index, Owner: owner}) == nil {
			return index, nil
		}
	}
	taken := make(map[int]bool)
	for claim := range state.TransitClaimsBySpace.Rows(tx, space) {
		taken[claim.Index] = true
	}
	for index := range size {
		if !taken[index] && state.TransitClaims.Insert(tx, &model.TransitClaim{Space: space, Index: index, Owner: owner}) == nil {
			return index, nil
		}
	}
	return 0, fmt.Errorf("claim a place for %s in space %s: %w", owner.ID, space, ErrTransitFull)
}

// Lead gives the targets of a configuration or a load balancer: a place of the transit realm
// for each of some interfaces of its account, on a host.
func (a *Allocator) Lead(tx *table.Txn, owner model.Meta, interfaces []string, host int) (targets []model.TransitTarget, err error) {
	for _, id := range interfaces {
		ni, ok := state.NetworkInterfaces.Get(tx, owner.Account, owner.Region, id)
		if !ok {
			return nil, fmt.Errorf("lead to %s: interface %s does not exist", owner.ID, id)
		}
		index, err := a.ClaimTransit(tx, model.SpaceTarget, model.TargetsPerHost, owner.Ref())
		if err != nil {
			return nil, err
		}
		targets = append(targets, model.TransitTarget{Interface: id, Zone: ni.Zone, Host: host, Index: index})
	}
	return targets, nil
}

// FreeTransit gives a place of the transit realm back.
func FreeTransit(tx *table.Txn, space string, index int) {
	state.TransitClaims.Delete(tx, "", "", model.TransitClaimID(space, index))
}
