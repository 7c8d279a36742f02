// SPDX-License-Identifier: Apache-2.0

// Package plan computes what one host should look like from the tables of
// Postern, incrementally.
//
// The desired state is the union of what its units ask for. A unit is one row
// of a table seen from the data plane (a VPC, a network interface, an
// endpoint) or one combination of security groups; each derives its entries by
// a pure function of the tables. Several units may ask for the same entry (two
// endpoints for one route); it stays until the last one lets go.
//
// What a derivation reads is noted: rows, ranges, and the values that other
// units have for it, which are what is worth knowing of their rows. A change of
// these, and nothing else, has the unit derived again; nobody lists what depends
// on what. When the outcome is the same, the change ends there. So one endpoint
// among ten thousand costs what belongs to it, and so does a tag of a resource
// that ten thousand endpoints lead to.
//
// Units have subjects, the resources whose life cycle waits for them. The plan
// tells which subjects a change touches, and which subjects an entry belongs to,
// so that an acknowledgement of entries becomes one of resources.
//
// The package does no input or output and reads no clock.
package plan

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Subject is a resource whose life cycle depends on the data plane.
type Subject struct {
	Kind SubjectKind
	Ref  model.Ref
}

// SubjectKind says which table a subject's row is in.
type SubjectKind string

// The kinds of subjects. The reference of an attachment is its interface's, that
// of an address its claim's; an address is a subject while it is released. The names
// of an association are a subject of their own, see model.EndpointAssociation.NamesRef.
// The claim on a public address is a subject for as long as it is there.
// A zone's records are the zone's; a change of a zone waits for what is the zone's, and
// no unit asks for anything on its behalf.
const (
	SubjectAddress       SubjectKind = "address"
	SubjectAttachment    SubjectKind = "attachment"
	SubjectGateway       SubjectKind = "resource-gateway"
	SubjectConfiguration SubjectKind = "resource-configuration"
	SubjectEndpoint      SubjectKind = "vpc-endpoint"
	SubjectAssociation   SubjectKind = "endpoint-association"
	SubjectNames         SubjectKind = "endpoint-names"
	SubjectZone          SubjectKind = "hosted-zone"
	SubjectZoneChange    SubjectKind = "zone-change"
	SubjectPublic        SubjectKind = "public-claim"
	SubjectNAT           SubjectKind = "nat-gateway"
	SubjectDBCluster     SubjectKind = "db-cluster"
	SubjectDBInstance    SubjectKind = "db-instance"
	SubjectDBSnapshot    SubjectKind = "db-snapshot"
	SubjectBalancer      SubjectKind = "load-balancer"
)

// Plan is the desired state of one host. It is not safe for concurrent use.
type Plan struct {
	host    model.Host
	domains Domains
	// outside is what the operator says of the way to the outside.
	outside model.Outside
	units   map[unitID]*unit
	held    map[desired.Key]*held
	// readers are the units that have read something of the tables.
	readers map[table.Dependency]set
	// Lists to use again.
	affected, reads []table.Dependency
	// The units and the entries of above, and sets of units, by their numbers.
	numbered numbered[*unit]
	entries  numbered[*held]
	sets     sets
	// problems say why subjects cannot be what was asked for.
	problems map[Subject][]problem
	// derivations counts how often a unit was derived.
	derivations int
}

// Domains are what names are below, in normal form. Without that of endpoints the host,
// which has no resolver then, is asked for nothing of names.
type Domains struct {
	Endpoints, Databases string
	// AWS says that Postern's own APIs have their names in amazonaws.com too.
	AWS bool
}

func (d Domains) naming() state.Naming { return state.Naming{Suffix: d.Endpoints, AWS: d.AWS} }

// New makes an empty plan for a host. What leads to the outside is as outside says.
func New(host model.Host, domains Domains, outside model.Outside) *Plan {
	return &Plan{
		host:     host,
		domains:  domains,
		outside:  outside,
		units:    map[unitID]*unit{},
		held:     map[desired.Key]*held{},
		readers:  map[table.Dependency]set{},
		problems: map[Subject][]problem{},
	}
}

// problem is what one unit knows to be against what its subjects ask for.
type problem struct {
	unit *unit
	text string
}

// Result is what a change of the tables means for the host.
type Result struct {
	// Put and Delete lead from the former desired state to the new one.
	Put    []desired.Entry
	Delete []desired.Key
	// Released gives, for each key in Delete, the subjects of those that asked
	// for it before: they are not done until it is gone.
	Released map[desired.Key][]Subject
	// Touched are the subjects that ask for something else than before, and those
	// whose rows have come or gone, say that they were updated, or that they are
	// to go. Nobody else has anything to wait for.
	Touched []Subject
	// Realms are the realms in which what a touched subject asks for or
	// asked for lies, as far as that was derived anew. In any order.
	Realms map[Subject][]desired.Realm
}

// Change takes in changes of rows; tx shows the tables after them. Rows that
// nothing on the host depends on are passed over.
func (p *Plan) Change(tx *table.Txn, changes []table.Change) Result {
	result, _ := p.ChangeWithin(context.Background(), tx, changes) // which does not end
	return result
}

// ChangeWithin is Change until the context ends: a plan from nothing takes a second for
// ten thousand endpoints, and many on a busy machine. The error is the context's; the
// plan is good for nothing then.
func (p *Plan) ChangeWithin(ctx context.Context, tx *table.Txn, changes []table.Change) (Result, error) {
	w := newWave(tx)
	for _, c := range changes {
		p.spread(w, c)
	}
	for u := w.next(); u != nil; u = w.next() {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		p.rederive(u, w)
	}
	p.dropIdle(w)
	return p.result(w), nil
}

// Entries gives the whole desired state, in no particular order.
func (p *Plan) Entries() []desired.Entry {
	all := make([]desired.Entry, 0, len(p.held))
	for _, h := range p.held {
		all = append(all, h.effective())
	}
	return all
}

// Problem says why a subject cannot be what was asked for, whatever the host does;
// empty when it can. A change of it touches the subject.
func (p *Plan) Problem(s Subject) string {
	if p.problems[s] == nil {
		return ""
	}
	return slices.MinFunc(p.problems[s], func(a, b problem) int { return cmp.Compare(a.text, b.text) }).text
}

// Subjects gives the subjects that wait for the entry with that key.
func (p *Plan) Subjects(key desired.Key) []Subject {
	h := p.held[key]
	if h == nil {
		return nil
	}
	subjects := map[Subject]struct{}{}
	h.each(&p.sets, func(u number) {
		for _, s := range p.numbered.at(u).subjects {
			subjects[s.subject()] = struct{}{}
		}
	})
	return sortedSubjects(subjects)
}

func sortedSubjects[T any](set map[Subject]T) []Subject {
	return slices.SortedFunc(maps.Keys(set), Subject.Compare)
}
