// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/table"
)

// TestWhatWasReadIsAffected changes something after each way of reading, and says
// whether the reader would have to read again.
func TestWhatWasReadIsAffected(t *testing.T) {
	get := func(tx *table.Txn) { items.Get(tx, "", "", "a") }
	group := func(tx *table.Txn) { itemsByGroup.Rows(tx, "g") } // also unless it is walked along
	count := func(tx *table.Txn) { itemsByTag.Count(tx, "x") }
	scope := func(tx *table.Txn) { items.CountScope(tx, "1", "r") }
	for _, c := range []struct {
		name     string
		read     func(*table.Txn)
		old, new *item
		want     bool
	}{
		{"row changed", get, &item{ID: "a"}, &item{ID: "a", N: 1}, true},
		{"row made", get, nil, &item{ID: "a"}, true},
		{"row deleted", get, &item{ID: "a"}, nil, true},
		{"other row", get, nil, &item{ID: "b"}, false},
		{"row of the range changed", group, &item{ID: "a", Group: "g"}, &item{ID: "a", Group: "g", N: 1}, true},
		{"row enters the range", group, &item{ID: "a", Group: "h"}, &item{ID: "a", Group: "g"}, true},
		{"row leaves the range", group, &item{ID: "a", Group: "g"}, &item{ID: "a", Group: "h"}, true},
		{"row of the range deleted", group, &item{ID: "a", Group: "g"}, nil, true},
		{"row of another range", group, nil, &item{ID: "g", Group: "h", Tags: []string{"g"}}, false},
		{"one value of several", count, nil, &item{ID: "a", Tags: []string{"w", "x"}}, true},
		{"other values", count, nil, &item{ID: "x", Tags: []string{"w"}}, false},
		{"row of the scope", scope, nil, &item{Account: "1", Region: "r", ID: "a"}, true},
		{"row of another scope", scope, nil, &item{Account: "1", Region: "s", ID: "a"}, false},
		{"nothing is read", func(*table.Txn) {}, nil, &item{ID: "a", Group: "g"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t, newStore(t))
			var read []table.Dependency
			c.read(db.Snapshot().Recording(&read))
			row := c.new
			change := table.Change{}
			if c.old != nil {
				change.Old, row = c.old, c.old
			}
			if c.new != nil {
				change.New = c.new
			}
			change.Key = table.Key{Kind: items.Kind(), Account: row.Account, Region: row.Region, ID: row.ID}
			affected := db.Snapshot().Affected(nil, change)
			if got := slices.ContainsFunc(read, func(d table.Dependency) bool { return slices.Contains(affected, d) }); got != c.want {
				t.Errorf("affected: %v, want %v", got, c.want)
			}
			elsewhere := table.Change{Key: table.Key{Kind: others.Kind(), ID: "a"}, New: &other{ID: "a"}}
			if got := table.NewReads(read).Altered(db.Snapshot(), []table.Change{elsewhere, change}); got != c.want {
				t.Errorf("altered: %v, want %v", got, c.want)
			}
		})
	}
}
