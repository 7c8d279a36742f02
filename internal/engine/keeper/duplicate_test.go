// SPDX-License-Identifier: Apache-2.0

package keeper_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/keeper"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/test/testnet"
)

// snapshots is a keeper with a snapshot that was taken, of a database that is gone.
func snapshots(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), changed: make(chan struct{}), states: map[string]keeper.State{}}
	data := r.data("snap-1")
	r.must(os.MkdirAll(filepath.Join(data, "base"), 0o700))
	r.must(os.WriteFile(filepath.Join(data, "base", "1"), []byte("pages"), 0o600))
	r.begin()
	return r
}

func (r *rig) data(id string) string { return filepath.Join(r.folder, id, engine.PartData) }

func (r *rig) putSnapshot(s desired.Snapshot) {
	r.t.Helper()
	for key, err := range r.keeper.Apply(r.t.Context(), s.Key().Realm, []desired.Entry{s}, nil) {
		r.t.Fatalf("put %s: %v", key, err)
	}
}

func (r *rig) deleteSnapshot(s desired.Snapshot) {
	r.t.Helper()
	for key, err := range r.keeper.Apply(r.t.Context(), s.Key().Realm, nil, []desired.Entry{s}) {
		r.t.Fatalf("delete %s: %v", key, err)
	}
}

func (r *rig) wantPages(id string) {
	r.t.Helper()
	if text, err := os.ReadFile(filepath.Join(r.data(id), "base", "1")); err != nil || string(text) != "pages" {
		r.t.Errorf("%s has %q, %v", id, text, err)
	}
}

// A snapshot is copied when its database is gone, and either goes without the other one. Who
// comes after a keeper says that the copy is there.
func TestASnapshotIsCopied(t *testing.T) {
	r := snapshots(t)
	first, second := desired.Snapshot{ID: "snap-1", Of: "db-gone"}, desired.Snapshot{ID: "snap-2", CopyOf: "snap-1"}
	available := func() bool {
		return r.states["snap-2"] == keeper.State{ID: "snap-2", Phase: model.DatabaseAvailable, Bytes: 5}
	}
	r.putSnapshot(first)
	r.putSnapshot(second)
	r.until("it is there", available)
	r.wantPages("snap-2")
	if !slices.Equal(r.events, []string{"Snapshot created"}) {
		t.Errorf("events %q", r.events)
	}
	r.stop()
	r.again()
	r.until("it is there still", available)
	if len(r.events) != 1 {
		t.Errorf("events after another start %q", r.events)
	}
	r.deleteSnapshot(first)
	r.wantPages("snap-2")
	r.deleteSnapshot(second)
	if left, err := os.ReadDir(r.folder); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// A copy of what is not there fails, and is made when it is there again.
func TestASnapshotThatIsNotThereIsCopiedLater(t *testing.T) {
	r := snapshots(t)
	away := r.data("snap-1") + ".away"
	r.must(os.Rename(r.data("snap-1"), away))
	r.putSnapshot(desired.Snapshot{ID: "snap-2", CopyOf: "snap-1"})
	r.until("it says why", func() bool {
		return strings.Contains(r.states["snap-2"].Reason, "copy the snapshot snap-1: there is no database")
	})
	r.must(os.Rename(away, r.data("snap-1")))
	r.until("it is there", func() bool { return r.states["snap-2"].Phase == model.DatabaseAvailable })
	r.wantPages("snap-2")
}

// Files of another disk are copied.
func TestASnapshotIsCopiedFromAnotherDisk(t *testing.T) {
	testnet.Require(t)
	r := snapshots(t)
	r.must(unix.Mount("tmpfs", r.data("snap-1"), "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { _ = unix.Unmount(r.data("snap-1"), unix.MNT_DETACH) })
	r.must(os.Mkdir(filepath.Join(r.data("snap-1"), "base"), 0o700))
	r.must(os.WriteFile(filepath.Join(r.data("snap-1"), "base", "1"), []byte("pages"), 0o600))
	r.putSnapshot(desired.Snapshot{ID: "snap-2", CopyOf: "snap-1"})
	r.until("it is there", func() bool { return r.states["snap-2"].Phase == model.DatabaseAvailable })
	r.wantPages("snap-2")
}
