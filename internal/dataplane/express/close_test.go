// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// How long connection tracking may keep a connection that has been closed, one
// of which it has seen a part of the closing, and one that was reset, in seconds.
const (
	afterClose     = 60
	afterHalfClose = 120
	afterReset     = 10
)

// ways are the ways for a connection to be closed by both ends.
var ways = []struct {
	name  string
	close func(e ends) error
}{
	{"client first", func(e ends) error { return closeInTurn(e.client, e.server, 0) }},
	{"server first", func(e ends) error { return closeInTurn(e.server, e.client, 0) }},
	{"client first, half closed for a while", func(e ends) error { return closeInTurn(e.client, e.server, 4<<20) }},
	{"server first, half closed for a while", func(e ends) error { return closeInTurn(e.server, e.client, 4<<20) }},
	{"both at once", closeAtOnce},
}

// closeInTurn closes one direction, sends so much in the other, and closes that.
func closeInTurn(first, second *net.TCPConn, size int) error {
	if err := errors.Join(first.CloseWrite(), toEnd(second, 0)); err != nil {
		return err
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := second.Write(make([]byte, size))
		wrote <- errors.Join(err, second.Close())
	}()
	return errors.Join(toEnd(first, size), <-wrote, first.Close())
}

// toEnd reads so much and then the end.
func toEnd(conn net.Conn, size int) error {
	conn.SetReadDeadline(time.Now().Add(lab.Patience))
	n, err := io.Copy(io.Discard, struct{ io.Reader }{conn})
	if err == nil && n != int64(size) {
		err = fmt.Errorf("%d bytes before the end, want %d", n, size)
	}
	return err
}

// closeAtOnce lets the ends of both directions cross, if the kernel does both
// in time.
func closeAtOnce(e ends) error {
	list := []*net.TCPConn{e.client, e.server}
	errs := make([]error, len(list))
	var start, done sync.WaitGroup
	start.Add(1)
	for i, conn := range list {
		done.Go(func() {
			start.Wait()
			errs[i] = conn.CloseWrite()
		})
	}
	start.Done()
	done.Wait()
	for _, conn := range list {
		errs = append(errs, toEnd(conn, 0), conn.Close())
	}
	return errors.Join(errs...)
}

func TestClosedConnectionsAreForgottenInTime(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			each(t, idle, func(t *testing.T, r *rig) {
				const connections = 20
				ports := map[netip.AddrPort]bool{} // the kernel may take one twice
				for range connections {
					e := r.carried()
					ports[e.local(t)] = true
					if err := w.close(e); err != nil {
						t.Fatal(err)
					}
				}
				for _, router := range r.routers() {
					eventually(t, "connection tracking knows of the end", func() bool {
						return !slices.ContainsFunc(r.tracked(router), func(f *netlink.ConntrackFlow) bool { return f.Mark&closed == 0 })
					})
					list := r.tracked(router)
					if len(list) != len(ports) {
						t.Errorf("%d connections are tracked, want %d", len(list), len(ports))
					}
					for _, f := range list {
						if f.TimeOut > afterClose {
							t.Errorf("a closed connection stays for %d s, want at most %d", f.TimeOut, afterClose)
						}
					}
				}
			})
		})
	}
}

func TestResetsReachTheOtherEnd(t *testing.T) {
	for _, fromServer := range []bool{false, true} {
		t.Run(fmt.Sprintf("from server %v", fromServer), func(t *testing.T) {
			each(t, idle, func(t *testing.T, r *rig) {
				e := r.carried()
				from, to := e.client, e.server
				if fromServer {
					from, to = to, from
				}
				if err := errors.Join(from.SetLinger(0), from.Close()); err != nil {
					t.Fatal(err)
				}
				to.SetReadDeadline(time.Now().Add(lab.Patience))
				if _, err := to.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("the other end reads %v, want a reset", err)
				}
				for _, router := range r.routers() {
					for _, f := range r.tracked(router) {
						if f.TimeOut > afterReset {
							t.Errorf("a reset connection stays for %d s, want at most %d: %v", f.TimeOut, afterReset, f)
						}
					}
				}
				if n, err := r.lane.Flows(); n > 0 || err != nil {
					t.Errorf("the lane remembers %d directions of it, %v", n, err)
				}
			})
		})
	}
}

// again closes a connection in the lane and returns its source port, for which
// the client has no use then. Connection tracking still has it.
func (r *rig) again(serverFirst bool) int {
	r.t.Helper()
	// The client does not keep the ports of what it has closed.
	r.Client.Sysctl("ipv4/tcp_max_tw_buckets=0")
	e := r.carried()
	source := e.client.LocalAddr().(*net.TCPAddr).Port
	first, second := e.client, e.server
	if serverFirst {
		first, second = second, first
	}
	if err := closeInTurn(first, second, 0); err != nil {
		r.t.Fatal(err)
	}
	for _, router := range r.routers() {
		if list := r.tracked(router); len(list) != 1 {
			r.t.Fatalf("connection tracking has %v, want the closed connection", list)
		}
	}
	return source
}

