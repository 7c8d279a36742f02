// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/store/storetest"
	"github.com/posternhq/postern/test/cluster"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(pairsVariable); dir != "" {
		writePairs(dir)
	}
	if dir := os.Getenv(folderVariable); dir != "" {
		writeForever(dir)
		return
	}
	if dir := os.Getenv(readVariable); dir != "" {
		readOnce(dir)
		return
	}
	// etcd has a logger of its own for the log of raft, which never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

// testLog makes what etcd warns of part of the test's output.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func startEmbedded(t *testing.T, dir string) *etcdstore.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := etcdstore.StartEmbedded(ctx, dir, etcdstore.Options{Log: testLog(t), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func compact(ctx context.Context, s store.Store, rev int64) error {
	_, err := s.(*etcdstore.Store).Client().Compact(ctx, rev, clientv3.WithCompactPhysical())
	return err
}

func TestEmbedded(t *testing.T) {
	storetest.Run(t, storetest.Target{
		Open:    func(t *testing.T) store.Store { return startEmbedded(t, t.TempDir()) },
		Compact: compact,
		MaxOps:  1024,
	})
}

// TestExternal runs the suite with the client that external clusters are
// reached by: on the cluster that POSTERN_TEST_ETCD names, or else on a server
// with etcd's own limits that listens on a Unix socket.
func TestExternal(t *testing.T) {
	target := storetest.Target{Compact: compact, MaxOps: 128}
	target.Open = func(t *testing.T) store.Store { return openExternal(t, []string{cluster.Start(t, 0)}) }
	if endpoints := os.Getenv("POSTERN_TEST_ETCD"); endpoints != "" {
		target.Open = func(t *testing.T) store.Store { return openExternal(t, strings.Split(endpoints, ",")) }
	}
	storetest.Run(t, target)
}

// ours marks a cluster that these tests may empty.
const ours = "/storetest-owns-this-cluster"

func openExternal(t *testing.T, endpoints []string) store.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: endpoints, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	keys, _, err := s.Range(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) > 0 {
		if _, marked, err := s.Get(ctx, ours); err != nil || !marked {
			t.Fatalf("the cluster holds keys and no %s: not emptying it (%v)", ours, err)
		}
	}
	if _, err := s.Client().Delete(ctx, "\x00", clientv3.WithFromKey()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { markExternal(t, endpoints) })
	return s
}

// markExternal leaves the mark for the next test.
func markExternal(t *testing.T, endpoints []string) {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(context.Background(), ours, ""); err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

func TestEmbeddedKeepsItsData(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := startEmbedded(t, dir)
	rev, ok, err := s.Commit(ctx, store.Txn{Put: []store.KeyValue{{Key: "/a", Value: []byte("1")}}})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	closeStore(t, s)
	begun := time.Now()
	s = startEmbedded(t, dir)
	t.Logf("second start took %v", time.Since(begun))
	kv, ok, err := s.Get(ctx, "/a")
	if err != nil || !ok || kv.ModRevision != rev || string(kv.Value) != "1" {
		t.Errorf("after a restart: %+v, %v, %v", kv, ok, err)
	}
}

func TestEmbeddedListensOnNothing(t *testing.T) {
	before := listeners(t)
	startEmbedded(t, t.TempDir())
	if after := listeners(t); after != before {
		t.Errorf("listening sockets of this process: %d before, %d after", before, after)
	}
}

// listeners counts this process's sockets that accept connections.
func listeners(t *testing.T) int {
	t.Helper()
	inodes := make(map[string]bool)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
				inodes[f[9]] = true
			}
		}
	}
	data, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 6 && f[3] == "00010000" {
			inodes[f[6]] = true
		}
	}
	count := 0
	files, _ := os.ReadDir("/proc/self/fd")
	for _, file := range files {
		target, _ := os.Readlink("/proc/self/fd/" + file.Name())
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && inodes[strings.TrimSuffix(inode, "]")] {
			count++
		}
	}
	return count
}

func TestOpenWithoutCluster(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{"http://" + address}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), address) {
		t.Errorf("error is %v", err)
	}
}
