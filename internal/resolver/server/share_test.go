// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/netip"
	"testing"
)

// TestABlockOfAddressesIsBounded has one interface ask from all addresses of a block that
// it was given: others have their places still, and what is given back can be had again.
func TestABlockOfAddressesIsBounded(t *testing.T) {
	for _, c := range []struct{ first, other string }{{"fd00:1::1:0:0:0", "fd00:1::2:0:0:1"}, {"10.0.0.16", "10.0.0.32"}} {
		s, err := New(Options{Limits: Limits{Questions: 20, ClientQuestions: 4, Streams: 20, ClientStreams: 4}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		h := s.shareOf("vpc-1")
		for _, u := range []use{{questions: 1}, {streams: 1}} {
			addr, taken := netip.MustParseAddr(c.first), []netip.Addr{}
			for range 16 {
				if s.take(h, addr, u) {
					taken = append(taken, addr)
				}
				addr = addr.Next()
			}
			if len(taken) != 10 {
				t.Errorf("%s and those behind it have %d of 20 places; want half of them", c.first, len(taken))
			}
			other := netip.MustParseAddr(c.other)
			for range 4 {
				if !s.take(h, other, u) {
					t.Errorf("%s has no place", other)
				}
			}
			if s.take(h, other, u) {
				t.Errorf("%s has more than a client may", other)
			}
			for range 4 {
				s.give(h, other, u)
			}
			for _, a := range taken {
				s.give(h, a, u)
			}
		}
		if len(h.clients)+len(h.groups) != 0 || h.total != (use{}) {
			t.Errorf("after all it has %v, %v, %v", h.total, h.clients, h.groups)
		}
	}
}
