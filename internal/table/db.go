// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/posternhq/postern/internal/store"
)

// maxAttempts bounds how often other servers may defeat an Update. Those of one
// process do not defeat each other.
const maxAttempts = 100

var (
	// ErrConflict is the cause when an Update gave up because other
	// transactions kept changing what it had read. Nothing was changed.
	ErrConflict = errors.New("state kept changing")
	// ErrUnavailable is the cause when the store did not answer, or the tables
	// did not catch up with it, before the context ended. When an Update fails
	// so, it may still have been committed.
	ErrUnavailable = errors.New("state is unavailable")
	// ErrFull is the cause, besides ErrUnavailable, when the store has no room for
	// a change. Nothing was changed.
	ErrFull = store.ErrFull
	// ErrTooLarge is the cause when the store does not take so much at once; see
	// UpdateInParts. Nothing was changed.
	ErrTooLarge = store.ErrTooLarge
	// ErrClosed is the cause when the database was closed.
	ErrClosed = errors.New("tables are closed")
)

// DB is a set of tables that follow one store. All methods may be called
// concurrently.
type DB struct {
	store       store.Store
	log         *slog.Logger
	definitions []*definition
	positions   map[*definition]int
	kinds       map[string]int

	current atomic.Pointer[version]
	ahead   sync.Mutex // held to publish a version
	words   *words     // of the follower
	seen    seen
	asked   atomic.Pointer[proposal] // what was asked of the store last
	updates updates
	heads   headReader
	sole    atomic.Bool // nobody else writes to the store

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	done sync.WaitGroup

	failed chan struct{} // closed when following has ended for good
	cause  error         // why; set before failed is closed
}

// snapshot is the tables at one revision. It never changes.
type snapshot struct {
	rev    int64
	head   int64 // revision of headKey
	tables []*content
}

// version is a published snapshot together with its place in the log of changes.
type version struct {
	*snapshot
	at   *logEntry
	view *Txn // of the snapshot, for all who read it; who keeps it does not keep the log
}

// show makes a snapshot the one that is read from now on.
func (db *DB) show(snap *snapshot, at *logEntry) {
	db.current.Store(&version{snapshot: snap, at: at, view: &Txn{db: db, base: snap}})
}

// Open loads the tables from the store and follows it until Close. The context
// bounds the loading only. The store stays the caller's to close, after the
// database. It panics when two tables have the same kind.
//
// A row that cannot be read is set aside, now and later, see [Txn.SetAside].
func Open(ctx context.Context, s store.Store, log *slog.Logger, tables ...Any) (*DB, error) {
	db := &DB{
		store:     s,
		log:       log,
		positions: make(map[*definition]int),
		kinds:     make(map[string]int),
		failed:    make(chan struct{}),
		words:     newWords(fewWords),
	}
	for pos, t := range tables {
		def := t.definition()
		if _, taken := db.kinds[def.kind]; taken {
			panic(fmt.Sprintf("table %s is defined twice", def.kind))
		}
		def.opened.Store(true)
		db.definitions = append(db.definitions, def)
		db.positions[def], db.kinds[def.kind] = pos, pos
	}
	snap, err := db.load(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("load tables: %w", err)
	}
	db.show(snap, newLogEntry(snap.rev))
	db.ctx, db.stop = context.WithCancel(context.Background())
	db.heads.init(db)
	db.updates = updates{db: db, most: min(s.MaxOps(), groupOps), words: newWords(fewWords), gathered: make(chan struct{}, 1)}
	db.done.Go(db.follow)
	return db, nil
}

// Close stops following the store. Snapshots that were taken stay readable.
func (db *DB) Close() {
	db.heads.close(func() { db.updates.close(db.stop) })
	db.done.Wait()
}

// Done is closed when the tables no longer follow the store: after Close.
func (db *DB) Done() <-chan struct{} { return db.failed }

// Err returns nil while the tables follow the store, and ErrClosed after Close.
func (db *DB) Err() error {
	select {
	case <-db.failed:
		return db.cause
	default:
		return nil
	}
}

// Snapshot returns the newest state known here, without waiting. It contains
// every change that an Update of this database has returned from.
func (db *DB) Snapshot() *Txn {
	return db.current.Load().view
}

