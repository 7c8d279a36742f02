// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// timed is a row that is due at a time, or never.
type timed struct {
	ID  string
	Due time.Time
}

// RowKey implements table.Row.
func (t *timed) RowKey() (account, region, id string) { return "", "", t.ID }

var (
	timeds   = table.Define[*timed]("timed")
	timedDue = table.NewTimeline(timeds, "due", func(t *timed) time.Time { return t.Due })
)

func openTimed(t testing.TB, s store.Store) *table.DB {
	t.Helper()
	db, err := table.Open(deadline(t), s, slog.New(slog.DiscardHandler), timeds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// TestTimelineIsInOrder compares a timeline with rows that are sorted, after changes of
// all kinds, also when they are taken back and when they are made elsewhere.
func TestTimelineIsInOrder(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		s := memstore.New()
		here, there := openTimed(outer, s), openTimed(outer, s)
		defer here.Close()
		defer there.Close()
		model := map[string]time.Time{}
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			db := rapid.SampledFrom([]*table.DB{here, there}).Draw(t, "db")
			id := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "id")
			due := time.Time{}
			if rapid.Bool().Draw(t, "due") {
				due = time.Unix(rapid.Int64Range(-2, 2).Draw(t, "seconds"), rapid.Int64Range(0, 1).Draw(t, "nanoseconds"))
			}
			if rapid.Bool().Draw(t, "put") {
				update(outer, db, func(tx *table.Txn) { timeds.Put(tx, &timed{id, due}) })
				model[id] = due
			} else {
				update(outer, db, func(tx *table.Txn) { timeds.Delete(tx, "", "", id) })
				delete(model, id)
			}
		}
		var want []string
		for id, due := range model {
			if !due.IsZero() {
				want = append(want, id)
			}
		}
		slices.SortFunc(want, func(a, b string) int { return cmp.Or(model[a].Compare(model[b]), strings.Compare(a, b)) })
		for _, db := range []*table.DB{here, there} {
			tx, err := db.View(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for row := range timedDue.Rows(tx) {
				got = append(got, row.ID)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("in order of time: %v, want %v", got, want)
			}
		}
	})
}

// A timeline is nothing to the store: what is written is the row, the guard of its
// scope and the head.
func TestTimelineCostsTheStoreNothing(t *testing.T) {
	var keys []string
	db := openTimed(t, &fakeStore{Store: newStore(t), commit: func(_ context.Context, txn store.Txn) error {
		for _, kv := range txn.Put {
			keys = append(keys, kv.Key)
		}
		return nil
	}})
	update(t, db, func(tx *table.Txn) { timeds.Put(tx, &timed{"a", time.Unix(1, 0)}) })
	want := []string{"/postern/v1/row/timed/-/-/a", "/postern/v1/range/timed/scope/-%2F-", "/postern/v1/head"}
	if !slices.Equal(keys, want) {
		t.Errorf("keys put: %v, want %v", keys, want)
	}
}

func TestTimelineIsADependency(t *testing.T) {
	db := openTimed(t, newStore(t))
	var reads []table.Dependency
	for range timedDue.Rows(db.Snapshot().Recording(&reads)) {
		t.Error("a row in an empty timeline")
	}
	for _, c := range []struct {
		name     string
		old, new *timed
		want     bool
	}{
		{"a row enters", nil, &timed{"a", time.Unix(1, 0)}, true},
		{"a row moves", &timed{"a", time.Unix(1, 0)}, &timed{"a", time.Unix(2, 0)}, true},
		{"a row leaves", &timed{"a", time.Unix(1, 0)}, &timed{ID: "a"}, true},
		{"a row that is never due", nil, &timed{ID: "a"}, false},
	} {
		change := table.Change{Key: table.Key{Kind: timeds.Kind(), ID: "a"}}
		if c.old != nil {
			change.Old = c.old
		}
		if c.new != nil {
			change.New = c.new
		}
		affected := db.Snapshot().Affected(nil, change)
		if got := slices.ContainsFunc(reads, func(d table.Dependency) bool { return slices.Contains(affected, d) }); got != c.want {
			t.Errorf("%s: affected %v, want %v", c.name, got, c.want)
		}
	}
}

// A tail reads on at its own pace, and misses nothing.
func TestTailReadsOn(t *testing.T) {
	db := openTimed(t, newStore(t))
	tail := db.Tail()
	if changes := tail.Next(); len(changes) != 0 {
		t.Errorf("changes %v before there were any", changes)
	}
	update(t, db, func(tx *table.Txn) { timeds.Put(tx, &timed{ID: "a"}); timeds.Put(tx, &timed{ID: "b"}) })
	update(t, db, func(tx *table.Txn) { timeds.Delete(tx, "", "", "b") })
	select {
	case <-tail.News():
	case <-deadline(t).Done():
		t.Fatal("nothing is new")
	}
	if _, ok := timeds.Get(tail.Txn(), "", "", "a"); ok {
		t.Error("the state is not that of the place")
	}
	changes := tail.Next()
	if _, ok := timeds.Get(tail.Txn(), "", "", "a"); !ok || len(changes) != 1 || changes[0].Key.ID != "a" {
		t.Errorf("changes %v, want that of a alone", changes)
	}
}