func TestSourcePortsCanBeUsedAgain(t *testing.T) {
	for _, serverFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("server first %v", serverFirst), func(t *testing.T) {
			each(t, idle, func(t *testing.T, r *rig) {
				source := r.again(serverFirst)
				e := r.connectFrom(r.Client, source)
				if n := info(t, e.client).Total_retrans; n > 0 {
					t.Errorf("connecting from the same port took %d repetitions", n)
				}
				r.carries(e)
			})
		})
	}
}

// A connection from the same port is a new one for the rules.
func TestSourcePortsAreAdmittedAnew(t *testing.T) {
	none := []desired.Rule(nil)
	for _, c := range []struct {
		name    string
		shut    func(r *rig)
		refused bool // and not dropped
	}{
		{"door shut", func(r *rig) { r.OpenPort(7001) }, true},
		{"endpoint gone", func(r *rig) { r.Remove(r.TableA, r.door) }, true},
		{"allow gone", func(r *rig) { r.Remove(r.TableB, r.allow) }, true},
		{"endpoint's class shut", func(r *rig) { r.Put(r.TableA, lab.Class("vpc-a", "c-end", none, nil)) }, false},
		{"client's class shut", func(r *rig) { r.Put(r.TableA, lab.Class("vpc-a", "c-work", lab.AnyRules, none)) }, false},
		{"server's class shut", func(r *rig) { r.Put(r.TableB, lab.Class("vpc-b", "c-server", none, nil)) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, idle, func(t *testing.T, r *rig) {
				source := r.again(true)
				c.shut(r)
				asks := r.Client.Tap(t)
				asks.Leaving = true
				asked := func() bool {
					_, ok := asks.Segment(0, func(s testnet.Segment) bool { return int(s.From.Port()) == source && s.Flags == testnet.SYN })
					return ok
				}
				patience := lab.Patience
				if !c.refused {
					patience = time.Second / 3 // shorter than the retry of a lost SYN
				}
				conn, err := r.Client.Dial("tcp", r.address(), &net.TCPAddr{Port: source}, patience)
				if err == nil {
					conn.Close()
				}
				var timeout net.Error
				dropped := errors.As(err, &timeout) && timeout.Timeout()
				if c.refused != errors.Is(err, unix.ECONNREFUSED) || !c.refused && !dropped {
					t.Errorf("connect: %v; want a refusal: %v, want silence: %v", err, c.refused, !c.refused)
				}
				if c.refused && (!asked() || asked()) {
					t.Error("what is refused is not refused when it asks first")
				}
			})
		})
	}
}

// lateAcknowledgement closes a connection that is in the lane, and returns an
// acknowledgement of the client to which the server, which keeps the connection
// in TIME_WAIT, says nothing.
func (r *rig) lateAcknowledgement(t *testing.T) testnet.Segment {
	t.Helper()
	e := r.carried()
	seen := r.Client.Tap(t)
	seen.Leaving = true
	from := e.local(t)
	e.exchange(t)
	s, ok := seen.Segment(lab.Patience, func(s testnet.Segment) bool { return s.From == from && len(s.Data) > 0 })
	if !ok {
		t.Fatal("no packet of the connection is seen")
	}
	if err := closeInTurn(e.server, e.client, 0); err != nil {
		t.Fatal(err)
	}
	return testnet.Segment{
		From: from, To: netip.AddrPortFrom(r.endpoint, port), Hops: 64, Flags: testnet.ACK,
		Sequence: s.Sequence + 2, Answer: s.Answer + 2, // the byte and FIN, both ways
	}
}

// shortest is for how long the routers keep the test's connections at least.
func (r *rig) shortest() (least uint32) {
	r.t.Helper()
	least = uint32(idle / time.Second)
	for _, router := range r.routers() {
		for _, f := range r.tracked(router) {
			least = min(least, f.TimeOut)
		}
	}
	return least
}

// The ends acknowledge for a while after both have closed, when data was under
// way: a late acknowledgement does not bring a closed connection back.
func TestLateAcknowledgementsDoNotKeepClosedConnections(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		late := r.lateAcknowledgement(t)
		before := r.slow() + r.packets()
		testnet.Send(t, r.Client.NS, late)
		eventually(t, "the packet passes both routers", func() bool { return r.slow()+r.packets() >= before+2 })
		for _, router := range r.routers() {
			for _, f := range r.tracked(router) {
				if f.TimeOut > afterClose {
					t.Errorf("a closed connection stays for %d s, want at most %d", f.TimeOut, afterClose)
				}
			}
		}
	})
}

// When something was lost, packets come for a while after both ends have closed,
// and after each of them the connection is kept for as long as at first.
func TestLatePacketsKeepAClosedConnectionForAWhile(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		late := r.lateAcknowledgement(t)
		eventually(t, "time passes", func() bool { return r.shortest() < afterClose-1 })
		testnet.Send(t, r.Client.NS, late)
		eventually(t, "the connection is kept for as long as at first", func() bool { return r.shortest() >= afterClose-1 })
	})
}
