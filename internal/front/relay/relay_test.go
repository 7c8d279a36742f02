// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/front/relay"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/test/testnet"
)

// rig is a relay in a namespace where addresses of endpoints are at home; targets are on the
// loopback of the test.
type rig struct {
	t      *testing.T
	ns     *testnet.NS
	folder string
	plan   relay.Plan
	log    *lines
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func newRig(t *testing.T) *rig {
	testnet.Require(t)
	r := &rig{t: t, ns: testnet.New(t), folder: t.TempDir(), log: &lines{}}
	for _, block := range []netip.Prefix{model.RelayBlock4, model.RelayBlock6} {
		if out, err := exec.Command("ip", "-n", r.ns.Name, "route", "add", "local", block.String(), "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	r.plan = relay.Plan{Identity: "one", Namespace: r.ns.Name, Idle: time.Hour}
	return r
}

// lead changes the plan.
func (r *rig) lead(ways ...relay.Way) {
	r.t.Helper()
	r.plan.Ways = ways
	if err := relay.Write(r.folder, relay.PlanName, r.plan); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a process of the relay, as far as it is one, and gives what is closed at its end.
func (r *rig) run(identity string) <-chan struct{} {
	ctx, stop := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := relay.Run(ctx, relay.Config{Folder: r.folder, Identity: identity, Log: slog.New(slog.NewTextHandler(r.log, nil))}); err != nil {
			r.t.Error(err)
		}
	}()
	r.t.Cleanup(func() { stop(); <-ended })
	return ended
}

// target answers with its name and then with what comes, until that ends.
func (r *rig) target(name string) (relay.Target, net.Listener) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, name)
				_, _ = io.Copy(c, c)
				_, _ = io.WriteString(c, " bye")
			}()
		}
	}()
	return relay.Target{Host: "127.0.0.1", Port: uint16(l.Addr().(*net.TCPAddr).Port)}, l
}

// dial connects to an endpoint, as soon as somebody listens.
func (r *rig) dial(index int, is4 bool, port int) *net.TCPConn {
	r.t.Helper()
	at := net.JoinHostPort(model.TransitTarget{Index: index}.RelayAddr(is4).String(), strconv.Itoa(port))
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		c, err := r.ns.Dial(r.t.Context(), "tcp", at)
		if err == nil {
			r.t.Cleanup(func() { c.Close() })
			_ = c.SetDeadline(time.Now().Add(testnet.Patience))
			return c.(*net.TCPConn)
		}
		if time.Since(start) > testnet.Patience {
			r.t.Fatal(err)
		}
	}
}

// said reads as much as a text has.
func said(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got[:n], err, want)
	}
}

// Connections come to the targets of the endpoint's service in turn, those of either family,
// and each side may end by itself.
func TestTheAddressSaysTheService(t *testing.T) {
	r := newRig(t)
	a, _ := r.target("a")
	b, _ := r.target("b")
	c, _ := r.target("c")
	r.lead(
		relay.Way{Endpoint: "vpce-1", Index: 1, Ports: []uint16{80, 443}, Targets: []relay.Target{a, b}},
		relay.Way{Endpoint: "vpce-2", Index: 2, Ports: []uint16{443}, Targets: []relay.Target{{Host: "localhost", Port: c.Port}}},
	)
	r.run("one")
	for _, turn := range []struct {
		index, port int
		is4         bool
		want        string
	}{{1, 80, true, "a"}, {1, 443, true, "b"}, {1, 80, false, "a"}, {2, 443, true, "c"}, {2, 443, false, "c"}} {
		conn := r.dial(turn.index, turn.is4, turn.port)
		if _, err := io.WriteString(conn, " question"); err != nil {
			t.Fatal(err)
		}
		_ = conn.CloseWrite()
		if got, err := io.ReadAll(conn); err != nil || string(got) != turn.want+" question bye" {
			t.Errorf("%+v: %q, %v", turn, got, err)
		}
	}
	refused(t, r.dial(2, true, 80)) // a port of another service
	refused(t, r.dial(3, true, 80)) // no endpoint
}

