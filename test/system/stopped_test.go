// SPDX-License-Identifier: Apache-2.0

package system

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// inStore opens the store of a folder whose daemon does not run, for a function.
func inStore(t *testing.T, data string, do func(kv store.Store)) {
	t.Helper()
	kv, err := etcdstore.StartEmbedded(t.Context(), filepath.Join(data, "etcd"), etcdstore.Options{Kept: true, UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	do(kv)
}

// inTables is inStore for the tables.
func inTables(t *testing.T, data string, do func(db *table.DB)) {
	t.Helper()
	inStore(t, data, func(kv store.Store) {
		db, err := state.Open(t.Context(), kv, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		do(db)
	})
}

// rewrite changes the rows of a folder whose daemon does not run.
func rewrite(t *testing.T, data string, change func(*table.Txn)) {
	t.Helper()
	inTables(t, data, func(db *table.DB) {
		if _, err := db.Update(t.Context(), func(tx *table.Txn) error { change(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	})
}

// stored gives all rows as the store has them.
func stored(t *testing.T, kv store.Store) []store.KeyValue {
	t.Helper()
	rows, _, err := kv.Range(t.Context(), table.StoredRows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// write changes rows as the store has them.
func write(t *testing.T, kv store.Store, change store.Txn) {
	t.Helper()
	if _, _, err := kv.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

// put is a change of one row.
func put(key string, value []byte) store.Txn {
	return store.Txn{Put: []store.KeyValue{{Key: key, Value: value}}}
}
