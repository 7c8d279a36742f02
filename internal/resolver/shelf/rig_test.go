// SPDX-License-Identifier: Apache-2.0

package shelf_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/shelf"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// Where the resolver is asked, and by whom.
var (
	asked   = []string{"10.0.0.2:53", "169.254.169.253:53", "[fd00:ec2::253]:53"}
	network = netip.MustParsePrefix("10.0.0.0/16")
)

const patience = 5 * time.Second

// rig is a workload, its router with rules and express lane, and a resolver that has
// sockets there and a shelf.
type rig struct {
	*lab.Rig
	t      testing.TB
	lane   *express.Lane
	cookie uint64
	shelf  *shelf.Shelf
	server *server.Server
	world  *zone.World

	loopback net.Conn // to the process, past the kernel
}

// beside gives a way to the process on which the kernel answers nothing.
func (r *rig) beside() net.Conn {
	r.t.Helper()
	const at = "127.0.0.1:5353"
	if err := r.server.Add(server.Socket{FD: r.listen(r.A, netip.MustParseAddrPort(at)), VPC: "vpc-a"}); err != nil {
		r.t.Fatal(err)
	}
	return r.dial(r.A, at)
}

// nobody is an upstream that refuses.
type nobody struct{}

func (nobody) Ask(_ server.Onward, done func(wire.Reply)) { done(wire.Reply{Code: wire.Refused}) }

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{Rig: lab.NewRig(t), t: t, shelf: shelf.New(), world: &zone.World{}}
	// The lane's own share of questions is what tests are about.
	r.TableA = lab.OpenShared(t, r.A, desired.Router{VPC: "vpc-a", Source4: lab.SourceA4, Source6: lab.SourceA6}, nft.Shares{Queries: 1 << 30})
	r.TableB = lab.OpenShared(t, r.B, desired.Router{VPC: "vpc-b", Source4: lab.SourceB4, Source6: lab.SourceB6}, nft.Shares{Queries: 1 << 30})
	lane, err := express.Open("t"+testnet.RandomName(6), time.Minute)
	if err != nil {
		testnet.Unable(t, "this kernel has no express lane: "+err.Error())
	}
	t.Cleanup(func() { lane.Close() })
	r.lane = lane
	if err := lane.Questions(1<<20, 1<<20); err != nil {
		t.Fatal(err)
	}
	if r.server, err = server.New(server.Options{Upstream: nobody{}, Shelf: r.shelf}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.server.Close)
	r.cookie = r.serve(r.A, r.TableA, "vpc-a")
	r.hand(r.shelf)
	r.put(
		desired.Resolver{VPC: "vpc-a", Networks: []netip.Prefix{network}, Internal: "ec2.internal"},
		desired.View{VPC: "vpc-a", Zone: "Z1"}, desired.NameZone{ID: "Z1", Name: "db.example.com.", Negative: 5},
		address("www", "10.0.1.100"), address("six", "2001:db8::7"), address("many", "10.0.1.1", "10.0.1.2", "10.0.1.3"),
		desired.NameRecord{Zone: "Z1", Name: "alias.db.example.com.", Type: "CNAME", TTL: 30, Data: []string{"www.db.example.com"}},
		desired.NameRecord{Zone: "Z1", Name: "text.db.example.com.", Type: "TXT", TTL: 30, Data: []string{`"some text"`}},
		desired.NameRecord{Zone: "Z1", Name: "far.db.example.com.", Type: "CNAME", TTL: 30, Data: []string{"www.example.net"}},
	)
	return r
}

// address is a record of a name in the zone.
func address(name string, data ...string) desired.NameRecord {
	kind := "A"
	if strings.Contains(data[0], ":") {
		kind = "AAAA"
	}
	return desired.NameRecord{Zone: "Z1", Name: name + ".db.example.com.", Type: kind, TTL: 60, Data: data}
}

// hand gives a shelf the lane's maps, and makes void what another one has put there.
func (r *rig) hand(s *shelf.Shelf) {
	r.t.Helper()
	given, err := r.lane.Hand()
	if err == nil {
		err = s.Use(shelf.Given(given))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// put changes what is answered.
func (r *rig) put(entries ...desired.Entry) {
	r.t.Helper()
	next, failed := r.world.With(entries, nil)
	for _, err := range failed {
		r.t.Fatal(err)
	}
	r.world = next
	r.server.Swap(next)
}

// serve gives a router the resolver's addresses and the lane, and opens sockets there.
func (r *rig) serve(n *lab.Namespace, table *nft.Table, vpc string) (cookie uint64) {
	r.t.Helper()
	at := desired.NewNameserver(vpc, network)
	r.Put(table, at)
	for _, a := range at.Addrs {
		n.IP("address add " + a.String() + " dev lo" + map[bool]string{true: " nodad"}[a.Is6()])
	}
	for _, a := range asked {
		fd := r.listen(n, netip.MustParseAddrPort(a))
		var err error
		if cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
			err = r.server.Add(server.Socket{FD: fd, VPC: vpc, Router: cookie})
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.shelf.Open(cookie, netip.MustParseAddr("10.0.0.2"))
	r.cover(n, cookie)
	return cookie
}

func (r *rig) listen(n *lab.Namespace, at netip.AddrPort) (fd int) {
	r.t.Helper()
	err := n.Run(func() (err error) {
		family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
		if at.Addr().Is4() {
			family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
		}
		if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, to)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return fd
}

// cover puts the lane on the devices of a router.
func (r *rig) cover(n *lab.Namespace, cookie uint64) {
	r.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(n.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		r.t.Fatal(err)
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range links {
		if strings.ContainsAny(l.Attrs().Name[:1], "wf") {
			if err := r.lane.Cover(h, cookie, l, false); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// names is what the lane did for the resolver of router A.
func (r *rig) names() express.Names {
	r.t.Helper()
	u, err := r.lane.Use(r.cookie)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Names
}

// dial opens a socket of a workload that speaks with the resolver.
func (r *rig) dial(from *lab.Namespace, to string) net.Conn {
	r.t.Helper()
	conn, err := from.Dial("udp", to, nil, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a message and gives what comes back; nothing if nothing does for a while.
func (r *rig) ask(conn net.Conn, message []byte, wait time.Duration) []byte {
	r.t.Helper()
	if _, err := conn.Write(message); err != nil {
		r.t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		r.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// question is a message that asks for a name.
func question(t testing.TB, name string, kind uint16, change func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, kind)
	m.Id = 4711
	if change != nil {
		change(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// byLane asks again and again until an answer came from the lane, and gives the one of
// the process before and that one.
func (r *rig) byLane(conn net.Conn, message []byte) (first, last []byte) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; {
		before := r.names().Answered
		last = r.ask(conn, message, patience)
		if r.names().Answered > before {
			return first, last
		}
		if first == nil {
			first = last
		}
		if time.Now().After(end) {
			r.t.Fatalf("no answer came from the lane; the process said %x", last)
		}
	}
}
