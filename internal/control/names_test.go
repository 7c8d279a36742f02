// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const domain = "vpc-lattice-rsc.us-east-1.postern.internal."

// namesOut reports whether the names of the association of wayRows are out.
func (f *fixture) namesOut(domain string) bool {
	tx := f.db.Snapshot()
	a, _ := state.EndpointAssociations.Get(tx, account, region, "rea-1")
	_, out := state.NamesOut(tx, &a.Meta, domain)
	return out
}

// namesStatus is what is known of the names of the association of wayRows.
func (f *fixture) namesStatus() string {
	row, ok := state.Statuses.Get(f.db.Snapshot(), account, region, "rea-1")
	if !ok || row.Names.State == model.StatusUnsaid {
		return "none"
	}
	return string(row.Names.State) + row.Names.Reason
}

// The names of an endpoint are out when they are settled: neither before, nor when a
// resolver cannot have them, which is nothing to the endpoint. They go with it.
func TestNamesAreOutWhenTheyAreSettled(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		record := desired.Key{
			Realm: desired.Zone("vpc-a/endpoints"), Kind: desired.KindRecord, ID: "vpce-1.rcfg-1.4232ccc." + domain + "/A",
		}
		if f.namesOut(domain) {
			t.Error("the names are out before a host has them")
		}
		f.settle(map[desired.Key]string{record: "no resolver"})
		f.expect("without a resolver", "vpce-1", model.Ready)
		f.expect("without a resolver", "rea-1", model.Ready)
		if want := "failed" + record.String() + ": no resolver"; f.namesStatus() != want || f.namesOut(domain) {
			t.Errorf("the names are %s, out %v; want %s", f.namesStatus(), f.namesOut(domain), want)
		}
		f.settle(nil, record)
		if !f.namesOut(domain) || f.namesOut("other.") {
			t.Errorf("the names are %s, out %v, in another domain %v", f.namesStatus(), f.namesOut(domain), f.namesOut("other."))
		}
		f.update(func(tx *table.Txn) {
			row, _ := state.EndpointAssociations.Get(tx, account, region, "rea-1")
			row = row.Clone()
			row.Delete(time.Unix(3, 0))
			state.EndpointAssociations.Put(tx, row)
		})
		if f.namesOut(domain) {
			t.Error("the names of an association that is being deleted are out")
		}
		f.settle(nil)
		if f.namesStatus() != "none" || f.life("rea-1") != "gone" {
			t.Errorf("the names are %s, the association %s", f.namesStatus(), f.life("rea-1"))
		}
	})
}

// A resolver may be done before a router: the names are out then, and their association
// waits as if nothing had been said.
func TestNamesMayBeOutBeforePacketsGetThrough(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		last := f.deltas[len(f.deltas)-1]
		f.c.Acknowledge(Acknowledgement{Revision: last.Revision, Behind: map[desired.Realm]int64{"vpc-a": 0}})
		rest()
		f.expect("while the router is behind", "rea-1", model.Pending)
		if !f.namesOut(domain) {
			t.Errorf("the names are %s while the router is behind", f.namesStatus())
		}
		f.settle(map[desired.Key]string{endpointKey: "no router"})
		f.expect("without a router", "rea-1", model.Failed)
		if !f.namesOut(domain) {
			t.Errorf("the names are %s without a router", f.namesStatus())
		}
		f.settle(nil, endpointKey)
		f.expect("with the router", "rea-1", model.Ready)
		if !f.namesOut(domain) {
			t.Errorf("the names are %s with the router", f.namesStatus())
		}
	})
}

// With another suffix the names are out again when they are settled anew.
func TestAnotherSuffixRenamesEverything(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		f.settle(nil)
		cfg, sent := f.c.cfg, []desired.Delta{}
		cfg.Domains.Endpoints, cfg.Send = "example.net.", func(d desired.Delta) error { sent = append(sent, d); return nil }
		next, done := New(cfg), make(chan error)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { done <- next.Run(ctx) }()
		defer func() { cancel(); <-done }()
		rest()
		const other = "vpc-lattice-rsc.us-east-1.example.net."
		if f.namesOut(other) || len(sent) != 1 {
			t.Errorf("the names are out in another domain: %v, after %d deltas", f.namesOut(other), len(sent))
		}
		next.Acknowledge(Acknowledgement{Revision: sent[0].Revision})
		rest()
		if !f.namesOut(other) || f.namesOut(domain) {
			t.Errorf("the names are out in the new domain: %v, in the former one: %v", f.namesOut(other), f.namesOut(domain))
		}
	})
}

