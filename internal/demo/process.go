// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a process may take to end before it is killed.
const patience = 10 * time.Second

// process is a program that was started in the background.
type process struct {
	name   string
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{}
	// ending is the signal that the program is told to end with.
	ending os.Signal
}

// command prepares a program in a process group of its own: what is typed at
// the terminal reaches the demo alone, which then ends everything in order.
// Should the demo itself be killed, the program is told to end.
func (d *demo) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = d.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGTERM}
	return cmd
}

// environment is the demo's own without what leads AWS clients, libpq or
// Postern's commands elsewhere.
func (d *demo) environment() []string {
	env := []string{"POSTERN_DATA=" + string(d.data())}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "POSTERN_") {
			env = append(env, e)
		}
	}
	return env
}

// start starts a program that runs until it is stopped.
func (d *demo) start(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, output: &tail{}, ended: make(chan struct{}), ending: unix.SIGTERM}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // ProcessState tells
		close(p.ended)
	}()
	d.running = append(d.running, p)
	return p, nil
}

// stop ends the process and waits for it. One that has ended is fine.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(p.ending) // it may have ended by itself
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	return fmt.Errorf("%s did not end within %s and was killed; it said:\n%s", p.name, patience, p.output.text())
}

// early is the error of a process that ended when it should have gone on.
func (p *process) early() error {
	return fmt.Errorf("%s has ended (%s); it said:\n%s", p.name, p.cmd.ProcessState, p.output.text())
}

// waitFor asks until the answer is yes, while the process runs.
func (p *process) waitFor(ctx context.Context, what string, limit time.Duration, done func() (bool, error)) error {
	for deadline := time.Now().Add(limit); ; {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return p.early()
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s; %s said:\n%s", what, limit, p.name, p.output.text())
		}
	}
}

// run runs a program to its end and returns what it printed, both streams
// together, and its exit status. Only a program that could not be run, or was
// stopped with the context, is an error.
func run(ctx context.Context, cmd *exec.Cmd) (output string, status int, err error) {
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", 0, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
		}
		return out.text(), 0, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return out.text(), 0, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return out.text(), cmd.ProcessState.ExitCode(), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = t.kept[extra:]
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimRight(string(t.kept), "\n")
}
