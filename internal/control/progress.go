// SPDX-License-Identifier: Apache-2.0

package control

import (
	"slices"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
)

// verdict is what became of a subject: an empty reason says that everything it
// waited for is done.
type verdict struct {
	subject plan.Subject
	reason  string
	// deleting says that the verdict is about a subject whose deletion the host
	// has been told of. Without it a row that is being deleted must stay: the
	// host may still have what belongs to it.
	deleting bool
}

// progress knows which subjects wait for which revision of the host, and which
// entries the host could not settle. It is a plain state machine without input
// or output.
type progress struct {
	settled int64
	waiting map[plan.Subject]int64
	// deleting are the subjects whose deletion the plan has taken in.
	deleting map[plan.Subject]bool
	failed   map[desired.Key]string
	// released are entries on their way out, with the subjects that are not
	// done until they are gone.
	released map[desired.Key]release
}

type release struct {
	revision int64
	subjects []plan.Subject
}

func newProgress() *progress {
	return &progress{
		waiting:  map[plan.Subject]int64{},
		deleting: map[plan.Subject]bool{},
		failed:   map[desired.Key]string{},
		released: map[desired.Key]release{},
	}
}

// changed notes what a change of the plan at a revision makes subjects wait
// for; deleting tells whether a subject's row asks for deletion at that revision.
func (p *progress) changed(revision int64, r plan.Result, deleting func(plan.Subject) bool) {
	for _, s := range r.Touched {
		p.waiting[s] = revision
		if deleting(s) {
			p.deleting[s] = true
		} else {
			delete(p.deleting, s)
		}
	}
	for _, e := range r.Put {
		delete(p.released, e.Key())
	}
	for key, subjects := range r.Released {
		p.released[key] = release{revision, subjects}
	}
}

// acknowledged takes in what the host says and gives the verdicts that follow;
// holders tells whose an entry is.
func (p *progress) acknowledged(a Acknowledgement, holders func(desired.Key) []plan.Subject) []verdict {
	p.settled = a.Revision
	turned := map[plan.Subject]struct{}{}
	turn := func(key desired.Key) {
		for _, s := range p.concerned(key, holders) {
			turned[s] = struct{}{}
		}
	}
	if a.Full {
		for key := range p.failed {
			turn(key)
		}
		clear(p.failed)
	}
	for key, reason := range a.Failed {
		p.failed[key] = reason
		turn(key)
	}
	for _, key := range a.Recovered {
		delete(p.failed, key)
		turn(key)
	}
	for key, r := range p.released {
		if _, fails := p.failed[key]; !fails && r.revision <= p.settled {
			delete(p.released, key)
		}
	}
	return p.verdicts(turned, holders)
}

// concerned gives the subjects that an entry matters to, wanted or on its way out.
func (p *progress) concerned(key desired.Key, holders func(desired.Key) []plan.Subject) []plan.Subject {
	return append(slices.Clone(holders(key)), p.released[key].subjects...)
}

// verdicts judges the subjects that turned and those whose revision is settled.
func (p *progress) verdicts(turned map[plan.Subject]struct{}, holders func(desired.Key) []plan.Subject) []verdict {
	for s, revision := range p.waiting {
		if revision <= p.settled {
			turned[s] = struct{}{}
			delete(p.waiting, s)
		}
	}
	reasons := map[plan.Subject]string{}
	for key, reason := range p.failed {
		text := key.String() + ": " + reason
		for _, s := range p.concerned(key, holders) {
			if known, ok := reasons[s]; !ok || text < known {
				reasons[s] = text
			}
		}
	}
	var all []verdict
	for s := range turned {
		if _, waits := p.waiting[s]; !waits {
			all = append(all, verdict{s, reasons[s], p.deleting[s]})
		}
	}
	slices.SortFunc(all, func(a, b verdict) int { return a.subject.Compare(b.subject) })
	return all
}
