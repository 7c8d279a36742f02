// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// State is how far an entry is.
type State int

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
// the tables when it is gone.
type item struct {
	key      desired.Key
	want     desired.Entry // nil when it is to be deleted
	last     desired.Entry // what there was to be deleted, when want is nil
	prune    bool          // found there and never wanted
	revision int64         // of the delta that changed it last
	version  int           // counts changes of want

	state    State
	attempts int       // failures in a row
	message  string    // why it failed last
	since    time.Time // when state became what it is
	tried    time.Time // when it failed last
	due      time.Time // when to try next; zero is at once
}

// is reports whether e is what is wanted. The texts are worked out each time:
// keeping them would take a tenth of the memory of the whole program.
func (it *item) is(e desired.Entry) bool { return it.want != nil && it.want.String() == e.String() }

// entry is what to hand to Effects for the item.
func (it *item) entry() desired.Entry {
	if it.want != nil {
		return it.want
	}
	return it.last
}

// table holds the items of a host. It is not safe for concurrent use.
type table struct {
	realms  map[desired.Realm]map[desired.Key]*item
	dirty   map[*item]struct{} // all that are not Done
	joining map[*item]struct{} // those that join two realms
	wanted  int                // how many have a want
}

func newTable() table {
	return table{realms: make(map[desired.Realm]map[desired.Key]*item), dirty: make(map[*item]struct{}), joining: make(map[*item]struct{})}
}

func (t *table) get(k desired.Key) *item { return t.realms[k.Realm][k] }

// add makes an item that is pending and wants nothing yet.
func (t *table) add(k desired.Key) *item {
	it := &item{key: k, since: time.Now()}
	if t.realms[k.Realm] == nil {
		t.realms[k.Realm] = make(map[desired.Key]*item)
	}
	t.realms[k.Realm][k] = it
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
	delete(t.realms[it.key.Realm], it.key)
	if len(t.realms[it.key.Realm]) == 0 {
		delete(t.realms, it.key.Realm)
	}
}

// pend makes an item due at once, with a fresh start.
func (t *table) pend(it *item) {
	if it.state != Pending {
		it.state, it.since = Pending, time.Now()
	}
	it.attempts, it.message, it.due = 0, "", time.Time{}
	t.dirty[it] = struct{}{}
}

// done notes that an item is as wanted: it rests, or leaves if it was on its
// way out.
func (t *table) done(it *item) {
	if it.want == nil {
		t.remove(it)
		return
	}
	if it.state != Done {
		it.state, it.since = Done, time.Now()
	}
	it.attempts, it.message = 0, ""
	delete(t.dirty, it)
}

// fail notes why an item could not be done and when to try again.
func (t *table) fail(it *item, err error, delay func(int) time.Duration) {
	now := time.Now()
	if it.state != Error {
		it.state, it.since = Error, now
	}
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
