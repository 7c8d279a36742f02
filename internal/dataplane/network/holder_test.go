// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/testnet"
)

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
	holders := func() map[netip.Addr]network.Holder {
		t.Helper()
		return must[network.Standing](t)(r.Standing()).Holders
	}
	have := holders()
	if len(have) != len(w.Addresses) {
		t.Errorf("held are %v, want %v", have, w.Addresses)
	}
	for _, a := range w.Addresses {
		if h := have[a.Addr()]; h.ENI != w.ENI || h.Namespace != w.Namespace {
			t.Errorf("%s is held by %+v", a, h)
		}
	}
	first := w.Addresses[0].Addr()
	for range 2 { // what is gone cannot be taken
		if err := r.Vacate(first, have[first]); err != nil {
			t.Error(err)
		}
	}
	if _, held := holders()[first]; held || len(holders()) != len(w.Addresses)-1 {
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
