// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/lab"
)

// Another workload of the VPC sends what looks like packets of the connection.
// They are not carried, and do not make the lane forget the connection.
func TestStrangersDoNotTakeTheLane(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		before := r.counters()
		forged := segment{source: e.local(t), dest: netip.AddrPortFrom(r.endpoint, port), hops: 64}
		for _, flags := range []byte{ack | psh, ack} {
			for _, sequence := range []uint32{1, 1 << 30, 1 << 31, 3 << 30} {
				forged.flags, forged.sequence, forged.data = flags, sequence, nil
				if flags&psh != 0 {
					forged.data = []byte("forged")
				}
				forged.send(t, r.Near)
			}
		}
		r.passedFrom(r.Near)
		// The slow path drops the packets where they come from, if they are
		// IPv4. It lets the others on to the next router.
		after := r.counters()
		if after.Learned != before.Learned || after.Forgotten != before.Forgotten || r.number == unix.AF_INET && after != before {
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
	answers := listen(r.t, n)
	last := segment{
		source: netip.AddrPortFrom(r.neighbour, 40000), dest: netip.AddrPortFrom(r.endpoint, port),
		flags: ack, hops: 64, answer: 1,
	}
	last.send(r.t, n)
	if _, ok := answers.segment(func(s segment) bool { return s.dest == last.source && s.flags&rst != 0 }); !ok {
		r.t.Fatal("a packet of no connection is not answered")
	}
}
