// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"errors"
	"testing"

	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

var errWithdrawn = errors.New("withdrawn")

// granted is the condition that an item is there.
func granted(id string) table.Condition {
	return table.ConditionFunc(func(tx *table.Txn) error {
		if _, ok := items.Get(tx, "1", "r", id); !ok {
			return errWithdrawn
		}
		return nil
	})
}

// TestConditionsAreAskedInEachTransaction takes the grant of a change away while it is
// under way, through another server, or through this one: the change is refused, and
// nothing of it is there.
func TestConditionsAreAskedInEachTransaction(t *testing.T) {
	for _, sole := range []bool{false, true} {
		s := memstore.New()
		defer s.Close()
		here := open(t, s)
		there := here
		if sole {
			here.OnlyWriter()
		} else {
			there = open(t, s)
		}
		grant := &item{Account: "1", Region: "r", ID: "grant"}
		put(t, here, grant)
		ctx := table.WithCondition(deadline(t), granted("grant"))
		runs := 0
		change := func(id string) error {
			runs = 0
			_, err := here.Update(ctx, func(tx *table.Txn) error {
				if runs++; runs == 1 && id == "late" && !sole {
					update(t, there, func(tx *table.Txn) { items.Delete(tx, "1", "r", "grant") })
				}
				items.Put(tx, &item{Account: "1", Region: "r", ID: id})
				return nil
			})
			return err
		}
		if err := change("first"); err != nil || runs != 1 {
			t.Errorf("with the grant: %v after %d runs", err, runs)
		}
		if _, err := here.View(ctx); err != nil {
			t.Errorf("view with the grant: %v", err)
		}
		if sole {
			update(t, there, func(tx *table.Txn) { items.Delete(tx, "1", "r", "grant") })
		}
		if err := change("late"); !errors.Is(err, errWithdrawn) {
			t.Errorf("while the grant is taken away: %v, want %v", err, errWithdrawn)
		}
		if _, err := here.View(ctx); !errors.Is(err, errWithdrawn) {
			t.Errorf("view without the grant: %v, want %v", err, errWithdrawn)
		}
		if got := ids(items.Scope(here.Snapshot(), "1", "r")); got != "first" {
			t.Errorf("rows are %q, want the first only", got)
		}
	}
}

// TestConditionsAdd has two, of which each can refuse.
func TestConditionsAdd(t *testing.T) {
	db := open(t, newStore(t))
	put(t, db, &item{Account: "1", Region: "r", ID: "a"})
	for want, ids := range map[error][2]string{nil: {"a", "a"}, errWithdrawn: {"b", "a"}} {
		for range 2 {
			ctx := table.WithCondition(table.WithCondition(deadline(t), granted(ids[0])), granted(ids[1]))
			if _, err := db.View(ctx); !errors.Is(err, want) {
				t.Errorf("%v: %v, want %v", ids, err, want)
			}
			ids[0], ids[1] = ids[1], ids[0]
		}
	}
}
