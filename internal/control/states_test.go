// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// wayRows are a resource behind the gateway of gatewayRows, and an endpoint to it
// in another VPC.
func wayRows(tx *table.Txn) {
	gatewayRows(tx)
	state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("10.0.0.0/16")}}, TransitIndex: 1})
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
		Meta: meta("rcfg-1"), Gateway: "rgw-1", IP: netip.MustParseAddr("10.0.1.10"), Ports: []model.PortRange{{From: 5432, To: 5432}},
		Targets: []model.TransitTarget{{Interface: "eni-g", Index: 1}},
	})
	state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
		Meta: meta("eni-e"), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceEndpoint, Owner: "vpce-1",
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.2.100")},
	})
	state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-1"), VPC: "vpc-a", Interfaces: []string{"eni-e"}, Configuration: ref("rcfg-1")})
	state.EndpointAssociations.Put(tx, &model.EndpointAssociation{Meta: meta("rea-1"), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-1")})
}

var endpointKey = desired.Key{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.2.100"}

// life is the life cycle of a resource as services tell it.
func (f *fixture) life(id string) model.Lifecycle {
	tx := f.db.Snapshot()
	status, _ := state.Statuses.Get(tx, account, region, id)
	if row, ok := state.ResourceGateways.Get(tx, account, region, id); ok {
		return model.LifecycleOf(&row.Meta, status)
	}
	if row, ok := state.ResourceConfigurations.Get(tx, account, region, id); ok {
		return model.LifecycleOf(&row.Meta, status)
	}
	if row, ok := state.VPCEndpoints.Get(tx, account, region, id); ok {
		return model.LifecycleOf(&row.Meta, status)
	}
	if row, ok := state.EndpointAssociations.Get(tx, account, region, id); ok {
		return model.LifecycleOf(&row.Meta, status)
	}
	return "gone"
}

func (f *fixture) expect(when, id string, want model.Lifecycle) {
	f.t.Helper()
	if got := f.life(id); got != want {
		f.t.Errorf("%s %s is %s, want %s", when, id, got, want)
	}
}

func updateConfiguration(change func(*model.ResourceConfiguration)) func(*table.Txn) {
	return func(tx *table.Txn) {
		row, _ := state.ResourceConfigurations.Get(tx, account, region, "rcfg-1")
		row = row.Clone()
		change(row)
		row.Update(time.Unix(2, 0))
		state.ResourceConfigurations.Put(tx, row)
	}
}

// A configuration is being updated until the endpoints lead to what it is now, and
// its update fails when theirs does.
func TestAnUpdateIsInProgressUntilItIsProgrammed(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		f.expect("before the kernel has it", "rcfg-1", model.Pending)
		f.settle(nil)
		f.expect("when the kernel has it", "rcfg-1", model.Ready)
		for port, change := range []func(*model.ResourceConfiguration){
			func(r *model.ResourceConfiguration) { r.Ports = []model.PortRange{{From: 5433, To: 5433}} },
			func(r *model.ResourceConfiguration) { r.IP = netip.MustParseAddr("10.0.1.11") },
		} {
			f.update(updateConfiguration(change))
			f.expect("after the request", "rcfg-1", model.Updating)
			f.settle(map[desired.Key]string{endpointKey: "no room"})
			want := model.UpdateFailed
			if port == 1 { // the endpoint's entry is the same, and fails on its own
				want = model.Ready
			}
			f.expect("when an endpoint's entry fails", "rcfg-1", want)
			f.expect("when it fails", "vpce-1", model.UpdateFailed)
			f.settle(nil, endpointKey)
			f.expect("when that is over", "rcfg-1", model.Ready)
			f.expect("when that is over", "vpce-1", model.Ready)
		}
		f.update(updateConfiguration(func(r *model.ResourceConfiguration) { r.AllowShareable = true }))
		f.settle(nil)
		f.expect("after a change that means nothing to the kernel", "rcfg-1", model.Ready)
		f.expect("all the time", "rgw-1", model.Ready)
	})
}

// What fails at first is a creation that failed, also when it failed again after
// an update.
func TestACreationThatFailedIsToldFromAnUpdate(t *testing.T) {
	run(t, func(f *fixture) {
		target := desired.Key{Kind: desired.KindTarget, Realm: "vpc-b", ID: "240.8.0.1"}
		f.update(wayRows)
		for _, e := range f.deltas[len(f.deltas)-1].Put {
			if e.Key().Kind == desired.KindTarget {
				target = e.Key()
			}
		}
		f.settle(map[desired.Key]string{target: "no room"})
		f.expect("at first", "rcfg-1", model.Failed)
		f.update(updateConfiguration(func(r *model.ResourceConfiguration) { r.IP = netip.MustParseAddr("10.0.1.11") }))
		f.expect("after an update", "rcfg-1", model.Updating)
		f.settle(nil, target)
		f.expect("when it works", "rcfg-1", model.Ready)
		f.settle(map[desired.Key]string{target: "lost"})
		f.expect("when it is lost later", "rcfg-1", model.UpdateFailed)
	})
}

