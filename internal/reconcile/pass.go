// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// job is what a pass does about one item: the state of affairs when the pass
// began.
type job struct {
	it      *item
	entry   desired.Entry
	version uint32
	step    int
	gone    bool // it is to be taken away
	again   bool // it failed before
}

// A pass has three rounds of steps: put, delete, prune.
const (
	stepsPerRound = desired.Phases
	deleteRound   = 1 * stepsPerRound
	pruneRound    = 2 * stepsPerRound
	stepCount     = 3 * stepsPerRound
)

// step gives the place of an item in a pass: each phase is a step of its own, and
// what goes in one is a batch for the data plane.
func step(it *item) int {
	place := it.key.Kind.Stage().Phase()
	switch {
	case it.want != nil, it.key.Kind.Early() && !it.prune:
		return place
	case it.prune:
		return pruneRound + stepsPerRound - 1 - place
	default:
		return deleteRound + stepsPerRound - 1 - place
	}
}

// pass does what is due. It ends early, leaving things as they are, when ctx
// is done, and when the host must be adopted anew before anything is settled.
func (r *Reconciler) pass(ctx context.Context) {
	// What failed may have been in the way of what was deleted after it, so
	// such things get a second chance before anybody hears of them.
	for range 2 {
		jobs, revision, ok := r.take()
		if !ok {
			return
		}
		freed := make(freed)
		for step := range stepCount {
			r.runStep(ctx, jobs[step], freed)
		}
		if ctx.Err() != nil {
			return
		}
		again := r.settle(revision, freed)
		if !again {
			return
		}
	}
}

// take collects what is due, by step and realm, and the revision of which it
// is the state; not ok says that the host must be adopted anew first.
func (r *Reconciler) take() (jobs [stepCount]map[desired.Realm][]job, revision int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.anew {
		return jobs, 0, false
	}
	now := time.Now()
	clear(r.skipped)
	for it := range r.tbl.dirty {
		if it.due.After(now) || !r.mayBegin(it) {
			continue
		}
		s := step(it)
		if jobs[s] == nil {
			jobs[s] = make(map[desired.Realm][]job)
		}
		realm := it.key.Realm
		jobs[s][realm] = append(jobs[s][realm], job{it, it.entry(), it.version, s, it.want == nil, it.attempts > 0})
	}
	return jobs, r.revision, true
}

// runStep does one step in all its realms, some at the same time. A realm that
// the pass went on without has its turn in the next one.
func (r *Reconciler) runStep(ctx context.Context, jobs map[desired.Realm][]job, freed freed) {
	r.mu.Lock()
	realms := slices.DeleteFunc(slices.Sorted(maps.Keys(jobs)), func(realm desired.Realm) bool { return r.skipped[realm] })
	r.mu.Unlock()
	without := r.round(realms, r.cfg.Patience, func(realm desired.Realm) { r.runRealm(ctx, realm, jobs[realm], freed) })
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, realm := range without {
		r.skipped[realm] = true
	}
}

// runRealm does the jobs of one step in one realm. What failed before goes
// in a batch of its own, so that it cannot spoil that of the others; it goes
// first, because others may wait for it.
func (r *Reconciler) runRealm(ctx context.Context, realm desired.Realm, jobs []job, freed freed) {
	slices.SortFunc(jobs, func(a, b job) int { return a.it.key.Compare(b.it.key) })
	for _, again := range []bool{true, false} {
		var batch []job
		for _, j := range jobs {
			if j.again == again {
				batch = append(batch, j)
			}
		}
		if len(batch) == 0 || ctx.Err() != nil {
			continue
		}
		errs := r.runBatch(ctx, realm, batch)
		if ctx.Err() == nil {
			r.finish(batch, errs, freed)
		}
	}
}

