// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/outlive"
	"github.com/posternhq/postern/internal/resolver/control"
)

// served is a process that serves: what tells its end, and a hold on it that no other
// process of the same number can come by (pidfd_open(2)).
type served struct {
	pid   int
	pidfd int
	ended <-chan struct{}
	letGo context.CancelFunc
}

// hold holds on to the process that serves. It is the one that is being watched, if that
// has not ended by when it is held.
func (n *Names) hold(ctx context.Context, pid int) (*served, error) {
	p := &served{pid: pid, pidfd: -1}
	if err := n.grasp(ctx, p); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (n *Names) grasp(ctx context.Context, p *served) (err error) {
	ctx, p.letGo = context.WithCancel(ctx)
	patience := time.AfterFunc(misses*n.cfg.Every, p.letGo)
	p.ended, err = n.client.Watch(ctx)
	if stopped := patience.Stop(); err != nil || !stopped {
		return errors.Join(errLost, err)
	}
	if p.pidfd, err = unix.PidfdOpen(p.pid, 0); err != nil {
		return fmt.Errorf("hold on to process %d: %w", p.pid, err)
	}
	if !resolves(p.pid, n.cfg.Folder) {
		return fmt.Errorf("process %d is none that resolves names", p.pid)
	}
	select {
	case <-p.ended:
		return errLost
	default:
		return nil
	}
}

func (p *served) release() {
	p.letGo()
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
	}
}

// misses is how often in a row a process does not answer that is taken for one which
// hangs. Once is what a busy machine does.
const misses = 3

// errSilent says that a process was asked often enough, and did not answer.
var errSilent = errors.New("it does not answer")

// ask asks how the process is, for as long as it may take to be thought well of.
func (n *Names) ask(ctx context.Context) (control.Status, error) {
	asking, cancel := context.WithTimeout(ctx, n.cfg.Every)
	defer cancel()
	status, err := n.client.Status(asking)
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errSilent, err)
	}
	return status, err
}

// attend returns when a process has ended, or the context. One that hangs is ended
// first: it holds the sockets, and nobody else can answer what comes to them.
func (n *Names) attend(ctx context.Context, p *served) error {
	since, missed := time.Now(), 0
	for swept := false; ; {
		select {
		case <-p.ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(n.cfg.Every):
		}
		if _, err := n.ask(ctx); err == nil {
			missed = 0
		} else if missed++; missed == misses {
			n.cfg.Log.Warn("the process that resolves names does not answer, and is killed", "pid", p.pid, "error", err)
			return n.end(p)
		}
		if !swept && time.Since(since) > leftover*n.cfg.Every {
			swept = true
			n.sweep(p.pid)
		}
	}
}

// end kills a process that hangs and waits until nothing of it is left.
func (n *Names) end(p *served) error {
	n.mu.Lock()
	n.hung++
	n.mu.Unlock()
	if err := outlive.KillAndWait(p.pidfd); err != nil {
		return fmt.Errorf("process %d does not answer: %w", p.pid, err)
	}
	return errHung
}

// errLost says that a process which served cannot be watched: it has ended since, or hangs.
var errLost = errors.New("it was lost at once")

// errEnded says that a process has ended, as far as is known by itself.
var errEnded = errors.New("it has ended")

// errHung says that a process was killed because it did not answer.
var errHung = errors.New("it did not answer and was killed")

// leftover is after how many questions how it is a process has settled: one that gave
// its sockets to it has ended by then.
const leftover = 15

// sweep kills what else is there for the folder, but for one process: a start that was
// stopped half-way when whoever waited for it was killed.
func (n *Names) sweep(but int) {
	for _, pid := range Processes(n.cfg.Folder) {
		if pid == but {
			continue
		}
		n.cfg.Log.Warn("a process that was to resolve names is left over, and is killed", "pid", pid)
		if err := outlive.Kill(Verb, pid, n.cfg.Folder, 0); err != nil {
			n.cfg.Log.Warn("a process that was to resolve names stays", "pid", pid, "error", err)
		}
	}
}

// State is what there is to say of the process beside what it says itself.
type State struct {
	// Hung is how often one was killed since the start because it did not answer.
	Hung int64
	// Problem is why there is none.
	Problem error
}

// State tells how it is with the process, without asking it.
func (n *Names) State() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return State{n.hung, n.problem}
}
