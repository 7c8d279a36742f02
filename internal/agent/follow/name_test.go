// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
)

var (
	errDown = errors.New("no answer")
	entry   = desired.Follow{
		VPC: "vpc-a", Addr: netip.MustParseAddr("240.8.0.1"), Name: "db.example.com.", Gateway: netip.MustParseAddr("10.0.1.50"), Port: 5432,
		Never: []netip.Prefix{netip.MustParsePrefix("10.0.9.0/24")},
	}
)

// addr is the n-th address that names have here.
func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n / 200), byte(1 + n%200)}) }

func addrs(numbers ...int) (list []netip.Addr) {
	for _, n := range numbers {
		list = append(list, addr(n))
	}
	return list
}

// course is a name and the time that it has seen.
type course struct {
	t interface {
		Helper()
		Errorf(string, ...any)
	}
	*name
	now time.Time
}

func begin(t *testing.T, before ...int) *course {
	now := time.Unix(1000, 0)
	return &course{t, newName(entry, addrs(before...), false, now, nil), now}
}

// hear looks the name up when that is due, and gives how long that was.
func (c *course) hear(ttl time.Duration, err error, numbers ...int) (waited time.Duration) {
	waited = c.next.Sub(c.now)
	c.now = c.next
	c.begins(c.now)
	c.ends(c.now, Answer{addrs(numbers...), ttl}, err, 0)
	return waited
}

func (c *course) leadsTo(numbers ...int) {
	c.t.Helper()
	if got, want := c.target().Dests(), entry.Target(addrs(numbers...)).Dests(); !slices.Equal(got, want) {
		c.t.Errorf("%s leads to %v, want %v", c.entry.Name, got, want)
	}
}

// A name is asked for again when its answer's time is over, within bounds.
func TestANameIsAskedForWhenItsTimeIsOver(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 20 * time.Second: 20 * time.Second, time.Hour: 5 * time.Minute} {
		c := begin(t)
		if waited := c.hear(ttl, nil, 1); waited != 0 {
			t.Errorf("the first look-up comes after %s", waited)
		}
		if waited := c.hear(ttl, nil, 1); waited != want {
			t.Errorf("an answer for %s is gone by for %s, want %s", ttl, waited, want)
		}
	}
	c := begin(t)
	c.name.entry.Floor, c.name.entry.Ceiling = 10, 20
	c.hear(time.Second, nil, 1)
	if waited := c.hear(time.Minute, nil, 1); waited != 10*time.Second {
		t.Errorf("with a floor of 10 s an answer is gone by for %s", waited)
	}
	if waited := c.hear(time.Minute, nil, 1); waited != 20*time.Second {
		t.Errorf("with a ceiling of 20 s an answer is gone by for %s", waited)
	}
}

// Caches between here and the zone do not add up to more than one answer's time.
func TestWhatACacheHasLeftIsNotGoneByForLonger(t *testing.T) {
	c := begin(t)
	c.hear(5*time.Second, nil, 1)
	c.hear(time.Second, nil, 1) // what a cache has left
	if waited := c.hear(5*time.Second, nil, 2); waited != time.Second {
		t.Errorf("an answer with a second left is gone by for %s", waited)
	}
	c.leadsTo(2)
	c.hear(time.Second, nil, 2)
	c.hear(time.Second, nil, 2) // so that is its time
	if waited := c.hear(time.Second, nil, 2); waited != 5*time.Second {
		t.Errorf("a name of one second is asked for after %s", waited)
	}
}

// What is not known stays as it was, without limit.
func TestAFailedLookUpChangesNothing(t *testing.T) {
	c := begin(t)
	c.hear(time.Minute, nil, 1, 2)
	var waits []time.Duration
	for range 8 {
		waits = append(waits, c.hear(0, errDown))
		c.leadsTo(1, 2)
	}
	if want := fmt.Sprint([]time.Duration{time.Minute, 5e9, 10e9, 20e9, 40e9, 60e9, 60e9, 60e9}); fmt.Sprint(waits) != want {
		t.Errorf("waits are %v, want %s", waits, want)
	}
	if o := c.observe(); o.Trouble != errDown.Error() || o.Failures != 8 || c.now.Sub(o.Answered) < 4*time.Minute {
		t.Errorf("observed is %+v", o)
	}
	c.hear(time.Minute, nil, 2, 3)
	c.leadsTo(3, 2) // the slots of 2 are where they were
	if o := c.observe(); o.Trouble != "" || o.Failures != 0 || !o.Answered.Equal(c.now) {
		t.Errorf("observed is %+v", o)
	}
}

