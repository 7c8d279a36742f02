// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// first gives an allocator that takes the first free address, so that orders differ in
// nothing but who has which.
func first() *alloc.Allocator {
	return &alloc.Allocator{Intn: func(int) int { return 0 }, Now: time.Now, MaxInterfaces: 100}
}

func row(id string) model.Meta {
	return model.Meta{Account: account, Region: region, ID: id, CreatedAt: zero}
}

// putGroup writes a group with so many children, and so many endpoints with an interface
// each in a subnet of their own, of a length that says how many addresses there are.
func putGroup(tx *table.Txn, children, endpoints, bits int) {
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: row("rcfg-group"), Type: model.TypeGroup})
	for i := range children {
		state.ResourceConfigurations.Put(tx, child(i))
	}
	for i := range endpoints {
		subnet := &model.Subnet{Meta: row(fmt.Sprint("subnet-e", i)), CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), bits)}
		state.Subnets.Put(tx, subnet)
		eni := fmt.Sprint("eni-", i)
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
			Meta: row(eni), Subnet: subnet.ID, Type: model.InterfaceEndpoint, Owner: endpoint(i).ID, Addresses: []netip.Addr{primary(i)},
		})
		state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: subnet.ID, Addr: primary(i), Interface: eni})
		state.VPCEndpoints.Put(tx, endpoint(i))
	}
}

func primary(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i), 5}) }

func child(i int) *model.ResourceConfiguration {
	return &model.ResourceConfiguration{Meta: row(fmt.Sprint("rcfg-", i)), Type: model.TypeChild, Group: "rcfg-group", IP: netip.MustParseAddr("10.9.0.9")}
}

func endpoint(i int) *model.VPCEndpoint {
	return &model.VPCEndpoint{
		Meta: row(fmt.Sprint("vpce-", i)), Configuration: model.Ref{Account: account, Region: region, ID: "rcfg-group"},
		Interfaces: []string{fmt.Sprint("eni-", i)}, IPAddressType: "ipv4",
	}
}

// drawGroups gives a group, of which some children and endpoints are being deleted or have
// been parted. With several children it would matter who is first, for who has which address.
func drawGroups(t *rapid.T) func(*table.Txn) {
	children, endpoints := rapid.IntRange(0, 1).Draw(t, "children"), rapid.IntRange(0, 3).Draw(t, "endpoints")
	gone, joined, parted := rapid.IntRange(0, 3).Draw(t, "gone"), rapid.Bool().Draw(t, "joined"), rapid.Bool().Draw(t, "parted")
	return func(tx *table.Txn) {
		putGroup(tx, children, endpoints, 24)
		if joined && children > 0 && endpoints > 0 {
			if err := first().Join(tx, endpoint(0), child(0), zero); err != nil {
				t.Fatal(err)
			}
		}
		if e := endpoint(1); parted && endpoints > 1 {
			e.Parted = []string{"rcfg-0"}
			state.VPCEndpoints.Put(tx, e)
		}
		if c := child(0); gone&1 > 0 && children > 0 {
			c.Delete(zero)
			state.ResourceConfigurations.Put(tx, c)
		}
		if e := endpoint(0); gone&2 > 0 && endpoints > 0 {
			e.Delete(zero)
			state.VPCEndpoints.Put(tx, e)
		}
	}
}

// members gives the associations of an endpoint: its child, how many addresses, and what
// it lacks or that it ends.
func members(tx *table.Txn, e int) (all []string) {
	for a := range state.EndpointAssociationsByEndpoint.Rows(tx, endpoint(e).Ref()) {
		text := fmt.Sprint(a.Configuration.ID, " ", len(a.Addresses))
		if a.Lack != "" {
			text += " lacks"
		}
		if a.Deleting() {
			text += " ends"
		}
		all = append(all, text)
	}
	return all
}

