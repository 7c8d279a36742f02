// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/posternhq/postern/internal/desired"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream is whoever looks names up and whatever answers at addresses, in memory.
type upstream struct {
	mu      sync.Mutex
	answers map[Question]Answer
	silent  map[string]bool // VPCs whose look-ups are not answered
	takes   time.Duration
	down    map[netip.Addr]bool         // addresses that refuse
	hang    map[netip.Addr]bool         // addresses that say nothing
	watches map[string]func(netip.Addr) // by VPC: who is told of connections that fail
	asked   int
	probes  int
	now     int // look-ups under way
	peak    int
}

func newUpstream() *upstream {
	return &upstream{answers: map[Question]Answer{}, silent: map[string]bool{}, takes: time.Millisecond, down: map[netip.Addr]bool{}, hang: map[netip.Addr]bool{}, watches: map[string]func(netip.Addr){}}
}

func (u *upstream) set(name string, ttl time.Duration, numbers ...int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers[Question{Name: name}] = Answer{addrs(numbers...), ttl}
}

// change changes what is asked with the lock held.
func (u *upstream) change(do func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	do()
}

func (u *upstream) Lookup(ctx context.Context, q Question) (Answer, error) {
	u.mu.Lock()
	u.asked++
	u.now++
	u.peak = max(u.peak, u.now)
	a, ok := u.answers[Question{Name: q.Name, IPv6: q.IPv6}]
	silent := u.silent[q.VPC]
	u.mu.Unlock()
	defer u.change(func() { u.now-- })
	if silent {
		<-ctx.Done()
		return Answer{}, fmt.Errorf("look up: %w", ctx.Err())
	}
	time.Sleep(u.takes)
	if !ok {
		return Answer{}, fmt.Errorf("look up %s: %w", q.Name, ErrNone)
	}
	return a, nil
}

func (u *upstream) Probe(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) error {
	u.mu.Lock()
	u.probes++
	down, hang := u.down[to.Addr()], u.hang[to.Addr()]
	u.mu.Unlock()
	switch {
	case hang:
		<-ctx.Done()
		return ctx.Err()
	case down:
		return errors.New("connection refused")
	}
	return nil
}

// Watch implements Watcher.
func (u *upstream) Watch(ctx context.Context, vpc string, addrs []netip.Addr, failed func(netip.Addr)) error {
	u.change(func() {
		u.watches[vpc] = func(a netip.Addr) {
			if slices.Contains(addrs, a) {
				failed(a)
			}
		}
	})
	<-ctx.Done()
	u.change(func() { delete(u.watches, vpc) })
	return nil
}

// fails tells that a connection to an address has failed.
func (u *upstream) fails(vpc string, n int) {
	u.mu.Lock()
	told := u.watches[vpc]
	u.mu.Unlock()
	if told != nil {
		told(addr(n))
	}
}

// rig is a Follower that runs, and the targets that a host would have.
type rig struct {
	*testing.T
	*Follower
	up      *upstream
	targets map[desired.Key]desired.Entry
}

// follow runs a test with virtual time.
func follow(t *testing.T, do func(rig)) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		r := rig{t, New(Config{Lookup: u, Prober: u, Watcher: u, Logger: slog.New(slog.DiscardHandler)}), u, map[desired.Key]desired.Entry{}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.Follower.Run(ctx) })
		wg.Go(func() {
			for {
				select {
				case <-r.Changed():
					r.keep(r.Pull())
				case <-ctx.Done():
					return
				}
			}
		})
		defer wg.Wait()
		defer cancel()
		do(r)
	})
}

func (r rig) keep(entries []desired.Entry) {
	r.up.change(func() {
		for _, e := range entries {
			r.targets[e.Key()] = e
		}
	})
}

func (r rig) take(d desired.Delta, before ...int) (later []desired.Key) {
	out, later := r.Take(d, func(desired.Key) (desired.Target, bool) { return desired.Target{Several: addrs(before...)}, false })
	r.up.change(func() {
		for _, k := range out.Delete {
			delete(r.targets, k)
		}
	})
	r.keep(out.Put)
	return later
}

// named is an entry for the n-th target.
func named(name string, n int) desired.Follow {
	e := entry
	e.Name, e.Addr = name, netip.AddrFrom4([4]byte{240, 8, byte(n / 250), byte(n % 250)})
	return e
}

