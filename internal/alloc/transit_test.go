// SPDX-License-Identifier: Apache-2.0

package alloc_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

func TestTransitPlacesAreClaimedOnce(t *testing.T) {
	w := servicetest.New(t)
	const size = 40
	claim := func(ctx context.Context) (index int, err error) {
		_, err = w.DB.Update(ctx, func(tx *table.Txn) (err error) {
			index, err = w.Alloc().ClaimTransit(tx, model.SpaceSource, size, model.Ref{ID: "vpc-1"})
			return err
		})
		return index, err
	}
	var mu sync.Mutex
	taken := make(map[int]int)
	var all sync.WaitGroup
	for range size {
		all.Go(func() {
			index, err := claim(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			taken[index]++
		})
	}
	all.Wait()
	for index, n := range taken {
		if n != 1 || index < 0 || index >= size {
			t.Errorf("place %d was given %d times", index, n)
		}
	}
	if _, err := claim(t.Context()); !errors.Is(err, alloc.ErrTransitFull) {
		t.Errorf("claim in a full space: got %v, want %v", err, alloc.ErrTransitFull)
	}
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		alloc.FreeTransit(tx, model.SpaceSource, 17)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if index, err := claim(t.Context()); err != nil || index != 17 {
		t.Errorf("after 17 was freed: got %d, %v", index, err)
	}
}

// A place whose claim cannot be read is somebody's: nobody else gets it.
func TestUnreadableClaimKeepsItsPlace(t *testing.T) {
	kv := memstore.New()
	key := table.StoredRows + "transit-claim/-/-/source%2F0"
	if _, _, err := kv.Commit(t.Context(), store.Txn{Put: []store.KeyValue{{Key: key, Value: []byte("damaged")}}}); err != nil {
		t.Fatal(err)
	}
	w := servicetest.NewOn(t, kv) // whose tables hear only of changes that say so
	var got []int
	_, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		got = nil
		for range 2 {
			index, err := w.Alloc().ClaimTransit(tx, model.SpaceSource, 2, model.Ref{ID: "vpc-1"})
			if err != nil {
				return nil
			}
			got = append(got, index)
		}
		return nil
	})
	if err != nil || len(got) != 1 || got[0] != 1 {
		t.Errorf("places %v of two, the first of which is set aside: %v", got, err)
	}
	if kv, _, err := w.Store.Get(t.Context(), key); err != nil || string(kv.Value) != "damaged" {
		t.Errorf("the claim is now %q, %v", kv.Value, err)
	}
}
