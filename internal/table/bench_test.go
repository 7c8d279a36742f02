// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"fmt"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

const benchRows = 10_000

// filled returns a store and a database with benchRows rows, each in a group of
// its own, all with one tag, in one account and region.
func filled(b *testing.B) (*memstore.Store, *table.DB) {
	b.Helper()
	s := newStore(b)
	db := open(b, s)
	for i := 0; i < benchRows; i += 500 {
		update(b, db, func(tx *table.Txn) {
			for j := range 500 {
				items.Put(tx, benchRow(i+j, 0))
			}
		})
	}
	return s, db
}

func benchRow(i, n int) *item {
	return &item{
		Account: "111122223333", Region: "us-east-1", ID: benchID(i), Group: benchID(i),
		Tags: []string{"all"}, N: n,
	}
}

func benchID(i int) string { return fmt.Sprintf("eni-0123456789%07d", i) }

func BenchmarkGet(b *testing.B) {
	_, db := filled(b)
	tx, id := db.Snapshot(), benchID(benchRows/2)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := items.Get(tx, "111122223333", "us-east-1", id); !ok {
			b.Fatal("no row")
		}
	}
}

func BenchmarkByOneOfMany(b *testing.B) {
	_, db := filled(b)
	tx, id := db.Snapshot(), benchID(benchRows/2)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range itemsByGroup.Rows(tx, id) {
			n++
		}
		if n != 1 {
			b.Fatal(n)
		}
	}
}

func BenchmarkByAll(b *testing.B) {
	_, db := filled(b)
	tx := db.Snapshot()
	for b.Loop() {
		n := 0
		for range itemsByTag.Rows(tx, "all") {
			n++
		}
		if n != benchRows {
			b.Fatal(n)
		}
	}
}

func BenchmarkView(b *testing.B) {
	_, db := filled(b)
	ctx := deadline(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.View(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate changes one row of many, from the call until it is visible.
func BenchmarkUpdate(b *testing.B) {
	_, db := filled(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		update(b, db, func(tx *table.Txn) {
			items.Get(tx, "111122223333", "us-east-1", benchID(n%benchRows))
			items.Put(tx, benchRow(n%benchRows, n))
		})
	}
}

// BenchmarkLoad opens a database on a store with many rows.
func BenchmarkLoad(b *testing.B) {
	s, _ := filled(b)
	for b.Loop() {
		open(b, s).Close()
	}
}

// BenchmarkApply lets a database follow the change of all rows, at one
// revision each.
func BenchmarkApply(b *testing.B) {
	s, db := filled(b)
	ctx := deadline(b)
	keys, _, err := s.Range(ctx, "/postern/v1/row/item/")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, kv := range keys {
			txn := store.Txn{Put: []store.KeyValue{kv, {Key: "/postern/v1/head"}}}
			if _, _, err := s.Commit(ctx, txn); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := db.View(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
