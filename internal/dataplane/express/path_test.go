// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// hops reads how many hops a packet with data has left when it arrives.
func hops(t *testing.T, at *lab.Namespace, from, to net.Conn) int {
	t.Helper()
	seen := at.Tap(t)
	if err := pass(from, to); err != nil {
		t.Fatal(err)
	}
	dest := to.LocalAddr().(*net.TCPAddr).Port
	s, ok := seen.Segment(lab.Patience, func(s testnet.Segment) bool { return int(s.To.Port()) == dest && len(s.Data) == 1 })
	if !ok {
		t.Fatal("the packet is not seen")
	}
	return int(s.Hops)
}

func TestHopsAreCountedAsOnTheSlowPath(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newSlowRig(t, f, idle)
			e := r.connect()
			atServer, atClient := hops(t, r.Server, e.client, e.server), hops(t, r.Client, e.server, e.client)
			r.lane = open(t, r.instance, idle)
			r.cover(r.lane)
			r.carries(e)
			slow := r.slow()
			if got := hops(t, r.Server, e.client, e.server); got != atServer {
				t.Errorf("%d hops left at the server, on the slow path %d", got, atServer)
			}
			if got := hops(t, r.Client, e.server, e.client); got != atClient {
				t.Errorf("%d hops left at the client, on the slow path %d", got, atClient)
			}
			if slow != r.slow() {
				t.Error("the packets did not take the lane")
			}
		})
	}
}

// A packet that may go no further is told of, by whichever router it reaches.
func TestPacketsWithTooFewHopsAreNotCarried(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		for left := 1; left <= 2; left++ {
			// An acknowledgement that tells nobody anything new.
			tired := testnet.Segment{From: e.local(t), To: netip.AddrPortFrom(r.endpoint, port), Flags: testnet.ACK | testnet.PSH, Hops: byte(left), Data: "tired"}
			errors, before := r.Client.Tap(t), r.packets()
			testnet.Send(t, r.Client.NS, tired)
			if errors.Next(lab.Patience, func(packet []byte) bool {
				typ, _, _, ok := icmp(packet)
				return ok && (packet[0]>>4 == 4 && typ == 11 || packet[0]>>4 == 6 && typ == 3) // time exceeded
			}) == nil {
				t.Errorf("with %d hops left: no error comes back", left)
			}
			if got := r.packets() - before; got != left-1 {
				t.Errorf("with %d hops left: the lane of %d routers carried the packet", left, got)
			}
		}
		r.carries(e)
	})
}

// tooBig waits for the ICMP error that tells a sender a link's MTU.
func tooBig(p *testnet.Tap, mtu uint32) bool {
	return p.Next(lab.Patience, func(packet []byte) bool {
		typ, code, rest, ok := icmp(packet)
		if packet[0]>>4 == 4 {
			return ok && typ == 3 && code == 4 && rest == mtu
		}
		return ok && typ == 2 && rest == mtu
	}) != nil
}

func TestPacketsThatDoNotFitAreNotCarried(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		errors, before := r.Client.Tap(t), r.packets()
		testnet.Send(t, r.Client.NS, testnet.Segment{
			From: e.local(t), To: netip.AddrPortFrom(r.endpoint, port), Flags: testnet.ACK | testnet.PSH, Hops: 64, Data: strings.Repeat("x", 8600),
		})
		if !tooBig(errors, 8500) {
			t.Error("the sender is not told the MTU of the path")
		}
		if got := r.packets() - before; got > 0 {
			t.Errorf("the lane of %d routers carried the packet", got)
		}
		r.carries(e)
	})
}

// When the path becomes narrower, the sender is told by the slow path, and the
// connection goes on in the lane with smaller packets.
func TestConnectionsSurviveANarrowerPath(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		if err := <-transfer(e.client, e.server, 1<<20, 1); err != nil {
			t.Fatal(err)
		}
		const mtu = 1400
		r.A.IP(fmt.Sprintf("link set fb mtu %d", mtu))
		r.B.IP(fmt.Sprintf("link set fa mtu %d", mtu))
		if err := r.recheckAll(); err != nil {
			t.Fatal(err)
		}
		errors := r.Client.Tap(t)
		start := time.Now()
		done := transfer(e.client, e.server, 1<<20, 2)
		if !tooBig(errors, mtu) {
			t.Error("the client is not told the MTU of the path")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := <-transfer(e.server, e.client, 1<<20, 3); err != nil {
			t.Error(err)
		}
		t.Logf("both transfers took %v", time.Since(start))
		r.carries(e)
	})
}

// Packets with options of IP are none of the lane's business; the slow path drops
// them. The connection goes on without.
func TestPacketsWithOptionsAreNotCarried(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		raw, err := e.client.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		set := func(options4, options6 string) {
			t.Helper()
			var failed error
			err := raw.Control(func(fd uintptr) {
				if r.number == unix.AF_INET {
					failed = unix.SetsockoptString(int(fd), unix.IPPROTO_IP, unix.IP_OPTIONS, options4)
				} else {
					failed = unix.SetsockoptString(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DSTOPTS, options6)
				}
			})
			if err != nil || failed != nil {
				t.Fatal(err, failed)
			}
		}
		before, slow := r.packets(), r.slow()
		set("\x01\x01\x01\x00", "\x00\x00\x01\x04\x00\x00\x00\x00") // three times nothing; padding
		if _, err := e.client.Write([]byte{'x'}); err != nil {
			t.Fatal(err)
		}
		if carried, slow := r.packets()-before, r.slow()-slow; carried != 0 || slow != 0 {
			t.Errorf("the lane of %d routers carried the packet, %d forwarded it", carried, slow)
		}
		set("", "")
		if _, err := io.ReadFull(e.server, make([]byte, 1)); err != nil { // when it is sent again
			t.Error(err)
		}
		r.carries(e)
	})
}
