// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errNoAnswer is why nothing can be done in a router whose last call has not
// returned, although its time is over.
var errNoAnswer = errors.New("the router does not answer: its last call has not returned in time")

// errNotYet is why a router could not be read now.
var errNotYet = errors.New("the router has not answered yet")

// call is a call of Effects for one router that is under way. The lock of the
// reconciler guards it.
type call struct {
	begun time.Time
	// alone says that nobody waits for it any more: it ends by itself, and until
	// then nothing else is begun in the router.
	alone bool
	// overdue says that it has taken longer than it may: what is wanted in the
	// router is in error until it returns.
	overdue bool
	alarm   *time.Timer // makes it overdue
}

// round calls do for each router, some at the same time, and waits until all have
// returned: but for those that take longer than patience, which then go on alone.
// A router that was slow last time is not waited for at all. Routers that are busy
// already are left out. It returns those that are left out or go on.
func (r *Reconciler) round(vpcs []string, patience time.Duration, do func(vpc string)) (without []string) {
	ended := make(chan string, len(vpcs))
	waiting := map[string]time.Time{} // until when
	for len(vpcs) > 0 || len(waiting) > 0 {
		for len(vpcs) > 0 && len(waiting) < r.cfg.Parallel {
			vpc := vpcs[0]
			vpcs = vpcs[1:]
			until, ok := r.begin(vpc, patience)
			if !ok {
				without = append(without, vpc)
				continue
			}
			waiting[vpc] = until
			r.calls.Go(func() {
				do(vpc)
				if !r.end(vpc) {
					ended <- vpc
				}
			})
		}
		if len(waiting) == 0 {
			continue
		}
		timer := time.NewTimer(time.Until(earliest(waiting)))
		select {
		case vpc := <-ended:
			delete(waiting, vpc)
		case <-timer.C:
			for vpc, until := range waiting {
				if !until.After(time.Now()) && r.leaveAlone(vpc) {
					delete(waiting, vpc)
					without = append(without, vpc)
				}
			}
		}
		timer.Stop()
	}
	slices.Sort(without)
	return without
}

func earliest(times map[string]time.Time) (first time.Time) {
	for _, t := range times {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	return first
}

// begin notes a call and says until when to wait for it; false says that the
// router is busy.
func (r *Reconciler) begin(vpc string, patience time.Duration) (until time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[vpc] != nil {
		return until, false
	}
	c := &call{begun: time.Now()}
	r.busy[vpc] = c
	if r.slow[vpc] {
		patience = min(patience, time.Millisecond)
	}
	return c.begun.Add(patience), true
}

// leaveAlone lets a call go on by itself; false says that it has returned.
func (r *Reconciler) leaveAlone(vpc string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.busy[vpc]
	if c == nil {
		return false
	}
	if !r.slow[vpc] {
		r.cfg.Logger.Warn("router is slow; the others go on without it", "router", vpc)
	}
	c.alone, r.slow[vpc], r.skipped[vpc] = true, true, true
	// Whoever heeds the time limit has a moment to return by itself.
	c.alarm = time.AfterFunc(time.Until(c.begun.Add(r.cfg.ApplyTimeout+r.cfg.Patience)), func() {
		r.mu.Lock()
		c.overdue = true
		r.mu.Unlock()
		r.wake()
	})
	return true
}

// end notes that a call has returned, and reports whether it went on alone. What
// is to be done in the router is due at once then.
func (r *Reconciler) end(vpc string) (alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.busy[vpc]
	delete(r.busy, vpc)
	if time.Since(c.begun) < r.cfg.Patience {
		delete(r.slow, vpc)
	}
	if !c.alone {
		return false
	}
	c.alarm.Stop()
	for _, it := range r.tbl.routers[vpc] {
		if c.overdue && it.state == Error {
			it.due = time.Time{}
		}
	}
	r.wake()
	return true
}

// mayBegin reports whether something can be done about an item now. What is wanted
// in a router that does not answer is in error meanwhile. The caller holds the lock.
func (r *Reconciler) mayBegin(it *item) bool {
	c := r.busy[it.key.VPC]
	if c == nil {
		return true
	}
	if c.overdue && it.state != Error {
		r.tbl.fail(it, errNoAnswer, r.cfg.delay)
	}
	return false
}

// limited gives calls of Effects the time that they may take.
func (r *Reconciler) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.cfg.ApplyTimeout)
}

// existing lists the routers that there are.
func (r *Reconciler) existing(ctx context.Context) ([]string, error) {
	ctx, cancel := r.limited(ctx)
	defer cancel()
	return r.effects.Routers(ctx)
}
