// SPDX-License-Identifier: Apache-2.0

// Package view finds the rows that a request may know of. Handlers look up what a
// request names, and what its caller has, through these functions and nowhere
// else; from a row that they have found they follow references in the tables.
//
// What is shared with an account will be found here too, by rows that are read in
// the same transaction: then a change depends on the share that allowed it.
package view

import (
	"iter"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// shares gives what is shared according to the rows of a transaction: nothing yet.
func shares(*table.Txn) access.Shares { return nil }

// Sees reports whether the resource with that name, if there is one, is in the
// view. What is not is to be treated as if it did not exist.
func Sees(tx *table.Txn, who access.View, ref model.Ref) bool {
	return who.Sees(ref, shares(tx))
}

// Get finds a row by the id alone, which names one in the caller's region.
func Get[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], id string) (T, bool) {
	return At(tx, who, rows, who.Own(id))
}

// At finds the row that an ARN names with account, region and id. It is not found
// when the view does not have it, whether or not it exists.
func At[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], ref model.Ref) (T, bool) {
	if !Sees(tx, who, ref) {
		var none T
		return none, false
	}
	return rows.Get(tx, ref.Account, ref.Region, ref.ID)
}

// Tags gives the tags of the resource of a kind that a name stands for. Like the row, they
// are not found when the view does not have it.
func Tags(tx *table.Txn, who access.View, kind *state.Tagged, ref model.Ref) (map[string]string, bool) {
	if !Sees(tx, who, ref) {
		return nil, false
	}
	return kind.Tags(tx, ref)
}

// Retag changes the tags of such a resource, and reports whether it was found.
func Retag(tx *table.Txn, who access.View, kind *state.Tagged, ref model.Ref, change state.Retag) (bool, error) {
	if !Sees(tx, who, ref) {
		return false, nil
	}
	return kind.Retag(tx, ref, change)
}

// AllTags yields the ids and tags of the caller's own resources of a kind in its region.
func AllTags(tx *table.Txn, who access.View, kind *state.Tagged) iter.Seq2[string, map[string]string] {
	return kind.Scope(tx, who.Account, who.Region)
}

// All yields the caller's own rows in its region, in the order of their ids.
func All[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T]) iter.Seq[T] {
	return rows.Scope(tx, who.Account, who.Region)
}

// Count returns how many rows All would yield, without visiting them.
func Count[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T]) int {
	return rows.CountScope(tx, who.Account, who.Region)
}
