// SPDX-License-Identifier: Apache-2.0

// Package plan computes what one host should look like from the tables of
// Postern, incrementally.
//
// The desired state is the union of what its units ask for. A unit is one row
// of a table seen from the data plane (a VPC, a network interface, an
// endpoint) or one combination of security groups; each derives its entries by
// a pure function of the tables. A change of a row touches the units that
// depend on it and no others, so one endpoint among ten thousand costs what
// belongs to it. Several units may ask for the same entry (two endpoints for
// one route); it stays until the last one lets go.
//
// Units have a subject, the resource whose life cycle waits for them. The plan
// tells which subjects a change touches, and which subject an entry belongs to,
// so that an acknowledgement of entries becomes one of resources.
//
// The package does no input or output and reads no clock.
package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Subject is a resource whose life cycle depends on the data plane.
type Subject struct {
	Kind SubjectKind
	Ref  model.Ref
}

// Compare orders subjects by kind and reference.
func (s Subject) Compare(o Subject) int {
	return cmp.Or(strings.Compare(string(s.Kind), string(o.Kind)), compareRefs(s.Ref, o.Ref))
}

func compareRefs(a, b model.Ref) int {
	return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
}

// SubjectKind says which table a subject's row is in.
type SubjectKind string

// The kinds of subjects. The reference of an attachment is its interface's, that
// of an address its claim's; an address is a subject while it is released.
const (
	SubjectAddress       SubjectKind = "address"
	SubjectAttachment    SubjectKind = "attachment"
	SubjectGateway       SubjectKind = "resource-gateway"
	SubjectConfiguration SubjectKind = "resource-configuration"
	SubjectEndpoint      SubjectKind = "vpc-endpoint"
	SubjectAssociation   SubjectKind = "endpoint-association"
)

// unitKind names a way of deriving entries.
type unitKind string

const (
	unitVPC           unitKind = "vpc"
	unitInterface     unitKind = "interface"
	unitClass         unitKind = "class"
	unitWorkload      unitKind = "workload"
	unitGateway       unitKind = "gateway"
	unitConfiguration unitKind = "configuration"
	unitEndpoint      unitKind = "endpoint"
)

// unitID names a unit: the row it is about. The id of a class unit is the
// class's name with its VPC.
type unitID struct {
	kind unitKind
	ref  model.Ref
}

func (u unitID) compare(o unitID) int {
	return cmp.Or(strings.Compare(string(u.kind), string(o.kind)), compareRefs(u.ref, o.ref))
}

// unit is what a unit asked for last. It stays the same one as long as it asks
// for anything or has subjects.
type unit struct {
	entries  []wish // in the order of keys
	subjects []Subject
}

// wish is an entry that a unit asks for.
type wish struct {
	key   desired.Key
	entry desired.Entry
}

// wishes puts entries into order. Of several under one key the last one counts.
func wishes(entries []desired.Entry) []wish {
	list := make([]wish, len(entries))
	for i, e := range entries {
		list[len(list)-1-i] = wish{e.Key(), e}
	}
	slices.SortStableFunc(list, func(a, b wish) int { return a.key.Compare(b.key) })
	return slices.CompactFunc(list, func(a, b wish) bool { return a.key == b.key })
}

// Plan is the desired state of one host. It is not safe for concurrent use.
type Plan struct {
	host    model.Host
	units   map[unitID]*unit
	held    map[desired.Key]*held
	classes *classes
	// referenced are the groups that some rule refers to: their members'
	// addresses must be known to the data plane.
	referenced map[model.Ref]bool
}

// New makes an empty plan for a host.
func New(host model.Host) *Plan {
	return &Plan{
		host:       host,
		units:      map[unitID]*unit{},
		held:       map[desired.Key]*held{},
		classes:    newClasses(),
		referenced: map[model.Ref]bool{},
	}
}

// Result is what a change of the tables means for the host.
type Result struct {
	// Put and Delete lead from the former desired state to the new one.
	Put    []desired.Entry
	Delete []desired.Key
	// Released gives, for each key in Delete, the subjects of those that asked
	// for it before: they are not done until it is gone.
	Released map[desired.Key][]Subject
	// Touched are the subjects whose entries were derived anew, also when
	// they came out the same.
	Touched []Subject
	// Realms are the routers, by VPC, in which what a touched subject asks for or
	// asked for lies, as far as it was derived anew. In any order.
	Realms map[Subject][]string
}

// Change takes in changes of rows; tx shows the tables after them. Rows that
// nothing on the host depends on are passed over.
func (p *Plan) Change(tx *table.Txn, changes []table.Change) Result {
	dirty := map[unitID]struct{}{}
	mark := func(ids ...unitID) {
		for _, id := range ids {
			dirty[id] = struct{}{}
		}
	}
	for _, c := range changes {
		p.affected(tx, c, mark)
	}
	ids := make([]unitID, 0, len(dirty))
	for id := range dirty {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, unitID.compare)
	return p.rederive(tx, ids)
}

