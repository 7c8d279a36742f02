// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// duplicate is a snapshot that is made of another one. The keeper does that itself: the
// database that both are of may be gone, and may be another account's.
type duplicate struct {
	snapshot
	keeper *Keeper
	of     string
	end    context.CancelFunc
	ended  chan struct{}
}

// duplicate has a copy of a snapshot made, unless somebody is at it. The caller holds the
// lock.
func (k *Keeper) duplicate(s desired.Snapshot) {
	if !k.began || k.duplicates[s.ID] != nil {
		return
	}
	ctx, end := context.WithCancel(k.ctx)
	d := &duplicate{snapshot: snapshot{id: s.ID}, keeper: k, of: s.CopyOf, end: end, ended: make(chan struct{})}
	k.duplicates[s.ID] = d
	k.work.Go(func() {
		defer close(d.ended)
		d.run(ctx)
	})
}

// stop ends the making of a copy, and returns when nothing more is written.
func (d *duplicate) stop(ctx context.Context) error {
	d.end()
	select {
	case <-d.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run makes the copy, and tells what became of it.
func (d *duplicate) run(ctx context.Context) {
	var events []Event
	if d.done, d.bytes = d.keeper.taken(d.id); d.done {
		d.tell(ctx, nil)
		return
	}
	for !d.done && ctx.Err() == nil {
		if folder.Pause(ctx, time.Until(d.retry.at)) != nil {
			return
		}
		bytes, err := d.copy(ctx)
		if err != nil && ctx.Err() == nil {
			d.keeper.cfg.Log.Warn("a snapshot was not copied", "snapshot", d.of, "to", d.id, "error", err)
		}
		events = nil
		if message, category := d.finish(bytes, err, time.Now()); message != "" {
			events = append(events, Event{About: d.id, Message: message, Categories: []string{category}, At: time.Now()})
		}
		d.tell(ctx, events)
	}
}

// tell tells how the copy is, until that is known.
func (d *duplicate) tell(ctx context.Context, events []Event) {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, usualLimit)
		err := d.keeper.cfg.Control.Tell(limited, Observation{Database: d.id, States: []State{d.state()}, Events: events})
		cancel()
		if err == nil || folder.Pause(ctx, patient) != nil {
			return
		}
	}
}

// copy makes the files of the copy those of the other snapshot, which nobody changes. Where
// the file system cannot do that, they are copied.
func (d *duplicate) copy(ctx context.Context) (bytes int64, err error) {
	k := d.keeper
	from, to := filepath.Join(k.folder(d.of), engine.PartData), filepath.Join(k.folder(d.id), engine.PartData)
	if !exists(from) {
		return 0, fmt.Errorf("copy the snapshot %s: %w", d.of, errLost)
	}
	made := filepath.Join(k.folder(d.id), folder.Next)
	err = os.RemoveAll(made)
	if err == nil {
		err = folder.LinkTree(ctx, from, made)
	}
	if err != nil && ctx.Err() == nil {
		err = os.RemoveAll(made)
		disk := folder.Folder{Spec: engine.Spec{ID: d.id, Folder: k.folder(d.id)}}
		if err == nil {
			err = disk.Fill(ctx, made, folder.Size(from), func(ctx context.Context, _ func(int64)) error {
				return folder.CopyTree(ctx, from, made, "copying the snapshot", nil)
			})
		}
	}
	if err == nil {
		err = os.Rename(made, to)
	}
	if err != nil {
		return 0, fmt.Errorf("copy the snapshot %s: %w", d.of, errors.Join(err, os.RemoveAll(made)))
	}
	return folder.Size(to), nil
}
