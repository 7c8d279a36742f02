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
