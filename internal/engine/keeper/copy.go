// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// snapshot is one that is wanted of a database.
type snapshot struct {
	id    string
	done  bool
	bytes int64
	busy  bool
	retry retry
	// heard is told what became of it, of one for a read replica. There is room for that.
	heard chan<- error
}

// finish takes what became of it, and says what there is to tell of that.
func (s *snapshot) finish(bytes int64, err error, now time.Time) (message, category string) {
	if err == nil {
		s.done, s.bytes = true, bytes
		return "Snapshot created", "backup"
	}
	if s.retry.fail(now, err); s.retry.failures == tries {
		return "The snapshot cannot be created, and is tried again every minute: " + err.Error(), "failure"
	}
	return "", ""
}

// taking is the snapshot that an action is for; nil when nobody wants it any more.
func (k *machine) taking(a action) *snapshot {
	if a.seed {
		return k.seeds[a.snapshot]
	}
	return k.snapshots[a.snapshot]
}

// copies has snapshots taken of the writer, or of what the last member has left.
func (k *machine) copies() {
	w := k.writer()
	if k.follows() {
		w = k.members[k.id]
	}
	for _, id := range slices.Sorted(maps.Keys(k.snapshots)) {
		s := k.snapshots[id]
		if s.done || s.busy || s.retry.at.After(k.now) {
			continue
		}
		if w != nil && errors.Is(w.retry.err, errLost) { // it may come again, as a disk does
			k.despair(s)
			continue
		}
		if k.saved.Volume && k.others(nil) == 0 { // one after the other
			if !k.copying() {
				s.busy = true
				k.do(nil, action{verb: verbSnapshot, snapshot: id})
			}
			continue
		}
		if w == nil || w.busy != nil || k.turn != nil || !(k.copiable(w) || w.down() && w.looked && w.data.Clean && k.wanted != nil && k.wanted.Stopped) {
			continue
		}
		s.busy = true
		k.do(w, action{verb: verbSnapshot, snapshot: id})
	}
	for _, id := range slices.Sorted(maps.Keys(k.seeds)) {
		if s := k.seeds[id]; w != nil && w.busy == nil && k.turn == nil && k.copiable(w) && !s.done && !s.busy {
			s.busy = true
			k.do(w, action{verb: verbSnapshot, snapshot: id, seed: true})
		}
	}
}

// despair says of a snapshot that there is nothing to take it of, so that it can be deleted.
func (k *machine) despair(s *snapshot) {
	if s.retry.failures < tries {
		s.retry = retry{failures: tries, err: fmt.Errorf("%w any more on this host", engine.ErrNoData)}
		k.tell(s.id, "The snapshot cannot be created: "+s.retry.err.Error(), "failure")
	}
}

// copying reports whether a snapshot is being taken.
func (k *machine) copying() bool {
	for _, s := range k.snapshots {
		if s.busy {
			return true
		}
	}
	return false
}

// copied takes what became of a snapshot.
func (k *machine) copied(a action, r result) {
	s := k.taking(a)
	if s == nil {
		return
	}
	if s.busy = false; a.seed {
		s.done = true
		s.heard <- r.err // whoever waits for it asks again
		return
	}
	if message, category := s.finish(r.bytes, r.err, k.now); message != "" {
		k.tell(s.id, message, category)
	}
}

// keepSnapshot moves what was copied to where it stays. What nobody wants any more is removed:
// all that it has is where it was copied from, too. Nothing stays where it was made.
func (k *Keeper) keepSnapshot(made, id string) (bytes int64, err error) {
	to := filepath.Join(k.folder(id), engine.PartData)
	k.mu.Lock()
	_, wanted := k.snapshots[id]
	if wanted {
		err = os.Rename(made, to)
	}
	k.mu.Unlock()
	switch {
	case !wanted:
		return 0, os.RemoveAll(made)
	case err != nil:
		return 0, fmt.Errorf("keep the snapshot %s: %w", id, errors.Join(err, os.RemoveAll(made)))
	}
	return folder.Size(to), nil
}
