// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
)

// patience is how long a process may take to end before it is killed.
const patience = time.Minute

// process is a program that was started in the background.
type process struct {
	*child.Process
	// ending is the signal that the program is told to end with.
	ending os.Signal
}

// command prepares a program. What is typed at the terminal reaches the demo
// alone, which then ends everything in order.
func (d *demo) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(d.environment(), d.acting...)
	return cmd
}

// environment is the demo's own without what leads AWS clients, libpq or
// Postern's commands elsewhere.
func (d *demo) environment() []string {
	libpq := func(v string) bool { return strings.HasPrefix(v, "PG") }
	return slices.DeleteFunc(child.Environment("POSTERN_DATA="+d.data()), libpq)
}

// start starts a program that runs until it is stopped.
func (d *demo) start(name string, cmd *exec.Cmd) (*process, error) {
	p, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	p.Name = name
	started := &process{p, unix.SIGTERM}
	d.running = append(d.running, started)
	return started, nil
}

// stop ends the process and waits for it. One that has ended is fine.
func (p *process) stop() error {
	p.Signal(p.ending)
	_, err := p.Wait(patience)
	return err
}

// answered waits for the end of a helper that asks until it is answered, and tells when
// that was and how often it had asked.
func (p *process) answered(ctx context.Context) (at, attempts int64, err error) {
	select {
	case <-p.Ended():
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if _, err := fmt.Sscanf(after(p.Output(), tryingLine+"\n"), answeredLine, &at, &attempts); err != nil {
		return 0, 0, p.Early()
	}
	return at, attempts, nil
}

// says waits until a program has said something.
func says(ctx context.Context, p *child.Process, words, what string, limit time.Duration) error {
	return waitFor(ctx, p, what, limit, func() (bool, error) { return strings.Contains(p.Output(), words), nil })
}

// waitFor asks until the answer is yes, while a program runs.
func waitFor(ctx context.Context, p *child.Process, what string, limit time.Duration, done func() (bool, error)) error {
	err := instance.Poll(ctx, limit, what, func() (bool, error) {
		if ok, err := done(); ok || err != nil {
			return ok, err
		}
		if _, ended := p.Status(); ended {
			return false, p.Early()
		}
		return false, nil
	})
	if _, ended := p.Status(); err != nil && !ended {
		err = fmt.Errorf("%w; %s said:\n%s", err, p.Name, p.Output())
	}
	return err
}

// run runs a program to its end and returns what it printed, both streams
// together, and its exit status. Only a program that could not be run, or was
// stopped with the context, is an error.
func run(ctx context.Context, cmd *exec.Cmd) (output string, status int, err error) {
	p, err := child.Start(cmd)
	if err != nil {
		return "", 0, err
	}
	select {
	case <-p.Ended():
		status, _ = p.Status()
		return p.Output(), status, nil
	case <-ctx.Done():
		_, _ = p.Stop(patience) // why it was stopped is what counts
		return p.Output(), 0, ctx.Err()
	}
}
