// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/test/lab"
)

// converse opens a connection to a greeter, says something, and closes it.
func (r *rig) converse(from *lab.Namespace) error {
	conn, err := from.Dial("tcp", r.addressOf(5432), nil, lab.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lab.Patience))
	const message = "how do you do\n"
	if _, err := io.WriteString(conn, message); err != nil {
		return err
	}
	said := bufio.NewReader(conn)
	if _, err := said.ReadString('\n'); err != nil { // whom the server sees
		return err
	}
	if echo, err := said.ReadString('\n'); err != nil || echo != message {
		return fmt.Errorf("the server says %q, %v", echo, err)
	}
	return nil
}

// Connections that come and go leave nothing behind.
func TestManyConnections(t *testing.T) {
	const inTurn, atOnce, eachOf = 2000, 64, 10
	each(t, idle, func(t *testing.T, r *rig) {
		for i := range inTurn {
			if err := r.converse(r.Client); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		var all sync.WaitGroup
		for i := range atOnce {
			from := []*lab.Namespace{r.Client, r.Near, r.Far}[i%3]
			all.Go(func() {
				for range eachOf {
					if err := r.converse(from); err != nil {
						t.Errorf("one of many at once: %v", err)
						return
					}
				}
			})
		}
		all.Wait()
		before := r.counters()
		if want := uint64(2 * (inTurn + atOnce*eachOf)); before.Learned < want {
			t.Errorf("connections were remembered %d times, want at least %d: in both routers", before.Learned, want)
		}
		eventually(t, "what is remembered of finished connections goes", func() bool {
			n, err := r.lane.Flows()
			if err != nil {
				t.Fatal(err)
			}
			return n <= 8
		})
		n, err := r.lane.Flows()
		t.Logf("%+v, %d directions left, %v", before, n, err)
	})
}

// With far more connections than it can remember the lane carries what it can,
// and all connections go on.
func TestMoreConnectionsThanRoom(t *testing.T) {
	const room, connections, rounds = 128, 150, 5 // each takes four directions
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newSlowRig(t, f, idle)
			lane, err := express.OpenSmall(r.instance, idle, room)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { lane.Close() })
			r.lane = lane
			r.cover(lane)
			var all []ends
			for range connections {
				all = append(all, r.connect())
			}
			for range rounds {
				for _, e := range all {
					e.exchange(t)
				}
			}
			if n, err := lane.Flows(); err != nil || n > room {
				t.Errorf("%d directions are remembered, %v; there is room for %d", n, err, room)
			}
			if c := r.counters(); c.Learned <= 2*connections || c.Packets == 0 {
				t.Errorf("nothing was thrown away: %+v", c)
			}
			closeAll := func(from, to func(ends) *net.TCPConn) {
				for _, e := range all {
					if err := errors.Join(from(e).CloseWrite(), toEnd(to(e), 0)); err != nil {
						t.Fatal(err)
					}
				}
			}
			client, server := func(e ends) *net.TCPConn { return e.client }, func(e ends) *net.TCPConn { return e.server }
			closeAll(client, server)
			closeAll(server, client)
			for _, router := range r.routers() {
				for _, f := range r.tracked(router) {
					if f.TimeOut > afterHalfClose {
						t.Errorf("a closed connection stays for %d s, want at most %d", f.TimeOut, afterHalfClose)
					}
				}
			}
		})
	}
}