// refused wants a connection to be reset.
func refused(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.ReadAll(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it ends with %v, want a reset", err)
	}
}

// A target that does not answer is passed over; when none does, the client is told at once,
// and the operator once.
func TestTargetsThatDoNotAnswer(t *testing.T) {
	r := newRig(t)
	up, _ := r.target("up")
	down, closed := r.target("down")
	closed.Close()
	r.lead(
		relay.Way{Endpoint: "vpce-1", Index: 1, Ports: []uint16{80}, Targets: []relay.Target{down, up}},
		relay.Way{Endpoint: "vpce-2", Index: 2, Ports: []uint16{80}, Targets: []relay.Target{down}},
	)
	r.run("one")
	for range 3 {
		said(t, r.dial(1, true, 80), "up")
		refused(t, r.dial(2, true, 80))
	}
	r.await(func(s relay.Status) bool {
		return s.Relayed == 3 && s.Refused >= 3 && s.Problems["vpce-2"] != "" && s.Problems["vpce-1"] == ""
	})
	if n := r.log.count("endpoint=vpce-2"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	r.lead(relay.Way{Endpoint: "vpce-2", Index: 2, Ports: []uint16{80}, Targets: []relay.Target{up}})
	r.await(func(s relay.Status) bool {
		if s.Problems["vpce-2"] != "" {
			_, _ = io.ReadFull(r.dial(2, true, 80), make([]byte, 1))
		}
		return s.Problems["vpce-2"] == ""
	})
}

// await waits for a status.
func (r *rig) await(is func(relay.Status) bool) {
	r.t.Helper()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var s relay.Status
		if ok, err := relay.Read(r.folder, relay.StatusName, &s); ok && err == nil && is(s) {
			return
		}
		if time.Since(start) > testnet.Patience {
			r.t.Fatalf("the status stays %+v", s)
		}
	}
}

// Another process takes new connections over, and the one before goes on with its own and
// ends with them; connections are no reason to stay when it is told to end.
func TestAnotherProcessTakesOver(t *testing.T) {
	r := newRig(t)
	to, _ := r.target("t")
	w := relay.Way{Endpoint: "vpce-1", Index: 1, Ports: []uint16{80}, Targets: []relay.Target{to}}
	r.lead(w)
	first := r.run("one")
	kept := r.dial(1, true, 80)
	said(t, kept, "t")
	if lock, err := relay.TryLock(r.folder); lock != nil || err != nil {
		t.Errorf("nobody has the lock: %v", err)
	}
	r.plan.Identity = "two"
	r.lead(w)
	second := r.run("two")
	r.await(func(s relay.Status) bool { return s.Identity == "two" })
	newer := r.dial(1, true, 80)
	said(t, newer, "t")
	if err := testnet.Echo(kept, "still here\n"); err != nil {
		t.Error(err)
	}
	select {
	case <-first:
		t.Error("the first process ended before its connection")
	default:
	}
	_ = kept.CloseWrite()
	if _, err := io.ReadAll(kept); err != nil {
		t.Error(err)
	}
	<-first
	r.lead()
	newer.Close()
	<-second
	if lock, err := relay.TryLock(r.folder); lock == nil || err != nil {
		t.Errorf("somebody has the lock still: %v", err)
	} else {
		lock.Release()
	}
}

// A connection on which nothing comes for the idle time ends, and one that is used does not.
func TestIdleConnectionsEnd(t *testing.T) {
	r := newRig(t)
	to, _ := r.target("t")
	r.plan.Idle = 300 * time.Millisecond
	r.lead(relay.Way{Endpoint: "vpce-1", Index: 1, Ports: []uint16{80}, Targets: []relay.Target{to}})
	r.run("one")
	c := r.dial(1, true, 80)
	said(t, c, "t")
	refused(t, c)
}
