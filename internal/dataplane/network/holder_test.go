// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// An address that is there in half, as a process leaves it that ended in between,
// is not taken for what is wanted: neither one that is to come nor one that is to
// go.
func TestAnAddressInHalfIsSeen(t *testing.T) {
	rs, _ := routers(t)
	r := makeRouter(t, rs, plainRouter(vpcA))
	defer r.Release()
	ns := testnet.New(t)
	few := plainWorkload(vpcA, ns)
	few.Addresses = append(few.Addresses, netip.MustParsePrefix("2001:db8::10/128"))
	other4, other6 := few.Addresses[0].Addr().Next(), netip.MustParseAddr("2001:db8::11")
	many := few
	many.Addresses = append(slices.Clone(few.Addresses), netip.PrefixFrom(other4, few.Addresses[0].Bits()), netip.PrefixFrom(other6, 128))
	there := func() string {
		t.Helper()
		content := must[network.Content](t)(rs.Dump(r))
		if len(content.Workloads) != 1 {
			t.Fatalf("workloads %v", content.Workloads)
		}
		return content.Workloads[0].String()
	}
	for name, spoil := range map[string]func(netip.Addr){
		"on the interface alone": func(a netip.Addr) {
			if err := r.Vacate(holder(t, r, a)); err != nil {
				t.Fatal(err)
			}
		},
		"with a route alone": func(a netip.Addr) {
			command(t, ns, "ip", "addr", "del", netip.PrefixFrom(a, a.BitLen()).String(), "dev", few.Device)
		},
	} {
		for _, a := range []netip.Addr{other4, other6} {
			if err := r.Attach(many); err != nil {
				t.Fatal(err)
			}
			if got := there(); got != many.String() {
				t.Fatalf("there is %s, want %s", got, many)
			}
			spoil(a)
			if got := there(); got == many.String() || got == few.String() {
				t.Errorf("%s %s: there is %s", a, name, got)
			}
			if err := r.Attach(few); err != nil {
				t.Fatal(err)
			}
			if got := there(); got != few.String() {
				t.Errorf("%s %s, attached without: there is %s, want %s", a, name, got, few)
			}
		}
	}
}

// holder is who has an address.
func holder(t *testing.T, r *network.Router, a netip.Addr) network.Holder {
	t.Helper()
	h, _ := must[network.Standing](t)(r.Standing()).Holder(a)
	return h
}

// command runs a program in a namespace.
func command(t *testing.T, ns *testnet.NS, words ...string) {
	t.Helper()
	if out, err := exec.Command("ip", append([]string{"netns", "exec", ns.Name}, words...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", words, err, out)
	}
}

// The router's routes say who has an address, until it is taken away or the
// interface is gone. Addresses of the link are nobody's concern.
func TestStandingSaysWhoHasAnAddress(t *testing.T) {
	rs, _ := routers(t)
	r := makeRouter(t, rs, plainRouter(vpcA))
	defer r.Release()
	ns := testnet.New(t)
	w := plainWorkload(vpcA, ns)
	w.Addresses = append(w.Addresses, netip.MustParsePrefix("2001:db8::10/128"))
	if err := r.Attach(w); err != nil {
		t.Fatal(err)
	}
	holders := func() map[netip.Prefix]network.Holder {
		t.Helper()
		return must[network.Standing](t)(r.Standing()).Holders
	}
	have := holders()
	if len(have) != len(w.Addresses) {
		t.Errorf("held are %v, want %v", have, w.Addresses)
	}
	for _, a := range w.Addresses {
		if h := holder(t, r, a.Addr()); h.ENI != w.ENI || h.Namespace != w.Namespace {
			t.Errorf("%s is held by %+v", a, h)
		}
	}
	first := w.Addresses[0].Addr()
	taken := holder(t, r, first)
	for range 2 { // what is gone cannot be taken
		if err := r.Vacate(taken); err != nil {
			t.Error(err)
		}
	}
	if holder(t, r, first).ENI != "" || len(holders()) != len(w.Addresses)-1 {
		t.Errorf("held are %v after %s was taken", holders(), first)
	}
	if err := r.Attach(w); err != nil {
		t.Fatal(err)
	}
	if err := r.Detach(w.ENI); err != nil {
		t.Fatal(err)
	}
	if left := holders(); len(left) > 0 {
		t.Errorf("held are %v after the interface was detached", left)
	}
}
