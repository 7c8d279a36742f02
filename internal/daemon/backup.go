// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// About is what a backup says of itself.
type About struct {
	// Version is that of the program, and Made when.
	Version string    `json:"version"`
	Made    time.Time `json:"made"`
	// Instance and Host are the mark of the folder and the name of its host, which
	// a restored folder has again.
	Instance string `json:"instance,omitempty"`
	Host     string `json:"host,omitempty"`
	// SealingKeys is the text of the file of that name. Rows of access keys are of no use
	// without it.
	SealingKeys string `json:"sealingKeys,omitempty"`
}

// Backup is a backup that was made or restored.
type Backup struct {
	About
	// Rows is how many rows it holds, Revision that of their state.
	Rows     int
	Revision int64
}

// MakeBackup writes the state of a folder to a file, at once and readable by its
// owner only. While the folder's daemon runs, it is asked; else the store is
// opened for it, that of the folder or the external one that the config names.
func MakeBackup(ctx context.Context, c Config, file string) (Backup, error) {
	fail := func(err error) (Backup, error) { return Backup{}, fmt.Errorf("back up %s: %w", c.Data, err) }
	if os.Geteuid() != 0 {
		return Backup{}, errors.New("postern backup needs root: what it reads is readable by root only; use sudo")
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return fail(fmt.Errorf("%s is there and is no file", file))
	}
	if err := Folder(c.Data).outside(file); err != nil {
		return fail(err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	err = Folder(c.Data).ask(ctx, "backup", temporary)
	if errors.Is(err, errNobody) || errors.Is(err, fs.ErrNotExist) {
		err = backUpStopped(ctx, c, temporary)
	}
	if err != nil {
		return fail(err)
	}
	if err := temporary.Sync(); err != nil {
		return fail(err)
	}
	made, _, err := readBackup(temporary.Name())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err == nil {
		err = etcdstore.SyncFolder(filepath.Dir(file))
	}
	if err != nil {
		return fail(err)
	}
	return made, nil
}

// outside refuses a file that is in the folder: it would take the place of one that the
// folder needs, or go with it.
func (f Folder) outside(file string) error {
	own, err := os.Stat(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // and so there is nothing to back up, which is said later
	}
	if err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && os.SameFile(info, own) {
			return fmt.Errorf("%s would be in the data folder itself; name a file elsewhere", file)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// backUpStopped writes the state of a folder whose daemon does not run.
func backUpStopped(ctx context.Context, c Config, w io.Writer) error {
	return withStopped(ctx, c, func(kv *etcdstore.Store) error {
		f := Folder(c.Data)
		about := About{Version: c.Version, Made: time.Now().UTC()}
		about.Instance, _ = f.Instance() // a folder that has lost them gets them from the state
		about.Host, _ = f.hostName()
		keys, err := f.sealingKeys()
		switch {
		case err == nil:
			about.SealingKeys = string(keys.Text())
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		return store.WriteSnapshot(ctx, kv, table.StoredRows, about, w)
	})
}

// backUp is backUpStopped for a running daemon.
func (d *daemon) backUp(ctx context.Context, w io.Writer) error {
	about := About{
		Version: d.config.Version, Made: time.Now().UTC(), Instance: d.instance, Host: d.config.HostName,
		SealingKeys: string(d.env.Seal.Ring().Text()),
	}
	return store.WriteSnapshot(ctx, d.kv, table.StoredRows, about, w)
}

// readBackup reads a file and checks that it is a whole backup.
func readBackup(file string) (Backup, *store.Snapshot, error) {
	from, err := os.Open(file)
	if err != nil {
		return Backup{}, nil, err
	}
	defer from.Close()
	snap, err := store.ReadSnapshot(from)
	if err != nil {
		return Backup{}, nil, fmt.Errorf("%s %w", file, err)
	}
	b := Backup{Rows: len(snap.Keys), Revision: snap.Revision}
	if err := json.Unmarshal(snap.About, &b.About); err != nil {
		return Backup{}, nil, fmt.Errorf("%s is no backup of a data folder: %w", file, err)
	}
	if err := b.check(snap); err != nil {
		return Backup{}, nil, fmt.Errorf("%s is no backup of a data folder: %w", file, err)
	}
	return b, snap, nil
}

// check says whether a data folder can be made of what a backup has, before
// another one is given up for it.
func (b Backup) check(snap *store.Snapshot) error {
	if b.Instance != "" && !instancePattern.MatchString(b.Instance) {
		return fmt.Errorf("it has the mark %q, which is none", b.Instance)
	}
	if b.SealingKeys != "" {
		if _, err := seal.Parse([]byte(b.SealingKeys)); err != nil {
			return fmt.Errorf("its sealing keys cannot be read: %w", err)
		}
	}
	for _, kv := range snap.Keys {
		if !strings.HasPrefix(kv.Key, table.StoredRows) {
			return fmt.Errorf("it has the key %q, which is of no row", kv.Key)
		}
	}
	return nil
}

// checkState says whether the tables can be read from a store, before anybody
// relies on it.
func checkState(ctx context.Context, kv store.Store, c Config) error {
	db, err := state.Open(ctx, kv, c.Log)
	if err != nil {
		return err
	}
	db.Close()
	return nil
}
