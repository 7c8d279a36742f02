// SPDX-License-Identifier: Apache-2.0

package control

import (
	"time"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// carryOut writes a verdict into the tables: a status, or the removal of what
// is being deleted. A subject whose row is gone needs nothing.
func carryOut(tx *table.Txn, v verdict, now time.Time) {
	ref := v.subject.Ref
	life, ok := lifeOf(tx, v.subject)
	switch {
	case !ok:
		state.Statuses.Delete(tx, ref.Account, ref.Region, ref.ID)
	case life.deleting && v.reason == "":
		if v.deleting {
			life.remove(tx)
			state.Statuses.Delete(tx, ref.Account, ref.Region, ref.ID)
		}
	default:
		writeStatus(tx, ref, v.reason, now)
	}
}

// needed says whether carrying out a verdict would change anything.
func needed(tx *table.Txn, v verdict) bool {
	ref := v.subject.Ref
	status, hasStatus := state.Statuses.Get(tx, ref.Account, ref.Region, ref.ID)
	life, ok := lifeOf(tx, v.subject)
	switch {
	case !ok:
		return hasStatus
	case life.deleting && v.reason == "":
		return v.deleting
	}
	return !hasStatus || !sameStatus(status, v.reason)
}

func sameStatus(s *model.Status, reason string) bool {
	return s.State == statusState(reason) && s.Reason == reason
}

func statusState(reason string) model.StatusState {
	if reason == "" {
		return model.StatusReady
	}
	return model.StatusFailed
}

func writeStatus(tx *table.Txn, ref model.Ref, reason string, now time.Time) {
	if known, ok := state.Statuses.Get(tx, ref.Account, ref.Region, ref.ID); ok && sameStatus(known, reason) {
		return
	}
	state.Statuses.Put(tx, &model.Status{
		Account: ref.Account, Region: ref.Region, ID: ref.ID,
		State: statusState(reason), Reason: reason, Since: now,
	})
}

// life is what a verdict must know of a subject's row.
type life struct {
	deleting bool
	remove   func(*table.Txn)
}

// deletingIn tells whether the row of a subject asks for deletion.
func deletingIn(tx *table.Txn) func(plan.Subject) bool {
	return func(s plan.Subject) bool {
		life, ok := lifeOf(tx, s)
		return ok && life.deleting
	}
}

// lifeOf finds the row of a subject; false says that there is none.
func lifeOf(tx *table.Txn, s plan.Subject) (life, bool) {
	ref := s.Ref
	switch s.Kind {
	case plan.SubjectEndpoint:
		if row, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return life{row.Deleting(), func(tx *table.Txn) { removeEndpoint(tx, ref) }}, true
		}
	case plan.SubjectGateway:
		if row, ok := state.ResourceGateways.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return life{row.Deleting(), func(tx *table.Txn) { removeGateway(tx, ref) }}, true
		}
	case plan.SubjectConfiguration:
		if row, ok := state.ResourceConfigurations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return life{row.Deleting(), func(tx *table.Txn) { removeConfiguration(tx, row) }}, true
		}
	case plan.SubjectAssociation:
		if row, ok := state.EndpointAssociations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return life{row.Deleting(), func(tx *table.Txn) {
				state.EndpointAssociations.Delete(tx, ref.Account, ref.Region, ref.ID)
			}}, true
		}
	case plan.SubjectAddress:
		if row, ok := state.AddressClaims.Get(tx, ref.Account, ref.Region, ref.ID); ok && row.Released() {
			return life{true, func(tx *table.Txn) { state.AddressClaims.Delete(tx, ref.Account, ref.Region, ref.ID) }}, true
		}
	case plan.SubjectAttachment:
		if row, ok := state.Attachments.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return life{!row.DeletedAt.IsZero(), func(tx *table.Txn) { removeAttachment(tx, row) }}, true
		}
	}
	return life{}, false
}

func removeInterfaces(tx *table.Txn, owner model.Ref) {
	for ni := range state.NetworkInterfaces.By(tx, state.ByOwner, owner.String()) {
		state.DeleteInterface(tx, ni)
	}
}

func removeEndpoint(tx *table.Txn, ref model.Ref) {
	removeInterfaces(tx, ref)
	for a := range state.EndpointAssociations.By(tx, state.ByEndpoint, ref.String()) {
		state.EndpointAssociations.Delete(tx, a.Account, a.Region, a.ID)
		state.Statuses.Delete(tx, a.Account, a.Region, a.ID)
	}
	state.VPCEndpoints.Delete(tx, ref.Account, ref.Region, ref.ID)
}

func removeGateway(tx *table.Txn, ref model.Ref) {
	removeInterfaces(tx, ref)
	state.ResourceGateways.Delete(tx, ref.Account, ref.Region, ref.ID)
}

func removeConfiguration(tx *table.Txn, rc *model.ResourceConfiguration) {
	for _, t := range rc.Targets {
		state.TransitClaims.Delete(tx, "", "", model.TransitClaimID(model.SpaceTarget, t.Index))
	}
	state.ResourceConfigurations.Delete(tx, rc.Account, rc.Region, rc.ID)
}

// removeAttachment frees the interface, and takes it along when it was made
// for the workload alone.
func removeAttachment(tx *table.Txn, a *model.Attachment) {
	state.Attachments.Delete(tx, a.Account, a.Region, a.Interface)
	if !a.DeleteOnTermination {
		return
	}
	if ni, ok := state.NetworkInterfaces.Get(tx, a.Account, a.Region, a.Interface); ok {
		state.DeleteInterface(tx, ni)
	}
}
