// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// fakeStore is a store with faults.
type fakeStore struct {
	store.Store
	commit func(context.Context, store.Txn) error
	get    func(context.Context) error
	// broken, when set, ends watches with its error and is called for each.
	broken atomic.Pointer[func() error]
}

func (f *fakeStore) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if f.commit != nil {
		if err := f.commit(ctx, txn); err != nil {
			return 0, false, err
		}
	}
	return f.Store.Commit(ctx, txn)
}

func (f *fakeStore) Get(ctx context.Context, key string) (store.KeyValue, bool, error) {
	if f.get != nil {
		if err := f.get(ctx); err != nil {
			return store.KeyValue{}, false, err
		}
	}
	return f.Store.Get(ctx, key)
}

func (f *fakeStore) Watch(ctx context.Context, prefix string, from int64) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		for batch, err := range f.Store.Watch(ctx, prefix, from) {
			if broken := f.broken.Load(); broken != nil {
				batch, err = store.Batch{}, (*broken)()
			}
			if !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

func (f *fakeStore) breakWatch(fn func() error) {
	if fn == nil {
		f.broken.Store(nil)
		return
	}
	f.broken.Store(&fn)
}

// follower applies changes to a map and complains of those that do not fit.
type follower struct {
	t     testing.TB
	rows  map[table.Key]table.Row
	calls int
}

func (f *follower) follow(tx *table.Txn, changes []table.Change) error {
	f.calls++
	seen := make(map[table.Key]bool)
	for _, c := range changes {
		if seen[c.Key] {
			f.t.Errorf("%v occurs twice in a call", c.Key)
		}
		seen[c.Key] = true
		if f.rows[c.Key] != c.Old {
			f.t.Errorf("%v: old row is %v, want %v", c.Key, c.Old, f.rows[c.Key])
		}
		if c.Rev > tx.Revision() {
			f.t.Errorf("%v: changed at %d, state is of %d", c.Key, c.Rev, tx.Revision())
		}
		if f.rows[c.Key] = c.New; c.New == nil {
			delete(f.rows, c.Key)
		}
	}
	n := 0
	for row := range items.All(tx) {
		n++
		key := table.Key{Kind: "item", Account: row.Account, Region: row.Region, ID: row.ID}
		if f.rows[key] != table.Row(row) {
			f.t.Errorf("%v: the changes give %v, the state has %v", key, f.rows[key], row)
		}
	}
	for row := range others.All(tx) {
		n++
		if f.rows[table.Key{Kind: "other", ID: row.ID}] != table.Row(row) {
			f.t.Errorf("other %s differs", row.ID)
		}
	}
	if n != len(f.rows) {
		f.t.Errorf("the changes give %d rows, the state has %d", len(f.rows), n)
	}
	return nil
}

var errEnough = errors.New("enough")

// TestFollowUnderLoad follows with a slow and a fast follower on two databases
// while others write, and compares each state with what the changes say.
func TestFollowUnderLoad(t *testing.T) {
	s := newStore(t)
	mine, theirs := open(t, s), open(t, s)
	put(t, mine, &item{ID: "first"})
	var followers sync.WaitGroup
	for i, db := range []*table.DB{mine, theirs, theirs} {
		f := &follower{t: t, rows: make(map[table.Key]table.Row)}
		followers.Go(func() {
			err := db.Follow(deadline(t), func(tx *table.Txn, changes []table.Change) error {
				if err := f.follow(tx, changes); err != nil {
					return err
				}
				for range i * 200 { // the later ones are slower, and coalesce more
					itemsByGroup.Count(tx, "g")
				}
				if _, end := items.Get(tx, "", "", "end"); end {
					return errEnough
				}
				return nil
			})
			if !errors.Is(err, errEnough) {
				t.Error(err)
			}
			t.Logf("follower %d was called %d times", i, f.calls)
		})
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(w)))
			for i := range 150 {
				update(t, []*table.DB{mine, theirs}[w%2], func(tx *table.Txn) {
					id := fmt.Sprint(random.IntN(20))
					items.Delete(tx, "", "", id)
					if i%3 > 0 {
						items.Put(tx, &item{ID: id, N: i, Group: "g"})
					}
					others.Put(tx, &other{ID: fmt.Sprint(w, ".", i)})
				})
			}
		})
	}
	writers.Wait()
	put(t, mine, &item{ID: "end"})
	followers.Wait()
}

