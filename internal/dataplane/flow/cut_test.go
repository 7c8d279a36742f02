// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/test/lab"
)

// open connects a client in A with the server in B and returns both ends.
func open(t *testing.T, r *lab.Rig, address string) (client, server net.Conn) {
	t.Helper()
	accepted := r.Server.Accept(7000)
	client, err := r.Client.Dial("tcp", address, nil, lab.Patience)
	if err != nil {
		t.Fatalf("connect to %s: %v", address, err)
	}
	select {
	case server = <-accepted:
	case <-time.After(lab.Patience):
		t.Fatal("the server accepts nothing")
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// end is one end of a connection. A reset is told once, to whoever reads or
// writes next.
type end struct {
	name  string
	conn  net.Conn
	wrote chan error // how writing ended, when it is done
}

// pour writes until the connection breaks.
func (e *end) pour() {
	e.wrote = make(chan error, 1)
	conn, wrote := e.conn, e.wrote
	go func() {
		data := make([]byte, 16<<10)
		for {
			if _, err := conn.Write(data); err != nil {
				wrote <- err
				return
			}
		}
	}()
}

// resets waits for the reset.
func (e *end) resets(t *testing.T) {
	t.Helper()
	e.conn.SetDeadline(time.Now().Add(lab.Patience))
	buffer := make([]byte, 64<<10)
	for {
		_, err := e.conn.Read(buffer)
		if err == nil {
			continue
		}
		if e.wrote != nil && !errors.Is(err, unix.ECONNRESET) {
			err = <-e.wrote
		}
		if !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: %v, want a reset", e.name, err)
		}
		return
	}
}

func TestCutResetsBothEnds(t *testing.T) {
	for _, c := range []struct {
		name, address string
		busy          bool
		cut           func(r *lab.Rig) (*lab.Namespace, flow.Match)
	}{
		{"endpoint, idle", "10.0.1.100:7000", false, cutEndpoint(lab.Endpoint4.Addr)},
		{"endpoint, busy", "10.0.1.100:7000", true, cutEndpoint(lab.Endpoint4.Addr)},
		{"endpoint, idle, IPv6", "[2001:db8:0:1::100]:7000", false, cutEndpoint(lab.Endpoint6.Addr)},
		{"endpoint, busy, IPv6", "[2001:db8:0:1::100]:7000", true, cutEndpoint(lab.Endpoint6.Addr)},
		{"allow, idle", "10.0.1.100:7000", false, cutAllow(lab.SourceA4, lab.Target4)},
		{"allow, busy", "10.0.1.100:7000", true, cutAllow(lab.SourceA4, lab.Target4)},
		{"allow, idle, IPv6", "[2001:db8:0:1::100]:7000", false, cutAllow(lab.SourceA6, lab.Target6)},
		{"target, idle", "10.0.1.100:7000", false, cutTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := lab.NewRig(t)
			r.OpenPort(7000)
			client, server := open(t, r, c.address)
			ends := []end{{"client", client, nil}, {"server", server, nil}}
			for i := range ends {
				if c.busy {
					ends[i].pour()
				}
			}
			router, match := c.cut(r)
			start := time.Now()
			n, err := flow.Cut(t.Context(), flow.Alone(router.FD()), []flow.Match{match}, nil)
			if err != nil || n != 1 {
				t.Fatalf("cut %d connections, %v; want 1", n, err)
			}
			for _, e := range ends {
				e.resets(t)
			}
			t.Logf("both reset after %v", time.Since(start))
		})
	}
}

func cutEndpoint(addr netip.Addr) func(*lab.Rig) (*lab.Namespace, flow.Match) {
	return func(r *lab.Rig) (*lab.Namespace, flow.Match) {
		e := lab.Endpoint4
		if addr.Is6() {
			e = lab.Endpoint6
		}
		r.Remove(r.TableA, e)
		return r.A, flow.Match{Dest: addr}
	}
}

func cutAllow(source netip.Prefix, target netip.Addr) func(*lab.Rig) (*lab.Namespace, flow.Match) {
	return func(r *lab.Rig) (*lab.Namespace, flow.Match) {
		a := lab.Allow4
		if target.Is6() {
			a = lab.Allow6
		}
		r.Remove(r.TableB, a)
		return r.B, flow.Match{Source: source, Dest: target}
	}
}

func cutTarget(r *lab.Rig) (*lab.Namespace, flow.Match) {
	r.Remove(r.TableB, lab.TargetEntry4)
	return r.B, flow.Match{Dest: lab.Target4}
}

func TestCutLeavesOthersAlone(t *testing.T) {
	r := lab.NewRig(t)
	r.OpenPort(7000)
	client, server := open(t, r, "10.0.1.100:7000")
	for _, m := range [][]flow.Match{
		nil, {{}}, {{Dest: netip.MustParseAddr("10.0.1.101")}},
		{{Source: netip.MustParsePrefix("10.0.2.0/24"), Dest: lab.Endpoint4.Addr}},
	} {
		if n, err := flow.Cut(t.Context(), flow.Alone(r.A.FD()), m, nil); n != 0 || err != nil {
			t.Errorf("%v cut %d connections, %v", m, n, err)
		}
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	server.SetReadDeadline(time.Now().Add(lab.Patience))
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
