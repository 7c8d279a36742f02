// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/testnet"
)

// smallQuota is room for a few hundred values of 64 KiB.
const smallQuota = 16 << 20

// journal keeps what a store logs, from whichever goroutine.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// smaller says whether the store has been at its quota and was made smaller.
func (j *journal) smaller() bool {
	return strings.Contains(j.String(), "was made smaller")
}

func startWithQuota(t *testing.T, dir string, quota int64, log *journal) *etcdstore.Store {
	t.Helper()
	s, err := etcdstore.StartEmbedded(t.Context(), dir, etcdstore.Options{
		Log: slog.New(slog.NewTextHandler(log, nil)), Quota: quota, UnsafeNoFsync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func put(t *testing.T, s store.Store, key string) error {
	t.Helper()
	_, _, err := s.Commit(t.Context(), store.Txn{Put: []store.KeyValue{{Key: key, Value: bytes.Repeat([]byte{1}, 64<<10)}}})
	return err
}

// TestHistoryMakesNoStoreFull changes one key until the store has been at its
// quota several times.
func TestHistoryMakesNoStoreFull(t *testing.T) {
	var log journal
	s := startWithQuota(t, t.TempDir(), smallQuota, &log)
	for i := 0; i < 500 || i < 10_000 && !log.smaller(); i++ { // a fast machine collects many changes before the file grows
		if err := put(t, s, "/same"); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	if !log.smaller() {
		t.Error("the quota was never reached")
	}
}

// TestWritersWaitTogether has several writers reach the quota at the same time:
// the store is made smaller once, for all of them.
func TestWritersWaitTogether(t *testing.T) {
	var log journal
	s := startWithQuota(t, t.TempDir(), smallQuota, &log)
	for round := 0; round < 20 && !log.smaller(); round++ {
		var writers sync.WaitGroup
		for w := range 8 {
			writers.Go(func() {
				for i := range 60 {
					if err := put(t, s, fmt.Sprintf("/same/%d", w)); err != nil {
						t.Errorf("change %d of writer %d: %v", i, w, err)
						return
					}
				}
			})
		}
		writers.Wait()
	}
	if !log.smaller() {
		t.Error("the quota was never reached")
	}
	if u, _ := s.Usage(); u.Problem != "" {
		t.Errorf("a store with room again has the problem %q", u.Problem)
	}
}

// TestFullStoreIsReadAndHeals fills a store with keys, and starts it with a
// larger quota then.
func TestFullStoreIsReadAndHeals(t *testing.T) {
	dir, log := t.TempDir(), journal{}
	s := startWithQuota(t, dir, smallQuota, &log)
	var err error
	written := 0
	for ; err == nil && written < 10_000; written++ {
		err = put(t, s, fmt.Sprintf("/key/%d", written))
	}
	var full *store.FullError
	if !errors.As(err, &full) || !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "--store-quota") || strings.Contains(full.Unavailable(), dir) {
		t.Fatalf("after %d keys: %v", written, err)
	}
	if err := put(t, s, "/another"); !errors.Is(err, store.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if u, ok := s.Usage(); !ok || u.Quota != smallQuota || u.InUse < smallQuota/2 || u.Problem == "" {
		t.Errorf("usage is %+v, %v", u, ok)
	}
	closeStore(t, s)
	s = startWithQuota(t, dir, smallQuota, &log)
	keys, _, err := s.Range(t.Context(), "/key/")
	if err != nil || len(keys) != written-1 {
		t.Errorf("a full store that is started again has %d keys (%v), want %d", len(keys), err, written-1)
	}
	if err := put(t, s, "/another"); !errors.Is(err, store.ErrFull) {
		t.Errorf("a full store that is started again takes a change: %v", err)
	}
	closeStore(t, s)
	s = startWithQuota(t, dir, 4*smallQuota, &log)
	if err := put(t, s, "/another"); err != nil {
		t.Errorf("with a larger quota: %v", err)
	}
}

// TestRefusedChangesAreNotCarriedOut has writers reach the quota together: what
// was acknowledged is there, and nothing of what was refused.
func TestRefusedChangesAreNotCarriedOut(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		var log journal
		refuseTogether(t, startWithQuota(t, t.TempDir(), smallQuota, &log))
	})
	t.Run("external", func(t *testing.T) {
		s, err := etcdstore.Open(t.Context(), etcdstore.Config{Endpoints: []string{cluster.Start(t, smallQuota)}, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeStore(t, s) })
		refuseTogether(t, s)
	})
}

func refuseTogether(t *testing.T, s store.Store) {
	acknowledged := make([]int, 8)
	var writers sync.WaitGroup
	for w := range acknowledged {
		writers.Go(func() {
			var err error
			for err == nil {
				if err = put(t, s, fmt.Sprintf("/key/%d/%d", w, acknowledged[w])); err == nil {
					acknowledged[w]++
				}
			}
			if !errors.Is(err, store.ErrFull) {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	writers.Wait()
	for w, n := range acknowledged {
		keys, _, err := s.Range(t.Context(), fmt.Sprintf("/key/%d/", w))
		if err != nil || len(keys) != n {
			t.Errorf("writer %d has %d keys (%v), and %d were acknowledged", w, len(keys), err, n)
		}
	}
}

// TestDiskWithoutRoomForFiles uses up the files that a disk can hold, not its
// bytes, and then its bytes.
func TestDiskWithoutRoomForFiles(t *testing.T) {
	testnet.Require(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=80m,nr_inodes=100"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	var log journal
	s := startWithQuota(t, filepath.Join(dir, "data", "etcd"), 0, &log)
	t.Cleanup(func() { closeStore(t, s) })
	var made []string
	for i := range 100 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if os.WriteFile(path, nil, 0o600) == nil {
			made = append(made, path)
		}
	}
	full := func(when, why string) {
		if err := put(t, s, "/key"); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), filepath.Join(dir, "data")) || !strings.Contains(err.Error(), why) {
			t.Errorf("a change %s: %v", when, err)
		}
		if u, _ := s.Usage(); u.Problem == "" {
			t.Errorf("%s the usage tells of no problem: %+v", when, u)
		}
		if _, _, err := s.Get(t.Context(), "/key"); err != nil {
			t.Errorf("reading %s: %v", when, err)
		}
	}
	full("without inodes", "no inodes are free")
	for _, path := range made {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(t, s, "/key"); err != nil {
		t.Errorf("a change when there are inodes again: %v", err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 64<<10))
	}
	full("without bytes", "KiB are free")
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, "/key"); err != nil {
		t.Errorf("a change when there is room again: %v", err)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors are logged, want one for each time:\n%s", n, log.String())
	}
}

// TestStartsOnAFullDiskGoOn starts a store again and again on a disk that has nothing
// left: what each start writes has room, wherever the log ends. Then there is room
// again.
func TestStartsOnAFullDiskGoOn(t *testing.T) {
	testnet.Require(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=200m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil { // a store that failed may have files open
			t.Error(err)
		}
	})
	var log journal
	folder := filepath.Join(dir, "data", "etcd")
	s := startWithQuota(t, folder, 0, &log)
	if err := put(t, s, "/key"); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	for round := range 30 {
		fillDisk(t, dir)
		s := startWithQuota(t, folder, 0, &log)
		if _, _, err := s.Get(t.Context(), "/key"); err != nil {
			t.Errorf("start %d: reading: %v", round, err)
		}
		if err := put(t, s, "/key"); !errors.Is(err, store.ErrFull) {
			t.Errorf("start %d: a change: %v", round, err)
		}
		fillDisk(t, dir)
		closeStore(t, s)
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	s = startWithQuota(t, folder, 0, &log)
	for i := range 400 { // more than one file of the log
		if err := put(t, s, "/key"); err != nil {
			t.Fatalf("change %d when there is room again: %v", i, err)
		}
	}
}

// fillDisk makes a file of all that a disk has left.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	filler, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for size := 1 << 20; size >= 1; size /= 16 {
		for err = nil; err == nil; {
			_, err = filler.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}
