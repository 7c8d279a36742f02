// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/store"
)

// Delays between attempts to watch a store that does not answer.
const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 2 * time.Second
)

// follow keeps the tables at the state of the store until the database is closed.
func (db *DB) follow() {
	defer close(db.failed)
	delay := firstDelay
	for {
		before := db.current.Load().rev
		err := db.watch()
		switch {
		case db.ctx.Err() != nil:
			db.cause = ErrClosed
			return
		case errors.Is(err, store.ErrFrozen):
			<-db.ctx.Done() // nothing will change any more
			db.cause = ErrClosed
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
		snap, err := db.load(db.ctx, v.snapshot)
		if err != nil {
			return err
		}
		db.reached(snap.rev, func(from *snapshot) (*snapshot, []Change) { return snap, difference(from, snap) })
	}
}

func (db *DB) watchOnce() error {
	ctx, cancel := context.WithCancel(db.ctx)
	defer cancel()
	for batch, err := range db.store.Watch(ctx, prefix, db.current.Load().rev+1) {
		if err != nil {
			return err
		}
		db.reached(batch.Rev, func(from *snapshot) (*snapshot, []Change) { return db.apply(from, batch) })
	}
	return errors.New("watch ended")
}

// reached publishes the state at a revision, unless a commit from here has already.
func (db *DB) reached(rev int64, next func(from *snapshot) (*snapshot, []Change)) {
	db.ahead.Lock()
	defer db.ahead.Unlock()
	if from := db.current.Load().snapshot; from.rev < rev {
		db.publish(next(from))
	}
}

// publish makes a snapshot the current one. The caller holds ahead.
func (db *DB) publish(snap *snapshot, changes []Change) {
	db.seen.note(snap.rev)
	last := db.current.Load().at
	next := newLogEntry(snap.rev)
	next.changes = changes
	last.next = next // before anybody can see next, and walk the log to it
	db.show(snap, next)
	close(last.superseded)
}

// apply returns the state after a batch, and the changes of rows in it.
func (db *DB) apply(from *snapshot, batch store.Batch) (*snapshot, []Change) {
	if p := db.asked.Load(); p != nil && p.became(from, batch) {
		return p.adopt(batch.Rev)
	}
	b := builder{db: db, from: from, tables: slices.Clone(from.tables), rev: batch.Rev, head: from.head}
	for _, event := range batch.Events {
		rev := batch.Rev
		if event.Deleted {
			rev = 0
		}
		b.event(store.KeyValue{Key: event.Key, Value: event.Value, ModRevision: rev})
	}
	return &snapshot{rev: batch.Rev, head: b.head, tables: b.tables}, b.changes
}

// load lists the store and returns its state. Rows that the state from, which may be
// nil, has too are its.
func (db *DB) load(ctx context.Context, from *snapshot) (*snapshot, error) {
	keys, rev, err := db.store.Range(ctx, prefix)
	if err != nil {
		return nil, unavailable(err)
	}
	b := builder{db: db, from: &snapshot{tables: make([]*content, len(db.definitions))}, rev: rev}
	for pos, def := range db.definitions {
		b.from.tables[pos] = newContent(def)
	}
	b.tables = slices.Clone(b.from.tables)
	for i, e := range db.decodeAll(from, keys) {
		b.listed(keys[i], e)
	}
	return &snapshot{rev: rev, head: b.head, tables: b.tables}, nil
}

// difference returns the changes that lead from one state to another.
func difference(from, to *snapshot) []Change {
	var changes []Change
	for pos := range to.tables {
		before, after := from.tables[pos], to.tables[pos]
		for e := range after.scanRows("") {
			switch old := before.get(e.path); {
			case old == nil:
				changes = append(changes, Change{Key: e.key(), New: e.row, Rev: e.rev})
			case old.rev != e.rev:
				changes = append(changes, Change{Key: e.key(), Old: old.row, New: e.row, Rev: e.rev})
			}
		}
		for e := range before.scanRows("") {
			if after.get(e.path) == nil {
				changes = append(changes, Change{Key: e.key(), Old: e.row, Rev: to.rev})
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
	head    int64
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
// that are neither rows nor guards nor the head.
func (b *builder) event(kv store.KeyValue) {
	if kv.Key == headKey {
		b.head = kv.ModRevision
	} else if rest, ok := strings.CutPrefix(kv.Key, rowPrefix); ok {
		b.row(kv, rest)
	} else if rest, ok := strings.CutPrefix(kv.Key, rangePrefix); ok {
		b.guard(kv, rest)
	}
}

func (b *builder) row(kv store.KeyValue, rest string) {
	kind, path, err := parseRowKey(rest)
	if err != nil {
		b.db.log.Warn("key of the store passed over", "error", err)
		return
	}
	pos, ok := b.db.kinds[kind]
	if !ok {
		return
	}
	var e placed
	if kv.ModRevision != 0 {
		if e, err = b.db.definitions[pos].decode(path, kv.Value, kv.ModRevision, b.db.words); err != nil {
			b.setAside(pos, path, kv.ModRevision, err)
			return
		}
	}
	b.set(pos, path, e)
}

func (b *builder) set(pos int, path string, e placed) {
	t := b.table(pos)
	t.takeBack(path)
	old := t.set(path, e)
	change := Change{Rev: b.rev}
	if old != nil {
		change.Key, change.Old = old.key(), old.row
	}
	if e.entry != nil {
		change.Key, change.New = e.key(), e.row
	}
	if change.Old != nil || change.New != nil {
		b.changes = append(b.changes, change)
	}
}

// setAside takes a row that cannot be read out of its table.
func (b *builder) setAside(pos int, path string, rev int64, reason error) {
	b.db.log.Error("row set aside: it stays in the store as it is, and all else goes on without it", "error", reason)
	b.set(pos, path, placed{})
	b.table(pos).putAside(path, aside{rev, reason})
}

// listed is event for a listed key, whose row was decoded before; the entry is
// nil when it has none.
func (b *builder) listed(kv store.KeyValue, e placed) {
	if e.entry == nil {
		b.event(kv)
		return
	}
	kind, _, _ := strings.Cut(kv.Key[len(rowPrefix):], "/")
	b.set(b.db.kinds[kind], e.path, e)
}

// decodeAll gives the entry of each listed key that is a row of ours and can be
// read, on as many processors as there are: this is half the work of a start. A
// row that an earlier state has is not decoded again.
func (db *DB) decodeAll(from *snapshot, keys []store.KeyValue) []placed {
	entries := make([]placed, len(keys))
	var g sync.WaitGroup
	size := len(keys)/runtime.GOMAXPROCS(0) + 1
	w := newWords(4 * len(keys))
	for at := 0; at < len(keys); at += size {
		g.Go(func() {
			for i := at; i < min(at+size, len(keys)); i++ {
				entries[i] = db.decodeListed(from, keys[i], w)
			}
		})
	}
	g.Wait()
	return entries
}

func (db *DB) decodeListed(from *snapshot, kv store.KeyValue, w *words) placed {
	rest, isRow := strings.CutPrefix(kv.Key, rowPrefix)
	if !isRow {
		return placed{}
	}
	kind, path, err := parseRowKey(rest)
	if err != nil {
		return placed{}
	}
	pos, ok := db.kinds[kind]
	if !ok {
		return placed{}
	}
	if from != nil {
		if e := from.tables[pos].get(path); e != nil && e.rev == kv.ModRevision {
			return e.placed()
		}
	}
	e, err := db.definitions[pos].decode(path, kv.Value, kv.ModRevision, w)
	if err != nil {
		return placed{} // event says so
	}
	return e
}

func (b *builder) guard(kv store.KeyValue, rest string) {
	kind, index, value, err := parseGuardKey(rest)
	if err != nil {
		b.db.log.Warn("key of the store passed over", "error", err)
		return
	}
	pos, ok := b.db.kinds[kind]
	if !ok {
		return
	}
	if i := slices.Index(b.db.definitions[pos].names, index); i >= 0 {
		b.table(pos).setGuard(i, value, kv.ModRevision)
	}
}
