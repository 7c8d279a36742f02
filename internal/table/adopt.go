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
// It reports whether the tables have the draft.
func (db *DB) committed(p *proposal, rev int64) bool {
	if !p.draft.sole {
		return false
	}
	db.ahead.Lock()
	defer db.ahead.Unlock()
	if db.current.Load().snapshot == p.draft.base {
		db.publish(p.adopt(rev))
	}
	return p.adopted
}

// adopt makes the draft the state at a revision. Nobody may change it any more.
func (p *proposal) adopt(rev int64) (*snapshot, []Change) {
	d := p.draft
	changes := make([]Change, 0, len(p.changed))
	for _, w := range p.changed {
		change := Change{Rev: rev}
		if w.before != nil {
			change.Key, change.Old = w.before.key(), w.before.row
		}
		if w.after != nil {
			w.after.rev = rev
			change.Key, change.New = w.after.key(), w.after.row
		}
		changes = append(changes, change)
	}
	snap := p.seal()
	if !d.sole {
		for _, id := range p.touched {
			d.overlay[id.pos].setGuard(id.index, id.value, rev)
		}
		for _, id := range p.emptied {
			d.overlay[id.pos].setGuard(id.index, id.value, 0)
		}
	}
	snap.rev, snap.head, p.adopted = rev, rev, true
	return snap, changes
}

// seal gives the state that the proposal makes. It has no revision before it is
// adopted, and guards of ranges have not theirs, which an only writer does not need.
func (p *proposal) seal() *snapshot {
	if p.sealed != nil {
		return p.sealed
	}
	d := p.draft
	for _, w := range p.same {
		d.overlay[w.pos].setRow(w.path, w.before)
	}
	for _, id := range p.touched {
		d.overlay[id.pos].putRange(d.rangeOf(id))
	}
	for _, id := range p.emptied {
		d.overlay[id.pos].setGuard(id.index, id.value, 0)
	}
	p.sealed = &snapshot{tables: make([]*content, len(d.overlay))}
	for pos := range p.sealed.tables {
		p.sealed.tables[pos] = d.content(pos)
	}
	return p.sealed
}
