// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Bounds of one commit: a status is at most three operations. How many a removal needs is
// not known before; an external etcd takes 128 by default.
const (
	statusOperations  = 3
	removalsPerCommit = 64
	claimsPerCommit   = 24
	// interfacesPerCommit have some ten keys each.
	interfacesPerCommit = 4
)

// write carries verdicts out, removals first, and gives those that it could not.
func (c *Controller) write(ctx context.Context, verdicts map[plan.Subject]verdict) (map[plan.Subject]verdict, error) {
	tx := c.cfg.DB.Snapshot()
	var statuses, removals []verdict
	for _, v := range verdicts {
		row, ok := fateIn(tx, v.subject)
		switch {
		case !needed(tx, v):
		case !ok || !row.deleting:
			statuses = append(statuses, v)
		default:
			removals = append(removals, v)
		}
	}
	left := map[plan.Subject]verdict{}
	var errs []error
	for _, work := range []struct {
		verdicts []verdict
		size     int
	}{{removals, removalsPerCommit}, {statuses, max(1, c.cfg.DB.Room()/statusOperations)}} {
		for chunk := range slices.Chunk(work.verdicts, work.size) {
			failed, err := c.commit(ctx, chunk)
			maps.Copy(left, failed)
			errs = append(errs, err)
		}
	}
	return left, errors.Join(errs...)
}

// commit writes some verdicts together. When the store does not take that, it
// writes each alone, so that one holds up none of the others.
func (c *Controller) commit(ctx context.Context, verdicts []verdict) (left map[plan.Subject]verdict, err error) {
	err = table.UpdateInParts(ctx, c.cfg.DB.UpdatePatiently, verdicts, c.writeAll)
	left = map[plan.Subject]verdict{}
	switch {
	case err == nil:
		c.warn(verdicts)
		return left, nil
	case ctx.Err() != nil, errors.Is(err, table.ErrUnavailable):
		for _, v := range verdicts {
			left[v.subject] = v
		}
		return left, fmt.Errorf("write the states of %d resources: %w", len(verdicts), err)
	}
	var errs []error
	for _, v := range verdicts {
		if err := c.alone(ctx, v); err != nil {
			left[v.subject] = v
			errs = append(errs, fmt.Errorf("write the state of %s %s: %w", v.subject.Kind, v.subject.Ref.ID, err))
		}
	}
	return left, errors.Join(errs...)
}

// alone writes one verdict, in pieces when it is too large for one commit. A
// removal that cannot be written is said in the status of what is to be removed.
func (c *Controller) alone(ctx context.Context, v verdict) error {
	one := []verdict{v}
	var err error
	for some := true; some; {
		_, err = c.cfg.DB.Update(ctx, func(tx *table.Txn) error { return c.writeAll(tx, one) })
		if !errors.Is(err, table.ErrTooLarge) {
			break
		}
		if _, shedErr := c.cfg.DB.Update(ctx, func(tx *table.Txn) error { some = shed(tx, v); return nil }); shedErr != nil {
			err = errors.Join(err, shedErr)
			break
		}
	}
	if err == nil || !v.deleting || v.reason != "" {
		return err
	}
	stuck := v
	stuck.reason = "its rows cannot be removed: " + err.Error()
	_, sayErr := c.cfg.DB.Update(ctx, func(tx *table.Txn) error { return c.writeAll(tx, []verdict{stuck}) })
	return errors.Join(err, sayErr)
}

// shed removes some associations that go with a subject, whose entries the hosts have let
// go of, gives back some addresses of its interfaces, or removes some interfaces when they
// have one address each.
// It reports whether there was anything.
func shed(tx *table.Txn, v verdict) bool {
	row, ok := fateIn(tx, v.subject)
	if !ok || !row.deleting || !v.lets(row) {
		return false
	}
	if shedAssociations(tx, v.subject) {
		return true
	}
	interfaces, left := interfacesOf(tx, v.subject), claimsPerCommit
	for _, ni := range interfaces {
		if left > 0 {
			left -= alloc.Shed(tx, ni, left)
		}
	}
	if left < claimsPerCommit {
		return true
	}
	for _, ni := range interfaces[:min(len(interfaces), interfacesPerCommit)] {
		alloc.DeleteInterface(tx, ni)
	}
	return len(interfaces) > 0
}

// shedAssociations removes some associations of an endpoint that has several.
func shedAssociations(tx *table.Txn, s plan.Subject) bool {
	if s.Kind != plan.SubjectEndpoint {
		return false
	}
	removed := 0
	for a := range state.EndpointAssociationsByEndpoint.Rows(tx, s.Ref) {
		if removed < alloc.PerCommit(len(a.Addresses)) && a.Owns() {
			alloc.DeleteAssociation(tx, a)
			state.Statuses.Delete(tx, a.Account, a.Region, a.ID)
			removed++
		}
	}
	return removed > 0
}

func (c *Controller) writeAll(tx *table.Txn, verdicts []verdict) error {
	w := newWriting(tx, c.cfg.Now())
	for _, v := range verdicts {
		w.verdict(v)
	}
	w.end()
	return nil
}

// warn tells the operator what is in error.
func (c *Controller) warn(verdicts []verdict) {
	for _, v := range verdicts {
		if v.reason != "" {
			c.cfg.Log.Warn("resource is not programmed", "kind", string(v.subject.Kind), "id", v.subject.Ref.ID, "reason", v.reason)
		}
	}
}

// tell says once that something could not be written, and that it could again.
func (c *Controller) tell(what string) func(error) {
	return func(err error) {
		if err != nil {
			c.cfg.Log.Error(what+" could not be written, trying again until it works", "error", err)
		} else {
			c.cfg.Log.Info(what + " are written again")
		}
	}
}