func TestFollowEnds(t *testing.T) {
	db := open(t, newStore(t))
	ctx, cancel := context.WithCancel(deadline(t))
	err := db.Follow(ctx, func(_ *table.Txn, changes []table.Change) error {
		if len(changes) > 0 {
			t.Errorf("changes of an empty state: %v", changes)
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after the context: %v", err)
	}
	err = db.Follow(deadline(t), func(*table.Txn, []table.Change) error {
		db.Close()
		return nil
	})
	if !errors.Is(err, table.ErrClosed) || !errors.Is(db.Err(), table.ErrClosed) {
		t.Errorf("after Close: %v, %v", err, db.Err())
	}
	<-db.Done()
	if _, err := db.View(deadline(t)); !errors.Is(err, table.ErrClosed) {
		t.Errorf("view after Close: %v", err)
	}
	if _, err := db.Update(deadline(t), func(tx *table.Txn) error {
		items.Put(tx, &item{ID: "a"})
		return nil
	}); !errors.Is(err, table.ErrClosed) {
		t.Errorf("update after Close: %v", err)
	}
}

// TestWatchBreaks interrupts the watch, and compacts the history meanwhile in
// the second case; nothing may be lost, also for a follower.
func TestWatchBreaks(t *testing.T) {
	for _, compaction := range []bool{false, true} {
		t.Run(fmt.Sprint("compaction ", compaction), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testWatchBreaks(t, compaction) })
		})
	}
}

func testWatchBreaks(t *testing.T, compaction bool) {
	memory := newStore(t)
	flaky := &fakeStore{Store: memory}
	db, writer := open(t, flaky), open(t, memory)
	put(t, writer, &item{ID: "kept"}, &item{ID: "deleted"}, &item{ID: "changed", Group: "g"})
	f := &follower{t: t, rows: make(map[table.Key]table.Row)}
	var group sync.WaitGroup
	group.Go(func() {
		err := db.Follow(deadline(t), func(tx *table.Txn, changes []table.Change) error {
			if err := f.follow(tx, changes); err != nil || items.CountScope(tx, "", "") < 4 {
				return err
			}
			return errEnough
		})
		if !errors.Is(err, errEnough) {
			t.Error(err)
		}
	})
	synctest.Wait()
	flaky.breakWatch(func() error { return errors.New("cut") })
	old, _ := items.Get(db.Snapshot(), "", "", "kept")
	update(t, writer, func(tx *table.Txn) { items.Delete(tx, "", "", "deleted") })
	put(t, writer, &item{ID: "changed", Group: "h"})
	rev := put(t, writer, &item{ID: "new"}, &item{ID: "new2"})
	time.Sleep(10 * time.Second) // of the bubble's clock
	equal(t, "rows while the watch is broken", ids(items.All(db.Snapshot())), "changed deleted kept")
	if compaction {
		if err := memory.Compact(deadline(t), rev); err != nil {
			t.Fatal(err)
		}
	}
	flaky.breakWatch(nil)
	tx, err := db.View(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ids(items.All(tx)), "changed kept new new2")
	equal(t, "index", ids(itemsByGroup.Rows(tx, "g"))+"|"+ids(itemsByGroup.Rows(tx, "h")), "|changed")
	if kept, _ := items.Get(tx, "", "", "kept"); kept != old {
		t.Error("a row that did not change was decoded again")
	}
	group.Wait()
	put(t, db, &item{ID: "afterwards", Group: "h"})
	equal(t, "index afterwards", ids(itemsByGroup.Rows(db.Snapshot(), "h")), "afterwards changed")
	checkGuards(t, memory)
}

