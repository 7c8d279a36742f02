// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"errors"

	"github.com/posternhq/postern/internal/store"
)

// UpdateInParts runs fn on all items in one update, which is DB.Update or
// DB.UpdatePatiently, if the store takes that, and otherwise on parts of half the size, a
// quarter, and so on, one after the other: in few commits, since each waits for the disk. What fn says against an item is
// returned; nothing is changed then if it was among the first ones tried, but
// earlier parts may have been.
func UpdateInParts[T any](ctx context.Context, update func(context.Context, func(*Txn) error) (int64, error), items []T, fn func(tx *Txn, part []T) error) error {
	size := len(items)
	for len(items) > 0 {
		part := items[:min(size, len(items))]
		var refused error
		_, err := update(ctx, func(tx *Txn) error {
			refused = fn(tx, part)
			return refused
		})
		switch {
		case err == nil:
			items = items[len(part):]
		case !errors.Is(err, store.ErrTooLarge) || len(part) == 1:
			return err
		case refused != nil:
			return refused // too much was read to ask the store whether it still holds
		default:
			size = len(part) / 2
		}
	}
	return nil
}
