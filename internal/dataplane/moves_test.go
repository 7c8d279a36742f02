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
	addrs := []netip.Prefix{netip.MustParsePrefix("10.0.1.10/32"), netip.MustParsePrefix("10.0.1.16/28"), netip.MustParsePrefix("2001:db8::/80")}
	enis := []string{"eni-1", "eni-2", "eni-3"}
	rapid.Check(t, func(t *rapid.T) {
		have := map[netip.Prefix]network.Holder{}
		next := map[netip.Prefix]string{} // who is to have each, of those that are named
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
				if addrs[i].IsSingleIP() {
					w.Addresses = addrs[i : i+1]
				} else {
					w.Prefixes = addrs[i : i+1]
				}
				next[addrs[i]] = eni
				put = append(put, w)
				gone[eni] = false
			case 2:
				gone[eni] = true
				del = append(del, w)
			}
		}
		got := map[netip.Prefix]bool{}
		for _, m := range moves(have, put, del) {
			if got[m.prefix] || m.from != have[m.prefix] {
				t.Fatalf("%v comes twice or from %v", m.prefix, m.from)
			}
			got[m.prefix] = true
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
	have := map[netip.Prefix]network.Holder{netip.MustParsePrefix("10.0.1.11/32"): {ENI: "eni-2"}}
	var got []string
	for _, m := range moves(have, nil, []desired.Workload{{ENI: "eni-1", Addresses: []netip.Prefix{a, b}}}) {
		got = append(got, m.prefix.String())
	}
	if text := strings.Join(got, " "); text != "10.0.1.10/32" {
		t.Errorf("lost are %s, want 10.0.1.10/32", text)
	}
}

// Who gets a prefix gets it free of those who have an address in it, and the other
// way round; those of its own it keeps.
func TestAPrefixAndItsAddressesAreHadByOne(t *testing.T) {
	for _, c := range []struct{ address, prefix string }{{"10.0.1.20/32", "10.0.1.16/28"}, {"2001:db8::5/128", "2001:db8::/80"}} {
		a, p := netip.MustParsePrefix(c.address), netip.MustParsePrefix(c.prefix)
		with := map[string]desired.Workload{"address": {ENI: "eni-1", Addresses: []netip.Prefix{a}}, "prefix": {ENI: "eni-1", Prefixes: []netip.Prefix{p}}}
		for has, have := range map[string]netip.Prefix{"prefix": p, "address": a} {
			for gets, w := range with {
				lost := 0
				for _, m := range moves(map[netip.Prefix]network.Holder{have: {ENI: "eni-2"}}, []desired.Workload{w}, nil) {
					if m.prefix == have && m.from.ENI == "eni-2" {
						lost++
					}
				}
				if lost != 1 {
					t.Errorf("who gets the %s of %v takes the other's %s %d times", gets, c, has, lost)
				}
			}
		}
		both := desired.Workload{ENI: "eni-1", Addresses: []netip.Prefix{a}, Prefixes: []netip.Prefix{p}}
		if got := moves(map[netip.Prefix]network.Holder{a: {ENI: "eni-1"}, p: {ENI: "eni-1"}}, []desired.Workload{both}, nil); len(got) > 0 {
			t.Errorf("its own are taken: %v", got)
		}
	}
}
