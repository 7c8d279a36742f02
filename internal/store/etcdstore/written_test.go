// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// databaseWrites is how often this process has written the file of a database.
func databaseWrites(t *testing.T) uint64 {
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "etcd_disk_backend_commit_duration_seconds" {
			return f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	t.Fatal("etcd does not count how often it writes")
	return 0
}

// TestCommitsDoNotWriteTheDatabaseEachTime: what is acknowledged is in the log, and a
// commit that meets the database's file being synced waits for that.
func TestCommitsDoNotWriteTheDatabaseEachTime(t *testing.T) {
	s, err := etcdstore.StartEmbedded(t.Context(), t.TempDir(), etcdstore.Options{Log: testLog(t), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, begun := databaseWrites(t), time.Now()
	for i := 0; time.Since(begun) < 3*time.Second/2; i++ {
		txn := store.Txn{Put: []store.KeyValue{{Key: fmt.Sprintf("/k%d", i%100), Value: []byte("v")}}}
		if _, _, err := s.Commit(t.Context(), txn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// One is under way at the beginning, and one comes with a snapshot.
	if n, most := databaseWrites(t)-before, uint64(time.Since(begun)/time.Second)+4; n > most {
		t.Errorf("the database was written %d times in %v, want %d at most", n, time.Since(begun), most)
	}
}
