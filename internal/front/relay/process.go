// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/front"
)

const (
	// readEvery is how often it is looked whether the plan is another one, which costs a
	// question about a file.
	readEvery = 100 * time.Millisecond
	// sayEvery is how often it is written down how it is done, if that has changed.
	sayEvery = time.Second
)

// Lock is the right to relay for a folder. It ends with the process.
type Lock struct{ file *os.File }

// TryLock takes the lock of a folder; nil says that a process has it.
func TryLock(folder string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(folder, LockName), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the relay: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == unix.EWOULDBLOCK:
		return nil, f.Close()
	case err != nil:
		return nil, errors.Join(fmt.Errorf("take the lock of the relay: %w", err), f.Close())
	}
	return &Lock{f}, nil
}

// Release lets another process have the lock.
func (l *Lock) Release() { _ = l.file.Close() }

// Config says for whom a process relays.
type Config struct {
	Folder, Identity string
	Log              *slog.Logger
}

// Run relays as the plan in the folder says until that is for another process, has no ways
// any more, or the context ends. When it is for another one, this one goes on with the
// connections that it has.
func Run(ctx context.Context, c Config) error {
	lock, err := c.await(ctx)
	if err != nil || lock == nil {
		return err
	}
	p := &process{Config: c, changed: make(chan struct{}, 1)}
	plan, ok, err := p.plan()
	if err != nil || !ok {
		lock.Release()
		return err
	}
	p.relay = New(c.Log, plan.Idle)
	p.relay.Lead(plan.Ways)
	serving, stop := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		front.Stay(serving, plan.Namespace, nil, c.Log, func(ctx context.Context, ns *os.File) error {
			return p.relay.Within(ctx, ns, p.changed)
		})
	}()
	p.follow(ctx, plan.Namespace)
	stop()
	<-served
	lock.Release()
	if ctx.Err() == nil {
		p.relay.Wait()
	}
	return nil
}

// await waits for the lock as long as the plan is for this process.
func (c Config) await(ctx context.Context) (*Lock, error) {
	p := &process{Config: c}
	for {
		lock, err := TryLock(c.Folder)
		if lock != nil || err != nil {
			return lock, err
		}
		if _, ok, err := p.plan(); err != nil || !ok {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(readEvery):
		}
	}
}

// process is one that relays.
type process struct {
	Config
	relay   *Relay
	changed chan struct{}
}

// plan reads the plan; false says that there is nothing to do for this process.
func (p *process) plan() (plan Plan, ok bool, err error) {
	there, err := Read(p.Folder, PlanName, &plan)
	return plan, there && plan.Identity == p.Identity && len(plan.Ways) > 0, err
}

// follow follows the plan until there is nothing more to do.
func (p *process) follow(ctx context.Context, namespace string) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	var read os.FileInfo
	var said string
	var saidAt time.Time
	for {
		info, err := os.Stat(filepath.Join(p.Folder, PlanName))
		if err != nil {
			return
		}
		if read == nil || !os.SameFile(info, read) || info.ModTime() != read.ModTime() {
			read = info
			plan, ok, err := p.plan()
			switch {
			case err != nil:
				p.Log.Error("the plan of the relay: the last good one holds", "error", err)
			case !ok || plan.Namespace != namespace:
				return
			default:
				p.relay.Lead(plan.Ways)
				select {
				case p.changed <- struct{}{}:
				default:
				}
			}
		}
		if time.Since(saidAt) >= sayEvery {
			saidAt = time.Now()
			said = p.say(said)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// say writes down how it is done, if that is something else than before.
func (p *process) say(before string) string {
	status := p.relay.Status()
	status.Identity = p.Identity
	text, err := json.Marshal(status)
	if err != nil || string(text) == before {
		return before
	}
	if err := Write(p.Folder, StatusName, status); err != nil {
		return before // a full disk is no reason to end
	}
	return string(text)
}
