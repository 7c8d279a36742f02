// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// noAnswerError is why nothing can be done in a realm whose last call has not
// returned, although its time is over.
type noAnswerError struct{ realm desired.Realm }

// Error says what does not answer.
func (e noAnswerError) Error() string {
	return fmt.Sprintf("the %s does not answer: its last call has not returned in time", e.realm.Sort())
}

// errNotYet is why a realm could not be read now.
var errNotYet = errors.New("it has not answered yet")

// call is a call of Effects for one realm that is under way. The lock of the
// reconciler guards it.
type call struct {
	begun time.Time
	// alone says that nobody waits for it any more: it ends by itself, and until
	// then nothing else is begun in the realm.
	alone bool
	// overdue says that it has taken longer than it may: what is wanted in the
	// realm is in error until it returns.
	overdue bool
	alarm   *time.Timer // makes it overdue
	// stop, if set, ends it early: it only reads, and something is to be changed in
	// the realm.
	stop context.CancelFunc
}

// round calls do for each realm, some at the same time, and waits until all have
// returned: but for those that take longer than patience, which then go on alone.
// A realm that was slow last time is not waited for at all. Realms that are busy
// already are left out. It returns those that are left out or go on.
func (r *Reconciler) round(realms []desired.Realm, patience time.Duration, do func(realm desired.Realm)) (without []desired.Realm) {
	ended := make(chan desired.Realm, len(realms))
	waiting := map[desired.Realm]time.Time{} // until when
	for len(realms) > 0 || len(waiting) > 0 {
		for len(realms) > 0 && len(waiting) < r.cfg.Parallel {
			realm := realms[0]
			realms = realms[1:]
			until, ok := r.begin(realm, patience)
			if !ok {
				without = append(without, realm)
				continue
			}
			waiting[realm] = until
			r.calls.Go(func() {
				do(realm)
				if !r.end(realm) {
					ended <- realm
				}
			})
		}
		if len(waiting) == 0 {
			continue
		}
		timer := time.NewTimer(time.Until(earliest(waiting)))
		select {
		case realm := <-ended:
			delete(waiting, realm)
		case <-timer.C:
			for realm, until := range waiting {
				if !until.After(time.Now()) && r.leaveAlone(realm) {
					delete(waiting, realm)
					without = append(without, realm)
				}
			}
		}
		timer.Stop()
	}
	slices.Sort(without)
	return without
}

func earliest(times map[desired.Realm]time.Time) (first time.Time) {
	for _, t := range times {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	return first
}

// begin notes a call and says until when to wait for it; false says that the
// realm is busy.
func (r *Reconciler) begin(realm desired.Realm, patience time.Duration) (until time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[realm] != nil {
		return until, false
	}
	c := &call{begun: time.Now()}
	r.busy[realm] = c
	if r.slow[realm] {
		patience = min(patience, time.Millisecond)
	}
	return c.begun.Add(patience), true
}

// leaveAlone lets a call go on by itself; false says that it has returned.
func (r *Reconciler) leaveAlone(realm desired.Realm) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.busy[realm]
	if c == nil {
		return false
	}
	if !r.slow[realm] {
		r.tellSlow(realm)
	}
	r.slow[realm], r.skipped[realm] = true, true
	r.loose(c)
	return true
}

// tellSlow says that a realm is slow. Servers of databases end in their own time.
func (r *Reconciler) tellSlow(realm desired.Realm) {
	level := slog.LevelWarn
	if realm.Sort() == desired.Databases {
		level = slog.LevelInfo
	}
	r.cfg.Logger.Log(context.Background(), level, "realm is slow; the others go on without it", "realm", realm)
}

// loose has nobody wait for a call, which is in error when its time is over. The
// caller holds the lock.
func (r *Reconciler) loose(c *call) {
	c.alone = true
	// Whoever heeds the time limit has a moment to return by itself.
	c.alarm = time.AfterFunc(time.Until(c.begun.Add(r.cfg.ApplyTimeout+r.cfg.Patience)), func() {
		r.mu.Lock()
		c.overdue = true
		r.mu.Unlock()
		r.wake()
	})
}

// end notes that a call has returned, and reports whether it went on alone. What
// is to be done in the realm is due at once then.
func (r *Reconciler) end(realm desired.Realm) (alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.busy[realm]
	delete(r.busy, realm)
	if time.Since(c.begun) < r.cfg.Patience {
		delete(r.slow, realm)
	}
	if !c.alone {
		return false
	}
	c.alarm.Stop()
	for _, it := range r.tbl.realms[realm] {
		if c.overdue && it.state == Error {
			it.due = time.Time{}
		}
	}
	r.wake()
	return true
}

// mayBegin reports whether something can be done now about an item that is due. What
// is wanted in a realm that does not answer is in error meanwhile; a reading is asked to
// make room. The caller holds the lock.
func (r *Reconciler) mayBegin(it *item) bool {
	c := r.busy[it.key.Realm]
	switch {
	case c == nil:
		return true
	case !c.overdue:
		r.skipped[it.key.Realm] = true
		if c.stop != nil {
			c.stop()
		}
	case it.state != Error:
		r.tbl.fail(it, noAnswerError{it.key.Realm}, r.cfg.delay)
	}
	return false
}

// limited gives calls of Effects the time that they may take.
func (r *Reconciler) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.cfg.ApplyTimeout)
}

// existing lists the realms that there are.
func (r *Reconciler) existing(ctx context.Context) ([]desired.Realm, error) {
	ctx, cancel := r.limited(ctx)
	defer cancel()
	return r.effects.Realms(ctx)
}