func (r *Reconciler) runBatch(ctx context.Context, realm desired.Realm, batch []job) map[desired.Key]error {
	ctx, cancel := r.limited(ctx)
	defer cancel()
	var put, del []desired.Entry
	for _, j := range batch {
		if j.gone {
			del = append(del, j.entry)
		} else {
			put = append(put, j.entry)
		}
	}
	slices.Reverse(del)
	return r.effects.Apply(ctx, realm, put, del)
}

// finish notes what became of a batch. Items that a newer delta changed
// meanwhile stay pending.
func (r *Reconciler) finish(batch []job, errs map[desired.Key]error, freed freed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failed, recovered []desired.Key
	for _, j := range batch {
		it, err := j.it, errs[j.it.key]
		if err == nil {
			freed.note(it.key, j.step)
			if it.key.Kind.Root() && j.step >= deleteRound {
				r.emptied(it.key.Realm)
			}
		}
		switch {
		case it.version != j.version:
		case err == nil:
			if it.state == Error {
				recovered = append(recovered, it.key)
			}
			r.tbl.done(it)
		default:
			if it.state != Error {
				failed = append(failed, it.key)
			}
			r.tbl.fail(it, err, r.cfg.delay)
		}
	}
	// One line for a batch: what fails together has one cause, as a rule.
	if len(failed) > 0 {
		level := slog.LevelWarn
		if !slices.ContainsFunc(failed, func(k desired.Key) bool { return !errors.Is(errs[k], desired.ErrWaits) }) {
			level = slog.LevelInfo
		}
		r.cfg.Logger.Log(context.Background(), level, "entries in error", "realm", batch[0].it.key.Realm,
			"count", len(failed), "first", failed[0], "error", errs[failed[0]])
	}
	if len(recovered) > 0 {
		r.cfg.Logger.Info("entries recovered", "realm", batch[0].it.key.Realm,
			"count", len(recovered), "first", recovered[0])
	}
}

// emptied notes that a realm was deleted with all that was in it and with what
// joined it with others.
func (r *Reconciler) emptied(realm desired.Realm) {
	for _, it := range r.tbl.realms[realm] {
		switch {
		case it.key.Kind.Root():
		case it.want == nil:
			r.tbl.remove(it)
		default:
			r.tbl.pend(it)
		}
	}
	for it := range r.tbl.joins(realm) {
		r.tbl.pend(it)
	}
}

// freed is which realms had something done in a pass that failing entries may
// have waited for. The lock of the reconciler guards it.
type freed map[desired.Realm]bool // true: something was deleted

// everywhere is the name under which things are noted that concern all realms.
const everywhere desired.Realm = ""

func (f freed) note(k desired.Key, step int) {
	where := k.Realm
	if _, joins := k.Far(); joins || k.Kind.Root() {
		where = everywhere
	}
	f[where] = f[where] || step >= deleteRound
}

// settleRealms notes what a pass has settled: not what lies in realms that it
// found busy or went on without. In one that was overdue at its beginning everything
// is in error. The caller holds the lock.
func (r *Reconciler) settleRealms(revision int64) {
	before := r.settled
	r.settled = revision
	for realm := range r.behind {
		if !r.skipped[realm] {
			delete(r.behind, realm)
		}
	}
	for realm := range r.skipped {
		if _, known := r.behind[realm]; !known && before < revision {
			r.behind[realm] = before
		}
	}
}

// settle ends a pass. Entries that failed and need wait no longer get an
// earlier time; it reports whether some of them are due at once.
func (r *Reconciler) settle(revision int64, freed freed) (again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.anew { // what was done is of a recalled state, which nobody is told of
		return false
	}
	r.settleRealms(revision)
	for it := range r.tbl.dirty {
		if it.state != Error {
			continue
		}
		byAll, all := freed[everywhere]
		byOwn, own := freed[it.key.Realm]
		switch {
		case it.want != nil && (byAll || byOwn):
			it.due, again = time.Time{}, true
		case all || own:
			if soon := it.tried.Add(r.cfg.RetryMin); soon.Before(it.due) {
				it.due = soon
			}
		}
	}
	return again
}
