// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

const vpc = "vpc-0123456789abcdef0"

var router = desired.Router{VPC: vpc, Source4: lab.SourceA4, Source6: lab.SourceA6}

// world draws sets of entries that fit together, from few names, so that they
// meet again in the next set with other values.
type world struct {
	*rapid.T
	v6 bool
}

func (w world) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(w.T, label) }

func (w world) addr(net int) netip.Addr {
	host := w.pick("host", 12) + 1
	if w.v6 {
		return addr(fmt.Sprintf("2001:db8:%d::%d", net, host))
	}
	return addr(fmt.Sprintf("10.%d.0.%d", net, host))
}

// scope draws an address, or an IPv6 prefix and its length.
func (w world) scope() (netip.Addr, int) {
	if w.v6 && w.pick("wide", 3) == 0 {
		return addr(fmt.Sprintf("2001:db8:1:0:%x::", w.pick("prefix", 3))), 80
	}
	return w.addr(1), 0
}

// target draws one that leads to an address, or to several.
func (w world) target(gateway netip.Addr) desired.Target {
	t := desired.Target{VPC: vpc, Addr: w.addr(240), Gateway: gateway, Cut: w.pick("cut", 2) == 0}
	if w.pick("ports", 3) == 0 {
		at := func() netip.AddrPort { return netip.AddrPortFrom(w.addr(3), uint16(w.pick("to port", 65536))) }
		for _, port := range rapid.SliceOfNDistinct(rapid.Uint16(), 0, 3, rapid.ID).Draw(w.T, "forwards") {
			f := desired.Forward{Port: port, Cut: w.pick("cut at port", 2) == 0}
			for range w.pick("members", desired.Slots+1) {
				f.To = append(f.To, at())
			}
			for range w.pick("except", 3) {
				f.Except = append(f.Except, at())
			}
			t.Forwards = append(t.Forwards, f)
		}
		return t
	}
	if w.pick("several", 2) == 0 {
		t.Dest, t.Onward = w.addr(3), !t.Cut && w.pick("onward", 2) == 0
		return t
	}
	for range w.pick("addresses", desired.Slots+1) {
		t.Several = append(t.Several, w.addr(3))
	}
	return t
}

func (w world) rules() []desired.Rule {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) desired.Rule {
		w := world{t, rapid.Bool().Draw(t, "v6")}
		r := desired.Rule{Protocol: rapid.SampledFrom([]int{-1, 1, 6, 17, 50, 58}).Draw(t, "protocol"), From: -1, To: -1}
		switch r.Protocol {
		case 1, 58:
			r.From, r.To = w.pick("type", 256)-1, w.pick("code", 16)-1
		case 6, 17:
			r.From = w.pick("from", 65536)
			r.To = rapid.IntRange(r.From, 65535).Draw(t, "to")
		}
		if w.pick("peer", 3) == 0 {
			r.Group = fmt.Sprintf("sg-%d", w.pick("group", 3))
		} else {
			a := w.addr(1)
			r.Peer = netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
		}
		return r
	}), 0, 4).Draw(w.T, "rules")
}

// entries draws a set in which all that is referred to is there.
func entries(t *rapid.T) []desired.Entry {
	all := map[desired.Key]desired.Entry{}
	add := func(e desired.Entry) { all[e.Key()] = e }
	w := world{T: t}
	classes := w.pick("classes", 4)
	for i := range classes {
		add(desired.Class{VPC: vpc, Name: desired.ClassName([]string{fmt.Sprint(i)}), In: w.rules(), Out: w.rules()})
	}
	sets := w.pick("portsets", 3)
	for i := range sets {
		from := uint16(w.pick("from", 1000))
		add(desired.PortSet{VPC: vpc, Name: fmt.Sprintf("p-%d", i), Ranges: []desired.PortRange{{From: from, To: from + 9}, {From: 5000, To: 65535}}})
	}
	if acls := w.pick("ACLs", 3); acls > 0 {
		for i := range acls {
			add(desired.ACL{VPC: vpc, Name: fmt.Sprintf("acl-%d", i), In: w.aclRules(), Out: w.aclRules()})
		}
		for i := range w.pick("subnets", 4) {
			add(w.filtered(i, acls))
		}
	}
	for i := range w.pick("peers", 3) {
		add(w.peering(i))
	}
	for range w.pick("things", 40) {
		w.v6 = rapid.Bool().Draw(t, "v6")
		switch w.pick("kind", 5) {
		case 0:
			a, bits := w.scope()
			add(desired.Member{VPC: vpc, Group: fmt.Sprintf("sg-%d", w.pick("group", 4)), Addr: a, Bits: bits})
		case 1:
			if classes > 0 {
				a, bits := w.scope()
				add(desired.Address{VPC: vpc, Addr: a, Bits: bits, Class: desired.ClassName([]string{fmt.Sprint(w.pick("class", classes))})})
			}
		case 2:
			gateway := w.addr(2)
			add(w.pool(gateway))
			add(w.target(gateway))
		case 3:
			source := rapid.SampledFrom([]netip.Prefix{lab.SourceA4, lab.SourceB4}).Draw(t, "source")
			if w.v6 {
				source = rapid.SampledFrom([]netip.Prefix{lab.SourceA6, lab.SourceB6}).Draw(t, "source")
			}
			add(desired.Allow{VPC: vpc, Source: source, Target: w.addr(240)})
		case 4:
			add(w.endpoint(sets))
		}
	}
	list := make([]desired.Entry, 0, len(all))
	for _, e := range all {
		list = append(list, e)
	}
	desired.Sort(list)
	return list
}

