// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// lane returns how many packets have taken the express lane.
func (s *scenario) lane() int {
	s.t.Helper()
	c, err := s.host.ExpressLane()
	if err != nil {
		s.t.Fatal(err)
	}
	if c == nil {
		testnet.Unable(s.t, "this kernel has no express lane")
	}
	return int(c.Packets)
}

// talk sends a byte each way and returns how many packets took the lane.
func (s *scenario) talk(client, server net.Conn) int {
	s.t.Helper()
	before := s.lane()
	s.say(client, server)
	return s.lane() - before
}

func (s *scenario) say(client, server net.Conn) {
	s.t.Helper()
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		way[0].SetDeadline(time.Now().Add(testnet.Patience))
		way[1].SetDeadline(time.Now().Add(testnet.Patience))
		if _, err := way[0].Write([]byte("x")); err != nil {
			s.t.Fatal(err)
		}
		if _, err := io.ReadFull(way[1], make([]byte, 1)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// carried opens a connection and sees that it is in the lane of both routers.
func (s *scenario) carried() (client, server net.Conn) {
	s.t.Helper()
	client, server = s.connect()
	s.t.Cleanup(func() { client.Close(); server.Close() })
	s.talk(client, server)
	if n := s.talk(client, server); n < 4 {
		s.t.Errorf("%d packets took the lane, want at least 4", n)
	}
	return client, server
}

// Another host takes the lane over, switches it off when it is to, and on
// again; the connection goes on.
func TestAnotherHostTakesTheLaneOver(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		client, server := s.carried()
		before := s.lane()
		for _, slow := range []bool{false, true, false} {
			s.host.Close()
			s.say(client, server) // the kernel needs no host
			next, err := dataplane.New(dataplane.Config{Instance: s.instance, SlowPathOnly: slow})
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(func() { next.Close() })
			s.host = next
			if !slow {
				s.say(client, server)
				if n := s.talk(client, server); n < 4 {
					s.t.Errorf("%d packets took the lane, want at least 4", n)
				}
				continue
			}
			if c, err := s.host.ExpressLane(); c != nil || err != nil {
				s.t.Errorf("a host for the slow path only has a lane: %v, %v", c, err)
			}
			s.say(client, server)
			s.checkDump() // nothing is amiss
		}
		if after := s.lane(); after <= before {
			s.t.Errorf("%d packets after %d: the counters do not go on", after, before)
		}
		s.checkDump()
	})
}

