// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/test/cluster"
)

// TestTakeoverOnACluster runs makers in two processes on etcd, and ends the lease of the
// one that is elected in the midst of its work: the other one goes on, the first learns
// that it is deposed, and each job is done once, in transactions that etcd takes.
func TestTakeoverOnACluster(t *testing.T) {
	const many = 400
	endpoint := cluster.Start(t, 0)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	connect := func(host string) (*etcdstore.Store, *table.DB) {
		kv, err := etcdstore.Open(t.Context(), etcdstore.Config{Endpoints: []string{endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		db, err := table.Open(t.Context(), kv, slog.New(slog.DiscardHandler), append(state.Tables(), jobs, dones)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			db.Close()
			if err := kv.Close(); err != nil {
				t.Error(err)
			}
		})
		r := New(Config{DB: db, Campaign: kv.Campaign, Makers: []Maker{worker{}}, Host: host, Now: time.Now, Log: discard()})
		running.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		return kv, db
	}
	kv, db := connect("first")
	_, other := connect("second")
	elected := func() (key string, lease clientv3.LeaseID) {
		response, err := kv.Client().Get(t.Context(), "/postern/office/makers")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range response.Kvs {
			return fmt.Sprint(k.CreateRevision), clientv3.LeaseID(k.Lease)
		}
		return "", 0
	}
	await(t, "an election", func() bool { _, lease := elected(); return lease != 0 })
	for begin := 0; begin < many; begin += 40 {
		if _, err := db.Update(t.Context(), func(tx *table.Txn) error {
			for i := range 40 {
				jobs.Put(tx, &job{fmt.Sprintf("%03d", begin+i), time.Unix(1, 0)})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if begin == many/2 {
			key, lease := elected()
			if _, err := kv.Client().Revoke(t.Context(), lease); err != nil {
				t.Fatal(err)
			}
			await(t, "the other one's election", func() bool { now, _ := elected(); return now != "" && now != key })
		}
	}
	view := func(db *table.DB) *table.Txn {
		tx, err := db.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	await(t, "all jobs", func() bool { return jobs.CountScope(view(db), "", "") == 0 })
	// The first one may have done them all before the second one began its term.
	await(t, "a second term", func() bool {
		e, ok := state.Elections.Get(view(other), "", "", office)
		return ok && e.Term >= 2
	})
	cancel()
	running.Wait()
	var wrong []string
	n := 0
	for d := range dones.All(view(other)) {
		if n++; d.Times != 1 {
			wrong = append(wrong, fmt.Sprintf("%s %d times", d.ID, d.Times))
		}
	}
	if n != many || len(wrong) > 0 {
		t.Errorf("%d jobs are done, want %d; %s", n, many, strings.Join(wrong, ", "))
	}
}

// await waits until something is so, which others do.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waiting for %s", what)
		}
	}
}
