// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/engine"
)

// seat is a member's server, for the goroutine of its database.
type seat struct {
	database *database
	id       string

	mu     sync.Mutex // guards what follows
	server engine.Server
	host   Host
	spec   engine.Spec

	// What follows belongs to the goroutine of the database.
	opening bool
	mute    int // how often in a row its supervisor was found and did not answer
	retry   time.Time
	probing bool
	probed  time.Time
	running *running
	cancel  context.CancelFunc // of what watches the server
}

// running is what is being done.
type running struct {
	verb   verb
	cancel context.CancelFunc
	done   chan struct{}
}

// Errors of members that cannot be run.
var (
	errNoDriver  = errors.New("there is no driver for it")
	errNoVersion = errors.New("this version is not installed on the host")
	errNoPEM     = errors.New("there is no certificate in it")
)

func newSeat(d *database, id string) *seat { return &seat{database: d, id: id} }

func (s *seat) opened() (engine.Server, Host, engine.Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server, s.host, s.spec
}

// close closes connections. The server goes on.
func (s *seat) close() {
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Close()
		_ = s.host.Close()
	}
	s.server, s.host = nil, nil
}

// open finds the programs and the supervisor of the server.
func (s *seat) open(ctx context.Context) error {
	driver, err := s.database.driver()
	if err != nil {
		return err
	}
	installation, err := s.database.installation(ctx, driver)
	if err != nil {
		return err
	}
	spec := engine.Spec{ID: s.id, Folder: s.database.keeper.folder(s.id), Installation: installation}
	host, err := s.database.keeper.cfg.Ground.Host(ctx, spec)
	if err != nil {
		return err
	}
	server, err := driver.Open(spec, host)
	if err != nil {
		return errors.Join(err, host.Close())
	}
	s.mu.Lock()
	s.server, s.host, s.spec = server, host, spec
	s.mu.Unlock()
	return nil
}

// installation chooses the version that is wanted, or else another one that can work on the
// same data, the newest first.
func (d *database) installation(ctx context.Context, driver engine.Driver) (engine.Installation, error) {
	list, err := driver.Discover(ctx)
	if err != nil {
		return engine.Installation{}, err
	}
	d.mu.Lock()
	version := d.entry.Version
	d.mu.Unlock()
	i := slices.IndexFunc(list, func(i engine.Installation) bool { return i.Version == version })
	if i < 0 {
		i = slices.IndexFunc(list, func(i engine.Installation) bool { return version == i.Major || strings.HasPrefix(version, i.Major+".") })
	}
	if i < 0 {
		return engine.Installation{}, fmt.Errorf("%s %s: %w", driver.Name(), version, errNoVersion)
	}
	return list[i], nil
}

// attend opens the server, asks how it is when that is due, and says when to come again.
func (s *seat) attend(ctx context.Context, work *sync.WaitGroup, m *member, now time.Time) time.Duration {
	server, host, _ := s.opened()
	if server == nil {
		leaves := s.running != nil && (s.running.verb == verbKeep || s.running.verb == verbDestroy)
		if !leaves && !s.opening && !now.Before(s.retry) && s.database.machine.wanted != nil {
			s.opening = true
			work.Go(func() { s.begin(ctx, work) })
		}
		return patient
	}
	pause := often
	k := s.database.machine
	switch {
	case k.turn != nil && !k.turn.closed.IsZero():
		pause = choice
	case k.turn != nil || k.promoted != nil || m.silent > 0 || !m.known:
		pause = doubt
	}
	if s.probing {
		return often
	}
	if wait := pause - now.Sub(s.probed); wait > 0 {
		return wait
	}
	s.probing, s.probed = true, now
	work.Go(func() { s.probe(ctx, server, host) })
	return often
}

// begin opens the server and watches it from then on.
func (s *seat) begin(ctx context.Context, work *sync.WaitGroup) {
	limited, cancel := context.WithTimeout(ctx, usualLimit)
	defer cancel()
	err := s.open(limited)
	d := s.database
	d.send(func() {
		s.opening = false
		m := d.machine.members[s.id]
		if d.seats[s.id] != s { // it was removed meanwhile, and so is what was opened
			s.close()
			work.Go(func() {
				if err := s.destroy(ctx, nil, engine.Spec{}); err != nil {
					d.keeper.cfg.Log.Warn("what was opened of a server that is removed stays", "database", d.id, "member", s.id, "error", err)
				}
			})
			return
		}
		if err != nil {
			d.keeper.cfg.Log.Warn("a server of a database has no place", "database", d.id, "member", s.id, "error", err)
			s.retry = time.Now().Add(patient)
			s.unanswered(ctx, work, err)
			if m != nil {
				m.retry.fail(time.Now(), err)
			}
			return
		}
		s.mute = 0
		if m != nil {
			m.retry.succeed()
		}
		_, host, _ := s.opened()
		watched, stop := context.WithCancel(ctx)
		s.cancel = stop
		work.Go(func() { s.watch(watched, host) })
	})
}

