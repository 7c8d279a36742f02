// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/netip"
	"testing"
)

// TestABlockOfAddressesWaitsBehindOthers has one interface ask from many addresses of a
// block that it was given, each of which has no place yet.
func TestABlockOfAddressesWaitsBehindOthers(t *testing.T) {
	q := turns{places: 8, taken: map[netip.Addr]int{}, blocks: map[netip.Prefix]int{}}
	here := func(n *turn) bool {
		select {
		case <-n.come:
			return true
		default:
			return false
		}
	}
	addr := netip.MustParseAddr("fd00:1::1:0:0:0")
	var crowd []*turn
	have := 0
	for range 100 {
		n := q.enter(addr)
		crowd, addr = append(crowd, n), addr.Next()
		if here(n) {
			have++
		}
	}
	if have != 7 {
		t.Errorf("a block has %d of 8 places", have)
	}
	other := netip.MustParseAddr("fd00:1::2:0:0:1")
	one, two := q.enter(other), q.enter(other)
	if !here(one) || here(two) {
		t.Errorf("another client has its place: %t, %t; want one", here(one), here(two))
	}
	q.leave(crowd[0])
	if !here(two) {
		t.Error("the next place is not that of who has fewer")
	}
	for _, n := range append(crowd[1:], one, two) {
		q.leave(n)
	}
	if q.total != 0 || len(q.taken)+len(q.blocks)+len(q.waiting) != 0 {
		t.Errorf("after all there is %+v", q)
	}
}