func TestADeletionThatIsStuckSaysWhy(t *testing.T) {
	run(t, func(f *fixture) {
		pool := desired.Key{Kind: desired.KindPool, Realm: "vpc-b", ID: "10.0.1.50"}
		f.update(gatewayRows)
		f.settle(map[desired.Key]string{pool: "no room"})
		f.expect("before", "rgw-1", model.Failed)
		f.update(deleteGateway)
		f.expect("after the request", "rgw-1", model.Deleting) // that its creation failed says nothing of its deletion
		f.settle(map[desired.Key]string{pool: "device or resource busy"})
		f.expect("when the pool stays", "rgw-1", model.DeleteFailed)
		if got, want := f.status("rgw-1"), "failedpool vpc-b 10.0.1.50: device or resource busy"; got != want {
			t.Errorf("status is %q, want %q", got, want)
		}
		f.settle(nil, pool)
		f.expect("when it has gone", "rgw-1", "gone")
	})
}

// One router that does not answer delays what lies in it, and nothing else.
func TestASlowRouterDelaysOnlyWhatIsInIt(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		f.update(func(tx *table.Txn) {
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-h"), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceGateway, Owner: "rgw-2", Addresses: []netip.Addr{netip.MustParseAddr("10.0.2.50")}})
			state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: meta("rgw-2"), VPC: "vpc-a", Interfaces: []string{"eni-h"}})
		})
		last := f.deltas[len(f.deltas)-1].Revision
		acknowledge := func(behind map[desired.Realm]int64) {
			f.c.Acknowledge(Acknowledgement{Revision: last, Behind: behind})
			rest()
		}
		acknowledge(map[desired.Realm]int64{"vpc-b": 0})
		f.expect("while vpc-b does not answer", "rgw-2", model.Ready)
		for _, id := range []string{"rgw-1", "rcfg-1", "vpce-1"} {
			f.expect("while vpc-b does not answer", id, model.Pending)
		}
		acknowledge(nil)
		for _, id := range []string{"rgw-1", "rcfg-1", "vpce-1"} {
			f.expect("when it does", id, model.Ready)
		}
	})
}

// reluctant is a store that refuses what the test says.
type reluctant struct {
	*memstore.Store
	mu     sync.Mutex
	refuse func(store.Txn) error
}

func (r *reluctant) set(refuse func(store.Txn) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

func (r *reluctant) open() store.Store {
	r.Store = memstore.New()
	return r
}

func (r *reluctant) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	r.mu.Lock()
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		if err := refuse(txn); err != nil {
			return 0, false, err
		}
	}
	return r.Store.Commit(ctx, txn)
}

func deletes(txn store.Txn, part string) bool {
	for _, key := range txn.Delete {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// A removal that the store does not take holds up no other one, and no status.
func TestOneFailingRemovalHoldsUpNobody(t *testing.T) {
	kv := &reluctant{}
	runOn(t, kv.open, slog.New(slog.DiscardHandler), func(f *fixture) {
		f.update(wayRows)
		f.settle(nil)
		kv.set(func(txn store.Txn) error {
			if deletes(txn, "rgw-2") {
				return store.ErrTooLarge
			}
			return nil
		})
		f.update(func(tx *table.Txn) {
			for _, id := range []string{"rgw-2", "rgw-3"} {
				row := &model.ResourceGateway{Meta: meta(id), VPC: "vpc-b"}
				row.Delete(time.Unix(1, 0))
				state.ResourceGateways.Put(tx, row)
			}
		})
		f.update(updateConfiguration(func(r *model.ResourceConfiguration) { r.Ports = []model.PortRange{{From: 1, To: 1}} }))
		f.settle(nil)
		f.expect("beside it", "rgw-3", "gone")
		f.expect("beside it", "rcfg-1", model.Ready)
		f.expect("what cannot be removed", "rgw-2", model.DeleteFailed)
		kv.set(nil)
		time.Sleep(2 * writeRetry)
		rest()
		f.expect("when the store takes it", "rgw-2", "gone")
	})
}

// The rows of the largest gateway go in pieces that a cluster takes, which compares and
// changes at most 127 keys at once besides its fence.
func TestALargeRemovalGoesInPieces(t *testing.T) {
	kv := &reluctant{}
	const most, interfaces, addresses = 127, 16, 62
	runOn(t, kv.open, slog.New(slog.DiscardHandler), func(f *fixture) {
		f.update(gatewayRows)
		f.update(func(tx *table.Txn) {
			row, _ := state.ResourceGateways.Get(tx, account, region, "rgw-1")
			row = row.Clone()
			row.Groups = []string{"sg-1", "sg-2", "sg-3", "sg-4", "sg-5"}
			for i := range interfaces {
				ni := &model.NetworkInterface{
					Meta: meta(fmt.Sprint("eni-g", i)), VPC: "vpc-b", Subnet: fmt.Sprint("subnet-b", i), Type: model.InterfaceGateway,
					Owner: "rgw-1", Groups: row.Groups, Prefix6: netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:%x::/80", i)),
				}
				claim := func(a netip.Addr, bits int) {
					state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: ni.Subnet, Addr: a, Bits: bits, Interface: ni.ID})
				}
				claim(ni.Prefix6.Addr(), 80)
				for n := range addresses {
					ni.Addresses = append(ni.Addresses, netip.AddrFrom4([4]byte{10, 1, byte(i), 10 + byte(n)}))
					claim(ni.Addresses[n], 0)
				}
				state.NetworkInterfaces.Put(tx, ni)
				row.Interfaces, row.Subnets = append(row.Interfaces, ni.ID), append(row.Subnets, ni.Subnet)
			}
			state.ResourceGateways.Put(tx, row)
		})
		f.settle(nil)
		var mu sync.Mutex
		refused := 0
		kv.set(func(txn store.Txn) error {
			mu.Lock()
			defer mu.Unlock()
			if len(txn.Put)+len(txn.Delete) > most || len(txn.Compare) > most {
				refused++
				return store.ErrTooLarge
			}
			return nil
		})
		f.update(deleteGateway)
		f.settle(nil)
		f.expect("after the host has let go", "rgw-1", "gone")
		tx := f.db.Snapshot()
		if n := state.AddressClaims.CountScope(tx, account, region) + state.NetworkInterfaces.CountScope(tx, account, region); n != 0 {
			t.Errorf("%d claims and interfaces are left", n)
		}
		t.Logf("%d transactions were too large", refused)
	})
}

