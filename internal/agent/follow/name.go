// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

const (
	// most is how many addresses of a name are kept, the smallest first.
	most = 64
	// floor and ceiling bound how long an answer is gone by when the entry says nothing.
	floor, ceiling = 5 * time.Second, 5 * time.Minute
	// soonest is the least time between two look-ups of a name.
	soonest = time.Second
	// firstRetry and lastRetry bound the time until a failed look-up is tried again,
	// which doubles, and is no longer than the last good answer's time. A name that has
	// no address begins with soonest: nothing works meanwhile, and what it waits for may
	// be made just now.
	firstRetry, lastRetry, lastNone = 5 * time.Second, time.Minute, 30 * time.Second
	// A name that had addresses has none when so many look-ups in a row have said so,
	// over so long: upstreams say it of names that are there while they fail over.
	nonesToBelieve, timeToBelieve = 3, 30 * time.Second
)

// name is one name that is followed.
type name struct {
	entry desired.Follow
	key   desired.Key

	// land is what is known of where the name may lead; nil is nothing.
	land *land

	// said are the addresses of the last answer, sorted, whether they can be used or not;
	// unheard is how many more there were.
	said    []netip.Addr
	unheard int
	// set are the addresses of the last good answer, sorted; beyond is how many more
	// there were, and refused why some of them were not taken.
	set     []netip.Addr
	beyond  int
	refused string
	// door is the address of an endpoint that the last answer leads to, if it does, and
	// onward says that the name is gone by through it.
	door   netip.Addr
	onward bool
	// useless says that the trouble is that no address of the answer can be used.
	useless bool
	// order is how the addresses in use are dealt to the slots.
	order []netip.Addr
	// down says of addresses that do not answer why, as probes found.
	down map[netip.Addr]string
	// suspected are addresses that were asked because connections to them failed, and when.
	suspected map[netip.Addr]time.Time

	// found says that a look-up has ended, one way or the other. Until then addresses
	// may be those of what the target led to before: former says so.
	found, former bool
	// answered is when the last good answer came; zero while it is from before the start.
	answered time.Time
	asked    time.Time // when the last look-up began
	next     time.Time // when the next one is due
	ttl      time.Duration
	counting bool // the answer came from a cache, and its time is nearly over
	failures int  // in a row
	nones    int  // in a row
	since    time.Time
	trouble  string // of the last look-up; empty when it went well

	// The rest belongs to the Follower.
	asking bool
	place  int    // in the queue of those that are due; -1 is none
	turn   uint64 // in which it was probed last
}

// newName begins to follow. It goes by what the target led to before until more is
// known; former says that this was something else.
func newName(f desired.Follow, before []netip.Addr, former bool, now time.Time, l *land) *name {
	n := &name{entry: f, key: f.Key(), land: l, down: map[netip.Addr]string{}, former: former, next: now, place: -1}
	for _, a := range before {
		if !slices.Contains(n.order, a) {
			n.order = append(n.order, a)
		}
	}
	n.hears(n.order)
	n.weigh()
	n.refused = "" // nobody has said so
	n.deal()
	n.found = len(n.set) > 0 && !former
	return n
}

// question is what is asked.
func (n *name) question() Question {
	q := Question{Name: n.entry.Name, IPv6: n.entry.Addr.Is6()}
	if n.entry.InVPC {
		q.VPC = n.entry.VPC
	}
	return q
}

// begins notes that a look-up has begun.
func (n *name) begins(now time.Time) { n.asked, n.asking = now, true }

// ends takes in how a look-up ended. The share, from 0 to 1, spreads names that were
// looked up together.
func (n *name) ends(now time.Time, a Answer, err error, share float64) {
	n.asking = false
	if err == nil && len(a.Addrs) == 0 {
		err = ErrNone
	}
	n.useless = false
	if err == nil {
		n.hears(a.Addrs)
		err = n.weigh()
		n.useless = err != nil
	}
	spread := 1 - share/10
	switch {
	case err == nil:
		n.former = false
		n.answered, n.failures, n.nones, n.trouble = now, 0, 0, ""
		n.next = now.Add(n.wait(a.TTL, spread))
	case errors.Is(err, ErrNone):
		n.none(now, err, spread)
	default:
		n.fail(now, err, 1-share/2) // so that not all ask at once when somebody answers again
	}
	if n.former {
		n.empty() // what was there before is not this name's
		n.former = false
	}
	n.found = true
	n.deal()
}

// empty forgets all addresses.
func (n *name) empty() {
	n.said, n.set, n.unheard, n.beyond, n.door, n.onward = nil, nil, 0, 0, netip.Addr{}, false
}

// bounds are those of the time that an answer is gone by.
func (n *name) bounds() (least, longest time.Duration) {
	least = max(soonest, cmp.Or(time.Duration(n.entry.Floor)*time.Second, floor))
	return least, max(least, cmp.Or(time.Duration(n.entry.Ceiling)*time.Second, ceiling))
}

