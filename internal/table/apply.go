// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/store"
)

// Delays between attempts to watch a store that does not answer.
const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 2 * time.Second
)

// follow keeps the tables at the state of the store until the database is closed
// or a row cannot be decoded.
func (db *DB) follow() {
	defer close(db.failed)
	delay := firstDelay
	for {
		before := db.current.Load().rev
		err := db.watch()
		var broken *brokenRow
		switch {
		case db.ctx.Err() != nil:
			db.cause = ErrClosed
			return
		case errors.Is(err, store.ErrFrozen):
			<-db.ctx.Done() // nothing will change any more
			db.cause = ErrClosed
			return
		case errors.As(err, &broken):
			db.cause = broken
			db.log.Error("tables stopped following the store", "error", err)
			return
		}
		if db.current.Load().rev > before {
			delay = firstDelay
		}
		db.log.Warn("watch of the store broke, trying again", "error", err, "revision", before, "delay", delay)
		select {
		case <-time.After(delay):
		case <-db.ctx.Done():
		}
		delay = min(2*delay, lastDelay)
	}
}

// watch applies changes until an error, and lists the store again when its
// history does not reach back to the state of the tables.
func (db *DB) watch() error {
	for {
		err := db.watchOnce()
		if !errors.Is(err, store.ErrCompacted) {
			return err
		}
		v := db.current.Load()
		db.log.Warn("store has forgotten changes, listing everything again", "revision", v.rev)
		snap, changes, err := db.load(db.ctx, v.snapshot)
		if err != nil {
			return err
		}
		db.publish(snap, changes)
	}
}

func (db *DB) watchOnce() error {
	ctx, cancel := context.WithCancel(db.ctx)
	defer cancel()
	for batch, err := range db.store.Watch(ctx, prefix, db.current.Load().rev+1) {
		if err != nil {
			return err
		}
		snap, changes, err := db.apply(db.current.Load().snapshot, batch)
		if err != nil {
			return err
		}
		db.publish(snap, changes)
	}
	return errors.New("watch ended")
}

// publish makes a snapshot the current one. Only the follower calls it.
func (db *DB) publish(snap *snapshot, changes []Change) {
	last := db.current.Load().at
	next := newLogEntry(snap.rev)
	next.changes = changes
	last.next = next // before anybody can see next, and walk the log to it
	db.current.Store(&version{snapshot: snap, at: next})
	close(last.superseded)
}

// brokenRow says which key of the store cannot be understood, and why.
type brokenRow struct{ cause error }

func (b *brokenRow) Error() string { return b.cause.Error() }
func (b *brokenRow) Unwrap() error { return b.cause }

// apply returns the state after a batch, and the changes of rows in it.
func (db *DB) apply(from *snapshot, batch store.Batch) (*snapshot, []Change, error) {
	if p := db.asked.Load(); p != nil && p.became(from, batch) {
		snap, changes := p.adopt(batch.Rev)
		return snap, changes, nil
	}
	b := builder{db: db, from: from, tables: slices.Clone(from.tables), rev: batch.Rev}
	for _, event := range batch.Events {
		rev := batch.Rev
		if event.Deleted {
			rev = 0
		}
		if err := b.event(store.KeyValue{Key: event.Key, Value: event.Value, ModRevision: rev}); err != nil {
			return nil, nil, err
		}
	}
	return &snapshot{rev: batch.Rev, tables: b.tables}, b.changes, nil
}

// load lists the store and returns its state, with the changes since the state
// from, which may be nil.
func (db *DB) load(ctx context.Context, from *snapshot) (*snapshot, []Change, error) {
	keys, rev, err := db.store.Range(ctx, prefix)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	b := builder{db: db, from: &snapshot{tables: make([]*content, len(db.definitions))}, rev: rev}
	for pos, def := range db.definitions {
		b.from.tables[pos] = newContent(def)
	}
	b.tables = slices.Clone(b.from.tables)
	entries, err := db.decodeAll(from, keys)
	if err != nil {
		return nil, nil, err
	}
	for i, kv := range keys {
		if err := b.listed(kv, entries[i]); err != nil {
			return nil, nil, err
		}
	}
	snap := &snapshot{rev: rev, tables: b.tables}
	if from == nil {
		return snap, nil, nil
	}
	return snap, difference(from, snap), nil
}

