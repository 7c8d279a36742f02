// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"fmt"
	"iter"
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
	// reads is where a recording Txn notes what is read.
	reads *[]Dependency
}

// changeSet is what an Update has read, and where it writes.
type changeSet struct {
	reads map[read]int64 // → revision that was seen
	*draft
	err error // the first row that could not be encoded
}

// read names a row, or a range whose guard was read.
type read struct {
	rangeID
	path string // of a row; empty for a range
}

// key is the key in the store.
func (r read) key(def *definition) string {
	if r.path != "" {
		return rowKey(def.kind, r.path)
	}
	return guardKey(def.kind, def.names[r.index], r.value)
}

func (r read) compare(other read) int {
	return cmp.Or(r.rangeID.compare(other.rangeID), cmp.Compare(r.path, other.path))
}

// in gives the revision of what is named in a state.
func (r read) in(s *snapshot) int64 {
	if r.path == "" {
		return s.tables[r.pos].lookupRange(r.index, r.value).guard
	}
	return s.tables[r.pos].revision(r.path)
}

// holds reports whether all that was read is the same in a state.
func (c *changeSet) holds(s *snapshot) bool {
	for r, rev := range c.reads {
		if r.in(s) != rev {
			return false
		}
	}
	return true
}

func newUpdate(db *DB, d *draft) *Txn {
	return &Txn{db: db, base: d.base, changes: &changeSet{reads: make(map[read]int64), draft: d}}
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
	if tx.changes != nil {
		return tx.changes.content(pos)
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
		tx.readRow(pos, path)
	}
	tx.record(pos, wholeRow, path)
	return tx.content(pos).get(path)
}

// note makes the commit depend on a row or range. What another Update of the
// group has written is there only if its commit is.
func (tx *Txn) note(r read) {
	if _, known := tx.changes.reads[r]; !known {
		tx.changes.reads[r] = r.in(tx.base)
	}
}

func (tx *Txn) readRow(pos int, path string) {
	tx.note(read{rangeID{pos: pos}, path})
}

func (tx *Txn) readRange(pos, index int, value string) {
	tx.note(read{rangeID: rangeID{pos, index, value}})
}

func (tx *Txn) all(def *definition) iter.Seq[*entry] {
	if tx.changes != nil {
		panic(fmt.Sprintf("table %s: All inside an Update; read a range instead, through Scope or By", def.kind))
	}
	if tx.reads != nil {
		panic(fmt.Sprintf("table %s: All while reads are recorded; read a range instead, through Scope or By", def.kind))
	}
	return tx.base.tables[tx.position(def)].scanRows("")
}

func (tx *Txn) scan(def *definition, index int, value string) iter.Seq[*entry] {
	pos := tx.position(def)
	if tx.changes != nil {
		tx.readRange(pos, index, value)
	}
	tx.record(pos, index, value)
	return tx.stable(pos).scan(index, value)
}

func (tx *Txn) count(def *definition, index int, value string) int {
	pos := tx.position(def)
	if tx.changes != nil {
		tx.readRange(pos, index, value)
	}
	tx.record(pos, index, value)
	return tx.content(pos).lookupRange(index, value).count
}

func (tx *Txn) put(def *definition, row Row) {
	tx.mustWrite(def, "put")
	path := def.key(row).path()
	if tx.aside(def, path) != nil {
		return
	}
	var r *rest
	if before := tx.content(tx.position(def)).get(path); before != nil {
		r = before.rest
	}
	data, e, err := def.encode(row, r)
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
	tx.readRow(pos, path)
	tx.changes.write(pos, path, e, data)
}
