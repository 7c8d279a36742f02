// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
)

// Whoever has an address after a change and did not have it before, there, gets
// it free of connections; whoever keeps an address keeps its connections.
func TestMovesAreTheAddressesThatChangeHands(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("10.0.1.11"), netip.MustParseAddr("2001:db8::10")}
	enis := []string{"eni-1", "eni-2", "eni-3"}
	rapid.Check(t, func(t *rapid.T) {
		have := map[netip.Addr]network.Holder{}
		next := map[netip.Addr]string{} // who is to have each, of those that are named
		gone := map[string]bool{}
		for _, a := range addrs {
			if eni := rapid.SampledFrom(append(enis, "")).Draw(t, "holder"); eni != "" {
				have[a] = network.Holder{ENI: eni, Namespace: desired.Namespace{Name: eni, Inode: 1}}
			}
		}
		var put, del []desired.Workload
		for i, eni := range enis {
			w := desired.Workload{ENI: eni, Namespace: desired.Namespace{Name: eni, Inode: uint64(rapid.IntRange(1, 2).Draw(t, "inode"))}}
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0: // not concerned
			case 1:
				w.Addresses = []netip.Prefix{netip.PrefixFrom(addrs[i], addrs[i].BitLen())}
				next[addrs[i]] = eni
				put = append(put, w)
				gone[eni] = false
			case 2:
				gone[eni] = true
				del = append(del, w)
			}
		}
		got := map[netip.Addr]bool{}
		for _, m := range moves(have, put, del) {
			if got[m.addr] || m.from != have[m.addr] {
				t.Fatalf("%v comes twice or from %v", m.addr, m.from)
			}
			got[m.addr] = true
		}
		for _, a := range addrs {
			holder, held := have[a]
			to, named := next[a]
			_, concerned := gone[holder.ENI]
			inode := slices.IndexFunc(put, func(w desired.Workload) bool { return w.ENI == to })
			kept := named && held && holder.ENI == to && put[inode].Namespace.Inode == holder.Namespace.Inode
			want := named && !kept || !named && held && concerned
			if got[a] != want {
				t.Fatalf("%v moves: %v, want %v; have %v, put %v, del %v", a, got[a], want, have, put, del)
			}
		}
	})
}

// A workload whose interface vanished by itself loses its addresses by the entry;
// what another one has meanwhile stays there.
func TestDeletedWorkloadsLoseWhatNobodyElseHas(t *testing.T) {
	a, b := netip.MustParsePrefix("10.0.1.10/24"), netip.MustParsePrefix("10.0.1.11/24")
	have := map[netip.Addr]network.Holder{b.Addr(): {ENI: "eni-2"}}
	var got []string
	for _, m := range moves(have, nil, []desired.Workload{{ENI: "eni-1", Addresses: []netip.Prefix{a, b}}}) {
		got = append(got, m.addr.String())
	}
	if text := strings.Join(got, " "); text != "10.0.1.10" {
		t.Errorf("lost are %s, want 10.0.1.10", text)
	}
}
