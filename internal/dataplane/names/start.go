// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/posternhq/postern/internal/outlive"
	"github.com/posternhq/postern/internal/resolver/control"
)

// LogName is the name of the file in the data folder in which the process says what a
// person cares about.
const LogName = "resolver.log"

// startTime is how long a process may take until it serves: usually twenty seconds.
func (n *Names) startTime() time.Duration { return 10 * n.cfg.Every }

// ensure sees to it that the right process serves, and gives it. It waits until one is
// needed.
func (n *Names) ensure(ctx context.Context) (*served, error) {
	status, err := n.present(ctx)
	if errors.Is(err, control.ErrNobody) && !n.cfg.Always && !n.kept() {
		select {
		case <-n.needed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	shelf := n.shelf() // void before a process is there that can change anything
	if err != nil || status.Identity != n.identity() {
		if status, err = n.replace(ctx, status); err != nil {
			return nil, err
		}
	} else {
		n.cfg.Log.Info("names are resolved by the process that runs", "pid", status.PID)
	}
	p, err := n.hold(ctx, status.PID)
	if err != nil {
		return nil, err
	}
	if shelf != nil {
		n.hand(ctx, *shelf)
	}
	n.say(status.PID, nil)
	return p, nil
}

// present asks the process that was there before this one. When it hangs it is killed.
func (n *Names) present(ctx context.Context) (status control.Status, err error) {
	for range misses {
		if status, err = n.ask(ctx); !errors.Is(err, errSilent) {
			return status, err
		}
	}
	return status, errors.Join(err, n.endHolder())
}

// endHolder kills the process that has the lock of the folder, because it hangs.
func (n *Names) endHolder() error {
	n.mu.Lock()
	n.hung++
	n.mu.Unlock()
	n.cfg.Log.Warn("the process that resolves names does not answer, and is killed")
	return killHolder(n.cfg.Folder)
}

// shelf is what the next process may have the kernel answer by itself. What the one
// before has there is void.
func (n *Names) shelf() *control.Shelf {
	if n.cfg.Shelf == nil {
		return nil
	}
	s, err := n.cfg.Shelf()
	if err != nil {
		n.cfg.Log.Warn("the kernel answers no names by itself", "error", err)
	}
	return s
}

// hand gives the shelf to the process that serves. Without it all goes to the process.
func (n *Names) hand(ctx context.Context, s control.Shelf) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Every)
	defer cancel()
	if err := n.client.UseShelf(ctx, s); err != nil {
		n.cfg.Log.Warn("the kernel answers no names by itself", "error", err)
	}
}

// replace starts a process that takes the place of what there is, and waits until it
// serves. One that does not is ended; the process before it goes on.
func (n *Names) replace(ctx context.Context, old control.Status) (status control.Status, err error) {
	if n.cfg.Program == "" {
		return status, errors.New("there is no program to start")
	}
	starting, cancel := context.WithTimeout(ctx, n.startTime())
	defer cancel()
	if err := displace(starting, n.cfg.Folder, n.cfg.Instance); err != nil {
		return status, fmt.Errorf("end the process that resolves names for another data folder: %w", err)
	}
	gone, err := n.start(starting)
	if err != nil {
		return status, fmt.Errorf("start the process that resolves names: %w", err)
	}
	if status, err = n.started(starting, old, gone); err != nil {
		n.sweep(old.PID)
	}
	return status, err
}

// started waits until a process serves that was started.
func (n *Names) started(ctx context.Context, old control.Status, gone <-chan error) (status control.Status, err error) {
	for missed := 0; ; {
		status, err = n.ask(ctx)
		switch {
		case err == nil && status.PID != old.PID && status.Identity == n.identity():
			n.cfg.Log.Info("names are resolved by a new process", "pid", status.PID, "before", old.PID)
			return status, nil
		case !errors.Is(err, errSilent):
			missed = 0
		default:
			if missed++; missed == misses { // it hung while it gave its sockets away
				missed = 0
				if err := n.endHolder(); err != nil {
					return status, err
				}
			}
		}
		select {
		case how := <-gone:
			return status, fmt.Errorf("the process that resolves names ended: %w: %s", how, n.lastWords())
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return status, fmt.Errorf("the process that resolves names does not answer: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// identity tells the process from one of another program or with other flags.
func (n *Names) identity() string {
	return outlive.Identity(n.cfg.Program, n.cfg.Version, append([]string{n.cfg.Instance}, n.cfg.Flags...)...)
}

func (n *Names) arguments() []string {
	list := append([]string{}, n.cfg.Command...)
	list = append(list, "--data", n.cfg.Folder, "--instance", n.cfg.Instance, "--identity", n.identity())
	return append(list, n.cfg.Flags...)
}

// start starts a process that does not end with this one. The channel gets how it ended
// when it does so while it is a child of this process.
func (n *Names) start(ctx context.Context) (<-chan error, error) {
	return outlive.Start(ctx, outlive.Process{
		Program: n.cfg.Program, Arguments: n.arguments(), LogFile: filepath.Join(n.cfg.Folder, LogName),
		Service: n.cfg.Unit, Unit: "postern-resolver-" + n.cfg.Instance, Description: "Postern's resolver", Log: n.cfg.Log,
	})
}

// lastWords is the last line of the log.
func (n *Names) lastWords() string { return outlive.LastWords(filepath.Join(n.cfg.Folder, LogName)) }
