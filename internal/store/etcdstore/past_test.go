// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"errors"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/posternhq/postern/internal/store"
)

// TestThePastIsForgottenUnlessItIsRead changes keys until the store forgets what was
// before, and wants it to keep that as long as somebody reads a state page by page.
func TestThePastIsForgottenUnlessItIsRead(t *testing.T) {
	s, err := StartEmbedded(t.Context(), t.TempDir(), Options{UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var now int64
	change := func(times, keys int) {
		t.Helper()
		for range times {
			var txn store.Txn
			for i := range keys {
				txn.Put = append(txn.Put, store.KeyValue{Key: fmt.Sprint("/k", i), Value: []byte("x")})
			}
			if now, _, err = s.Commit(t.Context(), txn); err != nil {
				t.Fatal(err)
			}
		}
	}
	known := func(rev int64) bool {
		t.Helper()
		s.past.read()() // waits until it has forgotten, if it does
		_, err := s.client.Get(t.Context(), "/k0", clientv3.WithRev(rev))
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			t.Fatal(err)
		}
		return err == nil
	}
	change(keptRevisions, 1)
	first := now
	end := s.past.read()
	change(forgetEvery/maxTxnOps+1, maxTxnOps)
	if _, err := s.client.Get(t.Context(), "/k0", clientv3.WithRev(first)); err != nil {
		t.Errorf("a state that is read was forgotten: %v", err)
	}
	end()
	if !known(first - keptRevisions/2) {
		t.Error("the past was forgotten without a change")
	}
	change(1, 1)
	if known(now - keptRevisions - 1) {
		t.Errorf("after %d changes nothing is forgotten", forgetEvery)
	}
	if !known(now - keptRevisions) {
		t.Errorf("less than %d revisions are kept", keptRevisions)
	}
	last := now
	change(10, 1)
	if !known(last - keptRevisions) {
		t.Error("the past is forgotten again after few changes")
	}
}