// Whatever number of endpoints and children there is, each endpoint is associated with each
// child, in pieces that a store takes which allows 128 operations at a time.
func TestEachEndpointOfAGroupIsAssociatedWithEachChild(t *testing.T) {
	limit := func(txn store.Txn) error {
		if n := len(txn.Put) + len(txn.Delete); n > 128 {
			return store.ErrTooLarge
		}
		return nil
	}
	run(t, limit, func(w *world) {
		w.update(func(tx *table.Txn) { putGroup(tx, 20, 10, 24) })
		_, stop := w.start(w.db, nil, Members{first()})
		w.elapse(time.Second)
		for e := range 10 {
			if got := members(w.db.Snapshot(), e); len(got) != 20 || strings.Contains(fmt.Sprint(got), "lacks") {
				t.Errorf("endpoint %d has %v", e, got)
			}
		}
		ni, _ := state.NetworkInterfaces.Get(w.db.Snapshot(), account, region, "eni-0")
		if len(ni.Addresses) != 21 || ni.Addresses[0] != primary(0) {
			t.Errorf("an interface has the addresses %v", ni.Addresses)
		}
		w.update(func(tx *table.Txn) {
			c := child(3)
			c.Delete(time.Now())
			state.ResourceConfigurations.Put(tx, c)
			e := endpoint(0)
			e.Delete(time.Now())
			state.VPCEndpoints.Put(tx, e)
		})
		w.elapse(time.Second)
		if got := fmt.Sprint(members(w.db.Snapshot(), 1)); strings.Count(got, "ends") != 1 || !strings.Contains(got, "rcfg-3 1 ends") {
			t.Errorf("when a child is deleted endpoint 1 has %v", got)
		}
		if got := fmt.Sprint(members(w.db.Snapshot(), 0)); strings.Count(got, "ends") != 20 {
			t.Errorf("when it is deleted endpoint 0 has %v", got)
		}
		stop()
	})
}

// A subnet without a free address keeps nobody else from being associated; the association
// says what it lacks, and has it as soon as there is room.
func TestAnAssociationGetsTheAddressThatItLacks(t *testing.T) {
	run(t, nil, func(w *world) {
		w.update(func(tx *table.Txn) { // one of 11 addresses is left in the first subnet
			putGroup(tx, 2, 2, 28)
			for i := byte(6); i < 15; i++ {
				state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-e0", Addr: netip.AddrFrom4([4]byte{10, 0, 0, i}), Interface: "eni-x"})
			}
		})
		_, stop := w.start(w.db, nil, Members{first()})
		w.elapse(time.Second)
		got := fmt.Sprint(members(w.db.Snapshot(), 0))
		if strings.Count(got, " 0 lacks") != 1 || strings.Count(got, " 1") != 1 || fmt.Sprint(members(w.db.Snapshot(), 1)) == got {
			t.Errorf("with one address the endpoint has %v", got)
		}
		w.update(func(tx *table.Txn) { state.AddressClaims.Delete(tx, account, region, "subnet-e0/10.0.0.9") })
		w.elapse(time.Second)
		if got := fmt.Sprint(members(w.db.Snapshot(), 0)); strings.Contains(got, "lacks") {
			t.Errorf("when there is one more it has %v", got)
		}
		stop()
	})
}

// What was dissociated is not associated again, by a change that was on its way either.
func TestWhatWasPartedIsNotJoinedAgain(t *testing.T) {
	run(t, nil, func(w *world) {
		w.update(func(tx *table.Txn) { putGroup(tx, 1, 1, 24) })
		answer := Members{first()}.Ask(w.db.Snapshot(), time.Now())
		if len(answer.Changes) != 1 {
			t.Fatalf("%d changes, want 1", len(answer.Changes))
		}
		w.update(func(tx *table.Txn) {
			err := first().Join(tx, endpoint(0), child(0), zero)
			for a := range state.EndpointAssociationsByEndpoint.Rows(tx, endpoint(0).Ref()) {
				alloc.Part(tx, a)
				alloc.DeleteAssociation(tx, a)
			}
			for _, c := range answer.Changes {
				err = errors.Join(err, c.Make(tx))
			}
			if err != nil {
				t.Error(err)
			}
		})
		if got := members(w.db.Snapshot(), 0); len(got) > 0 {
			t.Errorf("it has %v again", got)
		}
		if again := (Members{first()}).Ask(w.db.Snapshot(), time.Now()); len(again.Changes) > 0 {
			t.Errorf("%d changes are asked for", len(again.Changes))
		}
	})
}
