// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// step is one thing that a drawn update does to a few items, or asks of them.
type step struct {
	what, id, group string
}

var (
	few   = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			rapid.SampledFrom([]string{"insert", "put", "delete", "get", "count", "list", "fail"}).Draw(t, "what"),
			few.Draw(t, "id"), few.Draw(t, "group"),
		}
	}), 0, 6)
)

var errDrawn = errors.New("drawn")

// ledger is the model: the group of each item that there is.
type ledger map[string]string

// apply does to the model what perform does to the tables, with the same answers.
func (l ledger) apply(all []step) (after ledger, answers []string) {
	after = maps.Clone(l)
	for _, s := range all {
		group, there := after[s.id]
		switch s.what {
		case "insert":
			answers = append(answers, fmt.Sprint(!there))
			if !there {
				after[s.id] = s.group
			}
		case "put":
			after[s.id] = s.group
		case "delete":
			answers = append(answers, fmt.Sprint(there))
			delete(after, s.id)
		case "get":
			answers = append(answers, group)
		case "count", "list":
			in := after.in(s.group)
			if s.what == "count" {
				in = fmt.Sprint(len(strings.Fields(in)))
			}
			answers = append(answers, in)
		case "fail":
			return l, append(answers, errDrawn.Error())
		}
	}
	return after, answers
}

func (l ledger) in(group string) string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(l)) {
		if l[id] == group {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, " ")
}

// perform does the steps in a transaction.
func perform(tx *table.Txn, all []step) (answers []string, err error) {
	for _, s := range all {
		row := &item{ID: s.id, Group: s.group, Tags: []string{s.group}}
		switch s.what {
		case "insert":
			answers = append(answers, fmt.Sprint(items.Insert(tx, row) == nil))
		case "put":
			items.Put(tx, row)
		case "delete":
			answers = append(answers, fmt.Sprint(items.Delete(tx, "", "", s.id)))
		case "get":
			group := ""
			if row, ok := items.Get(tx, "", "", s.id); ok {
				group = row.Group
			}
			answers = append(answers, group)
		case "count":
			answers = append(answers, fmt.Sprint(itemsByTag.Count(tx, s.group)))
		case "list":
			answers = append(answers, ids(itemsByGroup.Rows(tx, s.group)))
		case "fail":
			return append(answers, errDrawn.Error()), errDrawn
		}
	}
	return answers, nil
}

// outcome is what one update was told, and which place it has in the order.
type outcome struct {
	place   float64
	steps   []step
	answers []string
	err     error
}

// serial runs updates that come in waves, on a slow store which another server
// changes too. The order is that of the last runs; the other server, which commits
// while a group is on its way and never sees it, comes before the group.
type serial struct {
	mu       sync.Mutex
	runs     int
	earlier  int // runs before those of the group on its way
	outcomes []outcome
}

func (s *serial) next() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	return float64(s.runs)
}

func (s *serial) update(db *table.DB, all []step, place func() float64) {
	o := outcome{steps: all}
	_, o.err = db.Update(context.Background(), func(tx *table.Txn) (err error) {
		o.place = place()
		o.answers, err = perform(tx, all)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes = append(s.outcomes, o)
}

// TestGroupsAreAsSomeSerialOrder draws updates that come together and another
// server that writes between them: what each was told, and what the tables and the
// store have in the end, is what doing them one after the other gives.
func TestGroupsAreAsSomeSerialOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		waves := rapid.SliceOfN(rapid.SliceOfN(steps, 1, 8), 1, 4).Draw(rt, "waves")
		others := rapid.SliceOfN(steps, 0, 6).Draw(rt, "other server")
		synctest.Test(t, func(t *testing.T) {
			s := &serial{}
			inner := newStore(t)
			theirs := open(t, inner)
			slow := &fakeStore{Store: inner}
			slow.commit = func(context.Context, store.Txn) error {
				time.Sleep(time.Second)
				if len(others) > 0 {
					next := others[0]
					others = others[1:]
					s.update(theirs, next, func() float64 { return float64(s.earlier) + 0.5 })
				}
				s.earlier = s.runs
				return nil
			}
			db := open(t, slow)
			if len(others) == 0 {
				db.OnlyWriter()
			}
			seen := &follower{t: t, rows: make(map[table.Key]table.Row)}
			following, stop := context.WithCancel(t.Context())
			var group, followers sync.WaitGroup
			followers.Go(func() { _ = db.Follow(following, seen.follow) })
			for _, wave := range waves {
				for _, all := range wave {
					group.Go(func() { s.update(db, all, s.next) })
				}
				time.Sleep(500 * time.Millisecond)
			}
			group.Wait()
			synctest.Wait()
			stop()
			followers.Wait()
			s.check(t, db, inner, seen)
		})
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

// check does all again in the order of the last runs, on the model.
func (s *serial) check(t *testing.T, db *table.DB, inner store.Store, seen *follower) {
	model := make(ledger)
	slices.SortFunc(s.outcomes, func(a, b outcome) int { return cmp.Compare(a.place, b.place) })
	for _, o := range s.outcomes {
		var want []string
		model, want = model.apply(o.steps)
		if !slices.Equal(o.answers, want) || (o.err != nil) != (len(want) > 0 && want[len(want)-1] == errDrawn.Error()) {
			t.Errorf("update %v was told %q and %v, want %q", o.steps, o.answers, o.err, want)
		}
	}
	fresh := open(t, inner)
	for name, tx := range map[string]*table.Txn{"tables": db.Snapshot(), "store": fresh.Snapshot()} {
		for _, group := range []string{"a", "b", "c", "d"} {
			equal(t, name+" group "+group, ids(itemsByGroup.Rows(tx, group)), model.in(group))
			equal(t, name+" tag "+group, itemsByTag.Count(tx, group), len(strings.Fields(model.in(group))))
		}
	}
	equal(t, "rows followed", len(seen.rows), len(model))
	for row := range items.All(db.Snapshot()) {
		if seen.rows[table.Key{Kind: "item", ID: row.ID}] != table.Row(row) {
			t.Errorf("row %s is not what was followed", row.ID)
		}
	}
}