// wait is how long an answer is gone by. One with less than the floor, of a name whose
// answers had more, comes from a cache that is about to ask anew: so is this.
func (n *name) wait(ttl time.Duration, spread float64) time.Duration {
	least, longest := n.bounds()
	before := n.ttl
	n.ttl = ttl
	if n.counting = !n.counting && ttl < least && before >= least; n.counting {
		return max(soonest, ttl)
	}
	if ttl < before {
		spread = 1 // earlier there is nothing new there
	}
	return time.Duration(float64(min(max(least, ttl), longest)) * spread)
}

// none takes in that there is no such name.
func (n *name) none(now time.Time, err error, spread float64) {
	if n.nones++; n.nones == 1 {
		n.since = now
	}
	n.failures, n.trouble = 0, err.Error()
	if n.nones >= nonesToBelieve && now.Sub(n.since) >= timeToBelieve {
		n.empty()
	}
	n.next = now.Add(n.retry(n.nones, lastNone, spread))
}

// fail takes in that it is not known what the name has.
func (n *name) fail(now time.Time, err error, spread float64) {
	n.failures++
	n.nones, n.trouble = 0, err.Error()
	least, longest := n.bounds()
	last := min(max(least, n.ttl), longest, lastRetry) // it is not to be older than an answer for longer than need be
	n.next = now.Add(n.retry(n.failures, last, spread))
}

func (n *name) retry(count int, last time.Duration, spread float64) time.Duration {
	d := firstRetry
	if len(n.set) == 0 || n.former {
		d, last = soonest, min(last, lastNone)
	}
	for i := 1; i < count && d < last; i++ {
		d *= 2
	}
	return max(soonest, time.Duration(float64(min(d, last))*spread))
}

// probed takes in whether an address answers, and reports whether that changed what
// is used. One that has just ceased to brings the next look-up forward.
func (n *name) probed(now time.Time, a netip.Addr, err error) (changed bool) {
	was := slices.Clone(n.order)
	_, known := n.down[a]
	switch {
	case err == nil:
		delete(n.down, a)
	default:
		n.down[a] = err.Error()
		if soon := n.asked.Add(soonest); !known && soon.Before(n.next) && n.trouble == "" {
			n.next = later(soon, now)
		}
	}
	n.deal()
	return !slices.Equal(was, n.order)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// port is where addresses are asked whether they answer; zero when they are not.
func (n *name) port() uint16 { return uint16(cmp.Or(n.entry.Port, n.entry.Watched)) }

// suspect notes that connections to an address have failed, and reports whether it is to
// be asked: it may still be in use, and was not asked for just that a moment ago.
func (n *name) suspect(now time.Time, a netip.Addr, again time.Duration) bool {
	_, isDown := n.down[a]
	if n.entry.Watched == 0 || isDown || len(n.set) < 2 || !slices.Contains(n.order, a) || now.Before(n.suspected[a].Add(again)) {
		return false
	}
	if n.suspected == nil {
		n.suspected = map[netip.Addr]time.Time{}
	}
	n.suspected[a] = now
	return true
}

// watched are the addresses to be probed: those in use, unless only connections tell of
// them, and those that are not because they did not answer, when there are several.
func (n *name) watched() (list []netip.Addr) {
	if n.port() == 0 || len(n.set) < 2 {
		return nil
	}
	for _, a := range n.set {
		if _, isDown := n.down[a]; isDown || n.entry.Port != 0 && slices.Contains(n.order, a) {
			list = append(list, a)
		}
	}
	return list
}

// deal deals addresses to the slots. Those that stay keep their places, so that only
// the slots of those that changed change.
func (n *name) deal() {
	for a := range n.down {
		if !slices.Contains(n.set, a) || len(n.set) < 2 || n.port() == 0 {
			delete(n.down, a)
		}
	}
	for a := range n.suspected {
		if !slices.Contains(n.set, a) {
			delete(n.suspected, a)
		}
	}
	var use []netip.Addr
	for _, a := range n.set {
		if _, isDown := n.down[a]; !isDown {
			use = append(use, a)
		}
	}
	if len(use) == 0 {
		use = n.set // somebody may answer after all
	}
	n.order = dealt(n.order, use[:min(len(use), desired.Slots)])
}

// dealt gives a list of what is used, in which what was in use is where it was as far as
// the list reaches.
func dealt(order, use []netip.Addr) []netip.Addr {
	if len(use) == 0 {
		return nil
	}
	list := make([]netip.Addr, len(use))
	var left []netip.Addr
	for _, a := range use {
		if i := slices.Index(order, a); i >= 0 && i < len(list) {
			list[i] = a
		} else {
			left = append(left, a)
		}
	}
	for i := range list {
		if !list[i].IsValid() {
			list[i], left = left[0], left[1:]
		}
	}
	return list
}

// target is what the router is to have.
func (n *name) target() desired.Target {
	if n.onward && len(n.order) == 1 {
		return n.entry.Onward(n.order[0])
	}
	return n.entry.Target(n.order)
}
