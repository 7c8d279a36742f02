// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posternhq/postern/test/testnet"
)

// storeOf makes a folder that looks like one with a store.
func storeOf(t *testing.T, dir string) Folder {
	t.Helper()
	snap := filepath.Join(dir, "etcd", "member", "member", "snap")
	if err := os.MkdirAll(snap, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(snap, "db"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return Folder(dir)
}

// tinyDisk mounts a disk of few bytes.
func tinyDisk(t *testing.T) string {
	t.Helper()
	testnet.Require(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDoctorTellsOfTheStore(t *testing.T) {
	if f, ok := Folder(t.TempDir()).Disk(); ok {
		t.Errorf("a folder without a store: %+v", f)
	}
	f := storeOf(t, tinyDisk(t))
	if err := f.writeJSON(runtimeFile, Running{StoreQuota: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	got, ok := f.Disk()
	if !ok || got.OK || !strings.Contains(got.Reason, "takes 3 MiB of 64 MiB at most, and 0 MiB are free") || !strings.Contains(got.Advice, "make room") {
		t.Errorf("a store on a small disk: %+v, %v", got, ok)
	}
}

// TestSmallFilesHaveRoomOnAFullDisk: a start writes some files of its own.
func TestSmallFilesHaveRoomOnAFullDisk(t *testing.T) {
	f := Folder(tinyDisk(t))
	if err := f.keepBallast(); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(f.path("filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(bytes.Repeat([]byte("x"), 4096))
	}
	want := Credentials{"111122223333", "AKIAEXAMPLE", "secret"}
	if err := f.writeJSON(credentialsFile, want); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Credentials(); err != nil || got != want {
		t.Errorf("read back: %v, %v", got, err)
	}
	if err := f.write("large", make([]byte, 1<<20)); !isFull(err) {
		t.Errorf("a megabyte on a full disk: %v", err)
	}
}