// slowly takes a host without the lane.
func (s *scenario) slowly() {
	s.t.Helper()
	s.host.Close()
	slow, err := dataplane.New(dataplane.Config{Instance: s.instance, SlowPathOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { slow.Close() })
	s.host = slow
}

// Everything works without the lane.
func TestTheSlowPathOnly(t *testing.T) {
	each(t, func(s *scenario) {
		s.slowly()
		s.apply()
		s.checkDump()
		s.serve()
		s.checkTraffic()
		for _, vpc := range vpcs() {
			out, err := exec.Command("ip", "netns", "exec", network.NamespaceName(s.instance, vpc), "tc", "qdisc", "show").CombinedOutput()
			if err != nil || strings.Contains(string(out), "clsact") {
				s.t.Errorf("%v: %s", err, out)
			}
		}
	})
}

// A device without the program is damage, which the next round mends.
func TestALaneThatIsMissingIsRepaired(t *testing.T) {
	s := scenario4(t)
	s.apply()
	client, server := s.carried()
	for _, damage := range []struct{ vpc, device string }{
		{consumer, "w0aaaaaaaaaaaaa"}, {consumer, "f0bbbbbbbbbbbbb"}, {provider, "f0aaaaaaaaaaaaa"}, {provider, "w0bbbbbbbbbbbbb"},
	} {
		run(t, network.NamespaceName(s.instance, damage.vpc), "tc qdisc del dev "+damage.device+" clsact")
		if n := s.talk(client, server); n == 0 {
			t.Errorf("%s: the other devices do not carry anything", damage.device)
		}
		if rounds := s.repair(); rounds == 0 {
			t.Errorf("%s: the damage is not seen", damage.device)
		}
		s.checkDump()
		if n := s.talk(client, server); n < 4 {
			t.Errorf("%s: %d packets took the lane after the repair, want at least 4", damage.device, n)
		}
	}
}

// listed is how many routers and devices the lane knows.
func (s *scenario) listed() [2]int {
	s.t.Helper()
	s.lane()
	c, err := s.host.ExpressLane()
	if err != nil {
		s.t.Fatal(err)
	}
	return [2]int{c.Routers, c.Devices}
}

// The lane hands packets on to the devices that are there: those that come and go by
// the agent, that go by themselves, and those that an earlier process has covered.
func TestTheLaneKnowsItsDevices(t *testing.T) {
	s := scenario4(t)
	want := func(what string, routers, devices int) {
		t.Helper()
		if got := s.listed(); got != [2]int{routers, devices} {
			t.Errorf("%s: %d routers and %d devices are known, want %d and %d", what, got[0], got[1], routers, devices)
		}
	}
	want("at the beginning", 0, 0)
	s.apply()
	want("with two workloads and a link", 2, 4)
	s.host.Close()
	next, err := dataplane.New(dataplane.Config{Instance: s.instance})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	s.host = next
	want("in the next process", 2, 4)
	s.checkDump()

	run(t, network.NamespaceName(s.instance, consumer), "ip link del w0aaaaaaaaaaaaa")
	s.dump(consumer)
	want("when somebody has deleted a device and the router was looked at", 2, 3)
	s.repair()
	want("after the repair", 2, 4)

	for _, e := range s.entries[provider] {
		if w, ok := e.(desired.Workload); ok {
			s.host.Apply(t.Context(), provider, nil, []desired.Entry{w})
		}
	}
	want("without the server", 2, 3)
	s.host.Apply(t.Context(), consumer, nil, []desired.Entry{desired.NewLink(consumer, provider)})
	want("without the link", 2, 1)
	s.repair()
	want("with all again", 2, 4)
	s.host.Apply(t.Context(), consumer, nil, s.entries[consumer][:1])
	want("without the consumer's router", 1, 1)
	s.host.Apply(t.Context(), provider, nil, s.entries[provider][:1])
	want("without any", 0, 0)
}

// A router that was made anew, because its namespace was lost, begins anew in the
// lane.
func TestTheLaneForgetsALostRouter(t *testing.T) {
	s := scenario4(t)
	s.apply()
	s.carried()
	name := network.NamespaceName(s.instance, consumer)
	run(t, s.client.Name, "ip netns del "+name)
	run(t, s.client.Name, "ip netns add "+name)
	s.repair()
	run(t, s.client.Name, "ip netns del "+name)
	s.repair()
	s.repair()
	if got := s.listed(); got != [2]int{2, 4} {
		t.Errorf("%v routers and devices are known, want 2 and 4", got)
	}
	s.checkDump()
	s.carried()
}

// A change of one VPC leaves the connections of others in the lane: nothing is asked
// about them.
func TestAChangeElsewhereAsksNobody(t *testing.T) {
	s := scenario4(t)
	s.apply()
	client, server := s.carried()
	flush(t, network.NamespaceName(s.instance, consumer))
	for _, e := range s.entries[provider] {
		if w, ok := e.(desired.Workload); ok {
			s.put(provider, []desired.Entry{w})
		}
	}
	before := s.lane()
	server.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Errorf("a packet of a connection that the consumer's router knows in its lane only: %v", err)
	}
	if n := s.lane() - before; n < 2 {
		t.Errorf("%d packets took the lane, want at least 2", n)
	}
}

// flush empties the connection tracking of a namespace.
func flush(t *testing.T, namespace string) {
	t.Helper()
	ns, err := netns.GetFromName(namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		t.Fatal(err)
	}
}

// What the lane has carried is told for each VPC, and adds up.
func TestWhatIsCarriedIsToldByVPC(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.carried()
		all, err := s.host.Uses(s.t.Context())
		if err != nil || len(all) != 2 || all[0].VPC != consumer || all[1].VPC != provider {
			s.t.Fatalf("%+v, %v, want both VPCs", all, err)
		}
		sum := 0
		for _, c := range all {
			sum += int(c.Carried.Packets)
			if c.Carried.Packets == 0 || c.Carried.Bytes < 40*c.Carried.Packets || c.Express != 1 {
				s.t.Errorf("%+v, want the packets of one connection", c)
			}
		}
		if n := s.lane(); sum > n {
			s.t.Errorf("%d packets in both routers, %d in all", sum, n)
		}
	})
}
