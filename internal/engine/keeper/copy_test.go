// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// What was copied is kept where it is wanted, and nowhere else is anything left of it.
func TestNothingOfACopyStaysWhereItWasMade(t *testing.T) {
	for name, c := range map[string]struct {
		wanted, folder bool
		kept           bool
	}{
		"wanted":              {wanted: true, folder: true, kept: true},
		"not wanted any more": {folder: true},
		"taken away":          {wanted: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			k := &Keeper{cfg: Config{Folder: root, Log: slog.New(slog.DiscardHandler)}, snapshots: map[string]desired.Snapshot{}}
			made := filepath.Join(root, "db-1", engine.PartCopy, "next")
			must := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			must(os.MkdirAll(made, 0o700))
			must(os.WriteFile(filepath.Join(made, "1"), []byte("pages"), 0o600))
			if c.wanted {
				k.snapshots["snap-1"] = desired.Snapshot{ID: "snap-1", Of: "db-1"}
			}
			if c.folder {
				must(os.MkdirAll(k.folder("snap-1"), 0o700))
			}
			bytes, err := k.keepSnapshot(made, "snap-1")
			if c.kept != (bytes == 5 && err == nil) || c.kept != exists(k.folder("snap-1"), engine.PartData, "1") || (err != nil) != !c.folder {
				t.Errorf("%d bytes, %v", bytes, err)
			}
			if exists(made) {
				t.Error("it is where it was made still")
			}
		})
	}
}

// A snapshot that does not fit fails, says once why, and is made when there is room.
func TestASnapshotThatDoesNotFitSaysSo(t *testing.T) {
	k := newMachine("db-1", nil)
	k.saved.Volume, k.wanted = true, &desired.Database{ID: "db-1"}
	k.snapshots["snap-1"] = &snapshot{id: "snap-1"}
	now := time.Now()
	asked := 0
	full := fmt.Errorf("copy the data of db-1: %w: a copy takes 900 MiB", engine.ErrFull)
	for end := now.Add(time.Hour); now.Before(end); now = now.Add(time.Second) {
		for _, a := range k.step(now) {
			asked++
			k.finished(a, result{err: full}, now)
		}
	}
	if s := k.snapshots["snap-1"].state(); s.Phase != model.DatabaseFailed || !strings.Contains(s.Reason, "900 MiB") {
		t.Errorf("it is %+v", s)
	}
	if len(k.events) != 1 || k.events[0].About != "snap-1" || !strings.Contains(k.events[0].Message, "900 MiB") {
		t.Errorf("events %+v", k.events)
	}
	if asked < tries || asked > 60+tries {
		t.Errorf("it was tried %d times in an hour", asked)
	}
	for range 90 {
		now = now.Add(time.Second)
		for _, a := range k.step(now) {
			k.finished(a, result{bytes: 5}, now)
		}
	}
	if s := k.snapshots["snap-1"].state(); s != (State{ID: "snap-1", Phase: model.DatabaseAvailable, Bytes: 5}) {
		t.Errorf("with room it is %+v", s)
	}
}

// deaf is a control that writes nothing down while it is full.
type deaf struct {
	Control
	full bool
	told []Observation
}

// Tell implements Control.
func (d *deaf) Tell(_ context.Context, o Observation) error {
	if d.full {
		return errors.New("there is no room for it")
	}
	d.told = append(d.told, o)
	return nil
}

// A disk that was full is told of once there is room to write it down, with the time when it
// was so.
func TestAFullDiskIsToldOfWhenThereIsRoom(t *testing.T) {
	control := &deaf{full: true}
	d := newDatabase(&Keeper{cfg: Config{Control: control, Log: slog.New(slog.DiscardHandler)}}, "db-1")
	m := d.machine
	m.wanted = &desired.Database{ID: "db-1"}
	m.want(desired.DatabaseMember{Database: "db-1", ID: "db-1"})
	began := time.Now()
	report := func(minutes int) {
		m.now = began.Add(time.Duration(minutes) * time.Minute)
		var work sync.WaitGroup
		d.report(t.Context(), &work, m.now)
		work.Wait()
		for _, f := range d.inbox {
			f()
		}
		d.inbox = nil
	}
	report(0)
	m.room(room - 1)
	for minute := range 10 {
		report(minute)
	}
	if s := m.states(); s[0].Phase != model.DatabaseFull {
		t.Errorf("it is %+v", s)
	}
	m.room(reserve)
	control.full = false
	report(10)
	if len(control.told) != 1 || len(control.told[0].Events) != 2 || !control.told[0].Events[0].At.Equal(began) || !strings.Contains(control.told[0].Events[0].Message, "exhausted") {
		t.Errorf("told is %+v", control.told)
	}
	if report(11); len(control.told) != 1 {
		t.Errorf("told again is %+v", control.told)
	}
}

// A snapshot of a database whose data is lost fails, and says so once. It is taken when the
// data is there again.
func TestASnapshotOfWhatIsLostFails(t *testing.T) {
	k := newMachine("db-1", nil)
	k.wants(&desired.Database{ID: "db-1"})
	k.want(desired.DatabaseMember{ID: "db-1"})
	k.saved.Made, k.saved.Writer = true, "db-1"
	m := k.members["db-1"]
	m.looked = true
	m.retry.fail(time.Unix(1e9, 0), errLost)
	k.snapshots["snap-1"] = &snapshot{id: "snap-1"}
	for range 3 {
		k.copies()
	}
	if s := k.snapshots["snap-1"].state(); s.Phase != model.DatabaseFailed || !strings.Contains(s.Reason, engine.ErrNoData.Error()) {
		t.Errorf("state %+v", s)
	}
	if len(k.events) != 1 || k.events[0].About != "snap-1" {
		t.Errorf("told is %+v", k.events)
	}
	m.retry.succeed()
	m.known, m.state, k.saved.Set = true, engine.State{Phase: engine.PhaseUp, Writer: true}, 1
	k.copies()
	if s := k.snapshots["snap-1"]; !s.busy {
		t.Errorf("it is not taken when the data is there: %+v", s.state())
	}
}