// A name is asked for again as often as its time says, whether somebody answers or not, so
// that it heals as soon as it would have moved; and names that failed together are spread.
func TestAFailedLookUpIsRepeatedWithinTheNamesTime(t *testing.T) {
	for ttl, longest := range map[time.Duration]time.Duration{
		0: 5 * time.Second, time.Second: 5 * time.Second, 12 * time.Second: 12 * time.Second, time.Hour: time.Minute,
	} {
		c := begin(t)
		c.hear(ttl, nil, 1)
		c.hear(ttl, nil, 1)
		for range 8 {
			c.hear(0, errDown)
		}
		if waited := c.hear(0, errDown); waited != longest {
			t.Errorf("with %s a failed look-up is repeated after %s, want %s", ttl, waited, longest)
		}
		c.now = c.next
		c.begins(c.now)
		c.ends(c.now, Answer{}, errDown, 1)
		if soonest := c.next.Sub(c.now); soonest != longest/2 {
			t.Errorf("with %s the first of those that failed together is repeated after %s, want %s", ttl, soonest, longest/2)
		}
	}
}

// A name that has no address is asked for soon: nothing works meanwhile.
func TestANameWithoutAnAddressIsAskedForSoon(t *testing.T) {
	for err, want := range map[error][]time.Duration{
		errDown: {0, 1e9, 2e9, 4e9, 5e9, 5e9, 5e9, 5e9}, ErrNone: {0, 1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9},
	} {
		c := begin(t)
		var waits []time.Duration
		for range 8 {
			waits = append(waits, c.hear(0, err))
		}
		if !slices.Equal(waits, want) {
			t.Errorf("%v: waits are %v, want %v", err, waits, want)
		}
	}
}

// That a name is not there is believed when it was said three times over half a minute.
func TestThatANameIsGoneIsBelievedLate(t *testing.T) {
	c := begin(t)
	c.hear(time.Minute, nil, 1)
	c.hear(0, ErrNone)
	begun := c.now
	for c.now.Sub(begun) < 30*time.Second {
		c.leadsTo(1)
		c.hear(0, nil) // no error and no address are the same
	}
	c.leadsTo()
	if o := c.observe(); o.Trouble == "" || len(o.Addrs) > 0 {
		t.Errorf("observed is %+v", o)
	}
	c.hear(time.Minute, nil, 4)
	c.leadsTo(4)

	for range 5 { // never three in a row
		c.hear(0, ErrNone)
		c.hear(0, ErrNone)
		c.hear(time.Minute, nil, 4)
		c.leadsTo(4)
	}
	for range 20 {
		c.hear(0, ErrNone)
		c.hear(0, errDown)
		c.leadsTo(4)
	}
}

// What the kernel has is the last good answer; what led elsewhere is good until more is
// known.
func TestWhatWasThereBefore(t *testing.T) {
	c := begin(t, 1, 2)
	if !c.found {
		t.Error("what the kernel has is no answer")
	}
	c.hear(0, errDown)
	c.leadsTo(1, 2)

	c.name = newName(entry, addrs(1), true, c.now, nil)
	c.leadsTo(1)
	if c.found {
		t.Error("what was another name's is an answer")
	}
	c.hear(0, errDown)
	c.leadsTo()
	if !c.found {
		t.Error("a failed look-up found nothing out")
	}
}

// An answer is somebody else's word.
func TestAddressesThatNothingIsSentTo(t *testing.T) {
	c := begin(t)
	c.hear(time.Minute, nil, 1)
	for _, text := range []string{
		"127.0.0.1", "0.0.0.0", "169.254.169.253", "224.0.0.1", "240.8.0.1", "255.255.255.255", "10.0.9.7", "10.0.1.50", "::1", "2001:db8::1", "::ffff:10.0.1.1",
	} {
		bad := netip.MustParseAddr(text)
		c.ends(c.now, Answer{[]netip.Addr{bad}, time.Minute}, nil, 0)
		c.leadsTo(1)
		if c.observe().Trouble == "" {
			t.Errorf("%s alone is no trouble", bad)
		}
		c.ends(c.now, Answer{[]netip.Addr{bad, addr(1)}, time.Minute}, nil, 0)
		c.leadsTo(1)
		if o := c.observe(); o.Trouble != "" || o.Refused == "" {
			t.Errorf("%s beside another one: observed is %+v", bad, o)
		}
	}
}

