// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"fmt"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// An address at which connections fail is asked at once, and leaves if it does not answer;
// it is asked then until it does. Nobody asks before, where probes are off.
func TestAnAddressAtWhichConnectionsFailIsAsked(t *testing.T) {
	follow(t, func(r rig) {
		e := named("db.example.com.", 1)
		e.Port, e.Watched = 0, 5432
		r.up.set(e.Name, time.Minute, 1, 2)
		r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
		time.Sleep(3 * time.Second)
		r.up.change(func() { r.up.hang[addr(1)] = true })
		time.Sleep(3 * time.Second)
		if r.up.probes > 0 {
			t.Errorf("%d probes before any connection has failed", r.up.probes)
		}
		r.leadsTo(e, 1, 2)
		r.up.fails(e.VPC, 1)
		time.Sleep(time.Second)
		r.leadsTo(e, 2)
		r.up.change(func() { clear(r.up.hang) })
		time.Sleep(time.Second)
		r.leadsTo(e, 2, 1)
		before := r.up.probes
		time.Sleep(5 * time.Second)
		if r.up.probes > before {
			t.Errorf("%d probes after it has answered again", r.up.probes-before)
		}
	})
}

// Whoever has connections fail, by giving them up or by asking for ports that are closed,
// puts nobody out, and has the address asked no more than about once a second.
func TestConnectionsThatFailPutNobodyOut(t *testing.T) {
	follow(t, func(r rig) {
		e := named("db.example.com.", 1)
		e.Port, e.Watched = 0, 5432
		r.up.set(e.Name, time.Hour, 1, 2)
		r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
		time.Sleep(2 * time.Second)
		for range 1000 {
			r.up.fails(e.VPC, 1)
			time.Sleep(10 * time.Millisecond)
			r.up.change(func() {
				if got := r.targets[targetKey(e.Key())].(desired.Target).Dests(); len(got) != 2 {
					t.Fatalf("in use are %v", got)
				}
			})
		}
		if r.up.probes < 5 || r.up.probes > 12 {
			t.Errorf("%d probes in ten seconds", r.up.probes)
		}
	})
}

// Connections are looked at only where they go to a name with several addresses, and not
// when the entry says so.
func TestConnectionsAreLookedAtWhereTheyMatter(t *testing.T) {
	for _, c := range []struct {
		watched uint32
		addrs   []int
		looked  bool
	}{{5432, []int{1, 2}, true}, {5432, []int{1}, false}, {0, []int{1, 2}, false}} {
		follow(t, func(r rig) {
			e := named("db.example.com.", 1)
			e.Watched = c.watched
			r.up.set(e.Name, 5*time.Second, c.addrs...)
			r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
			time.Sleep(time.Minute)
			looked := func() (is bool) {
				r.up.change(func() { is = r.up.watches[e.VPC] != nil })
				return is
			}
			if looked() != c.looked {
				t.Errorf("%s: looked at is %t", fmt.Sprint(c), looked())
			}
			r.take(desired.Delta{Delete: []desired.Key{e.Key()}})
			time.Sleep(time.Second)
			if looked() {
				t.Errorf("%s: connections to a name are looked at that nobody follows", fmt.Sprint(c))
			}
		})
	}
}