// TestStoreDoesNotAnswer hangs the store until the context of a call ends.
func TestStoreDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("get: %w", ctx.Err())
		}
		s := &fakeStore{Store: newStore(t), get: hang}
		s.commit = func(ctx context.Context, _ store.Txn) error { return hang(ctx) }
		db := open(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, viewErr := db.View(ctx)
		_, updateErr := db.Update(ctx, func(tx *table.Txn) error {
			items.Put(tx, &item{ID: "a"})
			return nil
		})
		for _, err := range []error{viewErr, updateErr} {
			if !errors.Is(err, table.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v", err)
			}
		}
		if err := db.Err(); err != nil {
			t.Errorf("the tables gave up: %v", err)
		}
	})
}

// TestTablesLagBehind stops the watch: a View must not answer with the old state.
func TestTablesLagBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newStore(t)
		s := &fakeStore{Store: memory}
		db := open(t, s)
		s.breakWatch(func() error { return errors.New("cut") })
		put(t, open(t, memory), &item{ID: "a"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := db.View(ctx); !errors.Is(err, table.ErrUnavailable) || !strings.Contains(err.Error(), "not yet at") {
			t.Errorf("error is %v", err)
		}
	})
}

// TestViewsShareTheQuestion lets many callers come while one question is out:
// they must share the next one, and none may take the answer of the first.
func TestViewsShareTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := &fakeStore{Store: newStore(t)}
		s.get = func(context.Context) error {
			asked++
			time.Sleep(time.Second)
			return nil
		}
		db := open(t, s)
		var group sync.WaitGroup
		view := func() {
			if _, err := db.View(deadline(t)); err != nil {
				t.Error(err)
			}
		}
		group.Go(view)
		synctest.Wait()
		for range 50 {
			group.Go(view)
		}
		group.Wait()
		equal(t, "questions", asked, 2)
	})
}

// TestUndecodableRow: whatever key or row cannot be understood stops nobody.
func TestUndecodableRow(t *testing.T) {
	bad := map[string]string{ // key to what is set aside
		"/postern/v1/row/item/-/-/a":     "{",
		"/postern/v1/row/item/-/-/b":     `{"ID":"not b"}`,
		"/postern/v1/row/item/a":         `{"ID":"a"}`,
		"/postern/v1/range/item/group":   "",
		"/postern/v1/range/item/g/%zz":   "",
		"/postern/v1/row/item/-/-/%2a":   `{"ID":"*"}`,
		"/postern/v1/row/item/-/-/a/b/c": `{"ID":"a/b/c"}`,
	}
	for key, value := range bad {
		t.Run(key, func(t *testing.T) {
			s := newStore(t)
			db := open(t, s)
			put(t, db, &item{ID: "good"})
			txn := store.Txn{Put: []store.KeyValue{{Key: key, Value: []byte(value)}}}
			if _, _, err := s.Commit(deadline(t), txn); err != nil {
				t.Fatal(err)
			}
			put(t, db, &item{ID: "new"})
			for _, db := range []*table.DB{db, open(t, s)} {
				tx, err := db.View(deadline(t))
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "rows", ids(items.All(tx)), "good new")
				said := 0
				for a := range tx.SetAside() {
					if said++; !strings.Contains(a.Reason.Error(), key) {
						t.Errorf("set aside: %v", a.Reason)
					}
				}
				if row := strings.HasPrefix(key, "/postern/v1/row/item/-/-/") && strings.Count(key, "/") == 7; row != (said == 1) {
					t.Errorf("%d rows are set aside", said)
				}
			}
		})
	}
}

// TestUnknownKeysAreIgnored has rows of a kind that this database was not
// opened with, and keys of a later version.
func TestUnknownKeysAreIgnored(t *testing.T) {
	s := newStore(t)
	txn := store.Txn{Put: []store.KeyValue{
		{Key: "/postern/v1/row/later/-/-/a", Value: []byte("?")},
		{Key: "/postern/v1/range/later/i/v"},
		{Key: "/postern/v1/range/item/later/v"},
		{Key: "/postern/v1/something"},
	}}
	if _, _, err := s.Commit(deadline(t), txn); err != nil {
		t.Fatal(err)
	}
	db := open(t, s)
	put(t, db, &item{ID: "a"})
	if _, _, err := s.Commit(deadline(t), txn); err != nil {
		t.Fatal(err)
	}
	put(t, db, &item{ID: "b"})
	equal(t, "rows", ids(items.All(db.Snapshot())), "a b")
}
