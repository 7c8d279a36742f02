// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// gate is a store that notes the commits that are asked of it, and lets each
// take a second, so that updates come together meanwhile.
type gate struct {
	*fakeStore
	commits []store.Txn
	before  atomic.Pointer[func() error] // nil, or asked before each commit
	mu      sync.Mutex
}

func newGate(t *testing.T) *gate {
	g := &gate{fakeStore: &fakeStore{Store: newStore(t)}}
	g.commit = func(_ context.Context, txn store.Txn) error {
		g.mu.Lock()
		g.commits = append(g.commits, txn)
		g.mu.Unlock()
		time.Sleep(time.Second)
		if before := g.before.Load(); before != nil {
			return (*before)()
		}
		return nil
	}
	return g
}

// rows gives the ids of the items that each commit put or deleted.
func (g *gate) rows() (commits []string) {
	for _, txn := range g.commits {
		var ids []string
		for _, kv := range txn.Put {
			if id, ok := strings.CutPrefix(kv.Key, "/postern/v1/row/item/-/-/"); ok {
				ids = append(ids, id)
			}
		}
		for _, key := range txn.Delete {
			if id, ok := strings.CutPrefix(key, "/postern/v1/row/item/-/-/"); ok {
				ids = append(ids, "-"+id)
			}
		}
		commits = append(commits, strings.Join(ids, " "))
	}
	return commits
}

// holdUp keeps the store busy with a commit of the item "first".
func holdUp(t *testing.T, group *sync.WaitGroup, db *table.DB) {
	group.Go(func() { put(t, db, &item{ID: "first"}) })
	synctest.Wait()
}

// TestUpdatesThatComeTogetherShareACommit: also those that change one row, and
// each reads what the one before has written.
func TestUpdatesThatComeTogetherShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const updates = 20
		g := newGate(t)
		db := open(t, g)
		var group sync.WaitGroup
		holdUp(t, &group, db)
		var counts sync.Map
		for range updates {
			group.Go(func() {
				var n int
				rev := update(t, db, func(tx *table.Txn) {
					row, ok := items.Get(tx, "", "", "a")
					n = 1
					if ok {
						n = row.N + 1
					}
					items.Put(tx, &item{ID: "a", N: n})
				})
				if _, twice := counts.LoadOrStore(n, true); twice {
					t.Errorf("two updates counted to %d", n)
				}
				if row, ok := items.Get(db.Snapshot(), "", "", "a"); !ok || row.N != updates || rev != 3 {
					t.Errorf("after an update at %d the tables have %v", rev, row)
				}
			})
		}
		group.Wait()
		equal(t, "commits", g.rows(), []string{"first", "a"})
	})
}

// TestFailedUpdateWritesNothingIntoItsGroup: what it wrote, others do not see, and
// what it says is its own.
func TestFailedUpdateWritesNothingIntoItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		db := open(t, g)
		put(t, db, &item{ID: "old", Group: "g", Tags: []string{"x"}})
		var group sync.WaitGroup
		holdUp(t, &group, db)
		refused := errors.New("no")
		group.Go(func() {
			_, err := db.Update(deadline(t), func(tx *table.Txn) error {
				items.Put(tx, &item{ID: "a", Group: "g"})
				items.Delete(tx, "", "", "old")
				items.Put(tx, &item{ID: "a", Group: "h"})
				items.Put(tx, &item{ID: "old", Group: "h"})
				return refused
			})
			if err != refused {
				t.Errorf("the one that fails got %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			update(t, db, func(tx *table.Txn) {
				equal(t, "group g", ids(itemsByGroup.Rows(tx, "g")), "old")
				equal(t, "group h", itemsByGroup.Count(tx, "h"), 0)
				equal(t, "tag x", itemsByTag.Count(tx, "x"), 1)
				items.Put(tx, &item{ID: "b"})
			})
		})
		synctest.Wait()
		group.Go(func() {
			_, err := db.Update(deadline(t), func(tx *table.Txn) error {
				return items.Insert(tx, &item{ID: "b"})
			})
			if !errors.Is(err, table.ErrExists) {
				t.Errorf("who inserts what one before it did got %v", err)
			}
		})
		group.Wait()
		equal(t, "commits", g.rows(), []string{"old", "first", "b"})
		equal(t, "rows", ids(items.All(db.Snapshot())), "b first old")
	})
}

// TestGroupsAreBounded: no commit of several updates has more operations than
// the store takes for sure; a large one goes alone, in its turn.
func TestGroupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		db := open(t, g)
		var group sync.WaitGroup
		holdUp(t, &group, db)
		add := func(prefix string, n int) {
			group.Go(func() {
				update(t, db, func(tx *table.Txn) {
					for i := range n {
						items.Put(tx, &item{ID: fmt.Sprint(prefix, i), Group: fmt.Sprint(prefix, i)})
					}
				})
			})
			synctest.Wait()
		}
		for i := range 60 {
			add(fmt.Sprint("a", i, "-"), 1)
		}
		add("large-", 1000)
		for i := range 10 {
			add(fmt.Sprint("b", i, "-"), 1)
		}
		group.Wait()
		var shape []string
		for i, rows := range g.rows() {
			txn, ids := g.commits[i], strings.Fields(rows)
			if n := len(txn.Put) + len(txn.Delete); n > g.MaxOps() && len(ids) != 1000 {
				t.Errorf("a commit of %d rows has %d changes", len(ids), n)
			}
			shape = append(shape, fmt.Sprint(ids[0][:1], len(ids)))
		}
		// A row and the guard of its group; the scope's and the head are shared.
		equal(t, "commits", shape, []string{"f1", "a60", "l1000", "b10"})
	})
}

