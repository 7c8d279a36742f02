// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"

	"github.com/posternhq/postern/internal/store"
)

// became reports whether a batch that follows a state is what was proposed on
// the same state. Then the draft is the next state, and nothing has to be decoded
// and sorted in a second time. A store that gives the events in another order than
// that of the proposal is not recognised, which costs time only.
func (p *proposal) became(from *snapshot, batch store.Batch) bool {
	if p.draft.base != from || len(batch.Events) != len(p.Put)+len(p.Delete) {
		return false
	}
	for i, event := range batch.Events {
		switch put := i < len(p.Put); {
		case put == event.Deleted:
			return false
		case put && (p.Put[i].Key != event.Key || !bytes.Equal(p.Put[i].Value, event.Value)):
			return false
		case !put && p.Delete[i-len(p.Put)] != event.Key:
			return false
		}
	}
	return true
}

// committed takes over the draft of a commit that the only writer has made, if the
// follower has not yet: nothing can have come between its base and the commit.
func (db *DB) committed(p *proposal, rev int64) {
	db.ahead.Lock()
	defer db.ahead.Unlock()
	if p.draft.sole && db.current.Load().snapshot == p.draft.base {
		db.publish(p.adopt(rev))
	}
}

// adopt makes the draft the state at a revision. Nobody else may use it any more.
func (p *proposal) adopt(rev int64) (*snapshot, []Change) {
	d := p.draft
	for _, w := range p.same {
		d.overlay[w.pos].setRow(w.path, w.before)
	}
	changes := make([]Change, 0, len(p.changed))
	for _, w := range p.changed {
		change := Change{Rev: rev}
		if w.before.entry != nil {
			change.Key, change.Old = w.before.key(), w.before.row
		}
		if w.after.entry != nil {
			w.after.rev = rev
			change.Key, change.New = w.after.key(), w.after.row
		}
		changes = append(changes, change)
	}
	for _, id := range p.touched {
		item := d.rangeOf(id)
		if !d.sole {
			item.guard = rev
		}
		d.overlay[id.pos].putRange(item)
	}
	for _, id := range p.emptied {
		item := d.rangeOf(id)
		item.guard = 0
		d.overlay[id.pos].putRange(item)
	}
	snap := &snapshot{rev: rev, head: rev, tables: make([]*content, len(d.overlay))}
	for pos := range snap.tables {
		snap.tables[pos] = d.content(pos)
	}
	return snap, changes
}
