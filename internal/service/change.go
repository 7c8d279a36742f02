// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Finder finds a row of the caller's by what a request names it by.
type Finder[T, By any] func(*table.Txn, access.View, By) (T, error)

// Change changes the caller's row that find gives and returns its new one, in an update
// that may run several times. The change gets a copy with the time of it; when it fails,
// nothing is changed.
func Change[T state.Resource[T], By any](ctx context.Context, e *Env, rows *table.Table[T], find Finder[T, By], by By, change func(*table.Txn, T) error) (T, error) {
	var changed T
	who, now := access.From(ctx), e.Now()
	_, err := e.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := find(tx, who, by)
		if err != nil {
			return err
		}
		changed = row.Clone()
		changed.Common().UpdatedAt = now
		if err := change(tx, changed); err != nil {
			return err
		}
		rows.Put(tx, changed)
		return nil
	})
	return changed, err
}

// MarkDeleted notes in a row that its deletion was asked for, once, and returns the row.
func MarkDeleted[T state.Resource[T]](tx *table.Txn, rows *table.Table[T], row T, now time.Time) T {
	if row.Common().Deleting() {
		return row
	}
	row = row.Clone()
	row.Common().Delete(now)
	rows.Put(tx, row)
	return row
}
