// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// newBoundRig is the rig with a lane of the test's own bounds.
func newBoundRig(t *testing.T, f family, share, late uint32) *rig {
	t.Helper()
	r := newSlowRig(t, f, idle)
	lane, err := express.OpenBound(r.instance, idle, share, late)
	if err != nil {
		testnet.Unable(t, err.Error())
	}
	t.Cleanup(func() { lane.Close() })
	r.lane = lane
	r.cover(lane)
	return r
}

// usage is what a router has of the lane.
func (r *rig) usage(n *lab.Namespace) express.Use {
	r.t.Helper()
	u, err := r.lane.Use(r.cookie(n.FD()))
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// A router that has more connections than its share keeps what it has, the
// others take the slow path, and other routers are not concerned.
func TestARouterHasAShareOfTheLane(t *testing.T) {
	const share, connections = 20, 50
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newBoundRig(t, f, share, 1000)
			other := newSlowRig(t, f, idle)
			other.lane = r.lane
			other.cover(r.lane)
			var all []ends
			for range connections {
				all = append(all, r.connect())
			}
			for range 3 {
				for _, e := range all {
					e.exchange(t)
				}
			}
			// Two directions in each of two routers.
			if n, err := r.lane.Flows(); n != 4*share || err != nil {
				t.Errorf("%d directions are remembered, %v, want %d", n, err, 4*share)
			}
			for _, n := range r.routers() {
				if u := r.usage(n); u.Connections != share || u.NoRoom == 0 {
					t.Errorf("a router has %+v, want %d connections and no room for more", u, share)
				}
			}
			r.carries(all[0])
			other.carried()
			if u := other.usage(other.A); u.Connections != 1 || u.NoRoom > 0 {
				t.Errorf("another router has %+v, want one connection", u)
			}
			// The end of some makes room.
			for _, e := range all[:share] {
				if err := closeInTurn(e.client, e.server, 0); err != nil {
					t.Fatal(err)
				}
			}
			all[connections-1].exchange(t)
			r.carries(all[connections-1])
		})
	}
}

// Looking again, as after every change, does not use up a share.
func TestLookingAgainTakesNoShare(t *testing.T) {
	r := newBoundRig(t, families[0], 3, 1000)
	e := r.carried()
	for range 20 {
		if err := r.recheckAll(); err != nil {
			t.Fatal(err)
		}
		e.exchange(t)
	}
	r.carries(e)
	if u := r.usage(r.A); u.Connections != 1 || u.NoRoom > 0 {
		t.Errorf("a router has %+v, want one connection", u)
	}
}

// Closed connections keep their ports for a minute as long as there are not too
// many of them; beyond that they make room for open ones soon.
func TestManyClosedConnectionsMakeRoom(t *testing.T) {
	const late, connections = 5, 30
	for _, w := range ways[:2] {
		for _, f := range families {
			t.Run(w.name+"/"+f.name, func(t *testing.T) {
				r := newBoundRig(t, f, 1000, late)
				for range connections {
					e := r.carried()
					if err := w.close(e); err != nil {
						t.Fatal(err)
					}
				}
				for _, router := range r.routers() {
					var left int
					for deadline := time.Now().Add(lab.Patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
						if left = len(r.tracked(router)); left <= late+2 {
							break
						}
					}
					if left < late || left > late+2 {
						t.Errorf("%d closed connections are tracked, want about %d", left, late)
					}
				}
			})
		}
	}
}

// newTightRig is the rig with a small lane, of which a router may have a share.
func newTightRig(t *testing.T, f family, idle time.Duration, room, share uint32) *rig {
	t.Helper()
	r := newSlowRig(t, f, idle)
	r.lane = r.tight(idle, room, share)
	r.cover(r.lane)
	return r
}

func (r *rig) tight(idle time.Duration, room, share uint32) *express.Lane {
	r.t.Helper()
	l, err := express.OpenTight(r.instance, idle, room, share)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	return l
}

// A process that takes the lane over finds what a router has of its share.
func TestAShareSurvivesARestart(t *testing.T) {
	const room, share, connections = 1 << 12, 10, 30
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newTightRig(t, f, idle, room, share)
			var all []ends
			for range connections {
				all = append(all, r.connect())
				all[len(all)-1].exchange(t)
			}
			for range 2 {
				if err := r.lane.Close(); err != nil {
					t.Fatal(err)
				}
				r.lane = r.tight(idle, room, share)
				for _, e := range all {
					e.exchange(t)
				}
				for _, n := range r.routers() {
					if u := r.usage(n); u.Connections != share {
						t.Errorf("a router has %+v, want %d connections", u, share)
					}
				}
				if n, err := r.lane.Flows(); n > 4*share || err != nil {
					t.Errorf("%d directions are remembered, %v, want at most %d", n, err, 4*share)
				}
			}
			r.carries(all[0])
		})
	}
}

// A router that opens more connections at once than there is room for has its share,
// and one that goes on opening them and leaves them open gives up what it has left
// behind: connections of other routers stay in the lane.
func TestARouterDoesNotPushOthersOut(t *testing.T) {
	const room, share, burst = 512, 32, 600 // each takes two directions in each of two routers
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newTightRig(t, f, idle, room, share)
			other := newSlowRig(t, f, idle)
			other.lane = r.lane
			other.cover(r.lane)
			var kept []ends
			for range 10 {
				kept = append(kept, other.carried())
			}
			others := func(what string) {
				for _, n := range other.routers() {
					if got := other.remembered(n); got != len(kept) {
						t.Errorf("%s: %d connections of another router are remembered, want %d", what, got, len(kept))
					}
				}
				slow := other.slow()
				for _, e := range kept {
					e.exchange(t)
				}
				if got := other.slow() - slow; got > 0 {
					t.Errorf("%s: %d packets of another router's connections took the slow path", what, got)
				}
			}
			for range burst {
				r.connect().exchange(t)
			}
			others("after a burst")

			const short = time.Second // asks again every quarter of it
			r.lane = r.tight(short, room, share)
			used := time.Now()
			for begin := used; time.Since(begin) < 2*short; used = time.Now() {
				for range 10 {
					r.connect().exchange(t)
				}
				if time.Since(used) < short/2 { // else they may be forgotten for being idle
					others("beside one that goes on")
				}
				for _, e := range kept {
					e.exchange(t)
				}
			}
		})
	}
}

// remembered counts the connections of a router of which both directions are known.
func (r *rig) remembered(n *lab.Namespace) (count int) {
	r.t.Helper()
	for c, err := range r.lane.Connections() {
		if err != nil {
			r.t.Fatal(err)
		}
		if c.Router == r.cookie(n.FD()) && c.Sent.Packets > 0 && c.Answered.Packets > 0 {
			count++
		}
	}
	return count
}
