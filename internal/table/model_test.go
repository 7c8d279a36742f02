// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// naive is the table of the model: rows by key, and nothing else.
type naive map[[3]string]item

func (n naive) find(match func(item) bool) string {
	var out []string
	for _, key := range slices.SortedFunc(maps.Keys(n), func(a, b [3]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]))
	}) {
		if match(n[key]) {
			out = append(out, n[key].ID)
		}
	}
	return strings.Join(out, " ")
}

var (
	names = rapid.SampledFrom([]string{"a", "b", "c"})
	rows  = rapid.Custom(func(t *rapid.T) item {
		return item{
			Account: names.Draw(t, "account"), Region: names.Draw(t, "region"), ID: names.Draw(t, "id"),
			Group: names.Draw(t, "group"), Tags: rapid.SliceOfN(names, 1, 3).Draw(t, "tags"),
			N: rapid.IntRange(0, 1).Draw(t, "n"),
		}
	})
)

// check compares every read of the table with the model.
func (n naive) check(t *rapid.T, tx *table.Txn, update bool) {
	same := func(what, got, want string) {
		if got != want {
			t.Fatalf("%s: got %q, want %q", what, got, want)
		}
	}
	if !update {
		same("all", ids(items.All(tx)), n.find(func(item) bool { return true }))
	}
	for _, a := range []string{"a", "b", "c"} {
		group := n.find(func(i item) bool { return i.Group == a })
		same("group "+a, ids(itemsByGroup.Rows(tx, a)), group)
		same("count "+a, fmt.Sprint(itemsByGroup.Count(tx, a)), fmt.Sprint(len(strings.Fields(group))))
		same("tag "+a, ids(itemsByTag.Rows(tx, a)), n.find(func(i item) bool { return slices.Contains(i.Tags, a) }))
		for _, r := range []string{"a", "b", "c"} {
			scope := n.find(func(i item) bool { return i.Account == a && i.Region == r })
			same("scope "+a+r, ids(items.Scope(tx, a, r)), scope)
			same("count of scope "+a+r, fmt.Sprint(items.CountScope(tx, a, r)), fmt.Sprint(len(strings.Fields(scope))))
		}
	}
	for key, want := range n {
		got, ok := items.Get(tx, key[0], key[1], key[2])
		if !ok || fmt.Sprint(*got) != fmt.Sprint(want) {
			t.Fatalf("get %v: got %v, want %v", key, got, want)
		}
	}
}

// change does one random write to the table and to the model.
func (n naive) change(t *rapid.T, tx *table.Txn) {
	row := rows.Draw(t, "row")
	key := [3]string{row.Account, row.Region, row.ID}
	_, exists := n[key]
	switch rapid.SampledFrom([]string{"put", "insert", "delete"}).Draw(t, "operation") {
	case "put":
		items.Put(tx, &row)
		n[key] = row
	case "insert":
		if err := items.Insert(tx, &row); errors.Is(err, table.ErrExists) != exists {
			t.Fatalf("insert %v: %v", key, err)
		}
		if !exists {
			n[key] = row
		}
	case "delete":
		if items.Delete(tx, row.Account, row.Region, row.ID) != exists {
			t.Fatalf("delete %v: existed %v", key, exists)
		}
		delete(n, key)
	}
}

// TestModel runs random transactions, some of which fail, on two databases
// with one store, and compares all reads, within and after them, with a map.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := memstore.New()
		databases := []*table.DB{open(t, s), open(t, s)}
		defer databases[0].Close()
		defer databases[1].Close()
		model := make(naive)
		for range rapid.IntRange(1, 12).Draw(rt, "transactions") {
			db := databases[rapid.IntRange(0, 1).Draw(rt, "database")]
			// Not the function's business to be run again here, as its draws would differ.
			if _, err := db.View(deadline(t)); err != nil {
				rt.Fatal(err)
			}
			next, failure := maps.Clone(model), error(nil)
			if rapid.IntRange(0, 3).Draw(rt, "fails") == 0 {
				failure = errors.New("drawn")
			}
			_, err := db.Update(deadline(t), func(tx *table.Txn) error {
				for range rapid.IntRange(0, 6).Draw(rt, "writes") {
					next.change(rt, tx)
				}
				next.check(rt, tx, true)
				return failure
			})
			if err != failure {
				rt.Fatal(err)
			}
			if failure == nil {
				model = next
			}
			model.check(rt, db.Snapshot(), false)
		}
		for _, db := range databases {
			tx, err := db.View(deadline(t))
			if err != nil {
				rt.Fatal(err)
			}
			model.check(rt, tx, false)
		}
		fresh := open(t, s)
		defer fresh.Close()
		model.check(rt, fresh.Snapshot(), false)
		checkGuards(t, s)
	})
}