// Entries gives the whole desired state, in no particular order.
func (p *Plan) Entries() []desired.Entry {
	all := make([]desired.Entry, 0, len(p.held))
	for _, h := range p.held {
		all = append(all, h.effective())
	}
	return all
}

// Subjects gives the subjects that wait for the entry with that key.
func (p *Plan) Subjects(key desired.Key) []Subject {
	h := p.held[key]
	if h == nil {
		return nil
	}
	subjects := map[Subject]struct{}{}
	h.holders(func(u *unit) {
		for _, s := range u.subjects {
			subjects[s] = struct{}{}
		}
	})
	return sortedSubjects(subjects)
}

// rederive derives units anew and works out the difference.
func (p *Plan) rederive(tx *table.Txn, ids []unitID) Result {
	d := difference{former: map[desired.Key]desired.Entry{}, releasers: map[desired.Key]map[Subject]struct{}{}}
	subjects := map[Subject]struct{}{}
	realms := map[Subject][]string{}
	for _, id := range ids {
		entries, owners := p.derive(tx, id)
		u := p.units[id]
		if u == nil {
			u = &unit{}
			p.units[id] = u
		}
		next := unit{wishes(entries), owners}
		for _, s := range slices.Concat(u.subjects, owners) {
			subjects[s] = struct{}{}
			realms[s] = realmsOf(realmsOf(realms[s], u.entries), next.entries)
		}
		p.replace(u, next, &d)
		if len(u.entries)+len(u.subjects) == 0 {
			delete(p.units, id)
		}
	}
	r := p.result(&d, subjects)
	r.Realms = realms
	return r
}

// realmsOf adds the routers that entries lie in to those that are known.
func realmsOf(known []string, entries []wish) []string {
	for _, w := range entries {
		if !slices.Contains(known, w.key.VPC) {
			known = append(known, w.key.VPC)
		}
	}
	return known
}

// difference collects what may have changed: for each key what was in effect,
// and the subjects of the units that let go of it.
type difference struct {
	former    map[desired.Key]desired.Entry
	releasers map[desired.Key]map[Subject]struct{}
}

// replace makes a unit ask for what next does, walking along both lists.
func (p *Plan) replace(u *unit, next unit, d *difference) {
	old, now := u.entries, next.entries
	subjects := slices.Concat(u.subjects, next.subjects)
	for len(old)+len(now) > 0 {
		switch order := firstOf(old, now); {
		case order < 0:
			p.let(u, old[0], subjects, d)
			old = old[1:]
		case order > 0:
			p.ask(u, &now[0], d)
			now = now[1:]
		default:
			if now[0].entry.String() == old[0].entry.String() {
				now[0].entry = old[0].entry
			} else {
				p.note(old[0].key, d).remove(old[0].entry, u)
				p.ask(u, &now[0], d)
			}
			old, now = old[1:], now[1:]
		}
	}
	*u = next
}

// firstOf compares the keys that two lists begin with; an empty list comes last.
func firstOf(a, b []wish) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].key.Compare(b[0].key)
}

// ask makes a unit one of those that ask for an entry. Equal entries are in
// memory once.
func (p *Plan) ask(u *unit, w *wish, d *difference) { w.entry = p.note(w.key, d).add(w.entry, u) }

// let makes a unit let go of an entry, for which its subjects wait: those that
// it had, and those that it has because it lets go.
func (p *Plan) let(u *unit, w wish, subjects []Subject, d *difference) {
	p.note(w.key, d).remove(w.entry, u)
	if d.releasers[w.key] == nil {
		d.releasers[w.key] = map[Subject]struct{}{}
	}
	for _, s := range subjects {
		d.releasers[w.key][s] = struct{}{}
	}
}

// note remembers what was in effect for a key before its first change, and
// gives what units ask for under it.
func (p *Plan) note(key desired.Key, d *difference) *held {
	h := p.held[key]
	if h == nil {
		h = &held{}
		p.held[key] = h
	}
	if _, noted := d.former[key]; !noted {
		d.former[key] = h.effective()
	}
	return h
}

func (p *Plan) result(d *difference, subjects map[Subject]struct{}) Result {
	r := Result{Released: map[desired.Key][]Subject{}, Touched: sortedSubjects(subjects)}
	for key, old := range d.former {
		now := p.held[key].effective()
		if now == nil {
			delete(p.held, key)
		}
		switch {
		case now == nil && old != nil:
			r.Delete = append(r.Delete, key)
			r.Released[key] = sortedSubjects(d.releasers[key])
		case now != nil && (old == nil || !desired.Equal(old, now)):
			r.Put = append(r.Put, now)
		}
	}
	desired.Sort(r.Put)
	slices.SortFunc(r.Delete, func(a, b desired.Key) int { return b.Compare(a) })
	return r
}

func sortedSubjects(set map[Subject]struct{}) []Subject {
	return slices.SortedFunc(maps.Keys(set), Subject.Compare)
}
