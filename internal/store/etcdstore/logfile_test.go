// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// A log that was trimmed has every whole record, and opening it leaves its file as
// long as it is.
func TestTrimmedLogHasAllRecords(t *testing.T) {
	const entries = 20
	folder := filepath.Join(t.TempDir(), "wal")
	w, err := wal.Create(zap.NewNop(), folder, []byte("metadata"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(entries) {
		entry := &raftpb.Entry{Term: new(uint64(1)), Index: new(i + 1), Data: []byte("some data")}
		if err := w.Save(&raftpb.HardState{Term: new(uint64(1)), Vote: new(uint64(1)), Commit: new(i)}, []*raftpb.Entry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*.wal"))
	size := func() int64 {
		info, err := os.Stat(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	trim := func(want int, room bool) {
		t.Helper()
		if err := trimLog(folder, room); err != nil {
			t.Fatal(err)
		}
		trimmed := size()
		w, err := wal.Open(zap.NewNop(), folder, &walpb.Snapshot{Index: new(uint64(0)), Term: new(uint64(0))})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_, _, read, err := w.ReadAll()
		if err != nil || len(read) != want {
			t.Errorf("the trimmed log has %d entries, %v; want %d", len(read), err, want)
		}
		if size() != trimmed {
			t.Errorf("opening the log made its file %d bytes long instead of %d", size(), trimmed)
		}
	}
	preallocated := size()
	trim(entries, true)
	if size() != preallocated {
		t.Errorf("with room the file is %d bytes long, it was %d", size(), preallocated)
	}
	trim(entries, false)
	if size() >= preallocated {
		t.Errorf("without room the file is %d bytes long, it was %d", size(), preallocated)
	}
	for i, room := range []bool{false, true} {
		text, err := os.ReadFile(files[0])
		if err == nil {
			err = os.Truncate(files[0], int64(len(bytes.TrimRight(text, "\x00"))-30)) // into the record of the last entry
		}
		if err != nil {
			t.Fatal(err)
		}
		trim(entries-1-i, room)
	}
}

// A folder without a log has nothing to trim.
func TestNoLogIsTrimmed(t *testing.T) {
	if err := trimLog(filepath.Join(t.TempDir(), "wal"), true); err != nil {
		t.Error(err)
	}
}
