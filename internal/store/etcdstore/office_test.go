// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/test/cluster"
)

// TestOfficeOfTheDeadIsFree ends the lease of who has an office, as the death of its
// process does: another process is elected, and the first one learns of it.
func TestOfficeOfTheDeadIsFree(t *testing.T) {
	endpoint := cluster.Start(t, 0)
	connect := func() *etcdstore.Store {
		s, err := etcdstore.Open(t.Context(), etcdstore.Config{Endpoints: []string{endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeStore(t, s) })
		return s
	}
	dead, heir := connect(), connect()
	first, err := dead.Campaign(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	elected := make(chan store.Tenure)
	go func() {
		second, err := heir.Campaign(t.Context(), "test")
		if err != nil {
			t.Error(err)
		}
		elected <- second
	}()
	keys, err := heir.Client().Get(t.Context(), "/postern/office/test")
	if err != nil || len(keys.Kvs) != 1 {
		t.Fatalf("keys of the office: %v, %v", keys, err)
	}
	select {
	case <-elected:
		t.Fatal("two have the office")
	case <-first.Ended():
		t.Fatal("the tenure ends by itself")
	case <-time.After(100 * time.Millisecond):
	}
	if _, err := heir.Client().Revoke(t.Context(), clientv3.LeaseID(keys.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	second := <-elected
	select {
	case <-first.Ended():
	case <-time.After(2 * time.Minute):
		t.Error("who has lost the office does not learn of it")
	}
	if err := second.Resign(t.Context()); err != nil {
		t.Error(err)
	}
}