// An address that does not answer leaves as long as others do.
func TestAddressesThatDoNotAnswerAreLeftOut(t *testing.T) {
	c := begin(t)
	c.hear(time.Minute, nil, 1, 2, 3)
	probed := func(n int, err error, changes bool) {
		t.Helper()
		if c.probed(c.now, addr(n), err) != changes {
			t.Errorf("probe of %s with %v: changed is not %t", addr(n), err, changes)
		}
	}
	probed(1, nil, false)
	probed(1, errDown, true)
	c.leadsTo(3, 2)
	if sooner := c.next.Sub(c.now); sooner > time.Second {
		t.Errorf("the name is asked for after %s", sooner)
	}
	probed(1, errDown, false)
	probed(2, errDown, true)
	c.leadsTo(3)
	probed(3, errDown, true)
	c.leadsTo(3, 1, 2) // all is as good as none
	if got := c.watched(); !slices.Equal(got, addrs(1, 2, 3)) {
		t.Errorf("watched are %v", got)
	}
	probed(2, nil, true)
	c.leadsTo(2)
	c.hear(time.Minute, nil, 1, 4)
	c.leadsTo(4)
	c.hear(time.Minute, nil, 1) // there is nobody else
	c.leadsTo(1)
	if got := c.watched(); got != nil {
		t.Errorf("watched are %v", got)
	}
}

// Whatever is heard: the addresses are those of the last good answer, at most 64 are
// kept and 16 used, each once; those that stay are where they were; the same set changes
// nothing; and the next look-up is neither at once nor later than the ceiling.
func TestNamesLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &course{t, newName(entry, nil, false, time.Unix(0, 0), nil), time.Unix(0, 0)}
		numbers := rapid.SliceOfN(rapid.IntRange(0, 90), 0, 80)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before := slices.Clone(c.order)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				c.hear(0, errDown)
				if !slices.Equal(before, c.order) {
					t.Fatalf("a failure made %v of %v", c.order, before)
				}
			case 1:
				c.hear(0, ErrNone)
				if len(c.order) > 0 && !slices.Equal(before, c.order) {
					t.Fatalf("no such name made %v of %v", c.order, before)
				}
			case 2:
				for _, a := range c.watched() {
					before = slices.Clone(c.order)
					if rapid.Bool().Draw(t, "up") {
						c.probed(c.now, a, nil)
					} else {
						c.probed(c.now, a, errDown)
					}
					lawful(t, c, before)
				}
				continue
			default:
				of := numbers.Draw(t, "answer")
				c.hear(time.Duration(rapid.IntRange(0, 1000).Draw(t, "ttl"))*time.Second, nil, of...)
				if len(of) == 0 {
					break
				}
				want := slices.Compact(slices.Sorted(slices.Values(of)))
				if want := addrs(want[:min(len(want), most)]...); !slices.Equal(c.set, want) {
					t.Fatalf("kept are %v, want %v", c.set, want)
				}
				again := slices.Clone(c.order)
				slices.Reverse(of)
				if c.hear(0, nil, of...); !slices.Equal(again, c.order) {
					t.Fatalf("the same answer made %v of %v", c.order, again)
				}
			}
			lawful(t, c, before)
		}
	})
}

func lawful(t *rapid.T, c *course, before []netip.Addr) {
	sorted := slices.Clone(c.order)
	slices.SortFunc(sorted, netip.Addr.Compare)
	switch {
	case len(sorted) > desired.Slots, len(slices.Compact(sorted)) != len(c.order), (len(c.order) == 0) != (len(c.set) == 0):
		t.Fatalf("in use are %v of %v", c.order, c.set)
	}
	for i, a := range before {
		if i < len(c.order) && slices.Contains(c.order, a) && slices.Index(before, a) == i && c.order[i] != a {
			t.Fatalf("%s has left its place: %v became %v", a, before, c.order)
		}
	}
	if wait := c.next.Sub(c.now); wait < 0 || wait > ceiling {
		t.Fatalf("the next look-up is in %s", wait)
	}
}
