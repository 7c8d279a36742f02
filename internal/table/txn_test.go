// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// TestConflicts runs an Update during whose first attempt another database
// commits something, and says whether that makes it run again.
func TestConflicts(t *testing.T) {
	readA := func(tx *table.Txn) { items.Get(tx, "", "", "a") }
	readGroup := func(tx *table.Txn) { itemsByGroup.Rows(tx, "g") }
	countTag := func(tx *table.Txn) { itemsByTag.Count(tx, "x") }
	readScope := func(tx *table.Txn) { items.Scope(tx, "1", "r") }
	putB := func(tx *table.Txn) { items.Put(tx, &item{ID: "b", Group: "h"}) }
	deleteA := func(tx *table.Txn) { items.Delete(tx, "", "", "a") }
	none := func(*table.Txn) {}
	write := func(row item) func(*table.Txn) {
		return func(tx *table.Txn) { items.Put(tx, &row) }
	}
	cases := []struct {
		name           string
		mine, between  func(*table.Txn)
		wantRunsTwo    bool
		startsWithoutA bool
	}{
		{"row read and changed", readA, write(item{ID: "a", N: 1}), true, false},
		{"row read and deleted", readA, deleteA, true, false},
		{"absent row read and made", readA, write(item{ID: "a"}), true, true},
		{"other row changed", readA, putB, false, false},
		{"range gains a row", readGroup, write(item{ID: "c", Group: "g"}), true, false},
		{"range loses its row", readGroup, deleteA, true, false},
		{"row leaves the range", readGroup, write(item{ID: "a", Group: "h"}), true, false},
		{"row in the range changed", readGroup, write(item{ID: "a", Group: "g", N: 2}), true, false},
		{"empty range gains a row", readGroup, write(item{ID: "c", Group: "g"}), true, true},
		{"counted range gains a row", countTag, write(item{ID: "c", Tags: []string{"x"}}), true, false},
		{"other range gains a row", readGroup, write(item{ID: "c", Group: "h"}), false, false},
		{"scope gains a row", readScope, write(item{Account: "1", Region: "r", ID: "z"}), true, false},
		{"other scope gains a row", readScope, write(item{Account: "1", Region: "s", ID: "z"}), false, false},
		{"both write one row blindly", write(item{ID: "a", N: 1}), write(item{ID: "a", N: 2}), true, false},
		{"both write rows of one range blindly", write(item{ID: "c", Group: "g"}), write(item{ID: "d", Group: "g"}), false, false},
		{"row put back as it was", readA, write(item{ID: "a", Group: "g"}), false, false},
		{"nothing is read", none, putB, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			mine, theirs := open(t, s), open(t, s)
			if !c.startsWithoutA {
				put(t, theirs, &item{ID: "a", Group: "g"})
			}
			if _, err := mine.View(deadline(t)); err != nil {
				t.Fatal(err)
			}
			runs := 0
			update(t, mine, func(tx *table.Txn) {
				if runs++; runs == 1 {
					update(t, theirs, c.between)
				}
				c.mine(tx)
			})
			if (runs == 2) != c.wantRunsTwo || runs > 2 {
				t.Errorf("the function ran %d times", runs)
			}
			checkGuards(t, s)
		})
	}
}

// TestGuardSurvivesConcurrentInsert deletes the last row of a range while
// another database adds one.
func TestGuardSurvivesConcurrentInsert(t *testing.T) {
	s := newStore(t)
	mine, theirs := open(t, s), open(t, s)
	put(t, mine, &item{ID: "a", Group: "g", Tags: []string{"x"}})
	runs := 0
	update(t, mine, func(tx *table.Txn) {
		if runs++; runs == 1 {
			put(t, theirs, &item{ID: "b", Group: "g", Tags: []string{"y"}})
		}
		items.Delete(tx, "", "", "a")
	})
	checkGuards(t, s)
	equal(t, "rows", ids(items.All(mine.Snapshot())), "b")
}

// checkGuards fails the test when a range of items has rows and no guard.
func checkGuards(t *testing.T, s *memstore.Store) {
	t.Helper()
	keys, _, err := s.Range(deadline(t), "/postern/v1/range/")
	if err != nil {
		t.Fatal(err)
	}
	guards := make(map[string]bool)
	for _, kv := range keys {
		guards[strings.TrimPrefix(kv.Key, "/postern/v1/range/item/")] = true
	}
	for row := range items.All(open(t, s).Snapshot()) {
		wanted := []string{"group/" + row.Group, "scope/" + row.Account + "%2F" + row.Region}
		if row.Group == "" {
			wanted[0] = "group/-"
		}
		if row.Account == "" {
			wanted[1] = "scope/-%2F-"
		}
		for _, tag := range row.Tags {
			wanted = append(wanted, "tag/"+tag)
		}
		for _, guard := range wanted {
			if !guards[guard] {
				t.Errorf("row %s has no guard %s; there are %v", row.ID, guard, guards)
			}
		}
	}
}

// TestFailureIsVerified lets a function fail because of a state that is old: it
// must run again, and succeed.
func TestFailureIsVerified(t *testing.T) {
	s := newStore(t)
	mine, theirs := open(t, s), open(t, s)
	runs := 0
	_, err := mine.Update(deadline(t), func(tx *table.Txn) error {
		if runs++; runs == 1 {
			put(t, theirs, &item{ID: "a"})
		}
		if _, ok := items.Get(tx, "", "", "a"); !ok {
			return errors.New("a does not exist")
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestEndlessConflict(t *testing.T) {
	s := newStore(t)
	mine, theirs := open(t, s), open(t, s)
	n := 0
	_, err := mine.Update(deadline(t), func(tx *table.Txn) error {
		items.Get(tx, "", "", "a")
		n++
		put(t, theirs, &item{ID: "a", N: n})
		items.Put(tx, &item{ID: "b"})
		return nil
	})
	if !errors.Is(err, table.ErrConflict) {
		t.Errorf("error is %v", err)
	}
	if row, ok := items.Get(theirs.Snapshot(), "", "", "b"); ok {
		t.Errorf("the update that failed wrote %v", row)
	}
}

// TestContention increments one counter from many goroutines of two databases.
func TestContention(t *testing.T) {
	s := newStore(t)
	databases := []*table.DB{open(t, s), open(t, s)}
	const workers, additions = 32, 20
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			db := databases[w%2]
			for range additions {
				var want int
				rev := update(t, db, func(tx *table.Txn) {
					row, ok := items.Get(tx, "", "", "counter")
					if !ok {
						row = new(item)
					}
					want = row.N + 1
					items.Put(tx, &item{ID: "counter", N: want})
				})
				// What the update wrote is there at once.
				tx := db.Snapshot()
				row, ok := items.Get(tx, "", "", "counter")
				if !ok || row.N < want || tx.Revision() < rev {
					t.Errorf("wrote %d at %d, read %v at %d", want, rev, row, tx.Revision())
				}
			}
		})
	}
	group.Wait()
	tx, err := databases[0].View(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	row, _ := items.Get(tx, "", "", "counter")
	equal(t, "counter", row.N, workers*additions)
}

func TestTooLarge(t *testing.T) {
	s := &fakeStore{Store: newStore(t)}
	s.commit = func(context.Context, store.Txn) error {
		return fmt.Errorf("commit: %w", store.ErrTooLarge)
	}
	db := open(t, s)
	_, err := db.Update(deadline(t), func(tx *table.Txn) error {
		items.Put(tx, &item{ID: "a"})
		return nil
	})
	if !errors.Is(err, store.ErrTooLarge) || errors.Is(err, table.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
}