// difference returns the changes that lead from one state to another.
func difference(from, to *snapshot) []Change {
	var changes []Change
	for pos := range to.tables {
		before, after := from.tables[pos], to.tables[pos]
		for e := range after.scanRows("") {
			switch old := before.get(e.path); {
			case old == nil:
				changes = append(changes, Change{Key: e.key, New: e.row, Rev: e.rev})
			case old.rev != e.rev:
				changes = append(changes, Change{Key: e.key, Old: old.row, New: e.row, Rev: e.rev})
			}
		}
		for e := range before.scanRows("") {
			if after.get(e.path) == nil {
				changes = append(changes, Change{Key: e.key, Old: e.row, Rev: to.rev})
			}
		}
	}
	return changes
}

// builder makes the next snapshot from one that must not change.
type builder struct {
	db      *DB
	from    *snapshot
	tables  []*content
	rev     int64
	changes []Change
}

// table returns a version of the table that may be changed.
func (b *builder) table(pos int) *content {
	if b.tables[pos] == b.from.tables[pos] {
		b.tables[pos] = b.from.tables[pos].clone()
	}
	return b.tables[pos]
}

// event applies a changed key; ModRevision zero says that it was deleted. Kinds
// and indexes that this database does not have are passed over, and so are keys
// that are neither rows nor guards.
func (b *builder) event(kv store.KeyValue) error {
	if rest, ok := strings.CutPrefix(kv.Key, rowPrefix); ok {
		return b.row(kv, rest)
	}
	if rest, ok := strings.CutPrefix(kv.Key, rangePrefix); ok {
		return b.guard(kv, rest)
	}
	return nil
}

func (b *builder) row(kv store.KeyValue, rest string) error {
	kind, path, err := parseRowKey(rest)
	if err != nil {
		return &brokenRow{err}
	}
	pos, ok := b.db.kinds[kind]
	if !ok {
		return nil
	}
	var e *entry
	if kv.ModRevision != 0 {
		if e, err = b.db.definitions[pos].decode(path, kv.Value, kv.ModRevision); err != nil {
			return &brokenRow{err}
		}
	}
	b.set(pos, path, e)
	return nil
}

func (b *builder) set(pos int, path string, e *entry) {
	old := b.table(pos).set(path, e)
	change := Change{Rev: b.rev}
	if old != nil {
		change.Key, change.Old = old.key, old.row
	}
	if e != nil {
		change.Key, change.New = e.key, e.row
	}
	if change.Old != nil || change.New != nil {
		b.changes = append(b.changes, change)
	}
}

// listed is event for a listed key, whose row was decoded before; the entry is
// nil when it has none.
func (b *builder) listed(kv store.KeyValue, e *entry) error {
	if e == nil {
		return b.event(kv)
	}
	kind, _, _ := strings.Cut(kv.Key[len(rowPrefix):], "/")
	b.set(b.db.kinds[kind], e.path, e)
	return nil
}

// decodeAll gives the entry of each listed key that is a row of ours, on as many
// processors as there are: this is half the work of a start. A row that an
// earlier state has is not decoded again.
func (db *DB) decodeAll(from *snapshot, keys []store.KeyValue) ([]*entry, error) {
	entries := make([]*entry, len(keys))
	var g errgroup.Group
	size := len(keys)/runtime.GOMAXPROCS(0) + 1
	for at := 0; at < len(keys); at += size {
		g.Go(func() (err error) {
			for i := at; i < min(at+size, len(keys)); i++ {
				if entries[i], err = db.decodeListed(from, keys[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return entries, g.Wait()
}

func (db *DB) decodeListed(from *snapshot, kv store.KeyValue) (*entry, error) {
	rest, isRow := strings.CutPrefix(kv.Key, rowPrefix)
	if !isRow {
		return nil, nil
	}
	kind, path, err := parseRowKey(rest)
	if err != nil {
		return nil, &brokenRow{err}
	}
	pos, ok := db.kinds[kind]
	if !ok {
		return nil, nil
	}
	if from != nil {
		if e := from.tables[pos].get(path); e != nil && e.rev == kv.ModRevision {
			return e, nil
		}
	}
	e, err := db.definitions[pos].decode(path, kv.Value, kv.ModRevision)
	if err != nil {
		return nil, &brokenRow{err}
	}
	return e, nil
}

func (b *builder) guard(kv store.KeyValue, rest string) error {
	kind, index, value, err := parseGuardKey(rest)
	if err != nil {
		return &brokenRow{err}
	}
	pos, ok := b.db.kinds[kind]
	if !ok {
		return nil
	}
	if i := slices.Index(b.db.definitions[pos].names, index); i >= 0 {
		b.table(pos).setGuard(i, value, kv.ModRevision)
	}
	return nil
}
