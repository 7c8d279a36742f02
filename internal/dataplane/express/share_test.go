// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/nft/lab"
	"github.com/posternhq/postern/internal/testnet"
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
	var cookie uint64
	err := inside(n, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	u, err := r.lane.Use(cookie)
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
		if err := r.lane.Recheck(); err != nil {
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
					for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
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
