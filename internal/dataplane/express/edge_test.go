// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// edgeRig is an edge with its rules and the lane, between what could be two routers and
// the outside.
type edgeRig struct {
	*rig
	edge, one, two, outside *lab.Namespace
	table                   *nft.Table
	accepted                map[*lab.Namespace]<-chan net.Conn
}

// Addresses by family.
type edgeAddresses struct{ one, two, outside, denied string }

var (
	edge4 = edgeAddresses{"203.0.113.17", "203.0.113.18", "198.51.100.10", "198.51.100.0/24"}
	edge6 = edgeAddresses{"2001:db8:1::10", "2001:db8:2::10", "2001:db8:f::10", "2001:db8:f::/64"}
)

func (e *edgeRig) addresses() edgeAddresses {
	if e.number == unix.AF_INET6 {
		return edge6
	}
	return edge4
}

func eachEdge(t *testing.T, test func(t *testing.T, e *edgeRig)) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { test(t, newEdge(t, f)) })
	}
}

func newEdge(t *testing.T, f family) *edgeRig {
	t.Helper()
	e := &edgeRig{
		rig:  &rig{family: f, t: t, instance: "t" + testnet.RandomName(6)},
		edge: lab.NewNamespace(t), one: lab.NewNamespace(t), two: lab.NewNamespace(t), outside: lab.NewNamespace(t),
		accepted: map[*lab.Namespace]<-chan net.Conn{},
	}
	for _, n := range []*lab.Namespace{e.edge, e.one, e.two, e.outside} {
		n.Sysctl("ipv6/conf/default/accept_dad=0", "ipv4/conf/all/rp_filter=0", "ipv4/conf/default/rp_filter=0")
	}
	e.edge.Sysctl("ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1")
	for _, end := range []struct {
		device     string
		n          *lab.Namespace
		own4, own6 string
		to4, to6   string
	}{
		{"u1", e.one, edge4.one, edge6.one, edge4.one, edge6.one},
		{"u2", e.two, edge4.two, edge6.two, edge4.two, edge6.two},
		{"wan0", e.outside, edge4.outside, edge6.outside, "default", "::/0"},
	} {
		e.edge.IP(fmt.Sprintf("link add %[1]s mtu 9000 type veth peer name eth0 mtu 9000 netns %s\naddr add 169.254.1.1/32 dev %[1]s\naddr add fe80::1/64 dev %[1]s nodad\nlink set %[1]s up", end.device, end.n.Name))
		end.n.IP(fmt.Sprintf("addr add %s/32 dev eth0\naddr add %s/128 dev eth0 nodad\naddr add fe80::2/64 dev eth0 nodad\nlink set eth0 up\nroute add default via 169.254.1.1 dev eth0 onlink\nroute add ::/0 via fe80::1 dev eth0", end.own4, end.own6))
		e.edge.IP(fmt.Sprintf("route add %s via %s dev %s onlink\nroute add %s via fe80::2 dev %[3]s", end.to4, end.own4, end.device, end.to6))
		e.accepted[end.n] = end.n.Accept(port)
	}
	table, err := nft.Open(e.edge.FD())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	e.table = table
	e.rules()
	e.lane = open(t, e.instance, idle)
	if err := express.Believe(e.lane, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"u1", "u2", "wan0"} {
		h, l := e.device(name)
		if err := e.lane.Cover(h, e.cookie(e.edge.FD()), l, true); err != nil {
			t.Fatal(err)
		}
		if covered, err := e.lane.Covers(h, e.cookie(e.edge.FD()), l, true); !covered || err != nil {
			t.Errorf("%s counts as covered: %t, %v", name, covered, err)
		}
	}
	return e
}

