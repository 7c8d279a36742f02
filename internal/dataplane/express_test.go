// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/testnet"
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
		way[0].SetDeadline(time.Now().Add(3 * time.Second))
		way[1].SetDeadline(time.Now().Add(3 * time.Second))
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