func (r rig) leadsTo(e desired.Follow, numbers ...int) {
	r.Helper()
	var got desired.Entry
	r.up.change(func() { got = r.targets[targetKey(e.Key())] })
	if want := e.Target(addrs(numbers...)); got == nil || !desired.Equal(got, want) {
		r.Errorf("after %s: %v, want %s", time.Since(start), got, want)
	}
}

// start is when each test begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A name that moves has its new connections follow within the answer's time and 50 ms,
// again and again, and never goes without.
func TestANameThatFlapsIsNeverOlderThanItsTime(t *testing.T) {
	follow(t, func(r rig) {
		const ttl = 5 * time.Second
		e := named("db.example.com.", 1)
		r.up.set(e.Name, ttl, 1)
		if later := r.take(desired.Delta{Full: true, Put: []desired.Entry{e}}); len(later) != 1 || later[0] != targetKey(e.Key()) {
			t.Errorf("to come is %v", later)
		}
		r.leadsTo(e)
		time.Sleep(10 * time.Millisecond)
		r.leadsTo(e, 1)
		for i := range 10 {
			is := 1 + i%2
			time.Sleep(time.Duration(i) * 700 * time.Millisecond)
			r.up.set(e.Name, ttl, is)
			time.Sleep(ttl + 50*time.Millisecond)
			r.leadsTo(e, is)
		}
	})
}

// A thousand names that are over at once are asked for in time, and by a few at a time;
// a VPC whose servers do not answer holds up nobody else.
func TestAThousandNamesAtOnce(t *testing.T) {
	follow(t, func(r rig) {
		const count = 1000
		const ttl = 60 * time.Second
		d := desired.Delta{Full: true}
		var all []desired.Follow
		for i := range count {
			e := named(fmt.Sprintf("n%d.example.com.", i), i)
			r.up.set(e.Name, ttl, i)
			all, d.Put = append(all, e), append(d.Put, e)
			deaf := named(fmt.Sprintf("n%d.example.org.", i), count+i)
			deaf.VPC, deaf.InVPC = "vpc-b", true
			d.Put = append(d.Put, deaf)
		}
		r.up.change(func() { r.up.silent["vpc-b"] = true })
		r.take(d)
		time.Sleep(50 * time.Millisecond)
		for i, e := range all {
			r.leadsTo(e, i)
			r.up.set(e.Name, ttl, i+1)
		}
		time.Sleep(ttl + 50*time.Millisecond)
		for i, e := range all {
			r.leadsTo(e, i+1)
		}
		r.up.change(func() {
			if r.up.peak > 64 {
				t.Errorf("%d look-ups at a time, want at most 32 of each view", r.up.peak)
			}
			if r.up.asked > 4*count {
				t.Errorf("%d look-ups", r.up.asked)
			}
		})
	})
}

// An address that refuses or says nothing is used no more after two seconds, and again
// when it answers.
func TestAddressesAreProbed(t *testing.T) {
	follow(t, func(r rig) {
		e, alone, off := named("db.example.com.", 1), named("one.example.com.", 2), named("off.example.com.", 3)
		off.Port = 0
		r.up.set(e.Name, time.Minute, 1, 2, 3)
		r.up.set(alone.Name, time.Minute, 1)
		r.up.set(off.Name, time.Minute, 1, 2)
		r.take(desired.Delta{Full: true, Put: []desired.Entry{e, alone, off}})
		time.Sleep(5 * time.Second)
		r.leadsTo(e, 1, 2, 3)
		r.up.change(func() { r.up.down[addr(1)] = true })
		time.Sleep(2 * time.Second)
		r.leadsTo(e, 3, 2)
		r.up.change(func() { r.up.hang[addr(2)] = true })
		time.Sleep(2 * time.Second)
		r.leadsTo(e, 3)
		r.leadsTo(alone, 1)
		r.leadsTo(off, 1, 2)
		var o Observation
		for _, is := range r.Observations() {
			if is.Name == e.Name {
				o = is
			}
		}
		if len(o.Addrs) != 3 || o.Addrs[0].Down == "" || o.Addrs[1].Used || !o.Addrs[2].Used {
			t.Errorf("observed is %+v", o)
		}
		r.up.change(func() { clear(r.up.down); clear(r.up.hang) })
		time.Sleep(2 * time.Second)
		r.up.change(func() {
			if got := r.targets[targetKey(e.Key())].(desired.Target).Dests(); len(got) != 3 {
				t.Errorf("in use are %v after all answer again", got)
			}
		})
	})
}

