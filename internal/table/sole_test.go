// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// TestOnlyWriterAsksNobody: a view costs no question, has what was changed before,
// and is refused when the tables do not follow the store any more.
func TestOnlyWriterAsksNobody(t *testing.T) {
	questions := 0
	s := &fakeStore{Store: newStore(t), get: func(context.Context) error { questions++; return nil }}
	db := open(t, s)
	db.OnlyWriter()
	put(t, db, &item{ID: "a"})
	tx, err := db.View(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, there := items.Get(tx, "", "", "a"); !there || questions > 0 {
		t.Errorf("the view has the row: %v, after %d questions", there, questions)
	}
	db.Close()
	if _, err := db.View(deadline(t)); !errors.Is(err, table.ErrClosed) {
		t.Errorf("a view of tables that were closed: %v", err)
	}
}

// late is a store whose first commit is carried out after its caller was told that
// nobody knows what became of it: when the second one comes.
type late struct {
	store.Store
	delayed *store.Txn
	commits int
}

func (l *late) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	switch l.commits++; l.commits {
	case 1:
		l.delayed = &txn
		return 0, false, context.DeadlineExceeded
	case 2:
		if _, ok, err := l.Store.Commit(ctx, *l.delayed); err != nil || !ok {
			return 0, ok, err
		}
	}
	return l.Store.Commit(ctx, txn)
}

// TestOnlyWriterSeesItsOwnLateCommit: a commit of unknown outcome that comes true
// later makes those run again that had not seen it, also if they only counted.
func TestOnlyWriterSeesItsOwnLateCommit(t *testing.T) {
	db := open(t, &late{Store: newStore(t)})
	db.OnlyWriter()
	next := func(tx *table.Txn) error {
		n := itemsByGroup.Count(tx, "g")
		return items.Insert(tx, &item{ID: string(rune('a' + n)), Group: "g"})
	}
	if _, err := db.Update(deadline(t), next); !errors.Is(err, table.ErrUnavailable) {
		t.Fatalf("the first update: %v", err)
	}
	if _, err := db.Update(deadline(t), next); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ids(items.All(db.Snapshot())), "a b")
}

// TestOnlyWriterLeavesNoGuards: it compares one key and puts no guard, deletes those
// of others before it, and whoever comes after it is defeated by a change of a range
// that it has read, also when that leaves no trace at the range.
func TestOnlyWriterLeavesNoGuards(t *testing.T) {
	s := newStore(t)
	put(t, open(t, s), &item{ID: "a", Group: "g"})
	var last store.Txn
	db := open(t, &fakeStore{Store: s, commit: func(_ context.Context, txn store.Txn) error { last = txn; return nil }})
	db.OnlyWriter()
	update(t, db, func(tx *table.Txn) {
		equal(t, "rows", itemsByGroup.Count(tx, "g"), 1)
		items.Put(tx, &item{ID: "b", Group: "g"})
	})
	equal(t, "comparisons", len(last.Compare), 1)
	equal(t, "puts", len(last.Put), 2)
	put(t, db, &item{ID: "a", Group: "g", N: 1})
	update(t, db, func(tx *table.Txn) { items.Delete(tx, "", "", "b") })
	guards, _, err := s.Range(deadline(t), "/postern/v1/range/item/group/")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "guards", len(guards), 0)
	equal(t, "counted", itemsByGroup.Count(db.Snapshot(), "g"), 1)
	db.Close()

	mine, theirs := open(t, s), open(t, s)
	runs := 0
	update(t, mine, func(tx *table.Txn) {
		if runs++; runs == 1 {
			update(t, theirs, func(tx *table.Txn) { items.Delete(tx, "", "", "a") })
			put(t, theirs, &item{ID: "c", Group: "g"})
			update(t, theirs, func(tx *table.Txn) { items.Delete(tx, "", "", "c") })
		}
		equal(t, "counted at last", itemsByGroup.Count(tx, "g"), 2-runs)
		items.Put(tx, &item{ID: "d", Group: "h"})
	})
	equal(t, "runs", runs, 2)
}
