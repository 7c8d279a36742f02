// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/test/lab"
)

// Connections that go from one router into very many others, and on from each of
// these, are cut to the end of every way: many ways make none of them shorter.
func TestCutGoesToTheEndOfManyWays(t *testing.T) {
	const ways = 70
	near, middle, far := lab.NewNamespace(t), lab.NewNamespace(t), lab.NewNamespace(t)
	users := new(int)
	at := func(ns *lab.Namespace, name string) *station {
		return &station{Namespace: ns, name: name, peers: map[netip.Addr]*station{}, users: users}
	}
	first := at(near, "near")
	for i := range ways { // the routers of one step share a namespace, and with it one table
		a := func(format string) string { return fmt.Sprintf(format, i) }
		second, third := at(middle, a("middle %d")), at(far, a("far %d"))
		first.peers[netip.MustParseAddr(a("240.8.1.%d"))] = second
		second.peers[netip.MustParseAddr("240.0.0.10")] = first
		second.peers[netip.MustParseAddr(a("240.8.2.%d"))] = third
		third.peers[netip.MustParseAddr(a("240.0.2.%d"))] = second
		enter(t, near.FD(), entry{"10.0.1.10", a("10.0.2.%d"), a("240.8.1.%d"), "240.0.0.10", unix.IPPROTO_TCP}, 1)
		enter(t, middle.FD(), entry{"240.0.0.10", a("240.8.1.%d"), a("240.8.2.%d"), a("240.0.2.%d"), unix.IPPROTO_TCP}, 1)
		enter(t, far.FD(), entry{a("240.0.2.%d"), a("240.8.2.%d"), "10.0.1.10", a("10.0.3.%d"), unix.IPPROTO_TCP}, 1)
	}
	n, err := flow.Cut(t.Context(), first, []flow.Match{{Party: netip.MustParsePrefix("10.0.1.10/32")}}, nil)
	if err != nil || n != ways {
		t.Errorf("cut %d, %v; want %d", n, err, ways)
	}
	for i, ns := range []*lab.Namespace{near, middle, far} {
		if got := left(t, ns); got != 0 {
			t.Errorf("step %d still has %d connections", i, got)
		}
	}
	if *users != 0 {
		t.Errorf("%d routers were not released", *users)
	}
}
