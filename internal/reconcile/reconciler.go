// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Errors of Apply.
var (
	// ErrNoBase means that a delta builds on a full one that never came.
	ErrNoBase = errors.New("no full state received yet")
	// ErrStale means that a delta is older than what was applied before.
	ErrStale = errors.New("older than the state at hand")
	// ErrToldAlready means that there is a state that is newer than what is recalled.
	ErrToldAlready = errors.New("a state was received already")
)

// Reconciler keeps one host as it should be. Its methods may be called from
// any goroutine; the work is done by Run.
type Reconciler struct {
	effects Effects
	cfg     Config
	kick    chan struct{}      // holds at most one: there is work
	asked   chan verifyRequest // calls of Verify

	mu       sync.Mutex
	tbl      table
	revision int64 // of the last delta
	full     bool  // a full delta came, or a state was recalled
	recalled bool  // the state is one that was wanted before
	anew     bool  // what there is must be read and adopted again
	settled  int64
	behind   map[desired.Realm]int64 // what realms that were slow have settled
	busy     map[desired.Realm]*call // by realm
	slow     map[desired.Realm]bool  // realms whose last call took long
	skipped  map[desired.Realm]bool  // realms that a pass went on without
	late     []reading               // of realms that were slow to be read
	awaited  map[desired.Key]awaited // values that are still to come
	repairs  map[desired.Kind]int64
	verified time.Time // end of the last whole verification

	// The rest belongs to the goroutine of Run.
	calls   sync.WaitGroup
	adopted bool
	rounds  rotation
	queue   queue
	unread  map[desired.Realm]attempt // realms that could not be read
	told    told                      // what the reports so far said
}

// New makes a reconciler that has nothing to do before its first full delta.
func New(effects Effects, cfg Config) *Reconciler {
	return &Reconciler{
		effects: effects,
		cfg:     cfg.withDefaults(),
		kick:    make(chan struct{}, 1),
		asked:   make(chan verifyRequest),
		tbl:     newTable(),
		behind:  make(map[desired.Realm]int64),
		busy:    make(map[desired.Realm]*call),
		slow:    make(map[desired.Realm]bool),
		skipped: make(map[desired.Realm]bool),
		awaited: make(map[desired.Key]awaited),
		repairs: make(map[desired.Kind]int64),
		queue:   queue{ended: make(map[desired.Realm]bool)},
		unread:  make(map[desired.Realm]attempt),
		told:    told{failed: make(map[desired.Key]string)},
	}
}

// Apply takes what a delta wants and returns; Run carries it out. The first
// delta must be full. A full delta may carry any revision, also an older one
// (of a store that was restored); another delta must not be older than the one
// before it, or nothing is changed and the error is ErrStale. The entries of
// the delta belong to the reconciler from here on.
//
// An entry that the delta puts or deletes starts afresh: attempts that failed
// before are forgotten and it is tried at once.
func (r *Reconciler) Apply(d desired.Delta) error { return r.ApplyUntil(d, nil) }

// ApplyUntil is Apply of a delta in which the values of some entries are not the last
// word: their realm has not settled the delta until Update has given what they are and
// that is done or in error. A delta that names them again ends that.
func (r *Reconciler) ApplyUntil(d desired.Delta, updated []desired.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !d.Full && (!r.full || r.recalled):
		return fmt.Errorf("apply delta of revision %d: %w", d.Revision, ErrNoBase)
	case !d.Full && d.Revision < r.revision:
		return fmt.Errorf("apply delta of revision %d after %d: %w", d.Revision, r.revision, ErrStale)
	}
	r.forget()
	named := make(map[desired.Key]bool)
	for _, e := range d.Put {
		r.put(e, d.Revision)
		if d.Full {
			named[e.Key()] = true
		}
	}
	for _, k := range d.Delete {
		r.delete(r.tbl.get(k), d.Revision)
	}
	if d.Full {
		for _, items := range r.tbl.realms {
			for _, it := range items {
				if !named[it.key] {
					r.delete(it, d.Revision)
				}
			}
		}
		r.settled = min(r.settled, d.Revision)
		for realm, revision := range r.behind {
			r.behind[realm] = min(revision, d.Revision)
		}
	}
	r.await(d, updated)
	r.revision, r.full = d.Revision, true
	r.wake()
	return nil
}

// Recall makes what a host was told before, as of a revision, the state that is worked
// towards until the first full delta comes. What is missing or not as it was is
// repaired; what nobody knows is left alone, and nothing is reported: who ordered it may
// have ordered something else since.
func (r *Reconciler) Recall(revision int64, entries []desired.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return fmt.Errorf("recall the state of revision %d: %w", revision, ErrToldAlready)
	}
	for _, e := range entries {
		r.put(e, revision)
	}
	r.revision, r.full, r.recalled = revision, true, true
	r.wake()
	return nil
}

// forget ends the time of a recalled state: nothing was settled, and all that is there
// must be known. The caller holds the lock.
func (r *Reconciler) forget() {
	if r.recalled {
		r.recalled, r.anew = false, true
		r.settled = 0
		clear(r.behind)
	}
}

func (r *Reconciler) put(e desired.Entry, revision int64) {
	k := e.Key()
	it := r.tbl.get(k)
	if it == nil {
		it = r.tbl.add(k)
	}
	if it.want == nil {
		r.tbl.wanted++
	}
	same := it.state == Done && it.is(e)
	it.want, it.revision = e, revision
	if !same {
		it.version++
		r.tbl.pend(it)
		it.last, it.prune = nil, false
	}
}

// delete turns an item round. One that is on its way out already stays so.
func (r *Reconciler) delete(it *item, revision int64) {
	if it == nil || it.want == nil {
		return
	}
	r.tbl.wanted--
	it.version++
	r.tbl.pend(it)
	it.want, it.last, it.revision = nil, it.want, revision
}

func (r *Reconciler) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Status is how one entry is doing.
type Status struct {
	Key desired.Key
	// Entry is what is wanted; nil when the entry is being removed.
	Entry desired.Entry
	State State
	// Revision is that of the delta that changed the entry last; zero for
	// something found on the host that nobody wants.
	Revision int64
	// Since is when the state became what it is.
	Since time.Time
	// Message says why the last attempt failed, Attempts how many did in a row.
	Message  string
	Attempts int
}

// Statuses gives every entry that is wanted or on its way out, in no order. It
// walks over a copy made at the call.
func (r *Reconciler) Statuses() iter.Seq[Status] {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Status, 0, r.tbl.wanted+len(r.tbl.dirty))
	for _, items := range r.tbl.realms {
		for _, it := range items {
			all = append(all, it.status())
		}
	}
	return func(yield func(Status) bool) {
		for _, s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

// Status gives how one entry is doing, if it is wanted or on its way out.
func (r *Reconciler) Status(key desired.Key) (Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it := r.tbl.get(key)
	if it == nil {
		return Status{}, false
	}
	return it.status(), true
}

func (it *item) status() Status {
	s := Status{Key: it.key, Entry: it.want, State: it.state, Revision: it.revision, Since: time.Unix(0, it.since)}
	if it.unrest != nil {
		s.Message, s.Attempts = it.message, it.attempts
	}
	return s
}

// Wanted gives what is wanted now, in no order. The caller owns the slice.
func (r *Reconciler) Wanted() []desired.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make([]desired.Entry, 0, r.tbl.wanted)
	for _, items := range r.tbl.realms {
		for _, it := range items {
			if it.want != nil {
				entries = append(entries, it.want)
			}
		}
	}
	return entries
}
