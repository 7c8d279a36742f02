// SPDX-License-Identifier: Apache-2.0

// Package view finds the rows that a request may know of. Handlers look up what a
// request names, and what its caller has, through these functions and nowhere
// else; from a row that they have found they follow references in the tables.
//
// What is shared with an account is found here too, by rows that are read in
// the same transaction: so a change depends on the share that allowed it.
package view

import (
	"iter"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// shares gives what is shared according to the rows of a transaction.
func shares(tx *table.Txn) access.Shares { return share.In(tx) }

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

// For is At for what an action is to be done with: a row of another account is found when
// its owner lets the caller do that.
func For[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], ref model.Ref, action string) (T, bool) {
	if row, ok := At(tx, who, rows, ref); ok && May(tx, who, ref, action) {
		return row, true
	}
	var none T
	return none, false
}

// May reports whether an action may be done with what is in the caller's region: with its own, or
// with what another account lets it be done with.
func May(tx *table.Txn, who access.View, ref model.Ref, action string) bool {
	return ref.Region == who.Region && (who.Owns(ref.Account) || share.In(tx).Shared(who.Account, action, ref))
}

// Own reports whether a name is one of the caller's own resources in its region.
func Own(who access.View, ref model.Ref) bool { return who.Sees(ref, nil) }

// Shared gives the rows of a kind that others share with the caller in its region, and let it
// do an action with.
func Shared[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], resourceType, action string) (all []T) {
	seen := map[model.Ref]bool{}
	for s := range share.In(tx).With(who.Account, who.Region) {
		for a := range share.In(tx).Resources(s.Ref()) {
			if a.ResourceType != resourceType || seen[a.Resource] {
				continue
			}
			seen[a.Resource] = true
			if row, ok := For(tx, who, rows, a.Resource, action); ok {
				all = append(all, row)
			}
		}
	}
	return all
}

// Consumed yields the association of an endpoint of the caller's with a resource configuration
// of another account, by the name that it has in the caller's.
func Consumed(tx *table.Txn, who access.View, ref model.Ref) iter.Seq[*model.EndpointAssociation] {
	if !Own(who, ref) {
		return func(func(*model.EndpointAssociation) bool) {}
	}
	return state.EndpointAssociationsByConsumer.Rows(tx, ref)
}

// Tags gives the tags of the resource of a kind that a name stands for. Like the row, they
// are not found when the view does not have it; those of what others share are their own.
func Tags(tx *table.Txn, who access.View, kind *state.Tagged, ref model.Ref) (map[string]string, bool) {
	if !Own(who, ref) {
		return nil, false
	}
	return kind.Tags(tx, ref)
}

// Retag changes the tags of such a resource, and reports whether it was found.
func Retag(tx *table.Txn, who access.View, kind *state.Tagged, ref model.Ref, change state.Retag) (bool, error) {
	if !Own(who, ref) {
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
