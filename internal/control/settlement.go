// SPDX-License-Identifier: Apache-2.0

package control

import (
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
)

// verdict is what became of a subject: an empty reason says that everything it
// waited for is done, on every host.
type verdict struct {
	subject plan.Subject
	reason  string
	// generation is that of the row which the verdict is about. A row of another
	// one must stay: hosts may still have what belongs to it.
	generation int64
	id         string
	// deleting says that the verdict is about a subject whose deletion the hosts
	// have been told of.
	deleting bool
	// revision is the last one that the subject waited for.
	revision int64
	// domain is that of the names that the verdict is about.
	domain string
}

// fate is what a row asks for its subject.
type fate struct {
	generation int64
	// id tells rows apart that one subject has one after the other.
	id       string
	deleting bool
	// realms are the routers in which a subject that is being deleted has had
	// something; nil when that is not known.
	realms []desired.Realm
	// problem is why the subject cannot be what the row asks for, whatever hosts do.
	problem string
	// domain is where the names are that the subject is.
	domain string
}

// step is what a change of the tables means for one host.
type step struct {
	plan.Result
	// full says that the host is told everything, and may have had anything.
	full bool
	// holders tells whose an entry is after the change.
	holders func(desired.Key) []plan.Subject
}

// change is what a change of the tables means.
type change struct {
	revision int64
	steps    map[string]step // by host
	// asked are the subjects whose rows are new or of another generation than
	// before, whether or not that means anything for a host; true says that hosts
	// have not acknowledged that generation.
	asked map[plan.Subject]bool
	// parents gives the subjects whose updates take effect through the entries of
	// a subject, as those of a resource configuration do through its endpoints'.
	parents func(plan.Subject) []plan.Subject
}

// settlement knows which subjects wait for which revision of which router on
// which host, and which entries hosts could not settle. What waits lies in queues
// in the order of revisions, so an acknowledgement costs what it settles. What does
// not wait is not kept. It is a plain state machine without input or output.
type settlement struct {
	// fates gives what the row of a subject asks for, as of the last change.
	fates    func(plan.Subject) fate
	revision int64 // of the last change
	hosts    map[string]*progress
	// subjects are those that wait, and those of which it is not known what they had.
	subjects map[plan.Subject]*standing
	// turned are the subjects about which there is something new to say.
	turned map[plan.Subject]struct{}
}

// place is one router of one host: what is there settles in the order of
// revisions. The place with an empty realm stands for all routers of a host.
type place struct {
	host  *progress
	realm desired.Realm
	// parked is what waits for this router alone, since the host went ahead of it.
	parked queue
}

// everywhere is the realm of all routers of a host.
const everywhere desired.Realm = ""

// standing is how far one subject is.
type standing struct {
	fate
	revision int64
	spots    []spot
}

// spot is a place that concerns a subject, and the revision that it waits for
// there; zero is nothing.
type spot struct {
	at    *place
	until int64
	// blind says that what the subject had there is not known: entries in error
	// that nobody asks for may be its.
	blind bool
}

func newSettlement() *settlement {
	return &settlement{
		fates:    func(plan.Subject) fate { return fate{} },
		hosts:    map[string]*progress{},
		subjects: map[plan.Subject]*standing{},
		turned:   map[plan.Subject]struct{}{},
	}
}

func (s *settlement) host(name string) *progress {
	h := s.hosts[name]
	if h == nil {
		h = newProgress()
		s.hosts[name] = h
	}
	return h
}

func (s *settlement) standing(subject plan.Subject) *standing {
	st := s.subjects[subject]
	if st == nil {
		st = &standing{fate: s.fates(subject)}
		s.subjects[subject] = st
	}
	return st
}

// change takes in a change of the tables and gives the verdicts about those that
// wait for nothing.
func (s *settlement) change(c change) []verdict {
	s.revision = c.revision
	concerned := slices.Collect(maps.Keys(c.asked))
	for _, st := range c.steps {
		concerned = append(concerned, st.Touched...)
	}
	for _, subject := range concerned {
		s.turned[subject] = struct{}{}
		st := s.standing(subject)
		if st.fate, st.revision = s.fates(subject), c.revision; !st.deleting {
			st.see()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.steps)) {
		s.take(name, c.steps[name], c)
	}
	return s.verdicts()
}

