// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/store"
)

// Txn is a view of all tables at one revision, and in an Update also the
// place where changes are collected; it then shows the tables with its own
// changes. A read-only Txn can be kept and used by several goroutines; that of
// an Update belongs to one goroutine until the function returns.
type Txn struct {
	db   *DB
	base *snapshot
	// changes is nil in a read-only Txn.
	changes *changeSet
}

// changeSet is what an Update has read and written so far.
type changeSet struct {
	reads   map[string]int64    // key in the store → revision that was seen
	overlay []*content          // for each table the version with the changes; nil without any
	written []map[string][]byte // for each table: path → encoded row, nil for a deletion
	err     error               // the first row that could not be encoded
}

func newUpdate(db *DB, base *snapshot) *Txn {
	n := len(base.tables)
	return &Txn{db: db, base: base, changes: &changeSet{
		reads:   make(map[string]int64),
		overlay: make([]*content, n),
		written: make([]map[string][]byte, n),
	}}
}

// Revision returns the revision of the store that the transaction started from.
func (tx *Txn) Revision() int64 { return tx.base.rev }

// position returns the number of a table in this database.
func (tx *Txn) position(def *definition) int {
	pos, ok := tx.db.positions[def]
	if !ok {
		panic(fmt.Sprintf("table %s was not opened with this database", def.kind))
	}
	return pos
}

// content returns a table as the transaction sees it.
func (tx *Txn) content(pos int) *content {
	if tx.changes != nil && tx.changes.overlay[pos] != nil {
		return tx.changes.overlay[pos]
	}
	return tx.base.tables[pos]
}

// stable is like content, for iteration: it is not touched by later changes.
func (tx *Txn) stable(pos int) *content {
	if tx.changes != nil && tx.changes.overlay[pos] != nil {
		return tx.changes.overlay[pos].clone()
	}
	return tx.base.tables[pos]
}

func (tx *Txn) get(def *definition, path string) *entry {
	pos := tx.position(def)
	if tx.changes != nil {
		tx.readRow(def, pos, path)
	}
	return tx.content(pos).get(path)
}

// readRow makes the commit depend on the row at path.
func (tx *Txn) readRow(def *definition, pos int, path string) {
	var rev int64
	if e := tx.base.tables[pos].get(path); e != nil {
		rev = e.rev
	}
	tx.changes.reads[rowKey(def.kind, path)] = rev
}

// readRange makes the commit depend on all rows of a range.
func (tx *Txn) readRange(def *definition, pos, index int, value string) {
	guard := tx.base.tables[pos].lookupRange(index, value).guard
	tx.changes.reads[guardKey(def.kind, def.names[index], value)] = guard
}

func (tx *Txn) all(def *definition) iter.Seq[*entry] {
	if tx.changes != nil {
		panic(fmt.Sprintf("table %s: All inside an Update; read a range instead, through Scope or By", def.kind))
	}
	return tx.base.tables[tx.position(def)].scanRows("")
}

func (tx *Txn) scan(def *definition, index int, value string) iter.Seq[*entry] {
	pos := tx.position(def)
	if tx.changes != nil {
		tx.readRange(def, pos, index, value)
	}
	return tx.stable(pos).scan(index, value)
}

func (tx *Txn) count(def *definition, index int, value string) int {
	pos := tx.position(def)
	if tx.changes != nil {
		tx.readRange(def, pos, index, value)
	}
	return tx.content(pos).lookupRange(index, value).count
}

func (tx *Txn) put(def *definition, row Row) {
	tx.mustWrite(def, "put")
	data, e, err := def.encode(row)
	if err != nil {
		if tx.changes.err == nil {
			tx.changes.err = err
		}
		return
	}
	tx.write(def, e.path, e, data)
}

func (tx *Txn) delete(def *definition, path string) bool {
	tx.mustWrite(def, "delete")
	if tx.get(def, path) == nil {
		return false
	}
	tx.write(def, path, nil, nil)
	return true
}

