// SPDX-License-Identifier: Apache-2.0

package state

import (
	"iter"
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// The services whose resources have tags, as ARNs name them.
const (
	EC2     = "ec2"
	Lattice = "vpc-lattice"
	Route53 = "route53"
	IAM     = "iam"
	RAM     = "ram"
	RDS     = "rds"
	// Balancing is Elastic Load Balancing.
	Balancing = "elasticloadbalancing"
	// Organization is AWS Organizations.
	Organization = "organizations"
)

// Resource is a row of its owner's that has what all resources have. Clone copies it, so
// that the copy can be changed.
type Resource[T any] interface {
	table.Row
	Clone() T
	Common() *model.Meta
}

// Tagged is a kind of resources that users can put tags on. It is declared with the
// table, once: what services list, change and find by tags follows from it.
type Tagged struct {
	// Service and Type are how ARNs name the kind; EC2 calls the second the type of
	// the resource.
	Service, Type string
	// Prefix is what the ids begin with. Of two kinds that one begins with, the longer prefix
	// tells. Those of RAM have none.
	Prefix string
	// Table is the kind of the rows that have the tags.
	Table string

	tags  func(*table.Txn, model.Ref) (map[string]string, bool)
	retag func(*table.Txn, model.Ref, Retag) (bool, error)
	scope func(tx *table.Txn, account, region string) iter.Seq2[string, map[string]string]
}

// Retag gives the new tags of a resource that has the given ones, which it must not
// change.
type Retag func(have map[string]string) (map[string]string, error)

// places yields what has tags in a row: its id, and where the tags are.
type places[T any] func(T) iter.Seq2[string, *map[string]string]

// taggable are all kinds that say so. Like declared, it does not change
// after the package is initialized.
var taggable []*Tagged

// TaggedIn gives all kinds of a service that can have tags, in no particular order. The
// caller may change the slice.
func TaggedIn(service string) []*Tagged {
	return slices.DeleteFunc(slices.Clone(taggable), func(k *Tagged) bool { return k.Service != service })
}

// Tags gives the tags of a resource, if it exists.
func (k *Tagged) Tags(tx *table.Txn, ref model.Ref) (map[string]string, bool) { return k.tags(tx, ref) }

// Retag changes the tags of a resource, and reports whether it exists.
func (k *Tagged) Retag(tx *table.Txn, ref model.Ref, change Retag) (bool, error) {
	return k.retag(tx, ref, change)
}

// Scope yields the ids and tags of all that an account has in a region.
func (k *Tagged) Scope(tx *table.Txn, account, region string) iter.Seq2[string, map[string]string] {
	return k.scope(tx, account, region)
}

// tagged declares that the rows of a table can have tags, and returns the table.
func tagged[T Resource[T]](service string, rows *table.Table[T], kind, prefix string) *table.Table[T] {
	find := func(tx *table.Txn, ref model.Ref) (T, bool) { return rows.Get(tx, ref.Account, ref.Region, ref.ID) }
	declareTags(&Tagged{Service: service, Type: kind, Prefix: prefix}, rows, find, func(row T) iter.Seq2[string, *map[string]string] {
		return func(yield func(string, *map[string]string) bool) { yield(row.Common().ID, &row.Common().Tags) }
	})
	return rows
}

// taggedParts declares that parts of the rows of a table can have tags.
func taggedParts[T Resource[T]](service string, rows *table.Table[T], kind, prefix string, parts places[T]) *Tagged {
	find := func(tx *table.Txn, ref model.Ref) (T, bool) {
		for row := range rows.Scope(tx, ref.Account, ref.Region) {
			if parts.of(row, ref.ID) != nil {
				return row, true
			}
		}
		var none T
		return none, false
	}
	return declareTags(&Tagged{Service: service, Type: kind, Prefix: prefix}, rows, find, parts)
}

func declareTags[T Resource[T]](k *Tagged, rows *table.Table[T], find func(*table.Txn, model.Ref) (T, bool), in places[T]) *Tagged {
	k.Table = rows.Kind()
	k.tags = func(tx *table.Txn, ref model.Ref) (map[string]string, bool) {
		row, ok := find(tx, ref)
		if !ok {
			return nil, false
		}
		return *in.of(row, ref.ID), true
	}
	k.retag = func(tx *table.Txn, ref model.Ref, change Retag) (bool, error) {
		row, ok := find(tx, ref)
		if !ok {
			return false, nil
		}
		tags, err := change(*in.of(row, ref.ID))
		if err != nil {
			return true, err
		}
		row = row.Clone()
		*in.of(row, ref.ID) = tags
		rows.Put(tx, row)
		return true, nil
	}
	k.scope = func(tx *table.Txn, account, region string) iter.Seq2[string, map[string]string] {
		return func(yield func(string, map[string]string) bool) {
			for row := range rows.Scope(tx, account, region) {
				for id, tags := range in(row) {
					if !yield(id, *tags) {
						return
					}
				}
			}
		}
	}
	taggable = append(taggable, k)
	return k
}

// of finds the tags of what has the id; nil when nothing in the row has.
func (in places[T]) of(row T, id string) *map[string]string {
	for at, tags := range in(row) {
		if at == id {
			return tags
		}
	}
	return nil
}
