// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/table"
)

func patiently(t *testing.T, db *table.DB, id string) {
	t.Helper()
	if _, err := db.UpdatePatiently(deadline(t), func(tx *table.Txn) error {
		items.Put(tx, &item{ID: id})
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestWhatNobodyWaitsForGoesWithOthers: it has no commit of its own when others come soon,
// and sees what they wrote.
func TestWhatNobodyWaitsForGoesWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		db := open(t, g)
		var group sync.WaitGroup
		for _, id := range []string{"status-1", "status-2"} {
			group.Go(func() { patiently(t, db, id) })
			synctest.Wait()
		}
		time.Sleep(time.Millisecond)
		group.Go(func() { put(t, db, &item{ID: "a"}) })
		synctest.Wait()
		group.Go(func() { patiently(t, db, "status-3") }) // with the next one, which is late
		group.Wait()
		equal(t, "commits", g.rows(), []string{"a status-1 status-2", "status-3"})
	})
}

// TestWhatNobodyWaitsForIsNotForgotten: alone it waits for a moment, and then it is
// committed.
func TestWhatNobodyWaitsForIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		db := open(t, g)
		begun := time.Now()
		patiently(t, db, "status")
		if took := time.Since(begun); took > time.Second+10*time.Millisecond {
			t.Errorf("a commit of a second took %v", took)
		}
		equal(t, "commits", g.rows(), []string{"status"})
	})
}

// TestNobodyWaitsForWhatNobodyWaitsFor: neither does it take a commit between those of
// callers that come again and again, nor are they kept by it.
func TestNobodyWaitsForWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, rounds = 8, 10
		g := newGate(t)
		db := open(t, g)
		var group sync.WaitGroup
		begun := time.Now()
		for i := range callers {
			group.Go(func() {
				for round := range rounds {
					put(t, db, &item{ID: fmt.Sprint("row-", i), N: round})
					time.Sleep(time.Duration(i) * time.Millisecond / 10)
				}
			})
		}
		group.Go(func() {
			for round := range rounds {
				patiently(t, db, fmt.Sprint("status-", round))
			}
		})
		group.Wait()
		// The first caller is alone, and the last status may be.
		if commits := len(g.rows()); commits > rounds+2 {
			t.Errorf("%d callers that came %d times each took %d commits: %q", callers, rounds, commits, g.rows())
		}
		if took := time.Since(begun); took > (rounds+2)*time.Second+rounds*time.Millisecond {
			t.Errorf("%d commits of a second took %v", rounds+2, took)
		}
	})
}

// TestTheTablesCloseWithoutWhatIsPatient: who waits then is told.
func TestTheTablesCloseWithoutWhatIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, newGate(t))
		done := make(chan error, 1)
		go func() {
			_, err := db.UpdatePatiently(t.Context(), func(*table.Txn) error { return nil })
			done <- err
		}()
		synctest.Wait()
		db.Close()
		if err := <-done; err == nil {
			t.Error("it was carried out after the tables were closed")
		}
	})
}
