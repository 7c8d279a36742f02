// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/posternhq/postern/internal/engine"
)

// AsideFolder is where, in the folder of databases, data is put that no row knows anything
// of. Nothing in it is looked at again, or removed.
const AsideFolder = "aside"

// before reports whether a database was there once that this host has nothing of. It is asked
// before anything is told of it, which the rows would take for how it is.
func (d *database) before(ctx context.Context) (bool, error) {
	d.mu.Lock()
	here := d.entry != nil
	d.mu.Unlock()
	if here {
		return false, nil
	}
	known, err := d.keeper.cfg.Control.Known(ctx, d.id)
	return known.Made, err
}

// removeFolder removes what there is of a database or a snapshot on disk, or puts it aside
// when it has data that nobody asked to remove.
func (k *Keeper) removeFolder(ctx context.Context, id, what string) error {
	known, err := k.cfg.Control.Known(ctx, id)
	if err != nil {
		return fmt.Errorf("remove the %s %s: %w", what, id, err)
	}
	if !known.Row && (exists(k.folder(id), engine.PartData) || exists(k.folder(id), volumeFolder)) {
		return k.putAside(id, what)
	}
	if err := os.RemoveAll(k.folder(id)); err != nil {
		return fmt.Errorf("remove the %s %s: %w", what, id, err)
	}
	return nil
}

func exists(parts ...string) bool {
	_, err := os.Lstat(filepath.Join(parts...))
	return err == nil
}

// putAside moves the folder of an id to where it stays. A folder that was put aside before is
// another one: ids come again with a store that was restored twice.
func (k *Keeper) putAside(id, what string) error {
	aside := k.folder(AsideFolder)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return fmt.Errorf("put the %s %s aside: %w", what, id, err)
	}
	to := filepath.Join(aside, id)
	for n := 2; exists(to); n++ {
		to = filepath.Join(aside, id+"."+strconv.Itoa(n))
	}
	err := os.Rename(k.folder(id), to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("put the %s %s aside: %w", what, id, err)
	}
	k.cfg.Log.Warn("nothing is known of data that was found, and nobody asked to remove it: it was put aside", "what", what, "id", id, "folder", to)
	return nil
}

// Aside gives the folders of what was put aside.
func Aside(databases string) (folders []string, err error) {
	list, err := os.ReadDir(filepath.Join(databases, AsideFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("see what was put aside: %w", err)
	}
	for _, f := range list {
		folders = append(folders, filepath.Join(databases, AsideFolder, f.Name()))
	}
	return folders, nil
}