// zoneKey is what the only record of zoneRows is called.
var zoneKey = desired.NameRecord{Zone: "Z1", Name: "www.example.com.", Type: "A"}.Key()

// zoneRows are a zone that vpc-b of gatewayRows sees, with a record and the change that
// made both.
func zoneRows(tx *table.Txn) {
	gatewayRows(tx)
	vpc, _ := state.VPCs.Get(tx, account, region, "vpc-b")
	vpc = vpc.Clone()
	vpc.DNSSupport, vpc.DNSHostnames = true, true
	state.VPCs.Put(tx, vpc)
	state.HostedZones.Put(tx, &model.HostedZone{Meta: model.Meta{Account: account, ID: "Z1"}, Name: "example.com.", VPCs: []model.Ref{ref("vpc-b")}})
	putRecord(tx, "10.0.0.1")
	changeOf(tx, "C1")
}

func putRecord(tx *table.Txn, value string) {
	state.RecordSets.Put(tx, &model.RecordSet{Account: account, Zone: "Z1", Name: "www.example.com.", Type: "A", Values: []string{value}})
}

// changeOf notes a change of Z1 by another account.
func changeOf(tx *table.Txn, id string) {
	state.ZoneChanges.Put(tx, &model.ZoneChange{Account: "444455556666", ID: id, Zone: model.Ref{Account: account, ID: "Z1"}})
}

// said is what is known of changes.
func (f *fixture) said(ids ...string) (all []string) {
	for _, id := range ids {
		text := "pending"
		if s, ok := state.Statuses.Get(f.db.Snapshot(), "444455556666", "", id); ok {
			text = string(s.State) + s.Reason
		}
		all = append(all, text)
	}
	return all
}

func (f *fixture) wantSaid(when string, want []string, ids ...string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.said(ids...)); diff != "" {
		f.t.Errorf("%s: %s", when, diff)
	}
}

// A change of a zone is ready when what it has changed is settled, whoever asked for it,
// and not before a resolver that could not have it has it.
func TestAChangeOfAZoneIsReadyWhenItIsSettled(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(zoneRows)
		f.wantSaid("before a host has it", []string{"pending"}, "C1")
		f.settle(nil)
		f.wantSaid("settled", []string{"ready"}, "C1")

		f.update(func(tx *table.Txn) { putRecord(tx, "10.0.0.2"); changeOf(tx, "C2") })
		f.wantSaid("after another change", []string{"ready", "pending"}, "C1", "C2")
		f.settle(map[desired.Key]string{zoneKey: "busy"})
		f.wantSaid("in error", []string{"ready", "failed" + zoneKey.String() + ": busy"}, "C1", "C2")
		f.settle(nil, zoneKey)
		f.wantSaid("recovered", []string{"ready", "ready"}, "C1", "C2")

		f.update(func(tx *table.Txn) {
			state.RecordSets.Delete(tx, account, "", model.RecordSetID("Z1", "www.example.com.", "A", ""))
			changeOf(tx, "C3")
		})
		f.update(func(tx *table.Txn) { changeOf(tx, "C4") }) // of nothing
		f.wantSaid("while a record is on its way out", []string{"pending", "ready"}, "C3", "C4")
		f.settle(nil)
		f.wantSaid("when it is gone", []string{"ready"}, "C3")

		f.update(func(tx *table.Txn) { state.HostedZones.Delete(tx, account, "", "Z1"); changeOf(tx, "C5") })
		f.wantSaid("while a zone is on its way out", []string{"pending"}, "C5")
		f.settle(nil)
		f.wantSaid("when it is gone", []string{"ready"}, "C5")
		if _, left := state.Statuses.Get(f.db.Snapshot(), account, "", "Z1"); left {
			t.Error("a zone that is gone has a state")
		}
	})
}