// unanswered has a supervisor killed that is there and has not answered for as long as a
// server may hang: nobody could do anything with the server otherwise.
func (s *seat) unanswered(ctx context.Context, work *sync.WaitGroup, err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		s.mute = 0
		return
	}
	if s.mute++; time.Duration(s.mute)*usualLimit < hopeless {
		return
	}
	s.mute = 0
	k := s.database.keeper
	work.Go(func() {
		limited, cancel := context.WithTimeout(ctx, usualLimit)
		defer cancel()
		if err := k.cfg.Ground.Slay(limited, engine.Spec{ID: s.id, Folder: k.folder(s.id)}); err != nil && !errors.Is(err, engine.ErrHost) {
			k.cfg.Log.Warn("a supervisor that does not answer cannot be killed", "database", s.database.id, "member", s.id, "error", err)
		}
	})
}

// probe asks how the server is.
func (s *seat) probe(ctx context.Context, server engine.Server, host Host) {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	state, err := server.Probe(limited)
	d := s.database
	space, spaceErr := d.keeper.cfg.Free(d.keeper.cfg.Folder)
	d.send(func() {
		s.probing = false
		if ctx.Err() != nil {
			return
		}
		if spaceErr == nil {
			d.machine.room(space)
		}
		if errors.Is(err, engine.ErrHost) {
			s.lost(host)
		}
		if err != nil {
			state = engine.State{Phase: engine.PhaseSilent, Reason: err.Error()}
		}
		d.machine.observe(s.id, state, began, time.Now())
	})
}

// lost has the supervisor looked for again, or another one started.
func (s *seat) lost(host Host) {
	if _, now, _ := s.opened(); now == host {
		s.close()
		s.retry = time.Time{}
	}
}

// watch tells at once when the server ends, or is another one.
func (s *seat) watch(ctx context.Context, host Host) {
	p, err := host.Process(ctx)
	for ctx.Err() == nil {
		if err == nil {
			p, err = host.Wait(ctx, p)
		}
		if err != nil {
			if errors.Is(err, engine.ErrHost) {
				s.database.send(func() { s.lost(host) })
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(doubt):
			}
			p, err = host.Process(ctx)
			continue
		}
		s.database.send(func() {
			if m := s.database.machine.members[s.id]; m != nil && (m.busy == nil || m.busy.verb != verbStart) {
				s.database.machine.exited(s.id, p, time.Now())
			}
		})
	}
}

// launch does an action after the one before, which is ended when the action says so.
func (s *seat) launch(ctx context.Context, work *sync.WaitGroup, a action, done func(result)) {
	limit := usualLimit
	if l, ok := limits[a.verb]; ok {
		limit = l
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	before := s.running
	if before != nil && a.preempt {
		before.cancel()
	}
	r := &running{verb: a.verb, cancel: cancel, done: make(chan struct{})}
	s.running = r
	work.Go(func() {
		defer close(r.done)
		defer cancel()
		if before != nil && a.verb != verbKill {
			<-before.done
		}
		result := s.do(ctx, a)
		if before != nil {
			<-before.done
		}
		done(result) // first: a member that was removed is not to be opened again
		s.database.send(func() {
			if s.running == r {
				s.running = nil
			}
			s.probed = time.Time{}
		})
	})
}

// do does an action.
func (s *seat) do(ctx context.Context, a action) (r result) {
	server, host, spec := s.opened()
	ground := s.database.keeper.cfg.Ground
	if server == nil {
		spec = engine.Spec{ID: s.id, Folder: s.database.keeper.folder(s.id)}
		switch a.verb {
		case verbDestroy, verbKeep:
			r.err = s.leave(ctx, nil, spec, a.verb == verbKeep)
		case verbKill: // there may be a supervisor that does not answer
			sealed := ground.Seal(ctx, s.id)
			r.sealed, r.err = sealed == nil, ground.Slay(ctx, spec)
		default:
			r.err = engine.ErrHost
		}
		return r
	}
	switch a.verb {
	case verbClone, verbRejoin, verbStart:
		if err := ground.Unseal(ctx, s.id); err != nil {
			return result{err: err}
		}
	}
	switch a.verb {
	case verbInspect:
		r.data, r.err = server.Inspect(ctx)
	case verbConfigure:
		r.change, r.err = server.Configure(ctx, a.config)
	case verbCertify:
		r.until, r.err = s.certify(ctx, server, a)
	case verbInit:
		r.err = server.Init(ctx)
	case verbRestore:
		r.err = server.Restore(ctx, filepath.Join(s.database.keeper.folder(a.snapshot), engine.PartData), nil)
	case verbTake:
		r.err = s.takeVolume(spec)
	case verbClone:
		if adopter, ok := server.(engine.Adopter); ok {
			r.err = s.adopt(ctx, adopter, a.peer.ID)
		} else {
			r.err = server.Clone(ctx, a.peer, nil)
		}
	case verbRejoin:
		r.rejoined, r.err = server.Rejoin(ctx, a.peer, nil)
	case verbStart:
		r.err = server.Start(ctx, a.role)
	case verbStop:
		r.err = server.Stop(ctx, engine.Stop{Clean: a.clean})
	case verbKill:
		sealed := ground.Seal(ctx, s.id)
		r.sealed = sealed == nil
		if r.err = host.Kill(ctx); r.err != nil {
			r.err = errors.Join(r.err, sealed)
		}
	case verbPromote:
		r.err = server.Promote(ctx)
	case verbSettle:
		r.err = server.Settle(ctx)
	case verbFollow:
		r.err = server.Follow(ctx, &a.peer)
	case verbMembers:
		r.err = server.SetMembers(ctx, a.ids)
	case verbDurability:
		r.err = server.SetDurability(ctx, a.durability)
	case verbUsers:
		r.err = server.SetUsers(ctx, a.users)
	case verbSnapshot:
		r.bytes, r.err = s.snapshot(ctx, server, a)
	case verbKeep, verbDestroy:
		r.err = s.leave(ctx, server, spec, a.verb == verbKeep)
	}
	return r
}

// certify has the server show a certificate of now, and says when it needs another one:
// when a third of its time is left.
func (s *seat) certify(ctx context.Context, server engine.Server, a action) (until time.Time, err error) {
	c, err := s.database.keeper.cfg.Control.Certify(ctx, s.database.id, a.names, a.addrs())
	if err != nil {
		return until, err
	}
	block, _ := pem.Decode(c.Chain)
	if block == nil {
		return until, fmt.Errorf("certify %s: %w", s.id, errNoPEM)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return until, fmt.Errorf("certify %s: %w", s.id, err)
	}
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3), server.SetCertificate(ctx, c)
}

