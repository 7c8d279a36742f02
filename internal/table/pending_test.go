// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// TestConflictsOfOneProcessNeverReachTheStore lets many Updates change one row
// while the store is slow: each must come after the one before, none be refused.
func TestConflictsOfOneProcessNeverReachTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const updates = 20
		var commits atomic.Int64
		s := &fakeStore{Store: newStore(t)}
		db := open(t, s)
		put(t, db, &item{ID: "a"})
		s.commit = func(context.Context, store.Txn) error {
			commits.Add(1)
			time.Sleep(time.Second)
			return nil
		}
		var group sync.WaitGroup
		for range updates {
			group.Go(func() {
				update(t, db, func(tx *table.Txn) {
					row, _ := items.Get(tx, "", "", "a")
					items.Put(tx, &item{ID: "a", N: row.N + 1})
				})
			})
		}
		synctest.Wait()
		equal(t, "commits on their way", int(commits.Load()), 1)
		group.Wait()
		equal(t, "commits", int(commits.Load()), updates)
		row, _ := items.Get(db.Snapshot(), "", "", "a")
		equal(t, "count", row.N, updates)
	})
}

// TestUpdatesOfDifferentRowsDoNotWait lets Updates that have nothing in common
// be on their way to the store together.
func TestUpdatesOfDifferentRowsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var commits atomic.Int64
		s := &fakeStore{Store: newStore(t)}
		db := open(t, s)
		s.commit = func(context.Context, store.Txn) error {
			commits.Add(1)
			time.Sleep(time.Second)
			return nil
		}
		var group sync.WaitGroup
		for _, id := range []string{"a", "b", "c"} {
			group.Go(func() {
				update(t, db, func(tx *table.Txn) {
					items.Get(tx, "", "", id)
					items.Put(tx, &item{ID: id})
				})
			})
		}
		synctest.Wait()
		equal(t, "commits on their way", int(commits.Load()), 3)
		group.Wait()
	})
}
