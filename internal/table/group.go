// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/store"
)

// update is one call of Update on its way. Its function is run by the goroutine
// that called, whenever it gets the turn.
type update struct {
	fn   func(*Txn) error
	when Condition     // asked before fn; nil for none
	turn chan *Txn     // lends a transaction to run fn on
	ran  chan struct{} // says that fn has ended
	left chan struct{} // closed by the caller when it does not wait any more
	done chan struct{} // closed when rev and err are what became of it
	rev  int64
	err  error

	tx       *Txn  // of the last run
	failure  error // what fn returned
	panicked bool  // fn did not return
	attempts int
	// stale says that something it had read was changed by another server: it
	// does not go again with updates that have no part in that.
	stale bool
	// company bounds how many updates may go with it; zero is no bound.
	company int
	patient bool // nobody waits for it
}

// run runs the function, and says so also if that ends the goroutine.
func (u *update) run(tx *Txn) {
	u.tx, u.panicked = tx, true
	defer func() { u.ran <- struct{}{} }()
	u.failure = nil
	if u.when != nil {
		u.failure = u.when.Check(tx)
	}
	if u.failure == nil {
		u.failure = u.fn(tx)
	}
	u.panicked = false
}

func (u *update) finish(rev int64, err error) {
	u.rev, u.err = rev, err
	close(u.done)
}

// updates are the calls of Update that wait. One goroutine at a time leads them:
// it takes what has come while the commit before was on its way, lets each run its
// function on what the ones before have written, and commits all together. So
// updates of one process never defeat each other, and those that come together
// share a commit. Nobody overtakes, but for those that another server defeated.
type updates struct {
	db      *DB
	most    int // comparisons, and changes, of a group
	mu      sync.Mutex
	waiting []*update
	// patient are those that go with the next group, or by themselves when their patience
	// has ended without one, which overdue says.
	patient []*update
	overdue bool
	leading bool
	words   *words // of whoever has the turn
	// gathered is signalled when as many wait as gather waits for, which is enough.
	gathered chan struct{}
	enough   int
}

// patience is how long an update that nobody waits for waits for others, while there
// are none.
const patience = 8 * time.Millisecond

// join lets a call wait for its turn.
func (q *updates) join(fn func(*Txn) error, when Condition, patient bool) (*update, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.db.ctx.Err() != nil {
		return nil, ErrClosed
	}
	u := &update{
		fn: fn, when: when, turn: make(chan *Txn), ran: make(chan struct{}, 1),
		left: make(chan struct{}), done: make(chan struct{}), patient: patient,
	}
	if patient {
		if q.patient = append(q.patient, u); len(q.patient) == 1 {
			time.AfterFunc(patience, q.hurry)
		}
		return u, nil
	}
	q.waiting = append(q.waiting, u)
	switch {
	case !q.leading:
		q.leading = true
		q.db.done.Go(q.lead)
	case len(q.waiting) == q.enough:
		select {
		case q.gathered <- struct{}{}:
		default:
		}
	}
	return u, nil
}

// hurry ends the patience of those who have it.
func (q *updates) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overdue = len(q.patient) > 0
	if q.overdue && !q.leading && q.db.ctx.Err() == nil {
		q.leading = true
		q.db.done.Go(q.lead)
	}
}

// close runs stop, after which no goroutine is started any more.
func (q *updates) close(stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	stop()
}

