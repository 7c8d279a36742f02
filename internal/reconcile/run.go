// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Run does the work until ctx is done, and leaves the host as it then is. It
// reads the host first, waits for the first full delta, adopts what is there
// and goes on with deltas, retries and verification. It must be called once.
func (r *Reconciler) Run(ctx context.Context) {
	defer r.calls.Wait()
	readings, at := r.readHost(ctx)
	r.tellFound(readings)
	for ctx.Err() == nil {
		var asked verifyRequest
		timer := time.NewTimer(r.rest())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.kick:
		case asked = <-r.asked:
		}
		timer.Stop()
		if r.based() && !r.adopted {
			r.awaitReading(ctx)
			if readings == nil || time.Since(at) > r.cfg.VerifyInterval {
				readings, _ = r.readHost(ctx) // it may have changed while we waited
			}
			r.adopt(ctx, readings)
			readings = nil
		}
		if asked != nil {
			asked <- r.verifyNow(ctx)
		}
		if r.adopted && ctx.Err() == nil {
			r.step(ctx)
		}
	}
}

// tellFound tells what is on the host.
func (r *Reconciler) tellFound(readings []reading) {
	if r.cfg.Found == nil {
		return
	}
	var all []desired.Entry
	for _, rd := range readings {
		all = append(all, rd.there...)
	}
	r.cfg.Found(all)
}

// step does whatever is due. Changes go first.
func (r *Reconciler) step(ctx context.Context) {
	r.takeLate()
	r.pass(ctx)
	r.retryUnread()
	if !r.rounds.next.After(time.Now()) {
		r.turn(ctx)
	}
	r.readNext(ctx)
	r.tell()
}

// based reports whether there is a state to work towards. When it follows on one that
// was recalled, the host is adopted again.
func (r *Reconciler) based() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.anew {
		r.adopted, r.anew = false, false
	}
	return r.full
}

// rest is how long there is nothing to do unless something comes in.
func (r *Reconciler) rest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.full {
		return time.Hour
	}
	next := r.rounds.next
	for _, a := range r.unread {
		if !a.queued && a.due.Before(next) {
			next = a.due
		}
	}
	for it := range r.tbl.dirty {
		if r.busy[it.key.Realm] != nil {
			continue // its call wakes when it ends, or is overdue
		}
		if it.due.Before(next) {
			next = it.due
		}
	}
	return time.Until(next)
}

// readHost reads everything that is there. Without a list of the realms
// nothing can be adopted, so it tries until it has one or ctx is done.
func (r *Reconciler) readHost(ctx context.Context) ([]reading, time.Time) {
	for count := 1; ctx.Err() == nil; count++ {
		realms, err := r.existing(ctx)
		if err == nil {
			return r.read(ctx, realms, r.cfg.Patience), time.Now()
		}
		r.cfg.Logger.Warn("reading the host", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(r.cfg.delay(count)):
		}
	}
	return nil, time.Time{}
}

// finishOthers has the host end what was begun in each realm. Where that fails
// the next Apply does it, before anything else.
func (r *Reconciler) finishOthers(ctx context.Context, readings []reading) {
	var realms []desired.Realm
	for _, rd := range readings {
		if rd.exists {
			realms = append(realms, rd.realm)
		}
	}
	r.round(realms, r.cfg.Patience, func(realm desired.Realm) {
		ctx, cancel := r.limited(ctx)
		defer cancel()
		r.effects.Apply(ctx, realm, nil, nil)
	})
}

// adopt compares what was read before anything was done with the first full
// state: what is as wanted is done, what is unknown is pruned. Realms that
// could not be read are made without knowing them, and read later. Whoever had
// the host before may have been stopped in the middle of something, which is
// ended first: in its realms nothing else may be ordered.
func (r *Reconciler) adopt(ctx context.Context, readings []reading) {
	r.finishOthers(ctx, readings)
	if _, _, err := r.compareAll(readings); err != nil {
		r.cfg.Logger.Warn("reading the host", "error", err)
	}
	r.adopted = true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rounds.begin(slices.Sorted(maps.Keys(r.tbl.realms)), r.cfg.VerifyInterval)
	r.rounds.next = time.Now().Add(r.rounds.pause)
	r.cfg.Logger.Info("host adopted", "wanted", r.tbl.wanted, "to do", len(r.tbl.dirty))
}