func (e *edgeRig) device(name string) (*netlink.Handle, netlink.Link) {
	e.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(e.edge.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(h.Close)
	l, err := h.LinkByName(name)
	if err != nil {
		e.t.Fatal(err)
	}
	return h, l
}

// rules puts the edge's rules in their place, with what is denied.
func (e *edgeRig) rules(denied ...string) {
	e.t.Helper()
	want := desired.Edge{Name: "wan", Device: "netns:x", Pool: []netip.Prefix{netip.MustParsePrefix("203.0.113.16/28")}}
	for _, p := range denied {
		want.Denied = append(want.Denied, netip.MustParsePrefix(p))
	}
	rules, err := nft.EdgeRules(want, "wan0")
	if err == nil {
		err = e.table.Replace(e.t.Context(), rules)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// open opens a connection through the edge.
func (e *edgeRig) open(from, to *lab.Namespace, address string) ends {
	e.t.Helper()
	client, err := from.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(port)), nil, lab.Patience)
	if err != nil {
		e.t.Fatalf("connect to %s: %v", address, err)
	}
	server := <-e.accepted[to]
	e.t.Cleanup(func() { client.Close(); server.Close() })
	return ends{client.(*net.TCPConn), server.(*net.TCPConn)}
}

// taught opens a connection whose addresses the lane knows then, in both directions.
func (e *edgeRig) taught(from, to *lab.Namespace, address string) ends {
	e.t.Helper()
	c := e.open(from, to, address)
	c.exchange(e.t)
	c.exchange(e.t)
	e.all(func() { c.exchange(e.t) })
	return c
}

// forwarded is how many packets of the family the edge has forwarded itself.
func (e *edgeRig) forwarded() int {
	e.t.Helper()
	if e.number == unix.AF_INET {
		return statistic(e.t, e.edge, "snmp", "Ip:", "ForwDatagrams")
	}
	return statistic(e.t, e.edge, "snmp6", "Ip6OutForwDatagrams", "")
}

// all sees to it that all packets of what is done take the lane.
func (e *edgeRig) all(do func()) {
	e.t.Helper()
	packets, slow := e.packets(), e.forwarded()
	do()
	if packets, slow = e.packets()-packets, e.forwarded()-slow; packets < 2 || slow > 0 {
		e.t.Errorf("%d packets took the lane and %d the slow path, want at least 2 and none", packets, slow)
	}
}

// What has passed the edge once passes by the lane: a later connection between the same
// addresses from its first packet to its last one, out, in, and from router to router.
func TestAnEdgeCarriesWhatHasPassed(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		a := e.addresses()
		for _, way := range []struct {
			from, to *lab.Namespace
			address  string
		}{{e.one, e.outside, a.outside}, {e.outside, e.one, a.one}, {e.one, e.two, a.two}} {
			e.taught(way.from, way.to, way.address)
			e.all(func() {
				c := e.open(way.from, way.to, way.address)
				c.exchange(t)
				if err := closeInTurn(c.client, c.server, 0); err != nil {
					t.Error(err)
				}
			})
		}
		if u, err := e.lane.Use(e.cookie(e.edge.FD())); u.Packets == 0 || err != nil {
			t.Errorf("the edge has %+v, %v", u, err)
		}
		for c, err := range e.lane.Connections() {
			t.Errorf("the edge remembers the connection %+v, %v", c, err)
		}
	})
}

// watch counts what comes to the rules with an address of the first router from elsewhere.
func (e *edgeRig) watch() (forged func() int) {
	e.t.Helper()
	const count = "add rule inet seen c iifname != u1 "
	e.edge.Nft("add table inet seen; add chain inet seen c { type filter hook prerouting priority -310; }; " +
		count + "ip saddr " + edge4.one + " counter; " + count + "ip6 saddr " + edge6.one + " counter")
	return func() (sum int) {
		for line := range strings.Lines(e.edge.Nft("list", "chain", "inet", "seen", "c")) {
			if _, counted, ok := strings.Cut(line, "counter packets "); ok {
				var packets int
				fmt.Sscan(counted, &packets)
				sum += packets
			}
		}
		return sum
	}
}

// Whoever sends with the address of another does not get by with what that one's packets
// have taught.
func TestAnEdgeBelievesNoForgedSource(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		a := e.addresses()
		c := e.taught(e.one, e.outside, a.outside)
		before := e.counters()
		server := c.server.LocalAddr().(*net.TCPAddr).AddrPort()
		forged := testnet.Segment{From: c.local(t), To: netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), Data: "forged"}
		came, atServer := e.watch(), e.outside.Tap(t)
		for i, f := range []byte{testnet.ACK | testnet.PSH, testnet.ACK, testnet.RST, testnet.SYN} {
			forged.Flags = f
			testnet.Send(t, e.two.NS, forged)
			eventually(t, "the rules are asked about what is forged", func() bool { return came() == i+1 })
		}
		testnet.Send(t, e.outside.NS, testnet.Segment{
			From: netip.AddrPortFrom(netip.MustParseAddr(a.one), 40000), To: netip.AddrPortFrom(netip.MustParseAddr(a.two), port), Flags: testnet.ACK,
		})
		eventually(t, "the rules are asked about an address of ours from outside", func() bool { return came() == 5 })
		if after := e.counters(); after != before {
			t.Errorf("the lane did %+v, before %+v", after, before)
		}
		e.all(func() { c.exchange(t) })
		if s, _ := atServer.Segment(lab.Patience, func(s testnet.Segment) bool { return len(s.Data) > 0 }); s.Data != "x" {
			t.Errorf("the server is sent %q first, want what the client has said", s.Data)
		}
	})
}

