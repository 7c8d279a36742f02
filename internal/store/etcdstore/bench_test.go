// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// row is what the benchmarks store.
type row struct {
	ID, VPC string
	N       int
}

// RowKey implements table.Row.
func (r *row) RowKey() (account, region, id string) { return "111122223333", "us-east-1", r.ID }

var (
	benchTable = table.Define[*row]("row")
	_          = table.NewIndex(benchTable, "vpc", func(vpc string) string { return vpc }, func(r *row) []string { return []string{r.VPC} })
)

// benchStore is an embedded server that does write to the disk.
func benchStore(b *testing.B) *etcdstore.Store {
	b.Helper()
	s, err := etcdstore.StartEmbedded(b.Context(), b.TempDir(), etcdstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func benchTables(b *testing.B) *table.DB {
	b.Helper()
	db, err := table.Open(b.Context(), benchStore(b), slog.New(slog.DiscardHandler), benchTable)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	return db
}

func BenchmarkCommit(b *testing.B) {
	s := benchStore(b)
	n := 0
	for b.Loop() {
		n++
		txn := store.Txn{Put: []store.KeyValue{{Key: fmt.Sprint("/k", n%1000), Value: make([]byte, 256)}}}
		if _, _, err := s.Commit(b.Context(), txn); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommitOfGroup commits what fifteen creations of endpoints make together.
func BenchmarkCommitOfGroup(b *testing.B) {
	s := benchStore(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		var txn store.Txn
		for range 60 {
			n++
			key := fmt.Sprintf("/postern/v1/row/vpc-endpoint/111122223333/us-east-1/vpce-%017d", n%10_000)
			txn.Put = append(txn.Put, store.KeyValue{Key: key, Value: make([]byte, 512)})
		}
		if _, _, err := s.Commit(b.Context(), txn); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkUpdate(b *testing.B, db *table.DB, n int64) {
	_, err := db.Update(b.Context(), func(tx *table.Txn) error {
		id := fmt.Sprint(n % 1000)
		benchTable.Get(tx, "111122223333", "us-east-1", id)
		benchTable.Put(tx, &row{ID: id, VPC: fmt.Sprint(n % 10), N: int(n)})
		return nil
	})
	if err != nil {
		b.Error(err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	db := benchTables(b)
	n := int64(0)
	for b.Loop() {
		n++
		benchmarkUpdate(b, db, n)
	}
}

func BenchmarkParallelUpdate(b *testing.B) {
	db := benchTables(b)
	var n atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			benchmarkUpdate(b, db, n.Add(1))
		}
	})
}

// BenchmarkParallelCounting lets sixteen callers add rows, each after counting all
// that there are, as creations under a quota do.
func BenchmarkParallelCounting(b *testing.B) {
	db := benchTables(b)
	var n atomic.Int64
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := n.Add(1)
			_, err := db.Update(b.Context(), func(tx *table.Txn) error {
				if benchTable.CountScope(tx, "111122223333", "us-east-1") < 0 {
					return errors.New("quota")
				}
				return benchTable.Insert(tx, &row{ID: fmt.Sprint(id), VPC: fmt.Sprint(id % 10), N: int(id)})
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkView(b *testing.B) {
	db := benchTables(b)
	for b.Loop() {
		if _, err := db.View(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStartAgain(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := etcdstore.StartEmbedded(b.Context(), dir, etcdstore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStartNew(b *testing.B) {
	for b.Loop() {
		s, err := etcdstore.StartEmbedded(b.Context(), b.TempDir(), etcdstore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
