// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

const (
	account = "111122223333"
	region  = "us-east-1"
)

func ref(id string) model.Ref   { return model.Ref{Account: account, Region: region, ID: id} }
func meta(id string) model.Meta { return model.Meta{Account: account, Region: region, ID: id} }

// fixture is a controller over real tables, and a host that does what the test
// says.
type fixture struct {
	t      *testing.T
	db     *table.DB
	c      *Controller
	deltas []desired.Delta
}

// run calls fn with a running controller in a bubble of virtual time.
func run(t *testing.T, fn func(*fixture)) {
	runOn(t, func() store.Store { return memstore.New() }, slog.New(slog.DiscardHandler), fn)
}

// runOn does the same on a store, which is made in the bubble, and with a log of
// the test's own.
func runOn(t *testing.T, kv func() store.Store, log *slog.Logger, fn func(*fixture)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		db, err := state.Open(ctx, kv(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{t: t, db: db}
		f.c = New(Config{
			DB: db, Host: model.Host{Name: "h"}, Domains: plan.Domains{Endpoints: "postern.internal.", Databases: "rds.example."}, Log: log, Now: time.Now,
			Send: func(d desired.Delta) error { f.deltas = append(f.deltas, d); return nil },
		})
		done := make(chan error, 1)
		go func() { done <- f.c.Run(ctx) }()
		rest()
		fn(f)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		db.Close()
		synctest.Wait()
	})
}

// rest lets everything happen that is due, and what nobody waits for too: states are
// written patiently.
func rest() {
	time.Sleep(writeRetry / 10)
	synctest.Wait()
}

func (f *fixture) update(fn func(*table.Txn)) {
	f.t.Helper()
	if _, err := f.db.Update(f.t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		f.t.Fatal(err)
	}
	rest()
}

// settle acknowledges everything that was sent, with failures.
func (f *fixture) settle(failed map[desired.Key]string, recovered ...desired.Key) {
	f.t.Helper()
	last := f.deltas[len(f.deltas)-1]
	f.c.Acknowledge(Acknowledgement{Revision: last.Revision, Failed: failed, Recovered: recovered})
	rest()
}

func (f *fixture) status(id string) string {
	s, ok := state.Statuses.Get(f.db.Snapshot(), account, region, id)
	if !ok {
		return "none"
	}
	return string(s.State) + s.Reason
}

func gatewayRows(tx *table.Txn) {
	state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-b"), CIDRs: []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("10.0.0.0/16")}}})
	state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-g"), VPC: "vpc-b", Subnet: "subnet-b", Type: model.InterfaceGateway, Owner: "rgw-1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.50")}})
	state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: netip.MustParseAddr("10.0.1.50"), Interface: "eni-g"})
	state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: meta("rgw-1"), VPC: "vpc-b", Interfaces: []string{"eni-g"}})
}

func deleteGateway(tx *table.Txn) {
	row, _ := state.ResourceGateways.Get(tx, account, region, "rgw-1")
	row = row.Clone()
	row.Delete(time.Unix(1, 0))
	state.ResourceGateways.Put(tx, row)
}

func TestAResourceIsReadyWhenTheHostHasSettledIt(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(gatewayRows)
		if got := f.status("rgw-1"); got != "none" {
			t.Errorf("status before the acknowledgement is %q, want none", got)
		}
		f.settle(nil)
		if got := f.status("rgw-1"); got != "ready" {
			t.Errorf("status after it is %q, want ready", got)
		}
	})
}

func TestAFailureIsToldAndForgottenWhenItIsOver(t *testing.T) {
	run(t, func(f *fixture) {
		pool := desired.Key{Kind: desired.KindPool, Realm: "vpc-b", ID: "10.0.1.50"}
		f.update(gatewayRows)
		f.settle(map[desired.Key]string{pool: "no space left on device"})
		if got, want := f.status("rgw-1"), "failedpool vpc-b 10.0.1.50: no space left on device"; got != want {
			t.Errorf("status is %q, want %q", got, want)
		}
		f.settle(nil, pool)
		if got := f.status("rgw-1"); got != "ready" {
			t.Errorf("status after recovery is %q, want ready", got)
		}
	})
}

func TestDeletionWaitsUntilTheHostHasLetGo(t *testing.T) {
	run(t, func(f *fixture) {
		pool := desired.Key{Kind: desired.KindPool, Realm: "vpc-b", ID: "10.0.1.50"}
		f.update(gatewayRows)
		f.settle(nil)
		f.update(deleteGateway)
		exists := func() bool {
			_, ok := state.ResourceGateways.Get(f.db.Snapshot(), account, region, "rgw-1")
			return ok
		}
		if !exists() {
			t.Error("the row is gone before the host has let go")
		}
		f.settle(map[desired.Key]string{pool: "device or resource busy"})
		if !exists() {
			t.Error("the row is gone although its pool could not be removed")
		}
		f.settle(nil, pool)
		if exists() {
			t.Error("the row is still there")
		}
		for _, left := range []int{
			state.NetworkInterfacesByVPC.Count(f.db.Snapshot(), ref("vpc-b")),
			state.AddressClaimsBySubnet.Count(f.db.Snapshot(), ref("subnet-b")),
		} {
			if left != 0 {
				t.Errorf("%d interfaces or addresses are left of the gateway", left)
			}
		}
		if got := f.status("rgw-1"); got != "none" {
			t.Errorf("status is %q, want none", got)
		}
	})
}

