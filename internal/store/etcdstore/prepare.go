// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
)

// prepare leaves the folder in one of two states: with a whole server that can
// be started, or with none. What an earlier first start began and did not end is
// thrown away, because nothing in it was ever acknowledged. With kept, state was
// acknowledged from this folder before, so that it must be there. Damage is a
// *DamageError.
func (p places) prepare(kept bool, log *slog.Logger) error {
	_, err := os.Stat(p.making())
	begun := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !begun {
		whole, err := p.inspect()
		if err != nil || whole {
			return err
		}
	}
	if kept {
		return p.damaged(p.member(), "is missing or empty, but state was kept there")
	}
	if _, err := os.Stat(p.member()); err == nil {
		log.Warn("an earlier first start was ended before its store was ready; the store is made anew", "folder", p.folder)
	}
	if err := writeSynced(p.making(), nil); err != nil {
		return fmt.Errorf("make a store: %w", err)
	}
	if err := errors.Join(os.RemoveAll(p.root()), os.RemoveAll(p.seal())); err != nil {
		return fmt.Errorf("make a store: %w", err)
	}
	return nil
}

// made notes that the store was ready once: from now on it is not thrown away.
func (p places) made() error {
	err := os.Remove(p.making())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		err = SyncFolder(p.folder)
	}
	if err != nil {
		return fmt.Errorf("make a store: %w", err)
	}
	return nil
}

// inspect reports whether there is a server whose files can be trusted: by their
// seal, or else by reading all that etcd will read, which it does without
// expecting damage. It breaks the seal.
func (p places) inspect() (whole bool, err error) {
	if _, err := os.Stat(p.root()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	sealed, err := p.checkSeal()
	if err != nil {
		return false, err
	}
	if !sealed {
		if whole, err := p.read(); err != nil || !whole {
			return false, err
		}
	}
	err = os.Remove(p.seal())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err == nil:
		err = SyncFolder(p.folder)
	}
	if err != nil {
		return false, fmt.Errorf("break the seal of the store: %w", err)
	}
	return true, nil
}

// read checks log and database, each by itself and against each other. A server
// that has neither an entry nor a key never was one.
func (p places) read() (whole bool, err error) {
	db, noDatabase := checkDatabase(p.database())
	log, file, noLog := checkLog(p.log())
	switch {
	case log.last == 0 && db.applied == 0 && db.revisions == 0 && neverBegun(p.database(), noDatabase) && neverBegun(p.log(), noLog):
		return false, nil
	case errors.Is(noDatabase, fs.ErrNotExist):
		return false, p.damaged(p.database(), "is missing")
	case noDatabase != nil:
		return false, p.damaged(p.database(), "%v", noDatabase)
	case errors.Is(noLog, fs.ErrNotExist):
		return false, p.damaged(p.log(), "is missing")
	case noLog != nil:
		return false, p.damaged(file, "%v", noLog)
	case log.last < db.applied:
		return false, p.damaged(p.log(), "is cut short: it ends with entry %d, and the database has entry %d", log.last, db.applied)
	}
	start, found := log.start()
	switch {
	case !found || log.first > start+1:
		return false, p.damaged(p.log(), "lacks its beginning")
	case db.applied < start:
		return false, p.damaged(p.database(), "is older than the log: it has entry %d, and the log begins after entry %d", db.applied, start)
	}
	return true, nil
}

// neverBegun reports whether a check failed, if it did, because there is nothing.
func neverBegun(path string, failed error) bool {
	if failed == nil {
		return true
	}
	info, err := os.Stat(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if !info.IsDir() {
		return info.Size() == 0
	}
	entries, err := os.ReadDir(path)
	return err == nil && len(entries) == 0
}
