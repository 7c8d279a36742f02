// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/test/lab"
)

// header is what TCP with its timestamps and IP put before data.
var header = map[string]uint64{"IPv4": 20 + 20 + 12, "IPv6": 40 + 20 + 12}

// connections reads what the lane remembers, by router.
func (r *rig) connections() map[uint64]express.Connection {
	r.t.Helper()
	all := map[uint64]express.Connection{}
	for c, err := range r.lane.Connections() {
		if err != nil {
			r.t.Fatal(err)
		}
		all[c.Router] = c
	}
	return all
}

// stream sends so many bytes, and returns when they were read.
func stream(t *testing.T, from, to net.Conn, bytes int) {
	t.Helper()
	failed := make(chan error, 1)
	go func() { _, err := from.Write(make([]byte, bytes)); failed <- err }()
	if _, err := io.CopyN(io.Discard, to, int64(bytes)); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// Each direction of a connection is counted in each router, under the addresses
// that it has there, and so is each router.
func TestTrafficIsCounted(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		a, b := r.cookie(r.A.FD()), r.cookie(r.B.FD())
		for _, n := range []*lab.Namespace{r.Client, r.Server} {
			n.Sysctl("ipv4/tcp_sack=0") // all headers are of one length
		}
		e := r.connect()
		for range 3 {
			stream(t, e.client, e.server, 1_000_000)
			stream(t, e.server, e.client, 300_000)
			if err := r.recheckAll(); err != nil { // what was counted stays
				t.Fatal(err)
			}
		}
		// The last acknowledgements are on their way yet.
		var all map[uint64]express.Connection
		eventually(t, "both routers have counted all packets of the connection", func() bool {
			all = r.connections()
			return len(all) == 2 && all[a].Sent == all[b].Sent && all[a].Answered == all[b].Answered &&
				r.usage(r.A).Traffic == r.usage(r.B).Traffic
		})
		for _, c := range all {
			for _, d := range []struct {
				name string
				got  express.Traffic
				from *net.TCPConn
			}{{"sent", c.Sent, e.client}, {"answered", c.Answered, e.server}} {
				// The handshake takes the slow path and carries nothing.
				if want := info(t, d.from).Bytes_sent + d.got.Packets*header[r.name]; d.got.Bytes != want || d.got.Packets == 0 {
					t.Errorf("%s: %+v, want %d bytes", d.name, d.got, want)
				}
			}
		}
		if c, other := all[a], all[b]; c.Opener != e.local(t) || c.Asked != netip.AddrPortFrom(r.endpoint, port) ||
			c.Known != other.Opener || c.Answerer != other.Asked {
			t.Errorf("%+v goes on as %+v", c, other)
		}
		if c := all[b]; c.Answerer.String() != e.server.LocalAddr().String() || c.Known.String() != e.server.RemoteAddr().String() {
			t.Errorf("%+v, want from %v to %v", c, e.server.RemoteAddr(), e.server.LocalAddr())
		}
		for _, router := range r.routers() {
			c := all[r.cookie(router.FD())]
			want := express.Traffic{Packets: c.Sent.Packets + c.Answered.Packets, Bytes: c.Sent.Bytes + c.Answered.Bytes}
			if u := r.usage(router); u.Traffic != want {
				t.Errorf("a router has carried %+v, want %+v", u, want)
			}
		}
	})
}

// What was carried of routers that are gone stays in the sum, and a router that
// comes in the place of another begins with nothing.
func TestTotalsOutliveTheirRouters(t *testing.T) {
	r := newRig(t, families[0], idle)
	e := r.carried()
	before, a := r.counters(), r.usage(r.A)
	if a.Packets == 0 || a.Bytes == 0 {
		t.Errorf("a router has carried %+v", a)
	}
	if err := r.lane.Leave(r.cookie(r.A.FD())); err != nil {
		t.Fatal(err)
	}
	after := r.counters()
	if after.Traffic != before.Traffic || after.Routers != before.Routers-1 {
		t.Errorf("%+v after %+v", after, before)
	}
	e.exchange(t) // in the lane of the other router
	r.cover(r.lane)
	if u := r.usage(r.A); u.Packets != 0 || u.Connections != 0 {
		t.Errorf("a new router begins with %+v", u)
	}
	r.carries(e)
}

// Looking again in one router leaves what is known of others alone.
func TestLookingAgainIsForOneRouter(t *testing.T) {
	r := newRig(t, families[0], idle)
	other := newSlowRig(t, families[0], idle)
	other.lane = r.lane
	other.cover(r.lane)
	r.carried()
	e := other.carried()
	// Whoever asks now is told of no connection.
	for _, n := range other.routers() {
		forgetAll(t, n)
	}
	if err := r.recheckAll(); err != nil {
		t.Fatal(err)
	}
	before := r.counters()
	e.exchange(t)
	if after := r.counters(); after.Forgotten != before.Forgotten {
		t.Errorf("the connection of another router was asked about: %+v", after)
	}
	if err := other.recheckAll(); err != nil {
		t.Fatal(err)
	}
	e.client.Write([]byte("x"))
	eventually(t, "the connection is asked about", func() bool { return r.counters().Forgotten > before.Forgotten })
}

// forgetAll empties the connection tracking of a router, as a person could.
func forgetAll(t *testing.T, n *lab.Namespace) {
	t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(n.FD()), unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		t.Fatal(err)
	}
}
