// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallersThatComeAgainShareEachCommit: those that a commit has answered come back one
// after the other, and the first of them does not get a commit for itself.
func TestCallersThatComeAgainShareEachCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, rounds = 8, 10
		g := newGate(t)
		db := open(t, g)
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				for round := range rounds {
					put(t, db, &item{ID: fmt.Sprint("row-", i), N: round})
					time.Sleep(time.Duration(i) * time.Millisecond)
				}
			})
		}
		group.Wait()
		if commits := len(g.rows()); commits > rounds+2 {
			t.Errorf("%d callers that came %d times each took %d commits: %q", callers, rounds, commits, g.rows())
		}
	})
}

// TestNobodyWaitsLongForThoseWhoStayAway: callers that came once are not waited for
// longer than a moment, nor does whoever is alone wait at all.
func TestNobodyWaitsLongForThoseWhoStayAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		db := open(t, g)
		took := func(id string) time.Duration {
			begun := time.Now()
			put(t, db, &item{ID: id})
			return time.Since(begun)
		}
		for range 3 {
			if alone := took("alone"); alone != time.Second {
				t.Errorf("one who is alone waited %v for a commit of a second", alone)
			}
		}
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() { put(t, db, &item{ID: fmt.Sprint("row-", i)}) })
		}
		group.Wait()
		if after := took("after"); after > time.Second+10*time.Millisecond {
			t.Errorf("one who came after many waited %v for a commit of a second", after)
		}
	})
}

// TestWhoGathersEndsWithTheTables: nobody is waited for when the tables are closed.
func TestWhoGathersEndsWithTheTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, newGate(t))
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() { put(t, db, &item{ID: fmt.Sprint("row-", i)}) })
		}
		group.Wait()
		begun := time.Now()
		db.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("closing took %v", took)
		}
	})
}
