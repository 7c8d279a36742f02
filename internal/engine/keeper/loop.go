// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
)

// How often members are asked how they are: always, when there is doubt, and while one of
// them is to be chosen.
const (
	often   = 500 * time.Millisecond
	doubt   = 50 * time.Millisecond
	choice  = 5 * time.Millisecond
	patient = time.Second // between two tries to tell, or to find a supervisor
)

// room is how much has to be free for a server to start, and reserve how much it takes until
// a disk is not full any more.
const (
	room    = 64 << 20
	reserve = 128 << 20
)

// database runs the machine of one database.
type database struct {
	keeper *Keeper
	id     string

	// Of the keeper, under its lock.
	entry   *desired.Database
	members map[string]desired.DatabaseMember
	started bool

	mu    sync.Mutex
	inbox []func()
	shown View
	seen  source // by databases that are read replicas of this one
	wake  chan struct{}
	stop  chan struct{}
	once  sync.Once

	// All that follows belongs to the goroutine of run, or to nobody before it.
	machine *machine
	seats   map[string]*seat
	waits   []*wait
	written []byte
	roles   *Roles
	told    map[string]State
	turned  int64
	pending []Event
	telling bool
	retell  time.Time
}

// wait is somebody who waits for something.
type wait struct {
	met  func(*machine) bool
	done chan struct{}
}

func newDatabase(k *Keeper, id string) *database {
	d := &database{
		keeper: k, id: id, members: map[string]desired.DatabaseMember{}, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		seats: map[string]*seat{}, told: map[string]State{},
	}
	d.machine = newMachine(id, d.fits)
	return d
}

// fits asks the driver of the database's engine.
func (d *database) fits(replica, writer engine.History) engine.Fit {
	if driver, err := d.driver(); err == nil {
		return driver.Fits(replica, writer)
	}
	return engine.FitUnknown
}

// tell changes the machine, in the goroutine of run. It may be called from anywhere.
func (d *database) tell(f func(*machine)) { d.send(func() { f(d.machine) }) }

func (d *database) send(f func()) {
	d.mu.Lock()
	d.inbox = append(d.inbox, f)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// await waits until something is so of the machine.
func (d *database) await(ctx context.Context, met func(*machine) bool) error {
	w := &wait{met: met, done: make(chan struct{})}
	d.send(func() { d.waits = append(d.waits, w) })
	select {
	case <-w.done:
		return nil
	case <-d.stop:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errNotYet, context.Cause(ctx))
	}
}

func (d *database) end() { d.once.Do(func() { close(d.stop) }) }

// writeEntry writes down what the database should be. The caller holds the keeper's lock.
func (d *database) writeEntry(e *desired.Database) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var r record
	if d.written != nil {
		if err := json.Unmarshal(d.written, &r); err != nil {
			return fmt.Errorf("write the database %s: %w", d.id, err)
		}
	}
	r.Entry = desired.Record(*e) // what is remembered follows, by save
	if err := d.keeper.write(d.id, databaseFile, r); err != nil {
		return err
	}
	d.entry = e
	d.written, _ = json.Marshal(r)
	return nil
}

// save writes down what the machine is to remember, when it is something else.
func (d *database) save() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entry == nil {
		return
	}
	r := record{Entry: desired.Record(*d.entry), Saved: &d.machine.saved}
	text, err := json.Marshal(r)
	if err != nil || bytes.Equal(text, d.written) {
		return
	}
	if err := d.keeper.write(d.id, databaseFile, r); err != nil {
		d.keeper.cfg.Log.Warn("what is to be remembered of a database is not written down", "database", d.id, "error", err)
		return
	}
	d.written = text
}

// run keeps the database until the context ends, or it does.
func (d *database) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer func() {
		cancel()
		work.Wait()
		for _, s := range d.seats {
			s.close()
		}
	}()
	if d.machine.saved.Replication == "" {
		d.machine.saved.Replication = rand.Text()
	}
	d.machine.asked = time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.stop:
			d.keeper.cfg.Roles(Roles{Database: d.id})
			return
		case <-d.wake:
		case <-timer.C:
		}
		d.mu.Lock()
		inbox := d.inbox
		d.inbox = nil
		d.mu.Unlock()
		for _, f := range inbox {
			f()
		}
		timer.Reset(d.step(ctx, &work))
	}
}

// step does what is due, and says when it is to be called again at the latest.
func (d *database) step(ctx context.Context, work *sync.WaitGroup) time.Duration {
	now := time.Now()
	m := d.machine
	if m.follows() {
		m.heed(d.keeper.sourceOf(m.wanted.Source))
	}
	actions := m.step(now)
	d.retire()
	d.save()
	d.publish()
	for _, a := range actions {
		d.launch(ctx, work, a)
	}
	next := often
	for id, member := range m.members {
		s := d.seats[id]
		if s == nil {
			s = newSeat(d, id)
			d.seats[id] = s
		}
		next = min(next, s.attend(ctx, work, member, now))
	}
	d.report(ctx, work, now)
	d.waits = slices.DeleteFunc(d.waits, func(w *wait) bool {
		if !w.met(m) {
			return false
		}
		close(w.done)
		return true
	})
	return next
}

