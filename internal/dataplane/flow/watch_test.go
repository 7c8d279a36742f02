// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/test/lab"
)

// rule has a namespace drop what an nft expression matches, until undo is called.
func rule(n *lab.Namespace, match string) (undo func()) {
	n.Nft("add table inet loss; add chain inet loss in { type filter hook input priority 0; }; add rule inet loss in " + match + " drop")
	return func() { n.Nft("delete table inet loss") }
}

// An address is told that does not answer, or refuses, and none whose answers a client
// throws away, or that nobody looks at. The kernel chooses, and we do where there are too
// many addresses for it.
func TestWatchTellsOfWhatTheAddressDoes(t *testing.T) {
	for family, c := range map[string]struct{ endpoint, server string }{
		"IPv4": {"10.0.1.100", "10.0.1.10"}, "IPv6": {"2001:db8:0:1::100", "2001:db8:0:1::10"},
	} {
		for many, more := range map[string]int{"few": 20, "many": 200} {
			t.Run(family+"/"+many, func(t *testing.T) {
				t.Parallel() // most of it is waiting
				r := lab.NewRig(t)
				r.OpenPort(7000) // where nobody listens
				addrs := []netip.Addr{netip.MustParseAddr(c.server)}
				for i := range more {
					addrs = append(addrs, netip.AddrFrom4([4]byte{10, 7, 0, byte(i)}), netip.MustParseAddr(fmt.Sprintf("2001:db8:7::%x", i+1)))
				}
				testWatch(t, r, addrs, func(port int) string {
					return netip.AddrPortFrom(netip.MustParseAddr(c.endpoint), uint16(port)).String()
				})
			})
		}
	}
}

func testWatch(t *testing.T, r *lab.Rig, addrs []netip.Addr, at func(port int) string) {
	told := make(chan netip.Addr, 100)
	watch := func(addrs []netip.Addr) (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := flow.Watch(ctx, r.B.FD(), addrs, func(a netip.Addr) { told <- a }); err != nil {
				t.Error(err)
			}
		})
		return func() { cancel(); wg.Wait() }
	}
	dial := func(port int, patience time.Duration) {
		if conn, err := r.Client.Dial("tcp", at(port), nil, patience); err == nil {
			conn.Close()
		}
	}
	expect := func(what string, want bool) {
		t.Helper()
		select {
		case a := <-told:
			if !want || a != addrs[0] {
				t.Errorf("%s: %s is told", what, a)
			}
		case <-time.After(map[bool]time.Duration{true: lab.Patience, false: 1200 * time.Millisecond}[want]):
			if want {
				t.Errorf("%s: nothing is told", what)
			}
		}
	}

	end := watch(addrs[1:])
	dial(7000, time.Second)
	expect("an address that nobody looks at", false)
	end()

	end = watch(addrs)
	defer end()
	for range 20 {
		dial(5432, lab.Patience)
	}
	undo := rule(r.Client, "tcp flags syn,ack / syn,ack,rst")
	dial(5432, 200*time.Millisecond)
	expect("a client that throws answers away", false)
	undo()
	begun := time.Now()
	dial(7000, time.Second)
	expect("a refusal", true)
	t.Logf("a refusal is told after %s", time.Since(begun))
	defer rule(r.Server, "meta l4proto tcp")()
	begun = time.Now()
	dial(5432, 200*time.Millisecond)
	expect("no answer", true)
	t.Logf("no answer is told after %s", time.Since(begun))
}
