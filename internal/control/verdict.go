// SPDX-License-Identifier: Apache-2.0

package control

import (
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// writing is verdicts on their way into the tables. What several of them say in one
// status, as those on an association and on its names do, is written once.
type writing struct {
	tx       *table.Txn
	now      time.Time
	statuses map[model.Ref]*model.Status // to be put
}

func newWriting(tx *table.Txn, now time.Time) *writing {
	return &writing{tx: tx, now: now, statuses: map[model.Ref]*model.Status{}}
}

// verdict takes in a verdict: a status, or the removal of what is being deleted. A subject
// whose row is gone needs nothing.
func (w *writing) verdict(v verdict) {
	ref := v.subject.Ref
	row, ok := fateIn(w.tx, v.subject)
	switch {
	case !ok && v.subject.Kind == plan.SubjectNames: // the status is the association's
	case !ok:
		state.Statuses.Delete(w.tx, ref.Account, ref.Region, ref.ID)
	case v.id != row.id: // about a row that is no more
	case row.deleting && v.reason == "":
		if v.lets(row) && !associated(w.tx, v.subject) {
			w.end() // what goes may have something to be put
			remove(w.tx, v.subject, w.now)
			state.Statuses.Delete(w.tx, ref.Account, ref.Region, ref.ID)
		}
	default:
		w.say(v)
		if v.subject.Kind == plan.SubjectEndpoint && v.reason == "" && v.generation == row.generation {
			dropLeaving(w.tx, ref)
		}
	}
}

// dropLeaving removes the interfaces that an endpoint has given up. The data plane has let go
// of them.
func dropLeaving(tx *table.Txn, ref model.Ref) {
	ep, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok || len(ep.Leaving) == 0 {
		return
	}
	for _, id := range ep.Leaving {
		if ni, ok := state.NetworkInterfaces.Get(tx, ep.Account, ep.Region, id); ok {
			alloc.DeleteInterface(tx, ni)
		}
	}
	ep = ep.Clone()
	ep.Leaving = nil
	state.VPCEndpoints.Put(tx, ep)
}

// end puts the statuses.
func (w *writing) end() {
	for _, s := range w.statuses {
		state.Statuses.Put(w.tx, s)
	}
	clear(w.statuses)
}

// say notes what a verdict says, if the status does not say it.
func (w *writing) say(v verdict) {
	ref := statusRef(v.subject)
	s := w.statuses[ref]
	if s == nil {
		known, ok := state.Statuses.Get(w.tx, ref.Account, ref.Region, ref.ID)
		switch {
		case ok && v.said(known):
			return
		case ok:
			next := *known
			s = &next
		default:
			s = &model.Status{Account: ref.Account, Region: ref.Region, ID: ref.ID}
		}
		w.statuses[ref] = s
	}
	switch {
	case v.said(s):
	case v.subject.Kind == plan.SubjectNames:
		s.Names = model.NamesStatus{State: v.state(), Reason: v.reason, Domain: v.domain, Generation: v.generation}
	default:
		s.Established = v.reason == "" || s.Established || s.State == model.StatusReady
		s.State, s.Reason, s.Since, s.Generation, s.Revision = v.state(), v.reason, w.now, v.generation, v.revision
	}
}

// statusRef is what the status of a subject is filed under: that of an association's
// names is a part of the association's.
func statusRef(s plan.Subject) model.Ref {
	if s.Kind == plan.SubjectNames {
		return model.NamesOwner(s.Ref)
	}
	return s.Ref
}

// lets reports whether a verdict without a reason is one on the deletion that the
// row asks for.
func (v verdict) lets(row fate) bool {
	return v.deleting && v.generation == row.generation && v.id == row.id
}

// associated reports whether a resource configuration has associations or children, which
// go before it: with the last one it is judged again.
func associated(tx *table.Txn, s plan.Subject) bool {
	return s.Kind == plan.SubjectConfiguration &&
		(state.EndpointAssociationsByConfiguration.Count(tx, s.Ref) > 0 || state.ResourceConfigurationsByGroup.Count(tx, s.Ref) > 0)
}

// needed says whether carrying out a verdict would change anything.
func needed(tx *table.Txn, v verdict) bool {
	ref := statusRef(v.subject)
	status, hasStatus := state.Statuses.Get(tx, ref.Account, ref.Region, ref.ID)
	row, ok := fateIn(tx, v.subject)
	switch {
	case !ok:
		return hasStatus && v.subject.Kind != plan.SubjectNames
	case v.id != row.id:
		return false
	case row.deleting && v.reason == "":
		return v.lets(row) && !associated(tx, v.subject)
	}
	return !hasStatus || !v.said(status)
}

// said reports whether a status says what the verdict does, or more: one about a
// later generation.
func (v verdict) said(s *model.Status) bool {
	if v.subject.Kind != plan.SubjectNames {
		return s.Generation > v.generation || s.State == v.state() && s.Reason == v.reason && s.Generation == v.generation
	}
	n := s.Names
	return n.Generation > v.generation || n.State == v.state() && n.Reason == v.reason && n.Generation == v.generation && n.Domain == v.domain
}

func (v verdict) state() model.StatusState {
	if v.reason == "" {
		return model.StatusReady
	}
	return model.StatusFailed
}

// remove removes a subject's row with all that goes with it.
func remove(tx *table.Txn, s plan.Subject, now time.Time) {
	ref := s.Ref
	switch s.Kind {
	case plan.SubjectEndpoint:
		removeEndpoint(tx, ref)
	case plan.SubjectGateway:
		removeGateway(tx, ref)
	case plan.SubjectBalancer:
		removeBalancer(tx, ref)
	case plan.SubjectNAT:
		removeNAT(tx, ref, now)
	case plan.SubjectDBCluster, plan.SubjectDBInstance, plan.SubjectDBSnapshot:
		removeDatabase(tx, s)
	case plan.SubjectConfiguration:
		if row, ok := state.ResourceConfigurations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			removeConfiguration(tx, row)
		}
	case plan.SubjectAssociation:
		if row, ok := state.EndpointAssociations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			alloc.DeleteAssociation(tx, row)
		}
	case plan.SubjectPublic:
		alloc.DropPublic(tx, ref)
	case plan.SubjectAddress:
		alloc.DropReleased(tx, ref)
	case plan.SubjectAttachment:
		if row, ok := state.Attachments.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			removeAttachment(tx, row)
		}
	}
}

