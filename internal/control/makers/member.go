// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Members associates the endpoints for a group with its children, and ends what is
// associated with a child or an endpoint that is being deleted. Requests do so for as many
// as their transactions take; this does the rest, and gives associations the addresses
// that they lack when there are some.
type Members struct {
	// Alloc hands out the addresses.
	Alloc *alloc.Allocator
}

// Name implements Maker.
func (Members) Name() string { return "associations with children of groups" }

// Ask implements Maker.
func (m Members) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for group := range state.ResourceGroups.Rows(tx) {
		for e := range state.VPCEndpointsByConfiguration.Rows(tx, group.Ref()) {
			m.endpoint(tx, now, e, &a)
		}
		for child := range state.ResourceConfigurationsByGroup.Rows(tx, group.Ref()) {
			if child.Deleting() {
				ending(&a, now, state.EndpointAssociationsByConfiguration.Rows(tx, child.Ref()))
			}
		}
		if len(a.Changes) >= atOnce {
			return a
		}
	}
	return a
}

// endpoint answers what is to be done for one endpoint.
func (m Members) endpoint(tx *table.Txn, now time.Time, e *model.VPCEndpoint, a *Answer) {
	if e.Deleting() {
		ending(a, now, state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()))
		return
	}
	for child := range alloc.Missing(tx, e) {
		a.Changes = append(a.Changes, m.join(now, e, child))
	}
	for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
		if row.Lack == "" {
			continue // as nearly all, and this is asked for each of a group's ways
		}
		child, ok := state.ResourceConfigurations.Get(tx, row.Configuration.Account, row.Configuration.Region, row.Configuration.ID)
		if ok && alloc.Roomier(tx, e, child) {
			a.Changes = append(a.Changes, m.join(now, e, child))
		}
	}
}

// join gives the change that associates an endpoint with a child, if both are still there
// and do not end.
func (m Members) join(now time.Time, seen *model.VPCEndpoint, child *model.ResourceConfiguration) Change {
	return Change{seen.ID + " for " + child.ID, func(tx *table.Txn) error {
		e, ok := state.VPCEndpoints.Get(tx, seen.Account, seen.Region, seen.ID)
		if !ok || e.Deleting() {
			return nil
		}
		c, ok := state.ResourceConfigurations.Get(tx, child.Account, child.Region, child.ID)
		if !ok || c.Deleting() || !alloc.Wanted(e, c) || !alloc.Allowed(tx, e) {
			return nil
		}
		return m.Alloc.Join(tx, e, c, now)
	}}
}

// ending marks associations that end with their child or endpoint.
func ending(a *Answer, now time.Time, rows func(func(*model.EndpointAssociation) bool)) {
	for row := range rows {
		if row.Deleting() {
			continue
		}
		a.Changes = append(a.Changes, Change{row.ID, still(state.EndpointAssociations, row, func(tx *table.Txn, row *model.EndpointAssociation) {
			if row.Deleting() {
				return
			}
			row = row.Clone()
			row.Delete(now)
			state.EndpointAssociations.Put(tx, row)
		})})
	}
}
