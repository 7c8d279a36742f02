// SPDX-License-Identifier: Apache-2.0

package folder_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
	"github.com/posternhq/postern/test/testnet"
)

// onSmallDisk gives a folder on a disk that has some bytes more than the reserve.
func onSmallDisk(t *testing.T, bytes int64) (f folder.Folder, to string) {
	t.Helper()
	testnet.Require(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprint("size=", folder.Reserve+bytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	return folder.Folder{Spec: engine.Spec{ID: "db-A", Folder: disk}}, filepath.Join(disk, "copy")
}

// down is a host on which nothing runs.
type down struct{ engine.Host }

func (down) Process(context.Context) (engine.Process, error) { return engine.Process{}, nil }

// Somebody who removes the data removes the folder that it is in, too.
func TestDataIsMadeWhereEverythingWasRemoved(t *testing.T) {
	f := folder.Folder{Spec: engine.Spec{ID: "db-A", Folder: t.TempDir()}, Host: down{}}
	f.Spec.UID, f.Spec.GID = uint32(os.Getuid()), uint32(os.Getgid())
	for range 2 {
		next, err := f.Making(t.Context())
		if err == nil {
			err = os.Mkdir(next, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Made(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Main()); err != nil || !info.IsDir() {
		t.Errorf("there is %v, %v", info, err)
	}
}

func TestACopyThatDoesNotFitIsNotBegun(t *testing.T) {
	f, to := onSmallDisk(t, 1<<20)
	err := f.Fill(t.Context(), to, 2<<20, func(context.Context, func(int64)) error {
		t.Error("it was begun")
		return nil
	})
	if !errors.Is(err, engine.ErrFull) {
		t.Errorf("a copy that does not fit gives %v", err)
	}
	if err := f.Fill(t.Context(), to, 1<<19, func(context.Context, func(int64)) error { return nil }); err != nil {
		t.Errorf("a copy that fits gives %v", err)
	}
}

func TestACopyIsEndedWhenItIsKnownNotToFit(t *testing.T) {
	f, to := onSmallDisk(t, 1<<20)
	err := f.Fill(t.Context(), to, 0, func(ctx context.Context, need func(int64)) error {
		need(1 << 19)
		if ctx.Err() != nil {
			t.Error("a copy that fits was ended")
		}
		need(2 << 20)
		return ctx.Err()
	})
	if !errors.Is(err, engine.ErrFull) {
		t.Errorf("a copy that does not fit gives %v", err)
	}
}

// A copy that is larger than what was said is ended, and nothing of it is left.
func TestACopyLeavesTheReserve(t *testing.T) {
	f, to := onSmallDisk(t, 1<<20)
	err := f.Fill(t.Context(), to, 1<<10, func(ctx context.Context, _ func(int64)) error {
		if err := os.WriteFile(to, make([]byte, 4<<20), 0o600); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, engine.ErrFull) {
		t.Errorf("a copy that grows too large gives %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
	}
}

func TestACopyThatFailsIsRemoved(t *testing.T) {
	f, to := onSmallDisk(t, 1<<20)
	broken := errors.New("broken")
	err := f.Fill(t.Context(), to, 0, func(context.Context, func(int64)) error {
		return errors.Join(os.WriteFile(to, nil, 0o600), broken)
	})
	if !errors.Is(err, broken) || errors.Is(err, engine.ErrFull) {
		t.Errorf("a copy that fails gives %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
	}
}
