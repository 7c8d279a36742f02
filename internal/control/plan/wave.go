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
	views []number
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
	if !slices.Contains(r.views, u.number) {
		r.views = append(r.views, u.number)
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
		u = &unit{id: id}
		u.number = p.numbered.add(u)
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
		p.mark(w, p.readers[read])
	}
}

func (p *Plan) mark(w *wave, units set) {
	p.sets.each(units, func(u number) { w.mark(p.numbered.at(u)) })
}

// rederive derives a unit anew. Whoever has read its value is marked when it is
// another one.
func (p *Plan) rederive(u *unit, w *wave) {
	u.marked, u.deriving, u.known = false, true, true
	reads := p.reads[:0]
	r := reading{tx: w.tx.Recording(&reads), plan: p, wave: w}
	p.reads = nil // others are derived meanwhile, as it may be
	d := r.derive(u.id)
	p.derivations++
	u.deriving = false
	slices.Sort(reads)
	p.become(u, d, r.views, slices.Compact(reads), w)
	p.reads = reads
	if !reflect.DeepEqual(u.value, d.value) {
		u.value = d.value
		p.mark(w, u.readers)
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
		p.become(u, derived{}, nil, nil, w)
		delete(p.units, u.id)
		p.numbered.remove(u.number)
	}
}

// become makes a unit what it has derived, from what it has read.
func (p *Plan) become(u *unit, d derived, views []number, reads []table.Dependency, w *wave) {
	p.hasRead(u, reads, views, w)
	asked := p.ask(u, d, w)
	if now := newNotes(views, asked, reads); !u.notes.equal(now) {
		u.notes = now
	}
}

// hasRead notes what a unit has read this time.
func (p *Plan) hasRead(u *unit, reads []table.Dependency, views []number, w *wave) {
	if before := u.reads(); !slices.Equal(before, reads) {
		for _, read := range before {
			if _, again := slices.BinarySearch(reads, read); !again {
				p.unread(read, u)
			}
		}
		for _, read := range reads {
			p.readers[read] = p.sets.with(p.readers[read], u.number)
		}
	}
	for _, n := range u.viewed() {
		if slices.Contains(views, n) {
			continue
		}
		v := p.numbered.at(n)
		if v.readers = p.sets.without(v.readers, u.number); !v.needed() {
			w.idle = append(w.idle, v)
		}
	}
	for _, n := range views {
		v := p.numbered.at(n)
		v.readers = p.sets.with(v.readers, u.number)
	}
}

func (p *Plan) unread(read table.Dependency, u *unit) {
	if left := p.sets.without(p.readers[read], u.number); left.empty() {
		delete(p.readers, read)
	} else {
		p.readers[read] = left
	}
}

// ask makes a unit ask for what it has derived, and gives the entries' numbers. Its
// subjects are touched when that is not what it asked for before, and else those whose
// rows have news.
func (p *Plan) ask(u *unit, d derived, w *wave) []number {
	before, former := u.entries(), slices.Clone(u.subjects)
	standings := slices.Concat(former, d.subjects)
	everybody := make([]Subject, len(standings))
	for i, s := range standings {
		everybody[i] = s.subject()
	}
	u.subjects = append(u.few[:0], d.subjects...)
	now, changed := p.replace(u, before, wishes(d.entries), everybody, w)
	changed = p.explain(u, d.problem, everybody[:len(former)], everybody[len(former):]) || changed
	for i, s := range standings {
		if changed || !slices.Contains(former, s) || !slices.Contains(d.subjects, s) {
			p.touch(w, everybody[i], before, now)
		}
	}
	return now
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
func (p *Plan) touch(w *wave, s Subject, entries ...[]number) {
	realms := w.touched[s]
	for _, list := range entries {
		for _, n := range list {
			if realm := p.entries.at(n).key.Realm; !slices.Contains(realms, realm) {
				realms = append(realms, realm)
			}
		}
	}
	w.touched[s] = realms
}

// replace makes a unit ask for what next says instead of the old entries, walking along
// both lists, and reports whether that is anything else than before.
func (p *Plan) replace(u *unit, old []number, next []wish, subjects []Subject, w *wave) (now []number, changed bool) {
	now = make([]number, 0, len(next))
	for len(old)+len(next) > 0 {
		switch order := p.firstOf(old, next); {
		case order < 0:
			p.let(u, p.entries.at(old[0]), subjects, w)
			old, changed = old[1:], true
		case order > 0:
			h := p.note(next[0].key, w)
			h.add(next[0].entry, u.number, &p.sets)
			now = append(now, h.number)
			next, changed = next[1:], true
		default:
			if h := p.entries.at(old[0]); !desired.SameRecord(h.of(u.number, &p.sets), next[0].entry, h.key.Kind) {
				p.note(h.key, w)
				h.remove(u.number, &p.sets)
				h.add(next[0].entry, u.number, &p.sets)
				changed = true
			}
			now = append(now, old[0])
			old, next = old[1:], next[1:]
		}
	}
	return now, changed
}

// firstOf compares the keys that two lists begin with; an empty list comes last.
func (p *Plan) firstOf(a []number, b []wish) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return p.entries.at(a[0]).key.Compare(b[0].key)
}

// let makes a unit let go of an entry, for which its subjects wait: those that
// it had, and those that it has because it lets go.
func (p *Plan) let(u *unit, h *held, subjects []Subject, w *wave) {
	p.note(h.key, w).remove(u.number, &p.sets)
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
		h.number = p.entries.add(h)
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
		h := p.held[key]
		now := h.effective()
		if now == nil {
			delete(p.held, key)
			p.entries.remove(h.number)
		}
		switch {
		case now == nil && old != nil:
			r.Delete = append(r.Delete, key)
			r.Released[key] = sortedSubjects(w.releasers[key])
		case now != nil && (old == nil || !desired.SameRecord(old, now, key.Kind)):
			r.Put = append(r.Put, now)
		}
	}
	desired.Sort(r.Put)
	slices.SortFunc(r.Delete, func(a, b desired.Key) int { return b.Compare(a) })
	return r
}
