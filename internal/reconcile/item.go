// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// State is how far an entry is.
type State uint8

// The states of an entry.
const (
	// Pending entries wait for the next pass or are in it.
	Pending State = iota
	// Done entries are as wanted, as far as is known.
	Done
	// Error entries failed and wait for the next attempt.
	Error
)

// String prints the state in one word.
func (s State) String() string {
	return [...]string{"pending", "done", "error"}[s]
}

// item is an entry's place in the reconciler: what is wanted under a key and
// how far it is. An item without a wanted entry is on its way out, and leaves
// the tables when it is gone. As a rule nearly all items rest: so what matters only
// to others is not in it.
type item struct {
	key      desired.Key
	want     desired.Entry // nil when it is to be deleted
	revision int64         // of the delta that changed it last
	since    int64         // when state became what it is, in nanoseconds
	version  uint32        // counts changes of want
	state    State
	*unrest  // nil when it is Done
}

// unrest is what there is to know of an item that is not Done.
type unrest struct {
	last  desired.Entry // what there was to be deleted, when nothing is wanted
	prune bool          // found there and never wanted

	attempts int       // failures in a row
	message  string    // why it failed last
	tried    time.Time // when it failed last
	due      time.Time // when to try next; zero is at once
}

// become changes the state.
func (it *item) become(s State, now time.Time) {
	if it.state != s {
		it.state, it.since = s, now.UnixNano()
	}
}

// is reports whether e, which has the item's key, is what is wanted.
func (it *item) is(e desired.Entry) bool {
	return it.want != nil && desired.SameState(it.want, e, it.key.Kind)
}

// entry is what to hand to Effects for the item.
func (it *item) entry() desired.Entry {
	if it.want != nil {
		return it.want
	}
	return it.last
}

// spot is a key within its realm.
type spot struct {
	kind desired.Kind
	id   string
}

func spotOf(k desired.Key) spot { return spot{k.Kind, k.ID} }

// table holds the items of a host. It is not safe for concurrent use.
type table struct {
	realms  map[desired.Realm]map[spot]*item
	dirty   map[*item]struct{} // all that are not Done
	joining map[*item]struct{} // those that join two realms
	wanted  int                // how many have a want
}

func newTable() table {
	return table{realms: make(map[desired.Realm]map[spot]*item), dirty: make(map[*item]struct{}), joining: make(map[*item]struct{})}
}

func (t *table) get(k desired.Key) *item { return t.realms[k.Realm][spotOf(k)] }

// add makes an item that is pending and wants nothing yet.
func (t *table) add(k desired.Key) *item {
	it := &item{key: k, since: time.Now().UnixNano(), unrest: &unrest{}}
	if t.realms[k.Realm] == nil {
		t.realms[k.Realm] = make(map[spot]*item)
	}
	t.realms[k.Realm][spotOf(k)] = it
	t.dirty[it] = struct{}{}
	if _, joins := k.Far(); joins {
		t.joining[it] = struct{}{}
	}
	return it
}

// remove forgets an item. A pass that still works on it will not bring it back.
func (t *table) remove(it *item) {
	it.version++
	delete(t.dirty, it)
	delete(t.joining, it)
	delete(t.realms[it.key.Realm], spotOf(it.key))
	if len(t.realms[it.key.Realm]) == 0 {
		delete(t.realms, it.key.Realm)
	}
}

// pend makes an item due at once, with a fresh start.
func (t *table) pend(it *item) {
	t.stir(it)
	it.become(Pending, time.Now())
	it.attempts, it.message, it.due = 0, "", time.Time{}
}

// stir ends an item's rest.
func (t *table) stir(it *item) {
	if it.unrest == nil {
		it.unrest = &unrest{}
	}
	t.dirty[it] = struct{}{}
}

// done notes that an item is as wanted: it rests, or leaves if it was on its
// way out.
func (t *table) done(it *item) {
	if it.want == nil {
		t.remove(it)
		return
	}
	it.become(Done, time.Now())
	it.unrest = nil
	delete(t.dirty, it)
}

// fail notes why an item could not be done and when to try again.
func (t *table) fail(it *item, err error, delay func(int) time.Duration) {
	now := time.Now()
	t.stir(it)
	it.become(Error, now)
	it.attempts++
	it.message = err.Error()
	it.tried, it.due = now, now.Add(delay(it.attempts))
}

// wants reports whether anything is wanted in a realm.
func (t *table) wants(realm desired.Realm) bool {
	for _, it := range t.realms[realm] {
		if it.want != nil {
			return true
		}
	}
	return false
}

// joins gives the wanted entries that join a realm with another one, with that one.
func (t *table) joins(realm desired.Realm) map[*item]desired.Realm {
	joins := make(map[*item]desired.Realm)
	for it := range t.joining {
		switch far, _ := it.key.Far(); {
		case it.want == nil:
		case it.key.Realm == realm:
			joins[it] = far
		case far == realm:
			joins[it] = it.key.Realm
		}
	}
	return joins
}
