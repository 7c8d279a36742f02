// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/test/lab"
)

// outlet is a router with a workload and an uplink, behind which is a server.
type outlet struct {
	*rig
	router, workload, outside *lab.Namespace
}

// addresses of the server outside and of the workload, by family.
var outlets = map[string]struct{ server, client string }{
	"IPv4": {"198.51.100.10", "10.9.0.10"}, "IPv6": {"2001:db8:9::10", "fd09::10"},
}

// newOutlet makes a router whose uplink plug makes, under the name uplink, and covers
// the workload's device only.
func newOutlet(t *testing.T, f family, plug func(o *outlet)) *outlet {
	t.Helper()
	o := &outlet{
		rig:    &rig{family: f, t: t, instance: "t" + f.name[3:] + fmt.Sprint(time.Now().UnixNano()%1e5)},
		router: lab.NewNamespace(t), workload: lab.NewNamespace(t), outside: lab.NewNamespace(t),
	}
	o.instance = strings.ToLower(o.instance)
	o.router.Sysctl("ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1", "ipv6/conf/default/accept_dad=0",
		"netfilter/nf_conntrack_tcp_be_liberal=1", "netfilter/nf_conntrack_tcp_ignore_invalid_rst=1")
	o.router.Nft("add table inet t; add chain inet t f { type filter hook forward priority 0; }; add rule inet t f ct state established accept")
	for _, n := range []*lab.Namespace{o.workload, o.outside} {
		n.Sysctl("ipv6/conf/default/accept_dad=0")
	}
	o.router.IP("link add w type veth peer name eth0 netns " + o.workload.Name)
	o.router.IP("addr add 10.9.0.1/24 dev w\naddr add fd09::1/64 dev w nodad\nlink set w up")
	o.workload.IP(`addr add 10.9.0.10/24 dev eth0
addr add fd09::10/64 dev eth0 nodad
link set eth0 up
route add default via 10.9.0.1
route add ::/0 via fd09::1`)
	plug(o)
	o.router.IP("addr add 198.51.100.1/24 dev uplink\naddr add 2001:db8:9::1/64 dev uplink nodad\nlink set uplink up")
	o.outside.IP(`addr add 198.51.100.10/24 dev eth0
addr add 2001:db8:9::10/64 dev eth0 nodad
link set eth0 up
route add default via 198.51.100.1
route add ::/0 via 2001:db8:9::1`)
	o.lane = open(t, o.instance, idle)
	o.coverDevice("w")
	o.accepted = o.outside.Accept(port)
	return o
}

// device is an interface of the router.
func (o *outlet) device(name string) (*netlink.Handle, netlink.Link) {
	o.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(o.router.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(h.Close)
	l, err := h.LinkByName(name)
	if err != nil {
		o.t.Fatal(err)
	}
	return h, l
}

func (o *outlet) coverDevice(name string) netlink.Link {
	o.t.Helper()
	h, l := o.device(name)
	if err := o.lane.Cover(h, o.cookie(o.router.FD()), l, false); err != nil {
		o.t.Fatal(err)
	}
	return l
}

// open opens a connection to the server outside.
func (o *outlet) open() ends {
	o.t.Helper()
	client, err := o.workload.Dial("tcp", net.JoinHostPort(outlets[o.name].server, fmt.Sprint(port)), nil, lab.Patience)
	if err != nil {
		o.t.Fatalf("connect: %v", err)
	}
	select {
	case server := <-o.accepted:
		o.t.Cleanup(func() { client.Close(); server.Close() })
		return ends{client.(*net.TCPConn), server.(*net.TCPConn)}
	case <-time.After(lab.Patience):
		o.t.Fatal("the server accepts nothing: the end of the handshake is lost")
	}
	return ends{}
}

// slowly sees to it that a connection works and that nothing of it takes the lane.
func (o *outlet) slowly(e ends) {
	o.t.Helper()
	before := o.counters()
	for range 5 {
		e.exchange(o.t)
	}
	if after := o.counters(); after.Traffic != before.Traffic || after.Learned != before.Learned {
		o.t.Errorf("the lane did %+v, before %+v", after, before)
	}
}

// bridge makes the uplink a bridge with one port, which leads outside.
func bridge(o *outlet) {
	o.router.IP("link add uplink type bridge mcast_snooping 0\nlink add port type veth peer name eth0 netns " + o.outside.Name +
		"\nlink set port master uplink up")
}

// veth makes the uplink a veth that nobody has listed.
func veth(o *outlet) { o.router.IP("link add uplink type veth peer name eth0 netns " + o.outside.Name) }

// tun makes the uplink one end of a tunnel whose packets a program carries.
func tun(o *outlet) {
	a, b := openTun(o.t, o.router, "uplink"), openTun(o.t, o.outside, "eth0")
	for _, way := range [][2]*os.File{{a, b}, {b, a}} {
		go func() {
			packet := make([]byte, 1<<16)
			for {
				n, err := way[0].Read(packet)
				if err != nil {
					return
				}
				way[1].Write(packet[:n]) // an end that is down loses packets
			}
		}()
	}
}

func openTun(t testing.TB, n *lab.Namespace, name string) *os.File {
	t.Helper()
	var file *os.File
	err := n.Run(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
		file = os.NewFile(uintptr(fd), name)
		return nil
	})
	if err != nil {
		t.Fatalf("make tunnel %s: %v", name, err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

var uplinks = map[string]func(o *outlet){"bridge": bridge, "tun": tun, "unlisted veth": veth}

// What leaves by a device that cannot take packets of the lane takes the slow path
// both ways, and asks only once.
func TestUplinksTakeTheSlowPath(t *testing.T) {
	for name, plug := range uplinks {
		for _, f := range families {
			t.Run(name+"/"+f.name, func(t *testing.T) {
				o := newOutlet(t, f, plug)
				e := o.open()
				o.slowly(e)
				if n, err := o.lane.Flows(); n != 1 || err != nil {
					t.Errorf("%d directions are remembered, %v, want the one that asked", n, err)
				}
				if u, err := o.lane.Use(o.cookie(o.router.FD())); u.Connections != 1 || err != nil {
					t.Errorf("the router has %+v, %v, want to have asked about one connection", u, err)
				}
				for c, err := range o.lane.Connections() {
					t.Errorf("%+v, %v counts as carried", c, err)
				}
				if err := closeInTurn(e.client, e.server, 0); err != nil {
					t.Error(err)
				}
				o.slowly(o.open())
			})
		}
	}
}

// A connection between two workloads of the router is carried beside one that
// leaves it, and one moves over when its way leads to a listed device.
func TestAListedDeviceTakesOver(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			o := newOutlet(t, f, veth)
			e := o.open()
			o.slowly(e)
			o.coverDevice("uplink")
			before := o.counters()
			e.exchange(t)
			e.exchange(t)
			after := o.counters()
			if got := after.Packets - before.Packets; got < 4 || after.Learned != before.Learned+1 {
				t.Errorf("%d packets took the lane, want at least 4; %+v after %+v", got, after, before)
			}
			_, l := o.device("uplink")
			if err := o.lane.Uncover(o.cookie(o.router.FD()), l.Attrs().Index); err != nil {
				t.Fatal(err)
			}
			o.slowly(e)
		})
	}
}

