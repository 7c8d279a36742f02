// SPDX-License-Identifier: Apache-2.0

package control

import (
	"slices"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
)

// progress is how far one host is.
type progress struct {
	places map[desired.Realm]*place // by realm
	// settled is the revision that all routers have settled but those in behind.
	settled int64
	behind  map[desired.Realm]int64
	waiting queue
	// parked are the places with a queue of their own.
	parked map[*place]struct{}
	// failed are the entries in error, with the reasons.
	failed map[desired.Key]string
	// bonds are entries that concern more subjects than those whose they are.
	bonds   map[desired.Key]bond
	holders func(desired.Key) []plan.Subject
}

// bond is an entry that subjects wait for although it is not, or no longer,
// theirs: one on its way out, or one that an update has put into another's.
type bond struct {
	revision int64
	subjects []plan.Subject
}

func newProgress() *progress {
	return &progress{
		places: map[desired.Realm]*place{}, parked: map[*place]struct{}{}, failed: map[desired.Key]string{}, bonds: map[desired.Key]bond{},
		holders: func(desired.Key) []plan.Subject { return nil },
	}
}

func (h *progress) place(realm desired.Realm) *place {
	p := h.places[realm]
	if p == nil {
		p = &place{host: h, realm: realm}
		h.places[realm] = p
	}
	return p
}

// reached is the revision that a router has settled, or the slowest of all.
func (h *progress) reached(realm desired.Realm) int64 {
	least := h.settled
	for slow, revision := range h.behind {
		if realm == everywhere || realm == slow {
			least = min(least, revision)
		}
	}
	return least
}

// concerned gives the subjects that an entry matters to, wanted or on its way out.
func (h *progress) concerned(key desired.Key) []plan.Subject {
	return append(slices.Clone(h.holders(key)), h.bonds[key].subjects...)
}

// fail takes in which entries are in error and which are not any more, and calls
// turn for each of them.
func (h *progress) fail(a Acknowledgement, turn func(desired.Key)) {
	well := func(key desired.Key) {
		turn(key)
		delete(h.failed, key)
		if h.bonds[key].revision <= h.reached(key.Realm) {
			delete(h.bonds, key)
		}
	}
	if a.Full {
		for key := range h.failed {
			if _, still := a.Failed[key]; !still {
				well(key)
			}
		}
	}
	for key, reason := range a.Failed {
		h.failed[key] = reason
		turn(key)
	}
	for _, key := range a.Recovered {
		well(key)
	}
}

// advance takes in how far the host is and gives what that settles.
func (h *progress) advance(a Acknowledgement) (done []item) {
	h.settled, h.behind = a.Revision, a.Behind
	for p := range h.parked {
		for len(p.parked) > 0 && p.parked[0].revision <= h.reached(p.realm) {
			done = append(done, p.parked.pop())
		}
		if len(p.parked) == 0 {
			delete(h.parked, p)
		}
	}
	for len(h.waiting) > 0 && h.waiting[0].revision <= h.settled {
		it := h.waiting.pop()
		if it.revision <= h.reached(it.at.realm) {
			done = append(done, it)
			continue
		}
		it.at.parked.push(it)
		h.parked[it.at] = struct{}{}
	}
	return done
}

// loosen ends the bond of an entry that is settled, unless it is in error.
func (h *progress) loosen(key desired.Key) {
	if _, fails := h.failed[key]; !fails && h.bonds[key].revision <= h.reached(key.Realm) {
		delete(h.bonds, key)
	}
}

// item is a subject, or an entry that subjects are bound to, that waits for a
// revision of a place.
type item struct {
	revision int64
	at       *place
	subject  plan.Subject
	key      desired.Key
}

// queue is items in the order of revisions. They come in that order, as a rule.
type queue []item

func (q *queue) push(it item) {
	i := len(*q)
	for i > 0 && (*q)[i-1].revision > it.revision {
		i--
	}
	*q = slices.Insert(*q, i, it)
}

func (q *queue) pop() item {
	first := (*q)[0]
	(*q)[0] = item{}
	if *q = (*q)[1:]; len(*q) == 0 {
		*q = nil // it may have been long, as at a start, and is short from now on
	}
	return first
}
