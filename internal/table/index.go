// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"iter"
	"slices"
)

// Index finds the rows of a table by something else than their key: a value of V.
type Index[T Row, V any] struct {
	def  *definition
	at   int // the place among the table's indexes
	text func(V) string
}

// NewIndex adds an index to a table. The name is unique in the table and is part of
// keys in the store; it may hold letters, digits, '-' and '_', and "scope" is taken.
// Values returns what a row can be found by: any number of values, which must depend
// on the row's stored fields only; text makes different values differ. It panics when
// the name is none, and once a database was opened with the table.
func NewIndex[T Row, V any](t *Table[T], name string, text func(V) string, values func(T) []V) Index[T, V] {
	mustBeName(name)
	switch {
	case slices.Contains(t.def.names, name):
		panic(fmt.Sprintf("table %s: index name %q is taken", t.def.kind, name))
	case t.def.opened.Load():
		panic(fmt.Sprintf("table %s: index %q comes after a database was opened", t.def.kind, name))
	}
	t.def.names = append(t.def.names, name)
	t.def.unguarded = append(t.def.unguarded, false)
	t.def.values = append(t.def.values, func(row Row) []string {
		found := values(row.(T))
		texts := make([]string, len(found))
		for i, v := range found {
			texts[i] = text(v)
		}
		return texts
	})
	return Index[T, V]{def: t.def, at: len(t.def.names) - 1, text: text}
}

// Rows yields the rows that have the value, in the order of their keys. In an
// Update the loop may change the table; it yields what was there when Rows was
// called.
func (i Index[T, V]) Rows(tx *Txn, value V) iter.Seq[T] {
	return rowsOf[T](tx.scan(i.def, i.at, i.text(value)))
}

// Count returns how many rows Rows would yield, without visiting them.
func (i Index[T, V]) Count(tx *Txn, value V) int {
	return tx.count(i.def, i.at, i.text(value))
}