// However many addresses there are, so many are probed at a time, and each has its turn.
func TestProbesAreBounded(t *testing.T) {
	follow(t, func(r rig) {
		const names, each = 1000, 4
		d := desired.Delta{Full: true}
		for i := range names {
			e := named(fmt.Sprintf("n%d.example.com.", i), i)
			r.up.set(e.Name, time.Hour, i, i+1, i+2, i+3)
			d.Put = append(d.Put, e)
		}
		r.take(d)
		time.Sleep(time.Second)
		before := 0
		r.up.change(func() { before = r.up.probes; r.up.down[addr(500)] = true })
		time.Sleep(9 * time.Second)
		r.up.change(func() {
			if got := r.up.probes - before; got > 10*512 || got < names*each {
				t.Errorf("%d probes in nine seconds, want each of %d addresses once and at most 512 every 0.9 s", got, names*each)
			}
		})
		down := 0
		for _, o := range r.Observations() {
			for _, a := range o.Addrs {
				if a.Down != "" {
					down++
				}
			}
		}
		if down != each {
			t.Errorf("%d names have found out about the address that is down, want %d", down, each)
		}
	})
}

// After a restart what the kernel has is gone by, even if nobody answers for an hour.
func TestARestartKeepsWhatTheKernelHas(t *testing.T) {
	follow(t, func(r rig) {
		e := named("db.example.com.", 1)
		r.up.change(func() { r.up.silent[""] = true })
		if later := r.take(desired.Delta{Full: true, Put: []desired.Entry{e}}, 7, 8); later != nil {
			t.Errorf("to come is %v although there is an answer", later)
		}
		time.Sleep(time.Hour)
		r.leadsTo(e, 7, 8)
		r.up.set(e.Name, time.Minute, 9)
		r.up.change(func() { r.up.silent[""] = false })
		time.Sleep(time.Minute + 50*time.Millisecond)
		r.leadsTo(e, 9)
	})
}

// A name that is not there refuses, is known to be settled, and heals by itself.
func TestANameThatIsNotThereHeals(t *testing.T) {
	follow(t, func(r rig) {
		e := named("late.example.com.", 1)
		r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
		time.Sleep(10 * time.Minute)
		r.leadsTo(e)
		if o := r.Observations()[0]; o.Trouble == "" || o.Next.IsZero() {
			t.Errorf("observed is %+v", o)
		}
		r.up.set(e.Name, time.Minute, 1)
		time.Sleep(30*time.Second + 50*time.Millisecond)
		r.leadsTo(e, 1)
	})
}

// An entry may come in the place of a plain target and the other way round, in one delta
// and in any order of it.
func TestTargetsAndNamesTakeEachOthersPlace(t *testing.T) {
	follow(t, func(r rig) {
		e := named("db.example.com.", 1)
		r.up.set(e.Name, time.Minute, 1)
		plain := e.Target(addrs(5))
		r.take(desired.Delta{Full: true, Put: []desired.Entry{plain}})
		r.take(desired.Delta{Put: []desired.Entry{e}, Delete: []desired.Key{plain.Key()}})
		time.Sleep(time.Second)
		r.leadsTo(e, 1)
		if got := r.Original([]desired.Entry{e.Target(addrs(1))}); desired.Text(got) != desired.Text([]desired.Entry{e}) {
			t.Errorf("asked for was %v", got)
		}
		if got := r.Asked(plain.Key()); got != e.Key() {
			t.Errorf("%s was asked for as %s", plain.Key(), got)
		}
		r.take(desired.Delta{Put: []desired.Entry{plain}, Delete: []desired.Key{e.Key()}})
		r.leadsTo(e, 5)
		if got := r.Asked(plain.Key()); got != plain.Key() || len(r.Observations()) > 0 {
			t.Errorf("%s is asked for as %s, followed are %v", plain.Key(), got, r.Observations())
		}
		r.take(desired.Delta{Put: []desired.Entry{e}, Delete: []desired.Key{plain.Key()}})
		r.take(desired.Delta{Delete: []desired.Key{e.Key()}})
		time.Sleep(time.Hour)
		r.up.change(func() {
			if len(r.targets) > 0 {
				t.Errorf("left are %v", r.targets)
			}
		})
		if got := r.Asked(plain.Key()); got != e.Key() {
			t.Errorf("what cannot be removed of %s is told of %s", e.Key(), got)
		}
	})
}