// snapshot takes one, and moves it to where it stays.
func (s *seat) snapshot(ctx context.Context, server engine.Server, a action) (bytes int64, err error) {
	made, err := server.Snapshot(ctx, nil)
	if err != nil {
		return 0, err
	}
	if a.seed {
		return 0, s.database.keeper.handSeed(made, a.snapshot)
	}
	return s.database.keeper.keepSnapshot(made, a.snapshot)
}

// takeVolume makes the data that was kept the server's.
func (s *seat) takeVolume(spec engine.Spec) error {
	volume := filepath.Join(s.database.keeper.folder(s.database.id), volumeFolder)
	data := filepath.Join(spec.Folder, engine.PartData)
	if err := os.Remove(data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("take the volume of %s: %w", s.database.id, err)
	}
	if err := os.Rename(volume, data); err != nil {
		return fmt.Errorf("take the volume of %s: %w", s.database.id, err)
	}
	return nil
}

// leave ends all that there is of the server, and keeps its data when that is to stay. Data
// of which no row knows anything is not removed.
func (s *seat) leave(ctx context.Context, server engine.Server, spec engine.Spec, keep bool) error {
	known, err := s.database.keeper.cfg.Control.Known(ctx, s.id)
	if err != nil {
		return err
	}
	if !known.Row {
		if err := s.database.keeper.cfg.Ground.Release(ctx, spec); err != nil {
			return err
		}
		return s.database.keeper.putAside(s.id, "server")
	}
	if keep {
		if err := s.database.keeper.cfg.Ground.Release(ctx, spec); err != nil {
			return err
		}
		if err := s.database.keepVolume(spec.Folder); err != nil {
			return err
		}
		return s.destroy(ctx, nil, spec)
	}
	return s.destroy(ctx, server, spec)
}

// destroy removes the member's folder. That of the database, which may be the same one,
// stays.
func (s *seat) destroy(ctx context.Context, server engine.Server, spec engine.Spec) error {
	if server != nil {
		if err := server.Destroy(ctx); err != nil {
			return err
		}
	}
	if spec.Folder == "" {
		spec = engine.Spec{ID: s.id, Folder: s.database.keeper.folder(s.id)}
	}
	if err := s.database.keeper.cfg.Ground.Release(ctx, spec); err != nil {
		return err
	}
	list, err := os.ReadDir(spec.Folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the server %s: %w", s.id, err)
	}
	for _, f := range list {
		if name := f.Name(); name != databaseFile && name != volumeFolder {
			if err := os.RemoveAll(filepath.Join(spec.Folder, name)); err != nil {
				return fmt.Errorf("remove the server %s: %w", s.id, err)
			}
		}
	}
	if s.id != s.database.id {
		if err := os.Remove(spec.Folder); err != nil {
			return fmt.Errorf("remove the server %s: %w", s.id, err)
		}
	}
	return nil
}