func TestAnOldVerdictDoesNotDeleteWhatTheHostStillHas(t *testing.T) {
	v := verdict{subject: plan.Subject{Kind: plan.SubjectGateway, Ref: ref("rgw-1")}}
	run(t, func(f *fixture) {
		f.update(gatewayRows)
		f.update(deleteGateway)
		f.update(func(tx *table.Txn) { w := newWriting(tx, time.Now()); w.verdict(v); w.end() })
		if _, ok := state.ResourceGateways.Get(f.db.Snapshot(), account, region, "rgw-1"); !ok {
			t.Error("a verdict from before the deletion removed the row")
		}
	})
}

func TestAWorkloadThatEndedTakesItsInterfaceAlong(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(func(tx *table.Txn) {
			gatewayRows(tx)
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-w"), VPC: "vpc-b", Type: model.InterfaceWorkload})
			state.Attachments.Put(tx, &model.Attachment{Account: account, Region: region, Interface: "eni-w", Host: "h", PID: 7, DeleteOnTermination: true})
		})
		f.settle(nil)
		for _, ns := range []desired.Namespace{{PID: 6}, {PID: 7}} { // what it was attached to before, and now
			if _, ok := state.NetworkInterfaces.Get(f.db.Snapshot(), account, region, "eni-w"); !ok {
				t.Error("the end of another process took it along")
			}
			f.c.Gone(desired.Gone{Host: "h", ENI: "eni-w", Namespace: ns})
			rest()
			f.settle(nil)
		}
		if _, ok := state.NetworkInterfaces.Get(f.db.Snapshot(), account, region, "eni-w"); ok {
			t.Error("the interface is still there")
		}
	})
}

// A host may know more than the tables here: then the end is written when they know it
// too.
func TestTheEndOfAWorkloadWaitsForTheTables(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(func(tx *table.Txn) { gatewayRows(tx) })
		f.settle(nil)
		f.c.Gone(desired.Gone{Host: "h", ENI: "eni-w", Attachment: "eni-attach-1", Namespace: desired.Namespace{PID: 7}, Revision: f.db.Snapshot().Revision() + 1})
		rest()
		f.update(func(tx *table.Txn) {
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-w"), VPC: "vpc-b", Type: model.InterfaceWorkload})
			state.Attachments.Put(tx, &model.Attachment{Account: account, Region: region, Interface: "eni-w", ID: "eni-attach-1", Host: "h", PID: 7})
		})
		time.Sleep(2 * writeRetry)
		rest()
		if a, _ := state.Attachments.Get(f.db.Snapshot(), account, region, "eni-w"); a.DeletedAt.IsZero() {
			t.Error("the end was forgotten")
		}
	})
}

// An address that an attached interface has given up is free when the host has
// let go of it, and not when it could not.
func TestAnAddressGivenUpIsFreeWhenTheHostHasLetGo(t *testing.T) {
	run(t, func(f *fixture) {
		up, left := netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("10.0.1.20")
		ni := &model.NetworkInterface{Meta: meta("eni-w"), VPC: "vpc-b", Subnet: "subnet-b", Type: model.InterfaceWorkload, SourceDestCheck: true, Addresses: []netip.Addr{up, left}}
		claim := &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: left, Interface: "eni-w"}
		f.update(func(tx *table.Txn) {
			gatewayRows(tx)
			state.NetworkInterfaces.Put(tx, ni)
			state.AddressClaims.Put(tx, claim)
			state.Attachments.Put(tx, &model.Attachment{Account: account, Region: region, Interface: "eni-w", Host: "h", PID: 7})
		})
		f.settle(nil)
		f.update(func(tx *table.Txn) {
			without, released := ni.Clone(), claim.Clone()
			without.Addresses, released.ReleasedAt = []netip.Addr{up}, time.Now()
			state.NetworkInterfaces.Put(tx, without)
			state.AddressClaims.Put(tx, released)
		})
		claimed := func() bool {
			_, ok := state.AddressClaims.Get(f.db.Snapshot(), account, region, claim.Ref().ID)
			return ok
		}
		if !claimed() {
			t.Error("the address is free before the host has let go")
		}
		workload := desired.Key{Kind: desired.KindWorkload, Realm: "vpc-b", ID: "eni-w"}
		address := desired.Key{Kind: desired.KindAddress, Realm: "vpc-b", ID: left.String()}
		f.settle(map[desired.Key]string{workload: "busy", address: "busy"})
		if !claimed() {
			t.Error("the address is free although the workload still has it")
		}
		f.settle(nil, workload)
		if !claimed() {
			t.Error("the address is free although the filter still has it")
		}
		f.settle(nil, address)
		if claimed() {
			t.Error("the address is not free")
		}
	})
}

func TestASendErrorStopsTheController(t *testing.T) {
	db, err := state.Open(t.Context(), memstore.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	broken := errors.New("stream is closed")
	c := New(Config{DB: db, Host: model.Host{Name: "h"}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Send: func(desired.Delta) error { return broken }})
	if err := c.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("run returns %v, want %v", err, broken)
	}
}
