// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestNATGatewaysAreShownForAnHour after they have failed or are gone.
func TestNATGatewaysAreShownForAnHour(t *testing.T) {
	run(t, nil, func(w *world) {
		start := time.Now()
		w.update(func(tx *table.Txn) {
			there := &model.NATGateway{Meta: model.Meta{Account: account, Region: "r", ID: "nat-1"}}
			failed := &model.NATGateway{Meta: model.Meta{Account: account, Region: "r", ID: "nat-2"}, FailureCode: "Gateway.NotAttached", GoneAt: start}
			gone := &model.NATGateway{Meta: model.Meta{Account: account, Region: "r", ID: "nat-3", DeletedAt: start}, GoneAt: start.Add(time.Minute)}
			for _, g := range []*model.NATGateway{there, failed, gone} {
				state.NATGateways.Put(tx, g)
			}
		})
		_, stop := w.start(w.db, nil, NATGateways{})
		expect := func(after time.Duration, want string) {
			w.Helper()
			left := ""
			for g := range state.NATGateways.All(w.db.Snapshot()) {
				left += g.ID + " "
			}
			if left != want {
				w.Errorf("after %v %q are left, want %q", after, left, want)
			}
		}
		w.elapse(time.Hour - time.Second)
		expect(time.Hour-time.Second, "nat-1 nat-2 nat-3 ")
		w.elapse(time.Second)
		expect(time.Hour, "nat-1 nat-3 ")
		w.elapse(24 * time.Hour)
		expect(25*time.Hour, "nat-1 ")
		stop()
	})
}

// TestAddressesOfNATGatewaysDrain, each in its time: then the gateway and its interface do
// not have them any more, the elastic one is free, and the private one when the data plane
// has let go.
func TestAddressesOfNATGatewaysDrain(t *testing.T) {
	run(t, nil, func(w *world) {
		start, meta := time.Now(), func(id string) model.Meta { return model.Meta{Account: account, Region: "r", ID: id} }
		address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + i)}) }
		w.update(func(tx *table.Txn) {
			g := &model.NATGateway{Meta: meta("nat-1"), Interface: "eni-1", Subnet: "subnet-1"}
			ni := &model.NetworkInterface{Meta: meta("eni-1"), Subnet: "subnet-1", Type: model.InterfaceNAT, Owner: "nat-1"}
			for i, allocation := range []string{"eipalloc-0", "eipalloc-1", "eipalloc-2"} {
				a := model.NATAddress{Private: address(i), Allocation: allocation}
				if i > 0 {
					a.GivenUpAt, a.DrainedAt = start, start.Add(time.Duration(i)*time.Minute)
				}
				g.Addresses, ni.Addresses = append(g.Addresses, a), append(ni.Addresses, address(i))
				state.ElasticAddresses.Put(tx, &model.ElasticAddress{Meta: meta(allocation), Association: "eipassoc-1", Interface: "eni-1", Private: address(i)})
				state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: "r", Subnet: "subnet-1", Addr: address(i), Interface: "eni-1"})
			}
			state.NATGateways.Put(tx, g)
			state.NetworkInterfaces.Put(tx, ni)
		})
		_, stop := w.start(w.db, nil, NATGateways{})
		expect := func(left int) {
			w.Helper()
			tx := w.db.Snapshot()
			g, _ := state.NATGateways.Get(tx, account, "r", "nat-1")
			ni, _ := state.NetworkInterfaces.Get(tx, account, "r", "eni-1")
			if len(g.Addresses) != left || len(ni.Addresses) != left || int(g.Generation) != 3-left {
				w.Errorf("the gateway has %v in generation %d, its interface %v; want %d", g.Addresses, g.Generation, ni.Addresses, left)
			}
			for i, allocation := range []string{"eipalloc-0", "eipalloc-1", "eipalloc-2"} {
				e, _ := state.ElasticAddresses.Get(tx, account, "r", allocation)
				c, claimed := state.AddressClaims.Get(tx, account, "r", model.AddressClaimID("subnet-1", address(i)))
				if has := i == 0 || i >= 4-left; (e.Association != "") != has || !claimed || c.Released() == has {
					w.Errorf("%d left: %s is associated by %q, the claim is %v", left, allocation, e.Association, c)
				}
			}
		}
		w.elapse(time.Minute - time.Second)
		expect(3)
		w.elapse(time.Second)
		expect(2)
		w.elapse(time.Hour)
		expect(1)
		stop()
	})
}
