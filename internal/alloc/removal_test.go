// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"testing"

	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestAnInterfaceShedsWhatItHas, a bound at a time: whatever is left in between is an
// interface whose claims are those of its addresses, and one address stays to the end.
func TestAnInterfaceShedsWhatItHas(t *testing.T) {
	env, s := newEnv(t), subnet("10.0.0.0/20", "fd00:1:2:3::/64")
	ni, err := create(t, env, Params{ID: "eni-1", Subnet: s, IPv4: Want{Count: 30}, IPv6: Want{Count: 20}, Prefixes4: WantPrefixes{Count: 3}, Prefixes6: WantPrefixes{Count: 5}})
	if err != nil {
		t.Fatal(err)
	}
	const least, piece = 10, 10 + 15 // of which a prefix may be the last
	update := func(fn func(tx *table.Txn)) {
		t.Helper()
		if _, err := env.DB.Update(t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	claimed := func() int { return state.AddressClaims.CountScope(env.DB.Snapshot(), s.Account, s.Region) }
	primary := ni.Addresses[0]
	for before := claimed(); ; before = claimed() {
		freed := 0
		update(func(tx *table.Txn) {
			ni, _ := state.NetworkInterfaces.Get(tx, s.Account, s.Region, "eni-1")
			freed = Shed(tx, ni, least)
		})
		now, _ := state.NetworkInterfaces.Get(env.DB.Snapshot(), s.Account, s.Region, "eni-1")
		has := len(now.All()) + len(now.Delegated()) + len(now.Prefixes6)
		if claimed() != has || claimed() != before-freed || freed > piece || now.Addresses[0] != primary {
			t.Fatalf("after %d of %d are shed, %d are claimed and the interface has %d, the first %s", freed, before, claimed(), has, now.Addresses[0])
		}
		if freed == 0 {
			break
		}
	}
	if claimed() != 1 {
		t.Errorf("%d addresses are left, want the primary one", claimed())
	}
	update(func(tx *table.Txn) {
		ni, _ := state.NetworkInterfaces.Get(tx, s.Account, s.Region, "eni-1")
		DeleteInterface(tx, ni)
	})
	if claimed() != 0 {
		t.Errorf("%d addresses are claimed by nobody", claimed())
	}
}
