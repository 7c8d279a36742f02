// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"testing"

	"github.com/posternhq/postern/internal/table"
)

// TestOnlyWriterAsksNobody: a view costs no question, has what was changed before,
// and is refused when the tables do not follow the store any more.
func TestOnlyWriterAsksNobody(t *testing.T) {
	questions := 0
	s := &fakeStore{Store: newStore(t), get: func(context.Context) error { questions++; return nil }}
	db := open(t, s)
	db.OnlyWriter()
	put(t, db, &item{ID: "a"})
	tx, err := db.View(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, there := items.Get(tx, "", "", "a"); !there || questions > 0 {
		t.Errorf("the view has the row: %v, after %d questions", there, questions)
	}
	db.Close()
	if _, err := db.View(deadline(t)); !errors.Is(err, table.ErrClosed) {
		t.Errorf("a view of tables that were closed: %v", err)
	}
}
