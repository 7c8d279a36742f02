// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// wave is a change on its way through the units.
type wave struct {
	tx *table.Txn
	// marked are units to derive, by kind.
	marked [unitKinds][]*unit
	// idle are units that nobody seemed to need.
	idle []*unit
	// touched has the routers that concern a subject.
	touched map[Subject][]desired.Realm
	// former is what was in effect for each key that may have changed, and
	// releasers are the subjects of the units that let go of it.
	former    map[desired.Key]desired.Entry
	releasers map[desired.Key]map[Subject]struct{}
}

func newWave(tx *table.Txn) *wave {
	return &wave{
		tx: tx, touched: map[Subject][]desired.Realm{},
		former: map[desired.Key]desired.Entry{}, releasers: map[desired.Key]map[Subject]struct{}{},
	}
}

func (w *wave) mark(u *unit) {
	if !u.marked {
		u.marked = true
		w.marked[u.id.kind] = append(w.marked[u.id.kind], u)
	}
}

// next gives a marked unit of the first kind that has any, nil at the end.
func (w *wave) next() *unit {
	for kind := range w.marked {
		for list := &w.marked[kind]; len(*list) > 0; {
			u := (*list)[0]
			if *list = (*list)[1:]; u.marked { // some have been read meanwhile
				return u
			}
		}
	}
	return nil
}

// reading is what one derivation sees: the tables, and the values of other units.
// What it reads is noted.
type reading struct {
	tx    *table.Txn
	plan  *Plan
	wave  *wave
	views []*unit
}

// value gives the value of a unit as it is now; nil says that there is none.
func (r *reading) value(id unitID) any {
	u := r.plan.unit(id)
	switch {
	case u.deriving:
		panic(fmt.Sprintf("plan: %v reads itself", id))
	case u.marked || !u.known:
		r.plan.rederive(u, r.wave)
	}
	if !slices.Contains(r.views, u) {
		r.views = append(r.views, u)
	}
	return u.value
}

// valueOf gives the value of a unit; false says that there is none.
func valueOf[T any](r *reading, kind unitKind, ref model.Ref) (T, bool) {
	v, ok := r.value(idOf(kind, ref)).(T)
	return v, ok
}

// unit gives the unit with that id, which may be new.
func (p *Plan) unit(id unitID) *unit {
	u := p.units[id]
	if u == nil {
		p.made++
		u = &unit{id: id, number: p.made}
		p.units[id] = u
	}
	return u
}

// spread marks what a change of a row concerns: the units that are there because
// of it, and those that have read it.
func (p *Plan) spread(w *wave, c table.Change) {
	for _, row := range []table.Row{c.Old, c.New} {
		for _, id := range unitsOf(row) {
			w.mark(p.unit(id))
		}
	}
	p.affected = w.tx.Affected(p.affected[:0], c)
	for _, read := range p.affected {
		if readers, any := p.readers[read]; any {
			readers.each(w.mark)
		}
	}
}

// rederive derives a unit anew. Whoever has read its value is marked when it is
// another one.
func (p *Plan) rederive(u *unit, w *wave) {
	u.marked, u.deriving, u.known = false, true, true
	var reads []table.Dependency
	r := reading{tx: w.tx.Recording(&reads), plan: p, wave: w}
	d := r.derive(u.id)
	p.derivations++
	p.hasRead(u, reads, r.views, w)
	u.deriving = false
	p.become(u, d, w)
	if !reflect.DeepEqual(u.value, d.value) {
		u.value = d.value
		u.readers.each(w.mark)
	}
	if !u.needed() {
		w.idle = append(w.idle, u)
	}
}

// dropIdle takes the units away that nobody needs, and those that only these have
// read.
func (p *Plan) dropIdle(w *wave) {
	for len(w.idle) > 0 {
		u := w.idle[len(w.idle)-1]
		w.idle = w.idle[:len(w.idle)-1]
		if u.needed() || p.units[u.id] != u {
			continue
		}
		p.become(u, derived{}, w)
		p.hasRead(u, nil, nil, w)
		delete(p.units, u.id)
	}
}

// hasRead notes what a unit has read this time.
func (p *Plan) hasRead(u *unit, reads []table.Dependency, views []*unit, w *wave) {
	slices.Sort(reads)
	reads = slices.Compact(reads)
	if !slices.Equal(u.reads, reads) {
		for _, read := range u.reads {
			if _, again := slices.BinarySearch(reads, read); !again {
				p.unread(read, u)
			}
		}
		for _, read := range reads {
			readers := p.readers[read]
			readers.add(u)
			p.readers[read] = readers
		}
		u.reads = slices.Clone(reads)
	}
	if slices.Equal(u.views, views) {
		return
	}
	for _, v := range u.views {
		if slices.Contains(views, v) {
			continue
		}
		if v.readers.remove(u); !v.needed() {
			w.idle = append(w.idle, v)
		}
	}
	for _, v := range views {
		v.readers.add(u)
	}
	u.views = slices.Clone(views)
}