// lead carries out updates until there are none.
func (q *updates) lead() {
	var line []*update
	for {
		q.mu.Lock()
		line = append(line, q.waiting...)
		q.waiting = nil
		if len(line) > 0 || q.overdue {
			line = append(line, q.patient...)
			q.patient, q.overdue = nil, false
		}
		if len(line) == 0 {
			q.leading = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		draft := newDraft(q.db.current.Load().snapshot, q.db.sole.Load(), q.words)
		g := &group{db: q.db, most: q.most, draft: draft, reads: draft.newReads()}
		rest := g.run(line)
		begun := time.Now()
		if line = append(rest, g.commit(len(rest) > 0)...); len(line) == 0 {
			q.gather(g.awaitedMembers(), time.Since(begun))
		}
	}
}

// group is some updates that are committed together, in the order in which they
// ran: each has seen what those before it have written. What one wrote that
// failed, none of the others sees.
type group struct {
	db      *DB
	most    int
	draft   *draft
	members []*update
	reads   map[read]int64 // of all members
}

// run lets updates run until the group is full, and gives the others.
func (g *group) run(line []*update) (rest []*update) {
	for i, u := range line {
		if !g.takes(u) || !g.let(u) {
			return line[i:]
		}
	}
	return nil
}

// takes says whether an update may go with those that are in the group.
func (g *group) takes(u *update) bool {
	if len(g.members) == 0 {
		return true
	}
	first := g.members[0]
	for _, bound := range []int{first.company, u.company} {
		if bound > 0 && len(g.members) >= bound {
			return false
		}
	}
	return u.stale == first.stale && g.draft.size() < g.most && len(g.reads) < g.most
}

// let lets one update run. False says that the group has no room for it, and is
// as it was before.
func (g *group) let(u *update) bool {
	mark := g.draft.mark()
	select {
	case u.turn <- newUpdate(g.db, g.draft):
	case <-u.left:
		return true
	}
	<-u.ran
	changes := u.tx.changes
	switch {
	case u.panicked:
		g.draft.undo(mark)
		return true
	case u.failure != nil, changes.err != nil:
		g.draft.undo(mark)
	}
	if u.failure == nil && changes.err != nil {
		u.finish(0, changes.err)
		return true
	}
	fresh := 0
	for r := range changes.reads {
		if _, known := g.reads[r]; !known {
			fresh++
		}
	}
	if len(g.members) > 0 && (len(g.reads)+fresh > g.most || g.draft.size() > g.most) {
		g.draft.undo(mark)
		return false
	}
	for r, rev := range changes.reads {
		g.reads[r] = rev
	}
	g.members = append(g.members, u)
	return true
}

// commit commits what the members have written, and gives those that must run
// again. Others says that somebody else waits.
func (g *group) commit(others bool) (again []*update) {
	if len(g.members) == 0 {
		return nil
	}
	p, err := g.draft.propose(g.db, g.reads)
	if err != nil {
		return g.finish(0, err)
	}
	changes := len(p.Put) + len(p.Delete)
	switch alone := len(g.members) == 1; {
	case changes+len(p.Compare) == 0:
		return g.finish(g.draft.base.rev, nil)
	case !alone && max(changes, len(p.Compare)) > g.most:
		return g.part(len(g.members) / 2)
	}
	ctx, cancel := g.awaited()
	defer cancel()
	g.db.asked.Store(p)
	rev, ok, err := g.db.store.Commit(ctx, p.Txn)
	switch alone := len(g.members) == 1; {
	case errors.Is(err, store.ErrFrozen) && changes == 0:
		err = nil // nothing changes any more, see View
	case errors.Is(err, store.ErrTooLarge) && !alone:
		return g.part(len(g.members) / 2)
	case (errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrFrozen)) && !alone:
		return g.part(1) // which does not concern those that change nothing
	case err != nil:
		err = unavailable(err)
	case !ok:
		return g.defeated(ctx, others)
	case changes > 0:
		g.db.committed(p, rev)
		return g.finish(rev, g.db.wait(ctx, rev))
	}
	return g.finish(g.draft.base.rev, err)
}

// awaitedMembers is how many of the members somebody waits for.
func (g *group) awaitedMembers() (n int) {
	for _, u := range g.members {
		if !u.patient {
			n++
		}
	}
	return n
}

// finish ends all members, each with its own outcome if the group had one.
func (g *group) finish(rev int64, err error) (none []*update) {
	for _, u := range g.members {
		switch {
		case err != nil:
			u.finish(0, err)
		case u.failure != nil:
			u.finish(0, errOfFunction)
		default:
			u.finish(rev, nil)
		}
	}
	return nil
}

// errOfFunction stands for what the function of an update has returned.
var errOfFunction = errors.New("the function failed")

// part sends the members into smaller groups.
func (g *group) part(company int) (again []*update) {
	for _, u := range g.members {
		u.company = company
	}
	return g.members
}

// awaited gives a context that ends when no member is waited for any more.
func (g *group) awaited() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(g.db.ctx)
	go func() {
		for _, u := range g.members {
			select {
			case <-u.left:
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	return ctx, cancel
}

// defeated waits for the state that made the commit fail, and tells those who had
// read what was changed from the others, who come first. It waits a little longer
// each time, so that several servers do not keep defeating each other, unless
// somebody else has something to do meanwhile.
func (g *group) defeated(ctx context.Context, others bool) (again []*update) {
	rev, err := g.db.heads.read(ctx)
	if err == nil {
		err = g.db.wait(ctx, rev)
	}
	if err != nil {
		return g.finish(0, err)
	}
	now, most := g.db.current.Load().snapshot, 0
	var stale []*update
	for _, u := range g.members {
		u.attempts++
		most = max(most, u.attempts)
		switch u.stale = !u.tx.changes.holds(now); {
		case u.attempts == maxAttempts:
			u.finish(0, fmt.Errorf("%w: gave up after %d attempts", ErrConflict, maxAttempts))
		case u.stale:
			stale = append(stale, u)
		default:
			again = append(again, u)
		}
	}
	if most > 1 && !others && len(again) == 0 {
		select {
		case <-time.After(min(time.Duration(most-1)*100*time.Microsecond, 5*time.Millisecond)):
		case <-ctx.Done():
		}
	}
	return append(again, stale...)
}
