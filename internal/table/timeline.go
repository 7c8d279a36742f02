// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/binary"
	"iter"
	"time"
)

// Timeline has rows of a table in the order of a time that each is due. It is in
// memory only: the store does not know it, it costs a transaction nothing, and none
// can be made conditional on it. Whoever finds a row by it looks at the row again in
// the Update that changes it.
type Timeline[T Row] struct {
	def *definition
	at  int // the place among the table's indexes
}

// NewTimeline adds a timeline to a table, under a name that no index of the table has.
// Due must depend on the row's stored fields only; rows for which it gives the zero
// time are not in the timeline. It panics as NewIndex does.
func NewTimeline[T Row](t *Table[T], name string, due func(T) time.Time) Timeline[T] {
	i := NewIndex(t, name, timeText, func(row T) []time.Time {
		if at := due(row); !at.IsZero() {
			return []time.Time{at}
		}
		return nil
	})
	t.def.unguarded[i.at] = true
	return Timeline[T]{def: t.def, at: i.at}
}

// timeText sorts like the time.
func timeText(t time.Time) string {
	const sign = 1 << 63 // before 1970 is less
	text := binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^sign)
	return string(binary.BigEndian.AppendUint32(text, uint32(t.Nanosecond())))
}

// Rows yields the rows that are in the timeline, the earliest first. It panics in an
// Update. Who reads through a recording Txn depends on the whole timeline, however
// few rows it looks at.
func (l Timeline[T]) Rows(tx *Txn) iter.Seq[T] {
	if tx.changes != nil {
		panic("table " + l.def.kind + ": a timeline inside an Update; find rows in a snapshot, and look at each again")
	}
	pos := tx.position(l.def)
	tx.record(pos, l.at, "")
	return rowsOf[T](tx.base.tables[pos].scanIndex(l.at))
}