// OnlyWriter says that from now on nobody but this database changes rows in the
// store. View then asks nobody: an Update does not return before the tables have
// its change. A commit compares the head alone, and ranges have no guards: who
// comes later and is not the only writer puts them as it goes, see readRange.
func (db *DB) OnlyWriter() { db.sole.Store(true) }

// View returns a state that contains every change committed before the call,
// by whatever server: it asks the store for its newest revision and waits until
// the tables have it. Concurrent callers share the question. A store that is
// frozen cannot be asked and need not be: the tables have all that it acknowledged.
// An error of the condition that the context has is returned as it is.
func (db *DB) View(ctx context.Context) (*Txn, error) {
	if err := db.reach(ctx); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	tx := db.Snapshot()
	if c := conditionOf(ctx); c != nil {
		if err := c.Check(tx); err != nil {
			return nil, err
		}
	}
	return tx, nil
}

// reach waits until the tables have what was committed before.
func (db *DB) reach(ctx context.Context) error {
	if db.sole.Load() {
		return db.Err()
	}
	rev, err := db.heads.read(ctx)
	switch {
	case err == nil:
		return db.wait(ctx, rev)
	case errors.Is(err, store.ErrFrozen):
		return nil
	}
	return err
}

// Update runs fn on the newest state known here and commits what it wrote if
// nothing that it read has changed in the meantime; otherwise it runs fn again
// on newer state. So fn must have no effect but on the transaction and on
// variables that it sets anew each time, and must not wait for another Update. It
// returns the revision of the change when the tables here have it.
//
// Updates that come together are committed together: fn then sees what those
// before it wrote, and all happen or none. Each has its own outcome.
//
// A condition that the context has, see WithCondition, runs before fn, as a part of it.
// An error of fn is returned as it is, and nothing is changed; but it too is
// believed only if what fn read is still true in the store, so that "not found"
// is never an answer from an old state. Other errors wrap ErrConflict,
// ErrUnavailable, ErrClosed, store.ErrTooLarge or the cause why a row cannot be
// stored.
func (db *DB) Update(ctx context.Context, fn func(*Txn) error) (int64, error) {
	return db.update(ctx, fn, false)
}

// UpdatePatiently is Update for what nobody waits for: it goes with the next updates that
// others wait for, behind them, and by itself when there are none for some milliseconds.
func (db *DB) UpdatePatiently(ctx context.Context, fn func(*Txn) error) (int64, error) {
	return db.update(ctx, fn, true)
}

func (db *DB) update(ctx context.Context, fn func(*Txn) error, patient bool) (int64, error) {
	u, err := db.updates.join(fn, conditionOf(ctx), patient)
	if err != nil {
		return 0, fmt.Errorf("update the state: %w", err)
	}
	defer close(u.left)
	for {
		select {
		case tx := <-u.turn:
			u.run(tx)
			continue
		case <-u.done:
			err = u.err
		case <-db.failed:
			err = db.cause
		case <-ctx.Done():
			err = unavailable(ctx.Err())
		}
		switch {
		case err == errOfFunction:
			return 0, u.failure
		case err != nil:
			return 0, fmt.Errorf("update the state: %w", err)
		}
		return u.rev, nil
	}
}

// Room is how many changes the store takes for sure in one Update.
func (db *DB) Room() int { return db.updates.most - 1 } // and the head

// groupOps bounds how many comparisons, and how many changes, the commit of a
// group has, so that one that comes meanwhile does not wait long.
const groupOps = 512

// unavailable marks errors of the store that say nothing about the request.
func unavailable(err error) error {
	if errors.Is(err, store.ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// wait returns when the tables have reached the revision.
func (db *DB) wait(ctx context.Context, rev int64) error {
	for {
		v := db.current.Load()
		if v.rev >= rev {
			return nil
		}
		select {
		case <-v.at.superseded:
		case <-db.failed:
			return db.cause
		case <-ctx.Done():
			return unavailable(fmt.Errorf("tables are at revision %d, not yet at %d: %w", v.rev, rev, ctx.Err()))
		}
	}
}
