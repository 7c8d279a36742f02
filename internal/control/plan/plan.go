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

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Subject is a resource whose life cycle depends on the data plane.
type Subject struct {
	Kind SubjectKind
	Ref  model.Ref
}

// SubjectKind says which table a subject's row is in.
type SubjectKind string

// The kinds of subjects. The reference of an attachment is its interface's.
const (
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
	return cmp.Or(cmp.Compare(u.kind, o.kind), cmp.Compare(u.ref.Account, o.ref.Account),
		cmp.Compare(u.ref.Region, o.ref.Region), cmp.Compare(u.ref.ID, o.ref.ID))
}

// unit is what a unit asked for last.
type unit struct {
	entries  map[desired.Key]desired.Entry
	subjects []Subject
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
	// Released gives, for each key in Delete, the subjects that asked for it
	// before: they are not done until it is gone.
	Released map[desired.Key][]Subject
	// Touched are the subjects whose entries were derived anew, also when
	// they came out the same.
	Touched []Subject
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
	for _, v := range h.variants {
		for id := range v.holders {
			for _, s := range p.units[id].subjects {
				subjects[s] = struct{}{}
			}
		}
	}
	return sortedSubjects(subjects)
}

// rederive derives units anew and works out the difference.
func (p *Plan) rederive(tx *table.Txn, ids []unitID) Result {
	d := difference{former: map[desired.Key]desired.Entry{}, releasers: map[desired.Key]map[Subject]struct{}{}}
	subjects := map[Subject]struct{}{}
	for _, id := range ids {
		old := p.units[id]
		if old == nil {
			old = &unit{}
		}
		entries, owners := p.derive(tx, id)
		next := &unit{entries: make(map[desired.Key]desired.Entry, len(entries)), subjects: owners}
		for _, e := range entries {
			next.entries[e.Key()] = e
		}
		for _, s := range slices.Concat(old.subjects, owners) {
			subjects[s] = struct{}{}
		}
		p.replace(id, old, next, &d)
	}
	return p.result(&d, subjects)
}

// difference collects what may have changed: for each key what was in effect,
// and the subjects of the units that let go of it.
type difference struct {
	former    map[desired.Key]desired.Entry
	releasers map[desired.Key]map[Subject]struct{}
}

// replace puts next in the place of old.
func (p *Plan) replace(id unitID, old, next *unit, d *difference) {
	for key, e := range old.entries {
		n, stays := next.entries[key]
		if stays && n.String() == e.String() {
			continue
		}
		p.note(key, d)
		p.held[key].remove(e, id)
		if stays {
			continue
		}
		if d.releasers[key] == nil {
			d.releasers[key] = map[Subject]struct{}{}
		}
		for _, s := range old.subjects {
			d.releasers[key][s] = struct{}{}
		}
	}
	for key, n := range next.entries {
		if e, had := old.entries[key]; had && n.String() == e.String() {
			continue
		}
		p.note(key, d)
		p.held[key].add(n, id)
	}
	if len(next.entries) == 0 && len(next.subjects) == 0 {
		delete(p.units, id)
		return
	}
	p.units[id] = next
}

// note remembers what was in effect for a key before its first change.
func (p *Plan) note(key desired.Key, d *difference) {
	h := p.held[key]
	if h == nil {
		h = &held{}
		p.held[key] = h
	}
	if _, noted := d.former[key]; !noted {
		d.former[key] = h.effective()
	}
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
	return slices.SortedFunc(maps.Keys(set), func(a, b Subject) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Ref.String(), b.Ref.String()))
	})
}