// The end of a workload is written when the store can be written again, and told of
// once until then; what has the interface by then stays.
func TestTheEndOfAWorkloadIsWrittenWhenItCanBe(t *testing.T) {
	var log bytes.Buffer
	kv := &reluctant{}
	workload := func(id, attachment string) func(*table.Txn) {
		return func(tx *table.Txn) {
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta(id), VPC: "vpc-b", Type: model.InterfaceWorkload})
			state.Attachments.Put(tx, &model.Attachment{Account: account, Region: region, Interface: id, ID: attachment, Host: "h", PID: 7, Inode: 9})
		}
	}
	ns := desired.Namespace{PID: 7, Inode: 9}
	runOn(t, kv.open, slog.New(slog.NewTextHandler(&log, nil)), func(f *fixture) {
		f.update(gatewayRows)
		f.update(workload("eni-1", "eni-attach-1"))
		f.update(workload("eni-2", "eni-attach-2"))
		f.settle(nil)
		full := errors.New("no room")
		rest()
		kv.set(func(store.Txn) error { return full })
		f.c.Gone(desired.Gone{Host: "h", ENI: "eni-1", Attachment: "eni-attach-1", Namespace: ns})
		f.c.Gone(desired.Gone{Host: "h", ENI: "eni-2", Attachment: "eni-attach-2", Namespace: ns})
		time.Sleep(100 * time.Second)
		rest()
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("it is told %d times that the end cannot be written:\n%s", n, log.String())
		}
		kv.set(nil)
		f.update(workload("eni-2", "eni-attach-3")) // a process of the same number, in the same namespace
		time.Sleep(2 * writeRetry)
		rest()
		for id, want := range map[string]bool{"eni-1": true, "eni-2": false} {
			a, _ := state.Attachments.Get(f.db.Snapshot(), account, region, id)
			if got := !a.DeletedAt.IsZero(); got != want {
				t.Errorf("%s is being detached: %v, want %v", id, got, want)
			}
		}
	})
}

// The addresses of an endpoint that is deleted are free when the host has let go of
// them, and not already when the way has gone.
func TestAddressesOfADeletedEndpointStayUntilTheHostHasLetGo(t *testing.T) {
	run(t, func(f *fixture) {
		a := netip.MustParseAddr("10.0.2.100")
		f.update(func(tx *table.Txn) {
			wayRows(tx)
			state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-a", Addr: a, Interface: "eni-e"})
		})
		f.settle(nil)
		f.update(func(tx *table.Txn) {
			row, _ := state.VPCEndpoints.Get(tx, account, region, "vpce-1")
			row = row.Clone()
			row.Delete(time.Unix(1, 0))
			state.VPCEndpoints.Put(tx, row)
		})
		claimed := func() bool {
			return state.AddressClaimsBySubnet.Count(f.db.Snapshot(), ref("subnet-a")) > 0
		}
		address := desired.Key{Kind: desired.KindAddress, Realm: "vpc-a", ID: a.String()}
		f.settle(map[desired.Key]string{address: "busy"})
		f.expect("while the filter has its address", "vpce-1", model.DeleteFailed)
		if !claimed() {
			t.Error("the address is free although the filter still has it")
		}
		f.settle(nil, address)
		f.expect("when it has let go", "vpce-1", "gone")
		if claimed() {
			t.Error("the address is not free")
		}
	})
}
