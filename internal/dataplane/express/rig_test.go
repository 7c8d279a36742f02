// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

const (
	port   = 7000
	idle   = 350 * time.Second
	closed = 1 << 31 // the mark of a connection whose end the lane has seen
)

// family is what differs between the versions of IP.
type family struct {
	name                        string
	number                      netlink.InetFamily
	client, neighbour, endpoint netip.Addr
	door                        desired.Endpoint
	allow                       desired.Allow
}

var families = []family{
	{"IPv4", unix.AF_INET, netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("10.0.1.74"), lab.Endpoint4.Addr, lab.Endpoint4, lab.Allow4},
	{"IPv6", unix.AF_INET6, netip.MustParseAddr("2001:db8:0:1::10"), netip.MustParseAddr("2001:db8:0:1::74"), lab.Endpoint6.Addr, lab.Endpoint6, lab.Allow6},
}

func (f family) address() string { return f.addressOf(port) }

func (f family) addressOf(port uint16) string { return netip.AddrPortFrom(f.endpoint, port).String() }

// rig is the rig with the express lane on all devices of both routers.
type rig struct {
	*lab.Rig
	family
	t        testing.TB
	instance string
	lane     *express.Lane
	accepted <-chan net.Conn
}

func each(t *testing.T, idle time.Duration, test func(t *testing.T, r *rig)) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { test(t, newRig(t, f, idle)) })
	}
}

func newRig(t testing.TB, f family, idle time.Duration) *rig {
	t.Helper()
	r := newSlowRig(t, f, idle)
	r.lane = open(t, r.instance, idle)
	r.cover(r.lane)
	return r
}

// newSlowRig is the rig without the lane.
func newSlowRig(t testing.TB, f family, idle time.Duration) *rig {
	t.Helper()
	r := &rig{Rig: lab.NewRig(t), family: f, t: t, instance: "t" + testnet.RandomName(6)}
	r.OpenPort(port)
	r.accepted = r.Server.Accept(port)
	for _, n := range r.routers() {
		n.Sysctl(fmt.Sprintf("netfilter/nf_conntrack_tcp_timeout_established=%d", idle/time.Second),
			"netfilter/nf_conntrack_tcp_timeout_time_wait=60")
	}
	return r
}

func open(t testing.TB, instance string, idle time.Duration) *express.Lane {
	t.Helper()
	l, err := express.Open(instance, idle)
	if err != nil {
		testnet.Unable(t, fmt.Sprintf("this kernel has no express lane: %v", err))
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (r *rig) routers() []*lab.Namespace { return []*lab.Namespace{r.A, r.B} }

// devices calls visit for each device that leads out of a router.
func (r *rig) devices(visit func(h *netlink.Handle, l netlink.Link)) {
	r.t.Helper()
	r.devicesOf(func(_ *lab.Namespace, h *netlink.Handle, l netlink.Link) { visit(h, l) })
}

func (r *rig) devicesOf(visit func(n *lab.Namespace, h *netlink.Handle, l netlink.Link)) {
	r.t.Helper()
	for _, n := range r.routers() {
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
				visit(n, h, l)
			}
		}
	}
}

func (r *rig) cover(lane *express.Lane) {
	r.t.Helper()
	r.devicesOf(func(n *lab.Namespace, h *netlink.Handle, l netlink.Link) {
		if err := lane.Cover(h, r.cookie(n.FD()), l, false); err != nil {
			r.t.Fatal(err)
		}
	})
}

// covers asks for a device of either router.
func (r *rig) covers(h *netlink.Handle, l netlink.Link) (covered bool, err error) {
	r.t.Helper()
	r.devicesOf(func(n *lab.Namespace, _ *netlink.Handle, other netlink.Link) {
		if other.Attrs().Name == l.Attrs().Name && other.Attrs().HardwareAddr.String() == l.Attrs().HardwareAddr.String() {
			covered, err = r.lane.Covers(h, r.cookie(n.FD()), l, false)
		}
	})
	return covered, err
}