func (w world) aclRules() (list []desired.ACLRule) {
	for _, r := range w.rules() {
		if r.Group == "" {
			list = append(list, desired.ACLRule{Allow: w.pick("allow", 2) == 0, Rule: r})
		}
	}
	return list
}

// peering draws one of three, with blocks of one family or both.
func (w world) peering(i int) desired.Peering {
	p := desired.Peering{VPC: vpc, Peer: fmt.Sprintf("vpc-%d000000000000000", i)}
	for n := range 1 + w.pick("blocks", 3) {
		p.Own = append(p.Own, prefix(fmt.Sprintf("10.%d.0.0/16", n)))
		p.Theirs = append(p.Theirs, prefix(fmt.Sprintf("10.%d.0.0/%d", 100+10*i+n, 16+w.pick("longer", 12))))
	}
	if w.pick("IPv6", 2) == 0 {
		p.Own, p.Theirs = append(p.Own, prefix("2001:db8:1::/56")), append(p.Theirs, prefix(fmt.Sprintf("2001:db8:%d00::/56", 1+i)))
	}
	return p
}

// filtered draws one of four subnets that lie beside each other.
func (w world) filtered(i, acls int) desired.Filtered {
	f := desired.Filtered{VPC: vpc, Subnet: fmt.Sprintf("subnet-%d", i), ACL: fmt.Sprintf("acl-%d", w.pick("ACL", acls))}
	if w.pick("IPv4", 4) > 0 {
		f.Prefixes = append(f.Prefixes, prefix(fmt.Sprintf("10.1.%d.0/%d", i, 24+w.pick("longer", 5))))
	}
	if w.pick("IPv6", 2) > 0 {
		f.Prefixes = append(f.Prefixes, prefix(fmt.Sprintf("2001:db8:1:%d::/64", i)))
	}
	for n := range w.pick("interfaces", 3) {
		f.ENIs = append(f.ENIs, fmt.Sprintf("eni-%d%d23456789abcdef0", i, n))
	}
	return f
}

func (w world) pool(gateway netip.Addr) desired.Pool {
	if w.v6 {
		return desired.Pool{VPC: vpc, Gateway: gateway, Addresses: []netip.Prefix{netip.PrefixFrom(gateway, 80+w.pick("bits", 49)).Masked()}}
	}
	p := desired.Pool{VPC: vpc, Gateway: gateway, Addresses: []netip.Prefix{netip.PrefixFrom(gateway, 32)}}
	for i := range w.pick("addresses", 64) {
		p.Addresses = append(p.Addresses, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 32))
	}
	return p
}

func (w world) endpoint(sets int) desired.Endpoint {
	e := desired.Endpoint{VPC: vpc, Addr: w.addr(1), Target: w.addr(240)}
	if w.pick("own", 4) == 1 {
		e.Target = e.Addr
	}
	for _, port := range rapid.SliceOfNDistinct(rapid.Uint16(), 0, 5, rapid.ID).Draw(w.T, "ports") {
		e.Ports = append(e.Ports, desired.PortRange{From: port, To: port})
	}
	slices.SortFunc(e.Ports, func(a, b desired.PortRange) int { return int(a.From) - int(b.From) })
	if sets > 0 && (len(e.Ports) == 0 || w.pick("ranges", 2) == 1) {
		e.PortSet = fmt.Sprintf("p-%d", w.pick("portset", sets))
	} else if len(e.Ports) == 0 {
		e.Ports = []desired.PortRange{{From: 443, To: 443}}
	}
	return e
}

func newTable(t testing.TB) (*nft.Table, *lab.Namespace) {
	t.Helper()
	n := lab.NewNamespace(t)
	return lab.OpenTable(t, n, router), n
}

// reads checks that the kernel has exactly the entries.
func reads(t interface {
	rapid.TB
	Context() context.Context
}, table *nft.Table, want []desired.Entry) {
	t.Helper()
	content, err := table.Dump(t.Context(), vpc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desired.Text(want), desired.Text(content.Entries)); diff != "" {
		t.Fatalf("the kernel has other entries (-want +got):\n%s", diff)
	}
	if !content.Intact || content.Source4 != router.Source4 || content.Source6 != router.Source6 {
		t.Fatalf("skeleton: intact %v, sources %s and %s", content.Intact, content.Source4, content.Source6)
	}
}

func TestEntriesComeBackFromTheKernel(t *testing.T) {
	table, n := newTable(t)
	var present []desired.Entry
	rapid.Check(t, func(rt *rapid.T) {
		want := entries(rt)
		wanted := map[desired.Key]bool{}
		for _, e := range want {
			wanted[e.Key()] = true
		}
		gone := slices.DeleteFunc(slices.Clone(present), func(e desired.Entry) bool { return wanted[e.Key()] })
		if failed := table.Apply(rt.Context(), want, gone); failed != nil {
			rt.Fatalf("apply: %v", failed)
		}
		present = want
		reads(rt, table, want)
	})
	if failed := table.Apply(t.Context(), nil, present); failed != nil {
		t.Fatal(failed)
	}
	reads(t, table, nil)
	if text := n.Nft("list", "table", "inet", "postern"); strings.Contains(text, "member") || strings.Contains(text, "in-c-") || strings.Contains(text, "border") || strings.Contains(text, "acl") {
		t.Errorf("sets or chains are left:\n%s", text)
	}
}
