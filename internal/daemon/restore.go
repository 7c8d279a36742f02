// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// The folders inside of a data folder in which a restore works: what is being
// made, and what was there before, until that is taken away.
const (
	restoringFolder = ".restoring"
	replacedFolder  = ".replaced"
)

// Restore makes a data folder from a backup. It refuses while a daemon uses the
// folder, and one that has state, unless that is to be replaced. The kernel is not
// touched: the next start makes it what the state says. With an external etcd the
// rows go there, where none may be.
func Restore(ctx context.Context, c Config, file string, replace bool) (Backup, error) {
	fail := func(err error) (Backup, error) { return Backup{}, fmt.Errorf("restore %s: %w", c.Data, err) }
	if os.Geteuid() != 0 {
		return Backup{}, errors.New("postern restore needs root: what it makes is for root only; use sudo")
	}
	b, snap, err := readBackup(file)
	if err != nil {
		return fail(err)
	}
	lock, err := etcdstore.LockFolder(c.Data)
	if err != nil {
		return fail(err)
	}
	defer lock.Close()
	f := Folder(c.Data)
	if err := f.mayRestore(b, replace); err != nil {
		return fail(err)
	}
	if err := f.takeSealingKeys(b.SealingKeys); err != nil {
		return fail(err)
	}
	if len(c.Etcd) > 0 {
		err = fill(ctx, c, snap)
	} else {
		err = f.rebuild(ctx, c, snap)
	}
	if err != nil {
		return fail(err)
	}
	if err := f.take(b); err != nil {
		return fail(err)
	}
	return b, nil
}

// mayRestore says why a backup must not be put into the folder.
func (f Folder) mayRestore(b Backup, replace bool) error {
	old, err := f.Instance()
	used := err == nil || f.holdsStore() || f.wasUsed()
	switch {
	case !used:
		return nil
	case !replace:
		return fmt.Errorf("the folder has state; restore into another one, or add --replace to give up what it has")
	case err != nil || old == b.Instance:
		return nil
	}
	alive, err := dataplane.Instances()
	if err != nil {
		return err
	}
	if slices.Contains(alive, old) {
		return fmt.Errorf("what the folder's own Postern made is in the kernel (mark %s), and nobody would know of it any more; "+
			"remove it first: postern clean --data %s", old, f)
	}
	return nil
}

// fill writes a snapshot into a store and looks whether the tables can be read.
func fill(ctx context.Context, c Config, snap *store.Snapshot) (err error) {
	kv, err := openSoon(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	if err := snap.Restore(ctx, kv, table.StoredRows); err != nil {
		return err
	}
	return checkState(ctx, kv, c)
}

// rebuild makes the folder's store from a snapshot: beside the one that is there,
// which then makes room. Ended in the middle it leaves a folder that no daemon
// starts on, and can be done again.
func (f Folder) rebuild(ctx context.Context, c Config, snap *store.Snapshot) error {
	fresh := f.path(restoringFolder)
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	made := c
	made.Data = fresh
	if err := fill(ctx, made, snap); err != nil {
		return err
	}
	replaced := f.path(replacedFolder)
	if err := os.RemoveAll(replaced); err != nil {
		return err
	}
	if err := os.Rename(f.path(etcdFolder), replaced); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(filepath.Join(fresh, etcdFolder), f.path(etcdFolder)); err != nil {
		return err
	}
	return errors.Join(etcdstore.SyncFolder(string(f)), os.RemoveAll(replaced))
}

// sayCutShort looks for what a restore left that was killed. A store that was not finished
// goes; that it was asked for is said, and also how to end what had begun.
func (f Folder) sayCutShort(log *slog.Logger) error {
	if _, err := os.Stat(f.path(replacedFolder)); err == nil {
		if !f.holdsStore() {
			return fmt.Errorf("a restore of %s was cut short when it had put the state away: run it again, or have the former state back: mv %s %s", f, f.path(replacedFolder), f.path(etcdFolder))
		}
		log.Warn("a restore was cut short when it had put its state in place; run it again to have it whole", "former state", f.path(replacedFolder))
	}
	if _, err := os.Stat(f.path(restoringFolder)); err != nil {
		return nil
	}
	log.Warn("a restore was cut short before it changed anything; what it had made is removed", "folder", f.path(restoringFolder))
	return os.RemoveAll(f.path(restoringFolder))
}

// take gives the folder the small files that belong to a backup. What the first
// account's key is, the state knows: the next start writes it.
func (f Folder) take(b Backup) error {
	for _, name := range []string{credentialsFile, desiredFile, instanceFile, hostFile} {
		if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if b.Host != "" {
		if err := f.writeHostName(b.Host); err != nil {
			return err
		}
	}
	if b.Instance == "" {
		return nil // the next start takes it from the state
	}
	return f.writeInstance(b.Instance)
}