// When the agent has said that something has changed, everything is asked about anew.
func TestAnEdgeAsksAgain(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		a := e.addresses()
		c := e.taught(e.one, e.outside, a.outside)
		again := func() {
			t.Helper()
			if err := e.lane.Recheck(e.cookie(e.edge.FD())); err != nil {
				t.Fatal(err)
			}
		}
		again()
		slow := e.forwarded()
		c.exchange(t)
		if e.forwarded() == slow {
			t.Error("nothing is asked about")
		}
		c.exchange(t)
		e.all(func() { c.exchange(t) })
		e.rules(a.denied)
		again()
		if _, err := c.client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		c.client.SetReadDeadline(time.Now().Add(lab.Patience))
		if _, err := c.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("to what is denied now: %v, want a reset", err)
		}
	})
}

// What was asked before something changed is not taken for what holds now: a packet that
// has come in under another generation teaches nothing.
func TestAnEdgeLearnsNothingOutdated(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		e.edge.Nft("add table inet late; add chain inet late c { type filter hook forward priority 10; }; add rule inet late c meta mark != 0 meta mark set 0x80000000")
		c := e.open(e.one, e.outside, e.addresses().outside)
		for range 3 {
			c.exchange(t)
		}
		if got := e.packets(); got != 0 {
			t.Errorf("%d packets took the lane", got)
		}
		e.edge.Nft("delete", "table", "inet", "late")
		c.exchange(t)
		c.exchange(t)
		e.all(func() { c.exchange(t) })
	})
}

// Of a link with smaller frames behind the edge the ends learn by the size of segments
// in first packets, also when these could take the lane; and what does not fit is not
// carried.
func TestAnEdgeNamesSegmentSizes(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		e.edge.IP("link set wan0 mtu 1500")
		a := e.addresses()
		e.taught(e.one, e.outside, a.outside)
		c := e.open(e.one, e.outside, a.outside)
		for _, end := range []*net.TCPConn{c.client, c.server} {
			if got := info(t, end).Snd_mss; got > 1460 {
				t.Errorf("an end sends segments of %d bytes", got)
			}
		}
		errs, server := e.one.Tap(t), c.server.LocalAddr().(*net.TCPAddr).AddrPort()
		before := e.packets()
		testnet.Send(t, e.one.NS, testnet.Segment{
			From: c.local(t), To: netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), Flags: testnet.ACK, Data: strings.Repeat("x", 1480), Hops: 9,
		})
		if e.number == unix.AF_INET6 {
			if errs.Next(lab.Patience, func(packet []byte) bool {
				typ, _, _, ok := icmp(packet)
				return ok && typ == 2 // packet too big
			}) == nil {
				t.Error("no error comes back")
			}
			if got := e.packets() - before; got != 0 {
				t.Errorf("the lane carried %d packets that were too big", got)
			}
		}
	})
}

// A packet that may go no further is told of.
func TestAnEdgeCountsHops(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		a := e.addresses()
		c := e.open(e.one, e.outside, a.outside)
		slow := hops(t, e.outside, c.client, c.server)
		c.exchange(t)
		c.exchange(t)
		e.all(func() {
			c.exchange(t)
			if got := hops(t, e.outside, c.client, c.server); got != slow {
				t.Errorf("%d hops left, on the slow path %d", got, slow)
			}
		})
		server := c.server.LocalAddr().(*net.TCPAddr).AddrPort()
		errs, before := e.one.Tap(t), e.packets()
		testnet.Send(t, e.one.NS, testnet.Segment{
			From: c.local(t), To: netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), Flags: testnet.ACK | testnet.PSH, Hops: 1, Data: "tired",
		})
		if errs.Next(lab.Patience, func(packet []byte) bool {
			typ, _, _, ok := icmp(packet)
			return ok && (packet[0]>>4 == 4 && typ == 11 || packet[0]>>4 == 6 && typ == 3) // time exceeded
		}) == nil {
			t.Error("no error comes back")
		}
		if got := e.packets() - before; got != 0 {
			t.Errorf("the lane carried %d packets that may go no further", got)
		}
	})
}

// What leaves by a device that the lane does not know takes the slow path, and a device
// that has only a router's part of the program is not covered.
func TestAnEdgeKnowsItsDevices(t *testing.T) {
	eachEdge(t, func(t *testing.T, e *edgeRig) {
		a := e.addresses()
		c := e.taught(e.one, e.outside, a.outside)
		h, l := e.device("wan0")
		if covered, err := e.lane.Covers(h, e.cookie(e.edge.FD()), l, false); covered || err != nil {
			t.Errorf("wan0 counts as a router's device: %t, %v", covered, err)
		}
		if err := e.lane.Uncover(e.cookie(e.edge.FD()), l.Attrs().Index); err != nil {
			t.Fatal(err)
		}
		before := e.packets()
		for range 3 {
			c.exchange(t)
		}
		if got := e.packets() - before; got != 0 {
			t.Errorf("%d packets took the lane", got)
		}
	})
}
