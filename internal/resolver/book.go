// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/internal/resolver/journal"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// book is what is served, in memory and on disk. What it says to have been done is on
// disk by then, unless no disk takes it.
type book struct {
	log     *slog.Logger
	journal *journal.Journal
	world   atomic.Pointer[zone.World]
	// changed is called with each new world, while changes wait.
	changed func(*zone.World)

	mu    sync.Mutex // held by whoever changes
	gone  bool       // another process has it
	tried time.Time  // when it could not be written last; zero when it could

	disk    sync.Mutex // held for what follows, and never while anything is written
	problem error      // why it is not on disk
	writing time.Time  // since when something is written; zero when nothing is
}

// againAfter is when it is tried again to write what could not be written.
const againAfter = 5 * time.Second

// readAtOnce is how many entries of the copy on disk are held beside the world that
// they are put into.
const readAtOnce = 1000

// absent stands for an entry of which only the key counts.
type absent struct{ key desired.Key }

// Key implements desired.Entry.
func (a absent) Key() desired.Key { return a.key }

// String implements desired.Entry.
func (a absent) String() string { return a.key.String() }

// openBook reads what is on disk. What cannot be read of it is left out: the agent puts
// what is missing.
func openBook(path, instance string, log *slog.Logger) *book {
	b := &book{log: log, journal: journal.At(path, instance), changed: func(*zone.World) {}}
	world := new(zone.World)
	var put []desired.Entry
	kinds := control.Kinds()
	flush := func() {
		world, _ = world.With(put, nil) // what was wrong is so again when the agent says it
		put = put[:0]
	}
	err := b.journal.Replay(func(text string) error {
		e, err := desired.Parse(text, kinds...)
		if err == nil {
			if put = append(put, e); len(put) == readAtOnce {
				flush()
			}
		}
		return err
	}, func(text string) error {
		k, err := desired.ParseKey(text, kinds...)
		if err == nil {
			flush()
			world, _ = world.With(nil, []desired.Entry{absent{k}})
		}
		return err
	})
	flush()
	if err != nil {
		log.Warn("not all names are known yet; the agent tells the rest", "error", err)
	}
	b.world.Store(world)
	debug.FreeOSMemory() // what reading took, once, before anybody is answered
	return b
}

// begin makes the copy on disk one that can be added to.
func (b *book) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rewrite()
}

// rewrite writes the whole copy. The lock is held.
func (b *book) rewrite() {
	world := b.world.Load()
	defer b.write()()
	err := b.journal.Replace(func(yield func(string) bool) {
		for _, realm := range world.Realms() {
			for _, e := range world.Dump(realm) {
				if !yield(desired.Record(e)) {
					return
				}
			}
		}
	})
	b.said(err)
}

// write notes that something is written, until what it gives is called.
func (b *book) write() (done func()) {
	set := func(t time.Time) {
		b.disk.Lock()
		defer b.disk.Unlock()
		b.writing = t
	}
	set(time.Now())
	return func() { set(time.Time{}) }
}

// said notes whether the copy could be written.
func (b *book) said(err error) {
	b.tried = time.Time{}
	if err != nil {
		b.tried = time.Now()
	}
	if b.journal.Current() { // what there was goes on being added to
		err = nil
	}
	b.disk.Lock()
	defer b.disk.Unlock()
	switch {
	case err != nil && b.problem == nil:
		b.log.Warn("names are not on disk; it is tried again every few seconds", "error", err)
	case err == nil && b.problem != nil:
		b.log.Info("names are on disk again")
	}
	b.problem = err
}

// apply changes what is served: on disk, and then for everybody.
func (b *book) apply(realm desired.Realm, put []desired.Entry, del []desired.Key) map[desired.Key]error {
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := map[desired.Key]error{}
	mine := func(k desired.Key) bool {
		switch {
		case b.gone:
			failed[k] = control.ErrGone
		case k.Realm != realm:
			failed[k] = fmt.Errorf("%s does not live in %s", k, realm)
		}
		return failed[k] == nil
	}
	var entries, absents []desired.Entry
	for _, e := range put {
		if mine(e.Key()) {
			entries = append(entries, e)
		}
	}
	for _, k := range del {
		if mine(k) {
			absents = append(absents, absent{k})
		}
	}
	if len(entries)+len(absents) == 0 {
		return failed
	}
	next, wrong := b.world.Load().With(entries, absents)
	for k, err := range wrong {
		failed[k] = err
	}
	b.note(entries, absents, failed)
	b.world.Store(next)
	b.changed(next)
	b.tidy()
	return failed
}

// note adds a change to the copy. The lock is held.
func (b *book) note(put, del []desired.Entry, failed map[desired.Key]error) {
	var records, keys []string
	for _, e := range put {
		if failed[e.Key()] == nil {
			records = append(records, desired.Record(e))
		}
	}
	for _, e := range del {
		if failed[e.Key()] == nil {
			keys = append(keys, e.Key().String())
		}
	}
	defer b.write()()
	if err := b.journal.Note(records, keys); err != nil {
		b.said(err)
	}
}

// tidy writes the copy anew when it has grown, was lost, or could not be written a while
// ago. The lock is held.
func (b *book) tidy() {
	if b.journal.Due() && time.Since(b.tried) >= againAfter {
		b.rewrite()
	}
}

// look does what is due without a change.
func (b *book) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gone {
		b.tidy()
	}
}

// giveUp runs a function while nothing is changed. When that goes well, nothing is
// changed here any more.
func (b *book) giveUp(fn func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return control.ErrGone
	}
	err := fn()
	if err == nil {
		b.gone = true
		b.journal.Close()
	}
	return err
}

// onDisk is why the copy is not; empty when it is. It waits for no disk: a process whose
// disk stands still answers all the same, and says so.
func (b *book) onDisk() string {
	b.disk.Lock()
	defer b.disk.Unlock()
	switch {
	case b.problem != nil:
		return b.problem.Error()
	case !b.writing.IsZero() && time.Since(b.writing) > slowDisk:
		return fmt.Sprintf("the disk has not taken a change for %v", time.Since(b.writing).Round(time.Second))
	}
	return ""
}

// slowDisk is how long a write may take that nothing is said of.
const slowDisk = 5 * time.Second
