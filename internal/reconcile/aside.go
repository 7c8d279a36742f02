// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Verification that nobody asked for is done aside: one realm is read at a time, in a
// goroutine of its own, while passes go on in the others. A pass that has something to
// do in the realm that is being read ends the reading, which is made again later and
// then not ended a second time.

// leastPause is the least time between two turns of the rotation.
const leastPause = 100 * time.Millisecond

// rotation shares the verification of all realms out over an interval.
type rotation struct {
	left  []desired.Realm // realms whose turn is still to come
	slice int             // how many have their turn together
	pause time.Duration
	next  time.Time // of the next turn
	last  bool      // what is queued ends a round
}

// attempt is when a realm that could not be read is tried next.
type attempt struct {
	count  int
	due    time.Time
	queued bool // it has its place in the queue, and is not due by itself
}

// queue holds the realms that are to be read aside. It belongs to the goroutine of Run.
type queue struct {
	realms []desired.Realm
	// ended are realms whose reading was ended for a change: the next one is not.
	ended map[desired.Realm]bool
	// now is the reading that is under way.
	now *aside
}

// aside is a reading that others do not wait for.
type aside struct {
	realm desired.Realm
	call  *call
	done  chan struct{}
}

// add queues realms that are not queued yet.
func (q *queue) add(realms ...desired.Realm) {
	for _, realm := range realms {
		if !slices.Contains(q.realms, realm) {
			q.realms = append(q.realms, realm)
		}
	}
}

// begin deals out the realms of one round.
func (rot *rotation) begin(realms []desired.Realm, interval time.Duration) {
	rot.left, rot.last = realms, false
	turns := max(1, min(len(realms), int(interval/leastPause)))
	rot.slice = max(1, (len(realms)+turns-1)/turns)
	turns = max(1, (len(realms)+rot.slice-1)/rot.slice)
	rot.pause = interval / time.Duration(turns)
}

// turn queues the realms whose turn it is, when those before them have been read.
func (r *Reconciler) turn(ctx context.Context) {
	rot := &r.rounds
	rot.next = time.Now().Add(rot.pause)
	if len(r.queue.realms) > 0 || r.queue.now != nil {
		return
	}
	if len(rot.left) == 0 {
		realms, err := r.candidates(ctx)
		if err != nil {
			r.cfg.Logger.Warn("verification", "error", err)
			rot.next = time.Now().Add(r.cfg.RetryMax)
			return
		}
		rot.begin(realms, r.cfg.VerifyInterval)
		rot.next = time.Now().Add(rot.pause)
	}
	now := rot.left[:min(rot.slice, len(rot.left))]
	rot.left = rot.left[len(now):]
	rot.last = len(rot.left) == 0
	r.queue.add(now...)
}

// retryUnread queues realms that could not be read, when it is time.
func (r *Reconciler) retryUnread() {
	for _, realm := range slices.Sorted(maps.Keys(r.unread)) {
		if a := r.unread[realm]; !a.queued && !a.due.After(time.Now()) {
			a.queued = true
			r.unread[realm] = a
			r.queue.add(realm)
		}
	}
}

// readNext begins to read the first realm of the queue. It is called between passes,
// so that a realm is busy only when it does not answer.
func (r *Reconciler) readNext(ctx context.Context) {
	for len(r.queue.realms) > 0 && r.queue.now == nil && ctx.Err() == nil {
		realm := r.queue.realms[0]
		r.queue.realms = r.queue.realms[1:]
		if r.readAside(ctx, realm) {
			return
		}
		_, _, err := r.compareAll([]reading{{realm: realm, err: errNotYet}})
		r.cfg.Logger.Debug("verification", "error", err)
		r.endRound()
	}
}

// readAside begins to read a realm; false says that it is busy.
func (r *Reconciler) readAside(ctx context.Context, realm desired.Realm) bool {
	if _, ok := r.begin(realm, 0); !ok {
		return false
	}
	stopped, stop := context.WithCancel(ctx)
	r.mu.Lock()
	c := r.busy[realm]
	if !r.queue.ended[realm] {
		c.stop = stop
	}
	r.loose(c)
	r.mu.Unlock()
	now := &aside{realm, c, make(chan struct{})}
	r.queue.now = now
	// One that does not answer keeps the next ones waiting for so long.
	alarm := time.AfterFunc(r.cfg.Patience, r.wake)
	r.calls.Go(func() {
		defer close(now.done)
		defer alarm.Stop()
		defer stop()
		limited, cancel := r.limited(stopped)
		defer cancel()
		rd := r.readOne(limited, realm)
		rd.ended = rd.err != nil && stopped.Err() != nil
		r.mu.Lock()
		r.late = append(r.late, rd)
		r.mu.Unlock()
		r.end(realm)
	})
	return true
}

// takeLate takes up what was read aside, or later than somebody waited for it. Nothing
// was changed in these realms meanwhile.
func (r *Reconciler) takeLate() {
	r.mu.Lock()
	late := r.late
	r.late = nil
	now := r.queue.now
	switch {
	case now == nil:
	case r.busy[now.realm] != now.call:
		r.queue.now = nil
	case time.Since(now.call.begun) >= r.cfg.Patience:
		r.queue.now = nil
		if !r.slow[now.realm] {
			r.tellSlow(now.realm)
		}
		r.slow[now.realm] = true
	}
	r.mu.Unlock()
	for _, rd := range late {
		if rd.ended {
			r.queue.ended[rd.realm] = true
			r.queue.add(rd.realm)
		} else {
			delete(r.queue.ended, rd.realm)
		}
	}
	late = slices.DeleteFunc(late, func(rd reading) bool { return rd.ended })
	_, concerned, err := r.compareAll(late)
	if err != nil {
		r.cfg.Logger.Warn("verification", "error", err)
	}
	slices.Sort(concerned)
	r.queue.add(concerned...)
	r.endRound()
}

// endRound notes the end of a round of the rotation, when it has come.
func (r *Reconciler) endRound() {
	if !r.rounds.last || len(r.queue.realms) > 0 || r.queue.now != nil {
		return
	}
	r.rounds.last = false
	r.mu.Lock()
	r.verified = time.Now()
	r.mu.Unlock()
}

// awaitReading waits for the reading that is under way, for those who read realms
// themselves: as long as a call may take.
func (r *Reconciler) awaitReading(ctx context.Context) {
	if r.queue.now == nil {
		return
	}
	limit := time.NewTimer(r.cfg.ApplyTimeout)
	defer limit.Stop()
	select {
	case <-r.queue.now.done:
	case <-limit.C:
	case <-ctx.Done():
	}
	r.takeLate()
}