// Only a veth that leads to another namespace can be covered.
func TestOtherDevicesAreRefused(t *testing.T) {
	o := newOutlet(t, families[0], bridge)
	tun := openTun(t, o.router, "tun")
	defer tun.Close()
	o.router.IP("link add one type veth peer name another")
	for _, name := range []string{"uplink", "tun", "lo", "one"} {
		h, l := o.device(name)
		if err := o.lane.Cover(h, o.cookie(o.router.FD()), l, false); err == nil {
			t.Errorf("%s is covered", name)
		}
		if covered, err := o.lane.Covers(h, o.cookie(o.router.FD()), l, false); covered || err != nil {
			t.Errorf("%s counts as covered, %v", name, err)
		}
	}
}

// A device that got the number of one that was listed and went unseen is not taken
// for it.
func TestAReusedNumberIsNotListed(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			o := newOutlet(t, f, func(o *outlet) {
				o.router.IP("link add old index 77 type veth peer name eth0 netns " + o.outside.Name)
				o.lane = open(o.t, o.instance, idle)
				if l := o.coverDevice("old"); l.Attrs().Index != 77 {
					o.t.Fatalf("the device has the index %d", l.Attrs().Index)
				}
				o.router.IP("link del old")
				o.router.IP("link add uplink index 77 type bridge mcast_snooping 0\nlink add port type veth peer name eth0 netns " + o.outside.Name +
					"\nlink set port master uplink up")
			})
			o.slowly(o.open())
		})
	}
}

// With more devices than can be listed the others take the slow path, and are
// listed when there is room.
func TestMoreDevicesThanRoom(t *testing.T) {
	const room = 2
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newSlowRig(t, f, idle)
			lane, err := express.OpenFew(r.instance, idle, room)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { lane.Close() })
			r.lane = lane
			r.cover(lane)
			covered := func() (n int) {
				r.devices(func(h *netlink.Handle, l netlink.Link) {
					if yes, err := r.covers(h, l); yes {
						n++
					} else if err != nil {
						t.Error(err)
					}
				})
				return n
			}
			all := covered()
			if all <= room {
				t.Errorf("%d devices count as covered: the others would be repaired for ever", all)
			}
			if c := r.counters(); c.Devices != room {
				t.Errorf("%d devices are listed, want %d", c.Devices, room)
			}
			e := r.connect()
			for range 5 {
				e.exchange(t)
			}
			first := lane.Devices(r.cookie(r.A.FD()))
			if err := lane.Uncover(r.cookie(r.A.FD()), first[0]); err != nil {
				t.Fatal(err)
			}
			if covered() == all {
				t.Error("there is room for one, and nobody asks for it")
			}
			r.cover(lane)
			if c := r.counters(); c.Devices != room {
				t.Errorf("%d devices are listed, want %d", c.Devices, room)
			}
			e.exchange(t)
		})
	}
}

// What an earlier process has listed, of routers that are gone, makes room.
func TestRoutersThatAreGoneMakeRoom(t *testing.T) {
	r := newSlowRig(t, families[0], idle)
	lane, err := express.OpenFew(r.instance, idle, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := express.List(lane, 1<<62, 6); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.coverWith(lane), lane.Close()); err != nil {
		t.Fatal(err)
	}
	if r.lane = open(t, r.instance, idle); r.counters().Devices != 8 {
		t.Fatalf("the next process reads %+v", r.counters())
	}
	r.cover(r.lane)
	if got := r.lane.Devices(1 << 62); len(got) != 0 {
		t.Errorf("%d devices of a router that is gone are listed", len(got))
	}
	r.carries(r.connect())
}

func (r *rig) coverWith(lane *express.Lane) error { r.t.Helper(); r.cover(lane); return nil }
