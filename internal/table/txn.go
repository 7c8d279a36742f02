// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"fmt"
	"iter"
	"unsafe"
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
	reads map[read]int64 // → revision that was seen; nil where nobody else writes
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
		return s.tables[r.pos].guard(r.index, r.value)
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
	return &Txn{db: db, base: d.base, changes: &changeSet{reads: d.newReads(), draft: d}}
}

// newReads makes room to note what is read; nil where nobody else writes.
func (d *draft) newReads() map[read]int64 {
	if d.sole {
		return nil
	}
	return make(map[read]int64)
}

// Revision returns the revision of the store that the transaction started from.
func (tx *Txn) Revision() int64 { return tx.base.rev }

// Writable reports whether the transaction is that of an Update: it may show what nobody
// has committed, and the commit depends on what is read through it.
func (tx *Txn) Writable() bool { return tx.changes != nil }

// position returns the number of a table in this database.
func (tx *Txn) position(def *definition) int {
	pos, ok := tx.db.positions[def]
	if !ok {
		panic(fmt.Sprintf("table %s was not opened with this database", def.kind))
	}
	return pos
}

// stable returns a table as the transaction sees it, for iteration: it is not
// touched by later changes, and does not know the counts of ranges.
func (tx *Txn) stable(pos int) *content {
	if tx.changes != nil && tx.changes.overlay[pos] != nil {
		return tx.changes.overlay[pos].kept()
	}
	return tx.base.tables[pos]
}

func (tx *Txn) get(def *definition, path string) *entry {
	pos := tx.position(def)
	tx.record(pos, wholeRow, path)
	if tx.changes == nil {
		return tx.base.tables[pos].get(path)
	}
	tx.readRow(pos, path)
	return tx.changes.content(pos).get(path)
}

// find gives the row with a key. Reads are many, and those that nobody notes need no
// path of their own.
func (tx *Txn) find(def *definition, account, region, id string) *entry {
	if tx.changes != nil || tx.reads != nil {
		return tx.get(def, rowPath(account, region, id))
	}
	var room pathRoom
	path := appendRowPath(room[:0], account, region, id) // get keeps nothing of it
	return tx.base.tables[tx.position(def)].get(unsafe.String(unsafe.SliceData(path), len(path)))
}

// readRow makes the commit depend on a row, as the base has it. What another Update of
// the group has written is there only if its commit is.
func (tx *Txn) readRow(pos int, path string) {
	if tx.changes.reads == nil {
		return
	}
	r := read{rangeID{pos: pos}, path}
	tx.changes.reads[r] = r.in(tx.base)
}

// readRange makes the commit depend on all rows of a range. One that has rows and no
// guard, because an only writer or a backup has left it so, may get a guard and lose
// it again, but not without being empty in between: so one of its rows tells.
func (tx *Txn) readRange(pos, index int, value string) {
	if tx.changes.reads == nil {
		return
	}
	r := read{rangeID: rangeID{pos, index, value}}
	guard := r.in(tx.base)
	if tx.changes.reads[r] = guard; guard != 0 {
		return
	}
	for e := range tx.base.tables[pos].scan(index, value) {
		tx.readRow(pos, e.path)
		break
	}
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
	tx.record(pos, index, value)
	if tx.changes == nil {
		return tx.base.tables[pos].lookupRange(index, value).count
	}
	tx.readRange(pos, index, value)
	return tx.changes.rangeOf(rangeID{pos, index, value}).count
}

func (tx *Txn) put(def *definition, row Row) {
	tx.mustWrite(def, "put")
	path := def.key(row).path()
	tx.replace(def, path, tx.get(def, path), row)
}

// replace puts a row in the place of what was read at its path.
func (tx *Txn) replace(def *definition, path string, before *entry, row Row) {
	if tx.aside(def, path) != nil {
		return
	}
	var r *rest
	if before != nil {
		r = before.rest
	}
	data, e, err := def.encode(path, row, r, tx.changes.words)
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
	tx.write(def, path, placed{}, nil)
	return true
}

func (tx *Txn) mustWrite(def *definition, operation string) {
	if tx.changes == nil {
		panic(fmt.Sprintf("table %s: %s outside of an Update", def.kind, operation))
	}
}

// write notes a change of a row that was read before: what was there decides which
// ranges are touched.
func (tx *Txn) write(def *definition, path string, e placed, data []byte) {
	tx.changes.write(tx.position(def), path, e, data)
}