// take notes what the step of one host makes subjects wait for.
func (s *settlement) take(name string, st step, c change) {
	h := s.host(name)
	h.holders = st.holders
	for _, subject := range st.Touched {
		for _, realm := range st.Realms[subject] {
			s.wait(subject, h.place(realm), c.revision, false)
		}
		if st.full {
			s.recall(subject, h, c.revision)
		}
	}
	parental := c.asksParents()
	for _, e := range st.Put {
		key, parents := e.Key(), []plan.Subject(nil)
		if parental { // whose an entry is takes as long as all else here
			parents = parentsAsked(st.holders(key), c)
		}
		s.bind(h, key, c.revision, parents)
	}
	for key, subjects := range st.Released {
		s.bind(h, key, c.revision, append(parentsAsked(subjects, c), subjects...))
	}
}

// asksParents reports whether anything was asked of subjects that others can have for
// parents.
func (c change) asksParents() bool {
	for subject := range c.asked {
		if isParent(subject.Kind) {
			return true
		}
	}
	return false
}

// recall makes a subject that is being deleted wait for the routers that it may
// have had something in: what it was, nobody remembers.
func (s *settlement) recall(subject plan.Subject, h *progress, revision int64) {
	st := s.standing(subject)
	if !st.deleting {
		return
	}
	realms := st.realms
	if realms == nil {
		realms = []desired.Realm{everywhere}
	}
	for _, realm := range realms {
		s.wait(subject, h.place(realm), revision, true)
	}
}

// parentsAsked gives those parents of subjects that were asked for something by
// the change itself: what it means is in the entries of their children.
func parentsAsked(subjects []plan.Subject, c change) (all []plan.Subject) {
	if !c.asksParents() {
		return nil
	}
	for _, subject := range subjects {
		for _, parent := range c.parents(subject) {
			if c.asked[parent] && !slices.Contains(all, parent) {
				all = append(all, parent)
			}
		}
	}
	return all
}

// bind makes subjects wait for an entry that is not, or no longer, theirs, until
// it is done. Those that were bound to it before wait on: the former value is gone
// when the new one is there.
func (s *settlement) bind(h *progress, key desired.Key, revision int64, subjects []plan.Subject) {
	subjects = append(subjects, h.bonds[key].subjects...)
	if len(subjects) == 0 {
		return
	}
	h.bonds[key] = bond{revision, subjects}
	at := h.place(key.Realm)
	h.waiting.push(item{revision: revision, at: at, key: key})
	for _, subject := range subjects {
		s.turned[subject] = struct{}{}
		s.wait(subject, at, revision, false)
	}
}

// wait makes a subject wait until a place has settled a revision.
func (s *settlement) wait(subject plan.Subject, at *place, revision int64, blind bool) {
	st := s.standing(subject)
	st.revision = max(st.revision, revision)
	i := slices.IndexFunc(st.spots, func(sp spot) bool { return sp.at == at })
	if i < 0 {
		st.spots = append(st.spots, spot{at: at})
		i = len(st.spots) - 1
	}
	st.spots[i].blind = st.spots[i].blind || blind
	if st.spots[i].until == revision {
		return // it is in the queue for that, be it because of another entry
	}
	st.spots[i].until = revision
	at.host.waiting.push(item{revision: revision, at: at, subject: subject})
}

// acknowledged takes in what a host says and gives the verdicts that follow.
func (s *settlement) acknowledged(name string, a Acknowledgement) []verdict {
	h := s.host(name)
	nobodys := map[desired.Realm]bool{} // where entries of nobody are in error, or are not any more
	turn := func(key desired.Key) {
		concerned := h.concerned(key)
		for _, subject := range concerned {
			s.turned[subject] = struct{}{}
		}
		if len(concerned) == 0 {
			nobodys[key.Realm] = true
		}
	}
	h.fail(a, turn)
	s.turnBlind(h, nobodys)
	for _, it := range h.advance(a) {
		if it.subject == nobody {
			h.loosen(it.key)
			continue
		}
		if st := s.subjects[it.subject]; st != nil && st.reached(it) {
			s.turned[it.subject] = struct{}{}
		}
	}
	return s.verdicts()
}

