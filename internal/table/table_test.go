// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// item is the row of these tests.
type item struct {
	Account, Region, ID string
	Group               string
	Tags                []string
	N                   int
	hidden              string
}

// RowKey implements table.Row.
func (i *item) RowKey() (account, region, id string) { return i.Account, i.Region, i.ID }

// other is a row of a second table.
type other struct{ ID string }

// RowKey implements table.Row.
func (o *other) RowKey() (account, region, id string) { return "", "", o.ID }

var (
	items        = table.Define[*item]("item")
	itemsByGroup = table.NewIndex(items, "group", itself, func(i *item) []string { return []string{i.Group} })
	itemsByTag   = table.NewIndex(items, "tag", itself, func(i *item) []string { return i.Tags })
	others       = table.Define[*other]("other")
)

func itself(s string) string { return s }

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func newStore(t testing.TB) *memstore.Store {
	s := memstore.New()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t testing.TB, s store.Store) *table.DB {
	t.Helper()
	db, err := table.Open(deadline(t), s, slog.New(slog.DiscardHandler), items, others)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// update runs an Update that must succeed.
func update(t testing.TB, db *table.DB, fn func(tx *table.Txn)) int64 {
	t.Helper()
	rev, err := db.Update(deadline(t), func(tx *table.Txn) error {
		fn(tx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func put(t testing.TB, db *table.DB, rows ...*item) int64 {
	t.Helper()
	return update(t, db, func(tx *table.Txn) {
		for _, row := range rows {
			items.Put(tx, row)
		}
	})
}

func ids(rows iter.Seq[*item]) string {
	var out []string
	for row := range rows {
		out = append(out, row.ID)
	}
	return strings.Join(out, " ")
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(item{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestReadsAndIndexes(t *testing.T) {
	db := open(t, newStore(t))
	rev := put(t, db,
		&item{Account: "1", Region: "r", ID: "b", Group: "g", Tags: []string{"x", "y", "x"}},
		&item{Account: "1", Region: "r", ID: "a", Group: "g"},
		&item{Account: "1", Region: "s", ID: "c", Group: "g", Tags: []string{"y"}},
		&item{ID: "d"})
	tx := db.Snapshot()
	if tx.Revision() != rev {
		t.Errorf("revision is %d, want %d", tx.Revision(), rev)
	}
	row, ok := items.Get(tx, "1", "r", "b")
	equal(t, "row", row, &item{Account: "1", Region: "r", ID: "b", Group: "g", Tags: []string{"x", "y", "x"}})
	if row, absent := items.Get(tx, "1", "r", "c"); !ok || absent || row != nil {
		t.Errorf("present %v, absent %v, %v", ok, absent, row)
	}
	equal(t, "all", ids(items.All(tx)), "d a b c")
	equal(t, "scope", ids(items.Scope(tx, "1", "r")), "a b")
	equal(t, "scope of no account", ids(items.Scope(tx, "", "")), "d")
	equal(t, "group", ids(itemsByGroup.Rows(tx, "g")), "a b c")
	equal(t, "tag", ids(itemsByTag.Rows(tx, "y")), "b c")
	equal(t, "unknown tag", ids(itemsByTag.Rows(tx, "z")), "")
	equal(t, "count", itemsByTag.Count(tx, "x"), 1)
	equal(t, "count of a scope", items.CountScope(tx, "1", "r"), 2)
	put(t, db, &item{Account: "1", Region: "r", ID: "b", Group: "h"})
	equal(t, "group in the old state", ids(itemsByGroup.Rows(tx, "g")), "a b c")
	equal(t, "group after a change", ids(itemsByGroup.Rows(db.Snapshot(), "g")), "a c")
	equal(t, "tag after a change", ids(itemsByTag.Rows(db.Snapshot(), "x")), "")
}

// TestReadsLeaveNothingBehind bounds what a read costs: a request has a dozen.
func TestReadsLeaveNothingBehind(t *testing.T) {
	db := open(t, newStore(t))
	put(t, db, &item{Account: "111122223333", Region: "us-east-1", ID: "vpce-0123456789abcdef0"})
	var found, none bool
	if n := testing.AllocsPerRun(100, func() {
		_, found = items.Get(db.Snapshot(), "111122223333", "us-east-1", "vpce-0123456789abcdef0")
		_, none = items.Get(db.Snapshot(), "111122223333", "", "vpce-0123456789abcdef0")
	}); n != 0 || !found || none {
		t.Errorf("two reads allocate %v times and find %v, %v", n, found, none)
	}
}

func TestUpdateReadsItsOwnWrites(t *testing.T) {
	db := open(t, newStore(t))
	put(t, db, &item{ID: "a", Group: "g"}, &item{ID: "b", Group: "g"}, &item{ID: "c", Group: "g"})
	update(t, db, func(tx *table.Txn) {
		for row := range itemsByGroup.Rows(tx, "g") { // the loop changes what it walks over
			items.Delete(tx, "", "", row.ID)
			items.Put(tx, &item{ID: row.ID + "2", Group: "g"})
		}
		equal(t, "group", ids(itemsByGroup.Rows(tx, "g")), "a2 b2 c2")
		for row := range items.Scope(tx, "", "") { // and again, when there are changes already
			items.Delete(tx, "", "", row.ID)
			items.Put(tx, &item{ID: "0" + row.ID})
			items.Put(tx, &item{ID: row.ID, Group: "g"})
			items.Delete(tx, "", "", "0"+row.ID)
		}
		equal(t, "scope", ids(items.Scope(tx, "", "")), "a2 b2 c2")
		walked := 0
		for row := range itemsByGroup.Rows(tx, "g") {
			walked++
			items.Put(tx, &item{ID: row.ID + "+", Group: "g"})
		}
		equal(t, "rows walked over", walked, 3)
		for _, id := range []string{"a2+", "b2+", "c2+"} {
			items.Delete(tx, "", "", id)
		}
		equal(t, "count", itemsByGroup.Count(tx, "g"), 3)
		row := &item{ID: "d", Group: "g", hidden: "not stored"}
		if err := items.Insert(tx, row); err != nil {
			t.Error(err)
		}
		row.Group = "changed after the fact"
		got, _ := items.Get(tx, "", "", "d")
		equal(t, "row as it will be stored", got, &item{ID: "d", Group: "g"})
		if err := items.Insert(tx, row); !errors.Is(err, table.ErrExists) {
			t.Errorf("second insert: %v", err)
		}
		if items.Delete(tx, "", "", "a") {
			t.Error("a was deleted twice")
		}
	})
	equal(t, "after the commit", ids(itemsByGroup.Rows(db.Snapshot(), "g")), "a2 b2 c2 d")
}

func TestUpdateWithoutEffectMakesNoRevision(t *testing.T) {
	db := open(t, newStore(t))
	rev := put(t, db, &item{ID: "a", Tags: []string{"x"}})
	again := update(t, db, func(tx *table.Txn) {
		items.Put(tx, &item{ID: "a", Tags: []string{"x"}})
		items.Put(tx, &item{ID: "b"})
		items.Delete(tx, "", "", "b")
	})
	equal(t, "revision", again, rev)
	failure := errors.New("no")
	_, err := db.Update(deadline(t), func(tx *table.Txn) error {
		items.Put(tx, &item{ID: "c"})
		return failure
	})
	if err != failure {
		t.Errorf("error is %v", err)
	}
	equal(t, "rows", ids(items.All(db.Snapshot())), "a")
}

func TestMisuseIsRefused(t *testing.T) {
	db := open(t, newStore(t))
	undefined := table.Define[*item]("undefined")
	snapshot := db.Snapshot()
	inUpdate := func(fn func(tx *table.Txn)) func() {
		return func() { update(t, db, fn) }
	}
	cases := map[string]func(){
		"All inside an Update":      inUpdate(func(tx *table.Txn) { items.All(tx) }),
		"after a database was open": func() { table.NewIndex(items, "colour", itself, func(*item) []string { return nil }) },
		"put outside of an Update":  func() { items.Put(snapshot, &item{ID: "a"}) },
		"delete outside of an Upda": func() { items.Delete(snapshot, "", "", "a") },
		"not opened with":           func() { undefined.All(snapshot) },
		"is taken":                  func() { table.NewIndex(undefined, "scope", itself, func(*item) []string { return nil }) },
		"cannot name a kind":        func() { table.Define[*item]("a/b") },
		"is not a pointer to a str": func() { table.Define[badRow]("bad") },
		"is defined twice":          func() { _, _ = table.Open(deadline(t), newStore(t), nil, items, table.Define[*other]("item")) },
	}
	for want, do := range cases {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			do()
		}()
	}
}

type badRow string

// RowKey implements table.Row.
func (b badRow) RowKey() (account, region, id string) { return "", "", string(b) }

func TestRowThatCannotBeStored(t *testing.T) {
	db := open(t, newStore(t))
	for _, row := range []*item{{ID: "broken \xff"}, {ID: "ok", Group: "\xff"}} {
		_, err := db.Update(deadline(t), func(tx *table.Txn) error {
			items.Put(tx, row)
			items.Put(tx, &item{ID: "beside"})
			return nil
		})
		if row.ID == "ok" {
			// Only a key must be exact; the index follows what is stored.
			if err != nil || itemsByGroup.Count(db.Snapshot(), "\ufffd") != 1 {
				t.Errorf("%v; by group: %q", err, ids(itemsByGroup.Rows(db.Snapshot(), "\ufffd")))
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("error is %v", err)
		}
		equal(t, "rows", ids(items.All(db.Snapshot())), "")
	}
}

func TestKeysOfAnyText(t *testing.T) {
	s := newStore(t)
	db := open(t, s)
	texts := []string{"", "-", "--", "/", "a/b", "a%2Fb", "%", "%2D", "ä ö", "\n", "..", "a b"}
	var rows []*item
	for _, account := range texts {
		for _, id := range texts {
			rows = append(rows, &item{Account: account, Region: id, ID: id, Group: account, Tags: []string{id}})
		}
	}
	update(t, db, func(tx *table.Txn) {
		for _, row := range rows {
			if err := items.Insert(tx, row); err != nil {
				t.Error(err)
			}
		}
	})
	for _, tx := range []*table.Txn{db.Snapshot(), open(t, s).Snapshot()} {
		for _, row := range rows {
			got, _ := items.Get(tx, row.Account, row.Region, row.ID)
			equal(t, "row", got, row)
			equal(t, "scope", ids(items.Scope(tx, row.Account, row.Region)), row.ID)
			equal(t, "count", itemsByGroup.Count(tx, row.Account), len(texts))
			if !slices.ContainsFunc(slices.Collect(itemsByTag.Rows(tx, row.ID)), func(i *item) bool { return i.Account == row.Account }) {
				t.Errorf("tag %q does not find %+v", row.ID, row)
			}
		}
	}
	update(t, db, func(tx *table.Txn) {
		for _, row := range rows {
			items.Delete(tx, row.Account, row.Region, row.ID)
		}
	})
	left, _, err := s.Range(deadline(t), "")
	if err != nil || len(left) != 1 {
		t.Errorf("after all rows were deleted the store holds %v, %v", left, err)
	}
}