// TestOtherServersDefeatNobodyElse: one update reads what another server changes
// all the time. Those that go with it at first are committed the next time.
func TestOtherServersDefeatNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		theirs := open(t, s)
		put(t, theirs, &item{ID: "k"})
		g := &gate{fakeStore: &fakeStore{Store: s}}
		changes := 0
		g.commit = func(_ context.Context, txn store.Txn) error {
			g.commits = append(g.commits, txn)
			time.Sleep(time.Second)
			for _, c := range txn.Compare {
				if c.Key == "/postern/v1/row/item/-/-/k" && changes < 5 {
					changes++
					put(t, theirs, &item{ID: "k", N: changes})
				}
			}
			return nil
		}
		db := open(t, g)
		var group sync.WaitGroup
		holdUp(t, &group, db)
		runs := make([]atomic.Int64, 4)
		for i := range runs {
			group.Go(func() {
				update(t, db, func(tx *table.Txn) {
					runs[i].Add(1)
					if i == 1 {
						items.Get(tx, "", "", "k")
					}
					items.Put(tx, &item{ID: fmt.Sprint("r", i)})
				})
			})
			synctest.Wait()
		}
		group.Wait()
		want := []string{"first", "r0 r1 r2 r3", "r0 r2 r3", "r1", "r1", "r1", "r1", "r1"}
		equal(t, "commits", g.rows(), want)
		for i := range runs {
			if n := runs[i].Load(); (i != 1 && n > 2) || n > 7 {
				t.Errorf("update %d ran %d times", i, n)
			}
		}
	})
}

// TestStoreRefusesAGroup: what the store does not take of all, it is asked of
// fewer, so that each has the outcome that it would have alone.
func TestStoreRefusesAGroup(t *testing.T) {
	changes := func(rows string) bool { return rows != "" }
	all := func(string) bool { return true }
	gone := errors.New("gone")
	for _, c := range []struct {
		cause               error
		refused             func(rows string) bool
		wantA, wantB, wantC error
	}{
		{store.ErrTooLarge, func(rows string) bool { return strings.Contains(rows, "a") }, store.ErrTooLarge, nil, nil},
		{store.ErrFull, changes, store.ErrFull, store.ErrFull, nil},
		{store.ErrFrozen, all, store.ErrFrozen, store.ErrFrozen, nil},
		{gone, all, table.ErrUnavailable, table.ErrUnavailable, table.ErrUnavailable},
	} {
		t.Run(c.cause.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(t)
				db := open(t, g)
				var group sync.WaitGroup
				holdUp(t, &group, db)
				refuse := func() error {
					rows := g.rows()[len(g.commits)-1]
					if rows == "first" || !c.refused(rows) {
						return nil
					}
					return fmt.Errorf("commit: %w", c.cause)
				}
				g.before.Store(&refuse)
				try := func(name string, want error, fn func(tx *table.Txn)) {
					group.Go(func() {
						_, err := db.Update(deadline(t), func(tx *table.Txn) error { fn(tx); return nil })
						if !errors.Is(err, want) || (want == nil && err != nil) {
							t.Errorf("%s got %v, want %v", name, err, want)
						}
					})
					synctest.Wait()
				}
				try("a", c.wantA, func(tx *table.Txn) { items.Put(tx, &item{ID: "a"}) })
				try("b", c.wantB, func(tx *table.Txn) { items.Put(tx, &item{ID: "b"}) })
				try("reader", c.wantC, func(tx *table.Txn) { items.Get(tx, "", "", "z") })
				group.Wait()
				if _, there := items.Get(db.Snapshot(), "", "", "b"); there != (c.wantB == nil) {
					t.Errorf("b is there: %v", there)
				}
			})
		})
	}
}

// TestCallersThatLeave: who does not wait any more is not run, and who panics has
// written nothing; the others are not concerned.
func TestCallersThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		db := open(t, g)
		var group sync.WaitGroup
		holdUp(t, &group, db)
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, err := db.Update(ctx, func(tx *table.Txn) error {
				t.Error("the one who left was run")
				return nil
			})
			if !errors.Is(err, table.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one who left got %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			defer func() {
				if recover() != "oh" {
					t.Error("the panic did not come back")
				}
			}()
			_, _ = db.Update(t.Context(), func(tx *table.Txn) error {
				items.Put(tx, &item{ID: "p"})
				panic("oh")
			})
		})
		synctest.Wait()
		group.Go(func() { put(t, db, &item{ID: "b"}) })
		group.Wait()
		equal(t, "commits", g.rows(), []string{"first", "b"})
	})
}

// TestCommitEndsWithItsCallers: a commit on its way goes on as long as somebody
// waits for it, and no longer.
func TestCommitEndsWithItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{Store: newStore(t)}
		db := open(t, s)
		s.commit = func(ctx context.Context, _ store.Txn) error {
			<-ctx.Done()
			return ctx.Err()
		}
		for range 2 { // the second one is not held up by the first
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := db.Update(ctx, func(tx *table.Txn) error {
				items.Put(tx, &item{ID: "a"})
				return nil
			})
			cancel()
			if !errors.Is(err, table.ErrUnavailable) {
				t.Errorf("error is %v", err)
			}
		}
	})
}