// turnBlind has those judged again that may have had what is, or was, in error in some realms
// of a host.
func (s *settlement) turnBlind(h *progress, realms map[desired.Realm]bool) {
	if len(realms) == 0 {
		return
	}
	for subject, st := range s.subjects {
		if slices.ContainsFunc(st.spots, func(sp spot) bool { return sp.blind && sp.at.host == h && realms[sp.at.realm] }) {
			s.turned[subject] = struct{}{}
		}
	}
}

// reached notes that a place has settled what a subject waits for there, unless
// it waits for something later by now.
func (st *standing) reached(it item) bool {
	for i, sp := range st.spots {
		if sp.at == it.at && sp.until == it.revision {
			st.spots[i].until = 0
			return true
		}
	}
	return false
}

func (st *standing) waits() bool {
	return slices.ContainsFunc(st.spots, func(sp spot) bool { return sp.until != 0 })
}

// see ends what was not known of the past: the subject is another one now.
func (st *standing) see() {
	for i := range st.spots {
		st.spots[i].blind = false
	}
}

func (st *standing) blind() bool {
	return slices.ContainsFunc(st.spots, func(sp spot) bool { return sp.blind })
}

// verdicts judges the subjects that turned, except those that wait: their turn
// comes again. Those that are judged are as the tables say, from here on.
func (s *settlement) verdicts() (all []verdict) {
	var wrong []complaints
	for subject := range s.turned {
		st := s.subjects[subject]
		switch {
		case st == nil:
			st = &standing{fate: s.fates(subject), revision: s.revision}
		case st.waits():
			continue
		case !st.blind():
			delete(s.subjects, subject)
		}
		if wrong == nil {
			wrong = s.complaints()
		}
		all = append(all, verdict{
			subject: subject, generation: st.generation, id: st.id, deleting: st.deleting, revision: st.revision, domain: st.domain,
			reason: least(st.problem, st.reason(subject, wrong)),
		})
	}
	clear(s.turned)
	slices.SortFunc(all, func(a, b verdict) int { return a.subject.Compare(b.subject) })
	return all
}

// nobody is the subject of entries that no subject asks for.
var nobody plan.Subject

// complaints are the least reasons of a host's entries in error: for each subject that
// they concern, and for each router of those that concern nobody.
type complaints struct {
	host     *progress
	subjects map[plan.Subject]string
	nobodys  map[desired.Realm]string
}

// complaints gives those of each host.
func (s *settlement) complaints() []complaints {
	all := make([]complaints, 0, len(s.hosts))
	for _, h := range s.hosts {
		c := complaints{host: h}
		for key, reason := range h.failed {
			c.add(key, key.String()+": "+reason)
		}
		all = append(all, c)
	}
	return all
}

func (c *complaints) add(key desired.Key, text string) {
	if c.subjects == nil {
		c.subjects, c.nobodys = map[plan.Subject]string{}, map[desired.Realm]string{}
	}
	concerned := c.host.concerned(key)
	for _, s := range concerned {
		c.subjects[s] = least(c.subjects[s], text)
	}
	if len(concerned) == 0 {
		c.nobodys[key.Realm] = least(c.nobodys[key.Realm], text)
	}
}

// reason is why hosts have not done what a subject asks for.
func (st *standing) reason(subject plan.Subject, wrong []complaints) (text string) {
	for _, c := range wrong {
		text = least(text, c.subjects[subject])
		for _, sp := range st.spots {
			if sp.blind && sp.at.host == c.host {
				text = least(text, c.nobodys[sp.at.realm])
			}
		}
	}
	return text
}

// least gives the first of two texts in the order of the alphabet; the empty one
// is none.
func least(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}