// retire forgets members that were removed.
func (d *database) retire() {
	for id, m := range d.machine.members {
		if !m.removed {
			continue
		}
		if s := d.seats[id]; s != nil {
			s.close()
			delete(d.seats, id)
		}
		delete(d.machine.members, id)
		d.keeper.mu.Lock()
		delete(d.members, id)
		d.keeper.mu.Unlock()
	}
}

// publish says who does what, when that is something else. It says nothing before members
// were looked at: what leads to them goes on meanwhile.
func (d *database) publish() {
	m := d.machine
	if d.roles == nil && time.Since(m.asked) < gathering {
		for _, o := range m.members {
			if !o.known {
				return
			}
		}
	}
	r := m.roles()
	if d.roles == nil || !d.roles.equal(r) {
		d.roles = &r
		d.keeper.cfg.Roles(r)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = m.asSource(r)
	if m.wanted != nil {
		d.shown = View{Database: *m.wanted, Roles: r, States: m.states()}
	}
}

func (d *database) view() (View, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shown, d.shown.Database.ID != ""
}

// report tells what is something else than what was told before.
func (d *database) report(ctx context.Context, work *sync.WaitGroup, now time.Time) {
	m := d.machine
	d.pending = append(d.pending, m.events...)
	m.events = nil
	if d.telling || now.Before(d.retell) {
		return
	}
	o := Observation{Database: d.id, Turned: m.saved.Turned, Events: slices.Clone(d.pending)}
	for _, s := range m.states() {
		if before, ok := d.told[s.ID]; !ok || before != s {
			o.States = append(o.States, s)
		}
	}
	if len(o.States)+len(o.Events) == 0 && o.Turned == d.turned {
		return
	}
	d.telling = true
	work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, usualLimit)
		defer cancel()
		err := d.keeper.cfg.Control.Tell(ctx, o)
		d.send(func() {
			d.telling = false
			if err != nil {
				d.retell = time.Now().Add(patient)
				return
			}
			d.pending, d.turned = d.pending[len(o.Events):], o.Turned
			for _, s := range o.States {
				d.told[s.ID] = s
			}
		})
	})
}

// launch has an action done.
func (d *database) launch(ctx context.Context, work *sync.WaitGroup, a action) {
	done := func(r result) {
		d.send(func() {
			m := d.machine.members[a.member]
			if r.err != nil && (m == nil || m.busy != nil && m.busy.seq == a.seq) { // or else it was ended for another thing
				d.keeper.cfg.Log.Warn("something of a database was not done", "database", d.id, "member", a.member, "what", string(a.verb), "error", r.err)
			}
			d.machine.finished(a, r, time.Now())
		})
	}
	if a.member == "" {
		work.Go(func() {
			limit := usualLimit
			if a.verb == verbSnapshot {
				limit = limits[verbSnapshot]
			}
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			done(d.central(ctx, a))
		})
		return
	}
	s := d.seats[a.member]
	if s == nil {
		done(result{err: engine.ErrHost})
		return
	}
	s.launch(ctx, work, a, done)
}

// central does what no member does.
func (d *database) central(ctx context.Context, a action) (r result) {
	switch a.verb {
	case verbElect:
		r.epoch, r.err = d.keeper.cfg.Control.Elect(ctx, a.election)
	case verbSecrets:
		driver, err := d.driver()
		if err != nil {
			return result{err: err}
		}
		s, err := d.keeper.cfg.Control.Secrets(ctx, d.id)
		if err != nil {
			return result{err: err}
		}
		r.secret = s.Count
		r.verifier, r.err = driver.Verifier(s.Password)
	case verbSnapshot:
		r.bytes, r.err = d.copyVolume(ctx, a.snapshot)
	}
	return r
}

// driver gives the driver of the database's engine.
func (d *database) driver() (engine.Driver, error) {
	d.mu.Lock()
	entry := d.entry
	d.mu.Unlock()
	if entry == nil {
		return nil, engine.ErrNoData
	}
	offer, _ := engine.OfferOf(entry.Engine)
	for _, driver := range d.keeper.cfg.Drivers {
		if driver.Name() == offer.Driver {
			return driver, nil
		}
	}
	return nil, fmt.Errorf("run a database of engine %q: %w", entry.Engine, errNoDriver)
}

// keep moves the data of the last member to where it waits for another one.
func (d *database) keepVolume(folder string) error {
	volume := filepath.Join(d.keeper.folder(d.id), volumeFolder)
	if err := os.RemoveAll(volume); err != nil {
		return fmt.Errorf("keep the data of %s: %w", d.id, err)
	}
	if err := os.Rename(filepath.Join(folder, engine.PartData), volume); err != nil {
		return fmt.Errorf("keep the data of %s: %w", d.id, err)
	}
	return nil
}
