// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/store"
)

// draft is the next state of the tables, as the updates of a group make it one
// after the other.
type draft struct {
	base    *snapshot
	sole    bool // nobody else writes to the store
	words   *words
	overlay []*content        // for each table the version with the changes; nil without any
	log     []written         // what was written, one after the other
	ranges  map[rangeID]delta // of rows in the log; the overlay has the base's counts
}

// delta is what the log does to a range: how often it has a row of it, and how many
// rows more the range has.
type delta struct{ touched, rows int }

// written is one change of a row, with what was there before it. Data is its text; nil
// for a deletion.
type written struct {
	pos           int
	path          string
	before, after placed
	data          []byte
}

// rangeID names a range.
type rangeID struct {
	pos, index int
	value      string
}

func newDraft(base *snapshot, sole bool, w *words) *draft {
	n := len(base.tables)
	return &draft{base: base, sole: sole, words: w, overlay: make([]*content, n), ranges: make(map[rangeID]delta)}
}

// content returns a table with the changes.
func (d *draft) content(pos int) *content {
	if d.overlay[pos] != nil {
		return d.overlay[pos]
	}
	return d.base.tables[pos]
}

// write puts a row, or removes it when its entry is nil.
func (d *draft) write(pos int, path string, e placed, data []byte) {
	if d.overlay[pos] == nil {
		d.overlay[pos] = d.base.tables[pos].clone()
	}
	w := written{pos: pos, path: path, before: d.overlay[pos].setRow(path, e), after: e, data: data}
	d.log = append(d.log, w)
	d.count(w, 1)
}

// mark names the present state, for undo.
func (d *draft) mark() int { return len(d.log) }

// undo takes back what was written since the mark.
func (d *draft) undo(mark int) {
	for len(d.log) > mark {
		last := len(d.log) - 1
		w := d.log[last]
		d.count(w, -1)
		d.log = d.log[:last]
		d.overlay[w.pos].setRow(w.path, w.before)
	}
}

// net gives what was written of each row altogether, in the order of their keys. It is
// made of the log: nothing can be written or undone any more.
func (d *draft) net() []written {
	slices.SortStableFunc(d.log, func(a, b written) int {
		return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.path, b.path))
	})
	net := d.log[:0]
	for _, w := range d.log {
		if last := len(net) - 1; last >= 0 && net[last].pos == w.pos && net[last].path == w.path {
			net[last].after, net[last].data = w.after, w.data
		} else {
			net = append(net, w)
		}
	}
	return net
}

// count adds what a change of a row does to ranges, or takes it away by -1.
func (d *draft) count(w written, by int) {
	d.countRow(w.pos, w.before, by, -by)
	d.countRow(w.pos, w.after, by, by)
}

func (d *draft) countRow(pos int, e placed, touched, rows int) {
	for p := range e.ranges {
		id := rangeID{pos, p.index, p.value}
		c := d.ranges[id]
		c.touched += touched
		c.rows += rows
		if c.touched == 0 {
			delete(d.ranges, id)
		} else {
			d.ranges[id] = c
		}
	}
}

// rangeOf gives what is known of a range, with the changes.
func (d *draft) rangeOf(id rangeID) rangeItem {
	item := d.base.tables[id.pos].lookupRange(id.index, id.value)
	item.count += d.ranges[id].rows
	return item
}

// size is how many changes a commit has at most: rows, guards and the head. An
// only writer has none but old guards to delete, which the store may take or not.
func (d *draft) size() int {
	if d.sole {
		return len(d.log) + 1
	}
	return len(d.log) + len(d.ranges) + 1
}

// proposal is what a draft asks of the store.
type proposal struct {
	store.Txn
	draft *draft
	// changed are the net changes of rows, and same what was written without
	// making a difference, both with what the base has.
	changed, same []written
	// touched are the ranges of rows that change; emptied are those of them whose
	// guard is deleted, and the others' is put.
	touched, emptied []rangeID
}

