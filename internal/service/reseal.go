// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"

	"github.com/posternhq/postern/internal/table"
)

// Reseal changes all rows of a kind in which something is sealed: again gives the row with
// all of it sealed by the newest key, the very row when that is so already, and an error
// when something in it cannot be opened. Those rows it leaves as they are, and gives them.
func Reseal[T interface {
	table.Row
	comparable
}](ctx context.Context, e *Env, rows *table.Table[T], again func(T) (T, error)) (lost []T, err error) {
	tx, err := e.DB.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("seal rows of kind %s: %w", rows.Kind(), err)
	}
	var outdated []T
	for row := range rows.All(tx) {
		switch next, err := again(row); {
		case err != nil:
			lost = append(lost, row)
		case next != row:
			outdated = append(outdated, row)
		}
	}
	err = table.UpdateInParts(ctx, e.DB.Update, outdated, func(tx *table.Txn, part []T) error {
		for _, was := range part {
			account, region, id := was.RowKey()
			row, ok := rows.Get(tx, account, region, id)
			if !ok {
				continue
			}
			next, err := again(row)
			if err != nil {
				return err
			}
			if next != row {
				rows.Put(tx, next)
			}
		}
		return nil
	})
	if err != nil {
		return lost, fmt.Errorf("seal rows of kind %s: %w", rows.Kind(), err)
	}
	return lost, nil
}
