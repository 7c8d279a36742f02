// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// change changes a row that a request names by id or by ARN, as service.Change does.
func change[T state.Resource[T]](ctx context.Context, a *API, rows *table.Table[T], kind, identifier string, change func(*table.Txn, T) error) (T, error) {
	return service.Change(ctx, a.Env, rows, own(rows, kind), identifier, change)
}

// own finds a row of the caller's own. What others share with it, it does not change.
func own[T state.Resource[T]](rows *table.Table[T], kind string) service.Finder[T, string] {
	return func(tx *table.Txn, who access.View, identifier string) (T, error) {
		row, err := find(tx, rows, who, kind, identifier)
		if err == nil && !view.Own(who, row.Common().Ref()) {
			err = fault.AccessDenied("%s %s is shared with account %s, which cannot change it", kind, identifier, who.Account)
		}
		return row, err
	}
}

// remove starts the deletion of a row that nothing holds, and gives the reply about it.
// To do so again changes nothing. Also, unless nil, is what else is done the first time.
func remove[T state.Resource[T], Out any](ctx context.Context, a *API, rows *table.Table[T], kind, identifier string, find service.Finder[T, string], also func(*table.Txn, T), reply func(*table.Txn, T) *Out) (*Out, error) {
	who, now := access.From(ctx), a.Now()
	var out *Out
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := find(tx, who, identifier)
		if err != nil {
			return err
		}
		if by := state.Held(tx, rows, row); by != nil {
			id := row.Common().ID
			return fault.Conflict(kind, id, "%s %s has %d %s(s)", kind, id, by.Count(), by.Noun())
		}
		if also != nil && !row.Common().Deleting() {
			also(tx, row)
		}
		out = reply(tx, service.MarkDeleted(tx, rows, row, now))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
