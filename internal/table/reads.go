// SPDX-License-Identifier: Apache-2.0

package table

// Reads is what somebody has read, to be asked whether changes alter it. It is cheap to
// ask about changes of tables that were not read.
type Reads struct {
	all    map[Dependency]bool
	tables map[int]bool
}

// NewReads makes the set of what was read through a recording Txn of the database.
func NewReads(all []Dependency) Reads {
	r := Reads{all: make(map[Dependency]bool, len(all)), tables: make(map[int]bool)}
	for _, d := range all {
		r.all[d] = true
		r.tables[d.table()] = true
	}
	return r
}

// Altered reports whether any of the changes, which are of the database of the Txn, may
// have altered something in the set.
func (r Reads) Altered(tx *Txn, changes []Change) bool {
	var room [16]Dependency
	for _, c := range changes {
		if !r.tables[tableByte(tx.db.kinds[c.Key.Kind])] {
			continue
		}
		for _, d := range tx.Affected(room[:0], c) {
			if r.all[d] {
				return true
			}
		}
	}
	return false
}
