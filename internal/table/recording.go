// SPDX-License-Identifier: Apache-2.0

package table

import (
	"hash/maphash"
)

// Dependency names something that was read from the tables: a row, whether it was there
// or not, or a range. It is a hash, so that a great many of them can be kept: the
// same thing always has the same one in this process, and two things have the
// same one so rarely, that whoever acts on it once too often loses nothing.
type Dependency uint64

// seed makes the hashes of this process.
var seed = maphash.MakeSeed()

// wholeRow is in the place of an index in the Dependency of a single row.
const wholeRow = -1

func dependencyOn(pos, index int, value string) Dependency {
	const spread = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	hash := maphash.String(seed, value) ^ uint64(pos<<8|(index+1))*spread
	return Dependency(hash&^0xff | uint64(tableByte(pos)))
}

// The last byte of a Dependency is that of its table's number.
func tableByte(pos int) int { return pos & 0xff }

func (d Dependency) table() int { return tableByte(int(d)) }

// Recording gives a view of the same state that appends what is read through it
// to reads, also repeatedly. It belongs to one goroutine. All panics there, as it
// does in an Update: a whole table is nothing that anybody should depend on. It
// panics for the transaction of an Update.
func (tx *Txn) Recording(reads *[]Dependency) *Txn {
	if tx.changes != nil {
		panic("table: Recording inside an Update")
	}
	return &Txn{db: tx.db, base: tx.base, reads: reads}
}

// Affected appends to reads what a change of a row may have altered: the row, and
// each range that it was or is in. Whoever has read none of these would read now
// what it read before.
func (tx *Txn) Affected(reads []Dependency, c Change) []Dependency {
	pos, ok := tx.db.kinds[c.Key.Kind]
	if !ok {
		return reads
	}
	def := tx.db.definitions[pos]
	reads = append(reads, dependencyOn(pos, wholeRow, c.Key.path()), dependencyOn(pos, 0, scopePath(c.Key.Account, c.Key.Region)))
	for _, row := range []Row{c.Old, c.New} {
		if row == nil {
			continue
		}
		for i := 1; i < len(def.names); i++ {
			for _, value := range def.values[i](row) {
				if def.unguarded[i] {
					value = "" // see Timeline.Rows
				}
				reads = append(reads, dependencyOn(pos, i, value))
			}
		}
	}
	return reads
}

// record notes a read of a row (index wholeRow) or a range.
func (tx *Txn) record(pos, index int, value string) {
	if tx.reads != nil {
		*tx.reads = append(*tx.reads, dependencyOn(pos, index, value))
	}
}
