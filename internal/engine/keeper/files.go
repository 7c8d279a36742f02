// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// Files in the folder of an id.
const (
	databaseFile = "database.json" // of a database: its entry, and what is remembered
	memberFile   = "spec.json"     // of a member: its entry
	snapshotFile = "snapshot.json" // of a snapshot: its entry
	volumeFolder = "volume"        // in that of a database: the data of its last member
	lastFolder   = "last"          // and where that is copied
)

// record is what such a file holds.
type record struct {
	Entry string `json:"entry"`
	Saved *saved `json:"saved,omitempty"`
}

func (k *Keeper) folder(id string) string { return filepath.Join(k.cfg.Folder, id) }

// load reads what there is. A file that cannot be read is passed over: what it said is put
// again.
func (k *Keeper) load() error {
	list, err := os.ReadDir(k.cfg.Folder)
	if err != nil {
		return fmt.Errorf("read the folder of databases: %w", err)
	}
	for _, f := range list {
		id := f.Name()
		if e, r, ok := read[desired.Database](k, id, databaseFile); ok {
			d := k.database(id)
			d.entry = &e
			d.written, _ = json.Marshal(r)
			if r.Saved != nil {
				d.machine.saved = r.Saved.clone()
				if d.machine.saved.Members == nil {
					d.machine.saved.Members = map[string]savedMember{}
				}
			}
			d.machine.wanted = &e
		}
		if e, _, ok := read[desired.DatabaseMember](k, id, memberFile); ok {
			d := k.database(e.Database)
			d.members[id] = e
			d.machine.want(e)
		}
		if e, _, ok := read[desired.Snapshot](k, id, snapshotFile); ok {
			k.snapshots[id] = e
		}
	}
	for _, s := range k.snapshots {
		k.ask(s)
	}
	return nil
}

// read reads a file of an entry.
func read[E desired.Entry](k *Keeper, id, file string) (e E, r record, ok bool) {
	path := filepath.Join(k.folder(id), file)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, r, false
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	var entry desired.Entry
	if err == nil {
		entry, err = desired.Parse(r.Entry, Kinds()...)
	}
	if err == nil {
		if e, ok = entry.(E); !ok {
			err = errNoKind
		}
	}
	if err != nil {
		k.cfg.Log.Warn("what was written down of a database cannot be read", "file", path, "error", err)
	}
	return e, r, ok
}

// write writes a file of an entry, whole or not at all.
func (k *Keeper) write(id, file string, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s of %s: %w", file, id, err)
	}
	folder := k.folder(id)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("write %s of %s: %w", file, id, err)
	}
	path := filepath.Join(folder, file)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write %s of %s: %w", file, id, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s of %s: %w", file, id, err)
	}
	return nil
}

func (k *Keeper) writeMember(m desired.DatabaseMember) error {
	return k.write(m.ID, memberFile, record{Entry: desired.Record(m)})
}

func (k *Keeper) writeSnapshot(s desired.Snapshot) error {
	return k.write(s.ID, snapshotFile, record{Entry: desired.Record(s)})
}

// taken says whether a snapshot is there, and how much it takes on disk.
func (k *Keeper) taken(id string) (done bool, bytes int64) {
	root := filepath.Join(k.folder(id), engine.PartData)
	if _, err := os.Stat(root); err != nil {
		return false, 0
	}
	return true, folder.Size(root)
}
