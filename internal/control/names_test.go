// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

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
	_, out := state.NamesOut(tx, a, domain)
	return out
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
		if want := "failed" + record.String() + ": no resolver"; f.status("rea-1/names") != want || f.namesOut(domain) {
			t.Errorf("the names are %s, out %v; want %s", f.status("rea-1/names"), f.namesOut(domain), want)
		}
		f.settle(nil, record)
		if !f.namesOut(domain) || f.namesOut("other.") {
			t.Errorf("the names are %s, out %v, in another domain %v", f.status("rea-1/names"), f.namesOut(domain), f.namesOut("other."))
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
		if f.status("rea-1/names") != "none" || f.life("rea-1") != "gone" {
			t.Errorf("the names are %s, the association %s", f.status("rea-1/names"), f.life("rea-1"))
		}
	})
}

// With another suffix the names are out again when they are settled anew.
func TestAnotherSuffixRenamesEverything(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		f.settle(nil)
		cfg, sent := f.c.cfg, []desired.Delta{}
		cfg.Suffix, cfg.Send = "example.net.", func(d desired.Delta) error { sent = append(sent, d); return nil }
		next, done := New(cfg), make(chan error)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { done <- next.Run(ctx) }()
		defer func() { cancel(); <-done }()
		synctest.Wait()
		const other = "vpc-lattice-rsc.us-east-1.example.net."
		if f.namesOut(other) || len(sent) != 1 {
			t.Errorf("the names are out in another domain: %v, after %d deltas", f.namesOut(other), len(sent))
		}
		next.Acknowledge(Acknowledgement{Revision: sent[0].Revision})
		synctest.Wait()
		if !f.namesOut(other) || f.namesOut(domain) {
			t.Errorf("the names are out in the new domain: %v, in the former one: %v", f.namesOut(other), f.namesOut(domain))
		}
	})
}