// propose returns what must be asked of the store: the comparisons of all that
// was read, and the net changes with the guards of the ranges they touch. Who is
// the only writer compares the head instead, which says that a commit of its own
// with an unknown outcome was not carried out after all.
func (d *draft) propose(db *DB, reads map[read]int64) (*proposal, error) {
	p := &proposal{draft: d}
	touched := make(map[rangeID]bool)
	net := d.net()
	p.Put, p.changed = make([]store.KeyValue, 0, len(net)+1), net[:0]
	for _, w := range net {
		if err := p.row(db.definitions[w.pos], w, touched); err != nil {
			return nil, err
		}
	}
	if d.sole {
		p.unguard(db)
	}
	for _, id := range slices.SortedFunc(maps.Keys(touched), rangeID.compare) {
		p.guard(db.definitions[id.pos], id, reads)
	}
	if len(p.Put)+len(p.Delete) > 0 {
		p.Put = append(p.Put, store.KeyValue{Key: headKey})
		if d.sole {
			p.Compare = []store.Compare{{Key: headKey, ModRevision: d.base.head}}
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(reads), read.compare) {
		p.Compare = append(p.Compare, store.Compare{Key: r.key(db.definitions[r.pos]), ModRevision: reads[r]})
	}
	return p, nil
}

// row adds the net change of a row, if there is one.
func (p *proposal) row(def *definition, w written, touched map[rangeID]bool) error {
	same, err := def.unchanged(w.before.entry, w.data)
	switch {
	case err != nil:
		return err
	case same:
		p.same = append(p.same, w)
		return nil
	case w.after.entry == nil:
		p.Delete = append(p.Delete, rowKey(def.kind, w.path))
	default:
		p.Put = append(p.Put, store.KeyValue{Key: rowKey(def.kind, w.path), Value: w.data})
	}
	p.changed = append(p.changed, w)
	if p.draft.sole {
		return nil
	}
	for _, e := range []placed{w.before, w.after} {
		for place := range e.ranges {
			touched[rangeID{w.pos, place.index, place.value}] = true
		}
	}
	return nil
}

// unchanged reports whether a write of data leaves the row as it was.
func (d *definition) unchanged(before *entry, data []byte) (bool, error) {
	if before == nil || data == nil {
		return before == nil && data == nil, nil
	}
	old, err := d.write(before.row, before.rest)
	if err != nil {
		return false, fmt.Errorf("encode row %s: %w", before.key(), err)
	}
	return bytes.Equal(old, data), nil
}

// guard puts the guard of a range that changes. When the range becomes
// empty, the guard is deleted instead, provided that it is known: deleting it
// is safe only on the condition that nobody else touched the range, and an
// absent guard (of an index that is new to the store) could not tell.
func (p *proposal) guard(def *definition, id rangeID, reads map[read]int64) {
	p.touched = append(p.touched, id)
	key := guardKey(def.kind, def.names[id.index], id.value)
	if item := p.draft.rangeOf(id); item.guard != 0 && item.count == 0 {
		reads[read{rangeID: id}] = item.guard
		p.emptied = append(p.emptied, id)
		p.Delete = append(p.Delete, key)
		return
	}
	p.Put = append(p.Put, store.KeyValue{Key: key})
}

// unguard notes the ranges that get or lose rows, and deletes those guards of them
// that were put before there was an only writer.
func (p *proposal) unguard(db *DB) {
	for id, change := range p.draft.ranges {
		if change.rows == 0 {
			continue
		}
		p.touched = append(p.touched, id)
		if p.draft.base.tables[id.pos].guard(id.index, id.value) != 0 {
			def := db.definitions[id.pos]
			p.emptied = append(p.emptied, id)
			p.Delete = append(p.Delete, guardKey(def.kind, def.names[id.index], id.value))
		}
	}
}

func (id rangeID) compare(other rangeID) int {
	return cmp.Or(cmp.Compare(id.pos, other.pos), cmp.Compare(id.index, other.index), cmp.Compare(id.value, other.value))
}