// cookie is the kernel's number for a namespace.
func (r *rig) cookie(namespace int) (number uint64) {
	r.t.Helper()
	err := nfnl.Inside(namespace, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		number, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return number
}

// recheck makes the lane look again in a router.
func (r *rig) recheck(in flow.Router) error { return r.lane.Recheck(r.cookie(in.FD())) }

func (r *rig) recheckAll() error {
	return errors.Join(r.lane.Recheck(r.cookie(r.A.FD())), r.lane.Recheck(r.cookie(r.B.FD())))
}

// ends are the two ends of a connection.
type ends struct{ client, server *net.TCPConn }

// connect opens a connection through the endpoint, which says nothing yet.
func (r *rig) connect() ends { r.t.Helper(); return r.connectFrom(r.Client, 0) }

func (r *rig) connectFrom(from *lab.Namespace, port int) ends {
	r.t.Helper()
	client, err := from.Dial("tcp", r.address(), &net.TCPAddr{Port: port}, lab.Patience)
	if err != nil {
		r.t.Fatalf("connect to %s: %v", r.address(), err)
	}
	select {
	case server := <-r.accepted:
		r.t.Cleanup(func() { client.Close(); server.Close() })
		return ends{client.(*net.TCPConn), server.(*net.TCPConn)}
	case <-time.After(lab.Patience):
		r.t.Fatal("the server accepts nothing")
	}
	return ends{}
}

// carried opens a connection that is in the lane of both routers.
func (r *rig) carried() ends {
	r.t.Helper()
	e := r.connect()
	r.carries(e)
	return e
}

// carries sees to it that the lane takes what the ends say, and nothing else
// does.
func (r *rig) carries(e ends) {
	r.t.Helper()
	e.exchange(r.t)
	packets, slow := r.packets(), r.slow()
	e.exchange(r.t)
	// One packet each way, each through two routers.
	if packets, slow = r.packets()-packets, r.slow()-slow; packets < 4 || slow > 0 {
		r.t.Fatalf("%d packets took the lane and %d the slow path, want at least 4 and none", packets, slow)
	}
}

// exchange sends one byte each way, and returns when both are acknowledged: no
// packet of the connection is left that could still come.
func (e ends) exchange(t testing.TB) {
	t.Helper()
	if err := errors.Join(pass(e.client, e.server), pass(e.server, e.client)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was sent is acknowledged", func() bool { return info(t, e.client).Unacked+info(t, e.server).Unacked == 0 })
}

// info is what the kernel tells of an end.
func info(t testing.TB, c *net.TCPConn) (info *unix.TCPInfo) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// pass sends one byte from one end to the other.
func pass(from, to net.Conn) error {
	deadline := time.Now().Add(lab.Patience)
	from.SetWriteDeadline(deadline)
	to.SetReadDeadline(deadline)
	if _, err := from.Write([]byte{'x'}); err != nil {
		return err
	}
	_, err := io.ReadFull(to, make([]byte, 1))
	return err
}

func (e ends) local(t testing.TB) netip.AddrPort {
	t.Helper()
	a := e.client.LocalAddr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (r *rig) counters() express.Counters {
	r.t.Helper()
	c, err := r.lane.Counters()
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) packets() int { r.t.Helper(); return int(r.counters().Packets) }

// slow is how many packets of this family the routers have forwarded themselves.
func (r *rig) slow() (n int) {
	r.t.Helper()
	for _, router := range r.routers() {
		if r.number == unix.AF_INET {
			n += statistic(r.t, router, "snmp", "Ip:", "ForwDatagrams")
		} else {
			n += statistic(r.t, router, "snmp6", "Ip6OutForwDatagrams", "")
		}
	}
	return n
}

// statistic reads a number of a namespace: a column of two lines in snmp, a
// line in snmp6.
func statistic(t testing.TB, n *lab.Namespace, file, row, column string) int {
	t.Helper()
	var text []byte
	err := n.Run(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/" + file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != row {
			continue
		}
		if column != "" && names == nil {
			names = fields
			continue
		}
		for i := range fields {
			if column == "" && i == 1 || column != "" && names[i] == column {
				var value int
				fmt.Sscan(fields[i], &value)
				return value
			}
		}
	}
	t.Fatalf("no %s %s in %s", row, column, file)
	return 0
}

// tracked lists a router's connections to the test's port.
func (r *rig) tracked(router *lab.Namespace) (found []*netlink.ConntrackFlow) {
	r.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(router.FD()), unix.NETLINK_NETFILTER)
	if err != nil {
		r.t.Fatal(err)
	}
	defer h.Close()
	all, err := h.ConntrackTableList(netlink.ConntrackTable, r.number)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range all {
		if f.Forward.DstPort == port {
			found = append(found, f)
		}
	}
	return found
}

// eventually polls what has no event.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(lab.Patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("not within %v: %s", lab.Patience, what)
			return
		}
	}
}
