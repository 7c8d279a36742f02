// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"fmt"
)

// Change is what became of one row: Old is nil for a new row, New is nil for a
// deleted one. Rev is the revision of the (last) change.
type Change struct {
	Key      Key
	Old, New Row
	Rev      int64
}

// logEntry is an element of the log of changes: a list of which the followers
// hold the element they have reached, and the database the last one.
type logEntry struct {
	rev        int64
	changes    []Change
	next       *logEntry     // valid once a later version has been loaded
	superseded chan struct{} // closed when there is a next
}

func newLogEntry(rev int64) *logEntry {
	return &logEntry{rev: rev, superseded: make(chan struct{})}
}

// Follow calls fn with every row as a new one, and then with what has changed
// each time that something has, one call after the other, until the context
// ends, fn fails or the tables stop following the store; it returns why. The
// transaction of a call is read-only and shows the state after the changes.
// What happens during a call is coalesced into the next, so each row occurs at
// most once; a row that came and went in between does not occur at all.
func (db *DB) Follow(ctx context.Context, fn func(tx *Txn, changes []Change) error) error {
	t := db.Tail()
	if err := fn(t.Txn(), t.Txn().everything()); err != nil {
		return err
	}
	for {
		select {
		case <-t.News():
		case <-db.failed:
			return fmt.Errorf("follow the tables: %w", db.cause)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		changes := t.Next()
		if len(changes) == 0 {
			continue
		}
		if err := fn(t.Txn(), changes); err != nil {
			return err
		}
	}
}

// Tail is a place in the history of the tables, for who reads on at its own pace. It
// belongs to one goroutine.
type Tail struct {
	db *DB
	at *logEntry
	tx *Txn
}

// Tail gives the newest place in the history.
func (db *DB) Tail() *Tail {
	v := db.current.Load()
	return &Tail{db, v.at, v.view}
}

// Txn is the read-only state at the place.
func (t *Tail) Txn() *Txn { return t.tx }

// News is closed when there is more history. Next gives another one.
func (t *Tail) News() <-chan struct{} { return t.at.superseded }

// Next goes on to the newest place, and gives what has changed on the way, as
// Follow does.
func (t *Tail) Next() []Change {
	v := t.db.current.Load()
	if v.at == t.at {
		return nil
	}
	changes := changesBetween(t.at, v.at)
	t.at, t.tx = v.at, v.view
	return changes
}

// everything returns each row of the state as a new one.
func (tx *Txn) everything() []Change {
	var changes []Change
	for _, table := range tx.base.tables {
		for e := range table.scanRows("") {
			changes = append(changes, Change{Key: e.key(), New: e.row, Rev: e.rev})
		}
	}
	return changes
}

// changesBetween returns what happened after the element from, up to and with
// the element to, at most one change for each row.
func changesBetween(from, to *logEntry) []Change {
	if from.next == to {
		return to.changes
	}
	var merged []Change
	place := make(map[Key]int)
	for at := from; at != to; {
		at = at.next
		for _, change := range at.changes {
			if i, ok := place[change.Key]; ok {
				merged[i].New, merged[i].Rev = change.New, change.Rev
				continue
			}
			place[change.Key] = len(merged)
			merged = append(merged, change)
		}
	}
	kept := merged[:0]
	for _, change := range merged {
		if change.Old != nil || change.New != nil {
			kept = append(kept, change)
		}
	}
	return kept
}