func (tx *Txn) mustWrite(def *definition, operation string) {
	if tx.changes == nil {
		panic(fmt.Sprintf("table %s: %s outside of an Update", def.kind, operation))
	}
}

// write notes a change. It depends on the row that was there, because that
// decides which ranges are touched.
func (tx *Txn) write(def *definition, path string, e *entry, data []byte) {
	pos := tx.position(def)
	tx.readRow(def, pos, path)
	if tx.changes.overlay[pos] == nil {
		tx.changes.overlay[pos] = tx.base.tables[pos].clone()
		tx.changes.written[pos] = make(map[string][]byte)
	}
	tx.changes.overlay[pos].set(path, e)
	tx.changes.written[pos][path] = data
}

// rangeID names a range of the table that is being committed.
type rangeID struct {
	index int
	value string
}

// commit returns what must be asked of the store: the comparisons of all that
// was read, and the net changes with the guards of the ranges they touch.
func (tx *Txn) commit() (store.Txn, error) {
	if tx.changes.err != nil {
		return store.Txn{}, tx.changes.err
	}
	var out store.Txn
	for pos, written := range tx.changes.written {
		if err := tx.commitTable(&out, pos, written); err != nil {
			return store.Txn{}, err
		}
	}
	if len(out.Put)+len(out.Delete) > 0 {
		out.Put = append(out.Put, store.KeyValue{Key: headKey})
	}
	out.Compare = tx.compares()
	return out, nil
}

// compares returns the conditions under which what the transaction read holds.
func (tx *Txn) compares() []store.Compare {
	var out []store.Compare
	for _, key := range slices.Sorted(maps.Keys(tx.changes.reads)) {
		out = append(out, store.Compare{Key: key, ModRevision: tx.changes.reads[key]})
	}
	return out
}

func (tx *Txn) commitTable(out *store.Txn, pos int, written map[string][]byte) error {
	def, touched := tx.db.definitions[pos], make(map[rangeID]bool)
	for _, path := range slices.Sorted(maps.Keys(written)) {
		data := written[path]
		before, after := tx.base.tables[pos].get(path), tx.content(pos).get(path)
		same, err := unchanged(before, data)
		switch {
		case err != nil:
			return err
		case same:
			continue
		case after == nil:
			out.Delete = append(out.Delete, rowKey(def.kind, path))
		default:
			out.Put = append(out.Put, store.KeyValue{Key: rowKey(def.kind, path), Value: data})
		}
		before.ranges(touched)
		after.ranges(touched)
	}
	for id := range touched {
		tx.commitGuard(out, pos, id)
	}
	return nil
}

// unchanged reports whether a write of data leaves the row as it was.
func unchanged(before *entry, data []byte) (bool, error) {
	if before == nil || data == nil {
		return before == nil && data == nil, nil
	}
	old, err := json.Marshal(before.row)
	if err != nil {
		return false, fmt.Errorf("encode row %s: %w", before.key, err)
	}
	return bytes.Equal(old, data), nil
}

// ranges adds the ranges that the row is in.
func (e *entry) ranges(to map[rangeID]bool) {
	if e == nil {
		return
	}
	for index, values := range e.values {
		for _, value := range values {
			to[rangeID{index, value}] = true
		}
	}
}

// commitGuard puts the guard of a range that changes. When the range becomes
// empty, the guard is deleted instead, provided that it is known: deleting it
// is safe only on the condition that nobody else touched the range, and an
// absent guard (of an index that is new to the store) could not tell.
func (tx *Txn) commitGuard(out *store.Txn, pos int, id rangeID) {
	def := tx.db.definitions[pos]
	key := guardKey(def.kind, def.names[id.index], id.value)
	guard := tx.base.tables[pos].lookupRange(id.index, id.value).guard
	if guard != 0 && tx.content(pos).lookupRange(id.index, id.value).count == 0 {
		tx.readRange(def, pos, id.index, id.value)
		out.Delete = append(out.Delete, key)
		return
	}
	out.Put = append(out.Put, store.KeyValue{Key: key})
}