func (p *Plan) unread(read table.Dependency, u *unit) {
	readers := p.readers[read]
	if readers.remove(u); readers.empty() {
		delete(p.readers, read)
	} else {
		p.readers[read] = readers
	}
}

// become makes a unit ask for what it has derived. Its subjects are touched when
// that is not what it asked for before, and else those whose rows have news.
func (p *Plan) become(u *unit, d derived, w *wave) {
	formerEntries, former := u.entries, u.subjects
	everybody := make([]Subject, 0, len(former)+len(d.subjects))
	for _, s := range slices.Concat(former, d.subjects) {
		everybody = append(everybody, s.subject())
	}
	u.subjects = d.subjects
	changed := p.replace(u, wishes(d.entries), everybody, w)
	changed = p.explain(u, d.problem, everybody[:len(former)], everybody[len(former):]) || changed
	for i, s := range slices.Concat(former, d.subjects) {
		if changed || !slices.Contains(former, s) || !slices.Contains(d.subjects, s) {
			w.touch(everybody[i], formerEntries, u.entries)
		}
	}
}

// explain notes what a unit knows to be against its subjects, and reports whether
// that is something else than before.
func (p *Plan) explain(u *unit, text string, former, now []Subject) (changed bool) {
	if !u.id.kind.explains() {
		return false
	}
	before := ""
	for _, s := range former {
		p.problems[s] = slices.DeleteFunc(p.problems[s], func(known problem) bool {
			if known.unit == u {
				before = known.text
			}
			return known.unit == u
		})
		if len(p.problems[s]) == 0 {
			delete(p.problems, s)
		}
	}
	if text != "" {
		for _, s := range now {
			p.problems[s] = append(p.problems[s], problem{u, text})
		}
	}
	return before != text
}

// touch notes that a subject has something to wait for, where its entries were
// and are.
func (w *wave) touch(s Subject, entries ...[]*held) {
	realms := w.touched[s]
	for _, list := range entries {
		for _, h := range list {
			if !slices.Contains(realms, h.key.Realm) {
				realms = append(realms, h.key.Realm)
			}
		}
	}
	w.touched[s] = realms
}

// replace makes a unit ask for what next says, walking along both lists, and
// reports whether that is anything else than before.
func (p *Plan) replace(u *unit, next []wish, subjects []Subject, w *wave) (changed bool) {
	old, now := u.entries, make([]*held, 0, len(next))
	for len(old)+len(next) > 0 {
		switch order := firstOf(old, next); {
		case order < 0:
			p.let(u, old[0], subjects, w)
			old, changed = old[1:], true
		case order > 0:
			now = append(now, p.ask(u, next[0], w))
			next, changed = next[1:], true
		default:
			if desired.Record(old[0].of(u)) != desired.Record(next[0].entry) {
				p.note(old[0].key, w).remove(u)
				p.ask(u, next[0], w)
				changed = true
			}
			now = append(now, old[0])
			old, next = old[1:], next[1:]
		}
	}
	if changed {
		u.entries = now
	}
	return changed
}

// firstOf compares the keys that two lists begin with; an empty list comes last.
func firstOf(a []*held, b []wish) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].key.Compare(b[0].key)
}

// ask makes a unit one of those that ask for an entry.
func (p *Plan) ask(u *unit, next wish, w *wave) *held {
	h := p.note(next.key, w)
	h.add(next.entry, u)
	return h
}

// let makes a unit let go of an entry, for which its subjects wait: those that
// it had, and those that it has because it lets go.
func (p *Plan) let(u *unit, h *held, subjects []Subject, w *wave) {
	p.note(h.key, w).remove(u)
	if w.releasers[h.key] == nil {
		w.releasers[h.key] = map[Subject]struct{}{}
	}
	for _, s := range subjects {
		w.releasers[h.key][s] = struct{}{}
	}
}

// note remembers what was in effect for a key before its first change, and
// gives what units ask for under it.
func (p *Plan) note(key desired.Key, w *wave) *held {
	h := p.held[key]
	if h == nil {
		h = &held{key: key}
		p.held[key] = h
	}
	if _, noted := w.former[key]; !noted {
		w.former[key] = h.effective()
	}
	return h
}

func (p *Plan) result(w *wave) Result {
	r := Result{Released: map[desired.Key][]Subject{}, Touched: sortedSubjects(w.touched), Realms: w.touched}
	for key, old := range w.former {
		now := p.held[key].effective()
		if now == nil {
			delete(p.held, key)
		}
		switch {
		case now == nil && old != nil:
			r.Delete = append(r.Delete, key)
			r.Released[key] = sortedSubjects(w.releasers[key])
		case now != nil && (old == nil || desired.Record(old) != desired.Record(now)):
			r.Put = append(r.Put, now)
		}
	}
	desired.Sort(r.Put)
	slices.SortFunc(r.Delete, func(a, b desired.Key) int { return b.Compare(a) })
	return r
}
