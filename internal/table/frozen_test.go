// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// freezer is a store that stops answering.
type freezer struct {
	store.Store
	frozen atomic.Bool
}

func (f *freezer) Get(ctx context.Context, key string) (store.KeyValue, bool, error) {
	if f.frozen.Load() {
		return store.KeyValue{}, false, store.ErrFrozen
	}
	return f.Store.Get(ctx, key)
}

func (f *freezer) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if f.frozen.Load() {
		return 0, false, store.ErrFrozen
	}
	return f.Store.Commit(ctx, txn)
}

// TestFrozenStoreIsRead: what was acknowledged is answered, also that something
// is there already, and changes are refused with the cause.
func TestFrozenStoreIsRead(t *testing.T) {
	f := &freezer{Store: newStore(t)}
	db := open(t, f)
	add := func(id string) error {
		_, err := db.Update(t.Context(), func(tx *table.Txn) error { return others.Insert(tx, &other{ID: id}) })
		return err
	}
	if err := add("a"); err != nil {
		t.Fatal(err)
	}
	f.frozen.Store(true)
	if err := add("b"); !errors.Is(err, store.ErrFrozen) || !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("a change of a frozen store: %v", err)
	}
	if err := add("a"); err == nil || errors.Is(err, store.ErrFrozen) {
		t.Errorf("a change that a row forbids: %v, want that it is there", err)
	}
	tx, err := db.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, hasA := others.Get(tx, "", "", "a")
	if _, hasB := others.Get(tx, "", "", "b"); !hasA || hasB {
		t.Errorf("view of a frozen store: a %v, b %v", hasA, hasB)
	}
}