func removeEndpoint(tx *table.Txn, ref model.Ref) {
	alloc.DeleteOwned(tx, ref)
	for a := range state.EndpointAssociationsByEndpoint.Rows(tx, ref) {
		state.EndpointAssociations.Delete(tx, a.Account, a.Region, a.ID)
		state.Statuses.Delete(tx, a.Account, a.Region, a.ID)
	}
	if ep, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		for _, t := range ep.Targets {
			alloc.FreeTransit(tx, model.SpaceTarget, t.Index)
		}
	}
	state.VPCEndpoints.Delete(tx, ref.Account, ref.Region, ref.ID)
}

func removeGateway(tx *table.Txn, ref model.Ref) {
	alloc.DeleteOwned(tx, ref)
	state.ResourceGateways.Delete(tx, ref.Account, ref.Region, ref.ID)
}

func removeBalancer(tx *table.Txn, ref model.Ref) {
	b, ok := state.LoadBalancers.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return
	}
	for _, t := range b.Targets {
		alloc.FreeTransit(tx, model.SpaceTarget, t.Index)
	}
	alloc.DeleteOwned(tx, ref)
	state.LoadBalancers.Delete(tx, ref.Account, ref.Region, ref.ID)
}

// removeNAT leaves the row of a NAT gateway, which is shown for a while.
func removeNAT(tx *table.Txn, ref model.Ref, now time.Time) {
	alloc.DeleteOwned(tx, ref)
	if g, ok := state.NATGateways.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		g = g.Clone()
		g.GoneAt = now
		state.NATGateways.Put(tx, g)
	}
}

// removeDatabase removes a cluster with its endpoints, an instance with its interface, or
// a snapshot, and what the host has said of it.
func removeDatabase(tx *table.Txn, s plan.Subject) {
	ref := s.Ref
	switch s.Kind {
	case plan.SubjectDBCluster:
		for e := range state.DBClusterEndpointsByCluster.Rows(tx, ref) {
			state.DBClusterEndpoints.Delete(tx, e.Account, e.Region, e.ID)
		}
		state.DBClusters.Delete(tx, ref.Account, ref.Region, ref.ID)
	case plan.SubjectDBInstance:
		alloc.DeleteOwned(tx, ref)
		state.DBInstances.Delete(tx, ref.Account, ref.Region, ref.ID)
	case plan.SubjectDBSnapshot:
		state.DBSnapshots.Delete(tx, ref.Account, ref.Region, ref.ID)
	}
	state.DatabaseStates.Delete(tx, ref.Account, ref.Region, ref.ID)
}

func removeConfiguration(tx *table.Txn, rc *model.ResourceConfiguration) {
	for _, t := range rc.Targets {
		alloc.FreeTransit(tx, model.SpaceTarget, t.Index)
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
		alloc.DeleteInterface(tx, ni)
	}
}
