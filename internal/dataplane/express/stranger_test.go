// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// Another workload of the VPC sends what looks like packets of the connection.
// They are not carried, and do not make the lane forget the connection.
func TestStrangersDoNotTakeTheLane(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		before := r.counters()
		forged := testnet.Segment{From: e.local(t), To: netip.AddrPortFrom(r.endpoint, port), Hops: 64}
		for _, flags := range []byte{testnet.ACK | testnet.PSH, testnet.ACK} {
			for _, sequence := range []uint32{1, 1 << 30, 1 << 31, 3 << 30} {
				forged.Flags, forged.Sequence, forged.Data = flags, sequence, ""
				if flags&testnet.PSH != 0 {
					forged.Data = "forged"
				}
				testnet.Send(t, r.Near.NS, forged)
			}
		}
		r.passedFrom(r.Near)
		if after := r.counters(); after != before {
			t.Errorf("the lane did %+v, before %+v", after, before)
		}
		r.carries(e)
		if after := r.counters(); after.Learned != before.Learned {
			t.Errorf("the connection was remembered again: %+v, before %+v", after, before)
		}
		e.client.CloseWrite()
		if err := toEnd(e.server, 0); err != nil {
			t.Errorf("the server reads what the client has not sent: %v", err)
		}
	})
}

// passedFrom returns when all that a workload has sent has been dealt with: a
// packet of no connection, sent after it, has been answered.
func (r *rig) passedFrom(n *lab.Namespace) {
	r.t.Helper()
	answers := n.Tap(r.t)
	last := testnet.Segment{
		From: netip.AddrPortFrom(r.neighbour, 40000), To: netip.AddrPortFrom(r.endpoint, port),
		Flags: testnet.ACK, Hops: 64, Answer: 1,
	}
	testnet.Send(r.t, n.NS, last)
	if _, ok := answers.Segment(lab.Patience, func(s testnet.Segment) bool { return s.To == last.From && s.Flags&testnet.RST != 0 }); !ok {
		r.t.Fatal("a packet of no connection is not answered")
	}
}

// A workload that forges a reset or an end, with the addresses and ports of a
// connection of another, does not reach the connection tracking of a router,
// which would forget the connection soon.
func TestStrangersDoNotEndConnections(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newSlowRig(t, f, idle) // without the lane
			e := r.connect()
			e.exchange(t)
			for _, flags := range []byte{testnet.RST, testnet.RST | testnet.ACK, testnet.FIN | testnet.ACK} {
				forged := testnet.Segment{From: e.local(t), To: netip.AddrPortFrom(r.endpoint, port), Hops: 64, Flags: flags, Sequence: 1 << 31}
				testnet.Send(t, r.Near.NS, forged)
			}
			r.passedFrom(r.Near)
			for _, router := range r.routers() {
				for _, f := range r.tracked(router) {
					if f.TimeOut < uint32(idle.Seconds())/2 {
						t.Errorf("the connection is kept for %d s", f.TimeOut)
					}
				}
			}
			e.exchange(t)
		})
	}
}

// A forged SYN does not free the ports of a connection that was closed.
func TestStrangersDoNotFreePorts(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		from := e.local(t)
		if err := closeInTurn(e.server, e.client, 0); err != nil {
			t.Fatal(err)
		}
		testnet.Send(t, r.Near.NS, testnet.Segment{From: from, To: netip.AddrPortFrom(r.endpoint, port), Hops: 64, Flags: testnet.SYN})
		r.passedFrom(r.Near)
		for _, router := range r.routers() {
			if list := r.tracked(router); len(list) != 1 || list[0].Mark&closed == 0 {
				t.Errorf("connection tracking has %v, want the closed connection", list)
			}
		}
	})
}

// A workload that knows where a connection is does not get data into it.
func TestStrangersDoNotSpeakForOthers(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newSlowRig(t, f, idle) // without the lane
			e := r.connect()
			seen := r.Client.Tap(t)
			seen.Leaving = true
			e.exchange(t)
			from := e.local(t)
			s, ok := seen.Segment(lab.Patience, func(s testnet.Segment) bool { return s.From == from && len(s.Data) > 0 })
			if !ok {
				t.Fatal("no packet of the connection is seen")
			}
			testnet.Send(t, r.Near.NS, testnet.Segment{
				From: from, To: netip.AddrPortFrom(r.endpoint, port), Flags: testnet.ACK | testnet.PSH, Hops: 64,
				Sequence: s.Sequence + 1, Answer: s.Answer, Data: "forged",
			})
			r.passedFrom(r.Near)
			e.server.SetReadDeadline(time.Now().Add(time.Second / 5))
			if n, err := e.server.Read(make([]byte, 10)); err == nil {
				t.Errorf("the server reads %d bytes that the client has not sent", n)
			}
		})
	}
}
