// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/test/lab"
)

// A cut resets both ends of a connection, whether the lane carries much of it or
// nothing at the time.
func TestCutsReachConnectionsInTheLane(t *testing.T) {
	for _, c := range []struct {
		name string
		busy bool
		cut  func(r *rig) (*lab.Namespace, flow.Match)
	}{
		{"endpoint, idle", false, cutEndpoint}, {"endpoint, busy", true, cutEndpoint},
		{"allow, idle", false, cutAllow}, {"allow, busy", true, cutAllow},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, idle, func(t *testing.T, r *rig) {
				e := r.carried()
				var broken []<-chan error
				for _, conn := range []net.Conn{e.client, e.server} {
					conn.SetDeadline(time.Now().Add(lab.Patience))
					if c.busy {
						broken = append(broken, untilBroken(conn.Write))
					}
					broken = append(broken, untilBroken(conn.Read))
				}
				if c.busy {
					before := r.packets()
					eventually(t, "data flows in the lane", func() bool { return r.packets() > before+1000 })
				}
				router, match := c.cut(r)
				start := time.Now()
				if n, err := flow.Cut(t.Context(), flow.Alone(router.FD()), []flow.Match{match}, r.recheck); err != nil || n != 1 {
					t.Fatalf("cut %d connections, %v; want 1", n, err)
				}
				// A reset is told once, to whoever reads or writes next.
				resets := 0
				for _, b := range broken {
					if err := <-b; errors.Is(err, unix.ECONNRESET) {
						resets++
					} else if !c.busy {
						t.Errorf("an end sees %v, want a reset", err)
					}
				}
				if resets < 2 {
					t.Errorf("%d resets, want one at each end", resets)
				}
				t.Logf("both reset after %v", time.Since(start))
			})
		})
	}
}

// untilBroken reads or writes until the connection breaks, and tells how it did.
func untilBroken(do func([]byte) (int, error)) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		for data := make([]byte, 64<<10); err == nil; {
			_, err = do(data)
		}
		done <- err
	}()
	return done
}

func cutEndpoint(r *rig) (*lab.Namespace, flow.Match) {
	r.Remove(r.TableA, r.door)
	return r.A, flow.Match{Dest: r.endpoint}
}

func cutAllow(r *rig) (*lab.Namespace, flow.Match) {
	r.Remove(r.TableB, r.allow)
	return r.B, flow.Match{Source: r.allow.Source, Dest: r.allow.Target}
}

// With a short timeout, a connection with a packet now and then stays: the lane
// tells connection tracking of what it carries.
func TestTheLaneKeepsConnectionsAlive(t *testing.T) {
	const short, tries = 2 * time.Second, 10
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			for range tries {
				if newRig(t, f, short).staysAlive(t, short) {
					return
				}
			}
			t.Errorf("this machine stands still for %v again and again", short)
		})
	}
}

// staysAlive sends a packet now and then for longer than the timeout. It is false
// when the machine let so much time pass between two that it proves nothing.
func (r *rig) staysAlive(t *testing.T, short time.Duration) (judged bool) {
	t.Helper()
	last := time.Now()
	e := r.carried()
	slow, before := r.slow(), r.counters()
	for start := time.Now(); time.Since(start) < 5*short/2; time.Sleep(short / 4) {
		if time.Since(last) > short*3/4 {
			return false
		}
		last = time.Now()
		if err := pass(e.client, e.server); err != nil {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
	}
	after := r.counters()
	if slow = r.slow() - slow; slow > 0 || after.Learned != before.Learned || after.Forgotten != 0 {
		t.Errorf("%d packets took the slow path; %+v, before %+v", slow, after, before)
	}
	for _, router := range r.routers() {
		if list := r.tracked(router); len(list) != 1 {
			t.Errorf("connection tracking has %v, want one connection", list)
		}
	}
	return true
}

// The timer that the lane sets is the one of the agent, not what the router
// had.
func TestTheLaneRenewsTheTimer(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		for _, router := range r.routers() {
			router.Sysctl("netfilter/nf_conntrack_tcp_timeout_established=100")
		}
		e := r.carried()
		if err := r.recheckAll(); err != nil {
			t.Fatal(err)
		}
		r.carries(e)
		for _, router := range r.routers() {
			list := r.tracked(router)
			if len(list) != 1 || list[0].TimeOut <= 100 {
				t.Errorf("connection tracking has %v, want a timer of %v", list, idle)
			}
		}
	})
}

func TestIdleConnectionsAreForgotten(t *testing.T) {
	const short = 2 * time.Second
	each(t, short, func(t *testing.T, r *rig) {
		e := r.carried()
		for _, router := range r.routers() {
			eventually(t, "connection tracking forgets", func() bool { return len(r.tracked(router)) == 0 })
		}
		before := r.packets()
		if _, err := e.client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		e.client.SetReadDeadline(time.Now().Add(lab.Patience))
		if _, err := e.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client reads %v, want a reset", err)
		}
		if got := r.packets() - before; got > 0 {
			t.Errorf("the lane carried %d packets of a forgotten connection", got)
		}
	})
}
