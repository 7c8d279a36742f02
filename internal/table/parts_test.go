// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// TestUpdateInParts changes more rows than a transaction takes, in few
// commits, and none when one of them is refused.
func TestUpdateInParts(t *testing.T) {
	const most = 128
	commits := 0
	db := open(t, &fakeStore{Store: newStore(t), commit: func(_ context.Context, txn store.Txn) error {
		if len(txn.Compare) > most || len(txn.Put)+len(txn.Delete) > most {
			return store.ErrTooLarge
		}
		commits++
		return nil
	}})
	var ids []string
	for i := range 500 {
		ids = append(ids, fmt.Sprint(i))
	}
	insert := func(tx *table.Txn, part []string) error {
		for _, id := range part {
			if err := others.Insert(tx, &other{ID: id}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := table.UpdateInParts(t.Context(), db.Update, ids, insert); err != nil {
		t.Fatal(err)
	}
	if commits > 8 {
		t.Errorf("%d commits for 500 rows, want 8 at most", commits)
	}
	for _, id := range ids {
		if _, ok := others.Get(db.Snapshot(), "", "", id); !ok {
			t.Fatalf("row %s is not there", id)
		}
	}
	rev := db.Snapshot().Revision()
	refused := errors.New("no")
	err := table.UpdateInParts(t.Context(), db.Update, ids, func(tx *table.Txn, part []string) error {
		for _, id := range part {
			others.Delete(tx, "", "", id)
		}
		return refused
	})
	if !errors.Is(err, refused) || db.Snapshot().Revision() != rev {
		t.Errorf("a refusal gave %v and revision %d, want %v and %d", err, db.Snapshot().Revision(), refused, rev)
	}
	if err := table.UpdateInParts(t.Context(), db.Update, nil, insert); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}
