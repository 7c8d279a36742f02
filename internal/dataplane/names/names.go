// SPDX-License-Identifier: Apache-2.0

// Package names has the names of a host carried out by a process of its own, the
// resolver: it starts that process or finds the one that runs, replaces one of another
// version, and starts another one when it has ended. The process lives on when this one
// ends.
package names

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/internal/resolver/control"
)

// Kinds are those that the process carries out.
func Kinds() []desired.Kind { return control.Kinds() }

// Config says which process there is to be.
type Config struct {
	// Folder is the data folder, Instance the mark by which routers are named.
	Folder, Instance string
	// Program is what is run, with the arguments of Command before all others. Without
	// a program there is no process, and no name can be put.
	Program string
	Command []string
	// Flags are the arguments that say how it is to work, Version is that of the
	// program. A process that has others is replaced.
	Flags   []string
	Version string
	// Always says that there is to be a process also when there are no names.
	Always bool
	// Renewed, if not nil, is called when a process came in the place of one that had
	// ended: it may lack what was put last.
	Renewed func()
	// Unit is the service of systemd that this process is in, as outlive.ServiceUnit gives it.
	// What is in the group of its processes ends with it, so others get a unit of
	// their own.
	Unit string
	// Every is how often the process is asked how it is, and how long it may take to say
	// so. One that does not say so three times in a row is replaced. Default two seconds.
	Every time.Duration
	// Shelf, if not nil, gives what a process may have the kernel answer by itself, and
	// makes void what it was given before; nil says that there is nothing.
	Shelf func() (*control.Shelf, error)
	Log   *slog.Logger
}

// Names are the names of a host: the effects of the kinds of package control. Its methods
// may be called from several goroutines.
type Names struct {
	cfg    Config
	client *control.Client
	needed chan struct{} // has one when somebody needs a process

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when what follows changes
	pid     int           // of the process that serves; zero when none does
	problem error         // why none could be started
	hung    int64         // how many were killed because they did not answer
}

// New prepares; nothing is started yet. The caller calls Run, and Close after it.
func New(c Config) *Names {
	c.Every = cmp.Or(c.Every, 2*time.Second)
	return &Names{cfg: c, client: control.NewClient(c.Folder), needed: make(chan struct{}, 1), changed: make(chan struct{})}
}

// Close closes what is open here. The process goes on.
func (n *Names) Close() { n.client.Close() }

// Run sees to it that there is a process, as soon as one is needed, until the context
// ends. It must be called once.
func (n *Names) Run(ctx context.Context) {
	for failures, lives := 0, 0; ctx.Err() == nil; {
		p, err := n.ensure(ctx)
		begun := time.Now()
		if err == nil {
			if lives++; lives > 1 && n.cfg.Renewed != nil {
				go n.cfg.Renewed()
			}
			err = n.attend(ctx, p)
			p.release()
			if time.Since(begun) > wellAfter && !errors.Is(err, errHung) {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		n.cfg.Log.Warn("no process resolves names", "error", err)
		n.say(0, problemOf(err))
		failures++
		select {
		case <-time.After(pause(failures)):
		case <-ctx.Done():
		}
	}
}

// problemOf gives why there is no process, as long as that is not mended by starting
// another one.
func problemOf(err error) error {
	if errors.Is(err, errHung) || errors.Is(err, errEnded) || errors.Is(err, errLost) {
		return nil
	}
	return err
}

// wellAfter is how long a process lives that is thought to be well.
const wellAfter = 10 * time.Second

// pause is how long is waited before another process is started.
func pause(failures int) time.Duration {
	if failures <= 1 {
		return 0
	}
	return min(50*time.Millisecond<<min(failures, 8), 5*time.Second)
}

// say tells those who wait which process serves, or why none does.
func (n *Names) say(pid int, problem error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pid, n.problem = pid, problem
	close(n.changed)
	n.changed = make(chan struct{})
}

// need says that a process is needed.
func (n *Names) need() {
	select {
	case n.needed <- struct{}{}:
	default:
	}
}

// await waits until a process serves. When none can be started it says so at once.
func (n *Names) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.startTime())
	defer cancel()
	for {
		n.need()
		n.mu.Lock()
		changed, pid, problem := n.changed, n.pid, n.problem
		n.mu.Unlock()
		switch {
		case pid != 0:
			return nil
		case problem != nil:
			return problem
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the process that resolves names: %w", ctx.Err())
		}
	}
}

// Realms implements reconcile.Effects. A process that does not answer has none: what is
// wanted of it is put again.
func (n *Names) Realms(ctx context.Context) ([]desired.Realm, error) {
	ctx, cancel := context.WithTimeout(ctx, n.startTime())
	defer cancel()
	realms, err := n.client.Realms(ctx)
	if err != nil && !errors.Is(err, control.ErrNobody) {
		n.cfg.Log.Warn("names are not read", "error", err)
	}
	return realms, nil
}

// Dump implements reconcile.Effects.
func (n *Names) Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	list, err := n.client.Dump(ctx, realm)
	if errors.Is(err, control.ErrNobody) {
		return nil, nil
	}
	return list, err
}

// Apply implements reconcile.Effects. It waits for a process that is being started, or
// that takes the place of another one.
func (n *Names) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) (failed map[desired.Key]error) {
	if len(put)+len(del) == 0 {
		return nil
	}
	if len(put) == 0 && !n.hasAny() {
		return nil // and so it is gone
	}
	for range 3 {
		if err := n.await(ctx); err != nil {
			return all(put, del, err)
		}
		failed = n.client.Apply(ctx, realm, put, del)
		if !moved(failed) {
			break
		}
		n.moving(ctx)
	}
	return failed
}

// hasAny reports whether there is a process, or names on disk.
func (n *Names) hasAny() bool {
	n.mu.Lock()
	pid := n.pid
	n.mu.Unlock()
	return pid != 0 || n.kept()
}

// kept reports whether names are on disk, by which a process can serve.
func (n *Names) kept() bool {
	_, err := os.Stat(filepath.Join(n.cfg.Folder, resolver.JournalName))
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

func all(put, del []desired.Entry, err error) map[desired.Key]error {
	failed := map[desired.Key]error{}
	for _, list := range [][]desired.Entry{put, del} {
		for _, e := range list {
			failed[e.Key()] = err
		}
	}
	return failed
}

// moved reports whether another process is the one to tell.
func moved(failed map[desired.Key]error) bool {
	for _, err := range failed {
		if errors.Is(err, control.ErrNobody) || errors.Is(err, control.ErrGone) {
			return true
		}
	}
	return false
}

// moving gives the process that comes some time.
func (n *Names) moving(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

// Lookup resolves a name as a workload of a VPC would, or by the upstream servers.
func (n *Names) Lookup(ctx context.Context, q control.Question) (control.Answer, error) {
	if err := n.await(ctx); err != nil {
		return control.Answer{}, err
	}
	return n.client.Lookup(ctx, q)
}

// Status tells how the process is; control.ErrNobody says that there is none.
func (n *Names) Status(ctx context.Context) (control.Status, error) { return n.client.Status(ctx) }
