// SPDX-License-Identifier: Apache-2.0

// Package child runs programs for tests, benchmarks and the demo: Postern, its
// clients, workloads, and what it is compared with. A child does not outlive the
// process that started it, however that ends.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/posternhq/postern/test/janitor"
)

// inherited is how long a child that has ended is waited for while what it left
// behind holds its outputs open.
const inherited = 5 * time.Second

// Process is a program that was started.
type Process struct {
	PID int
	// Name is what errors call it: its path, unless the caller says otherwise.
	Name string

	cmd   *exec.Cmd
	out   *tail
	ended chan struct{} // closed when the program has ended and was waited for
}

// Start starts a command. Without an environment it gets Environment; what it
// writes to outputs that are not set is kept for Output. Unless its attributes
// say otherwise, its group is its own, so that what is typed at the terminal
// reaches only the process that started it, which can then end everything in
// order; without a signal that it gets when that process ends, it is killed.
func Start(cmd *exec.Cmd) (*Process, error) { return StartWithin(locked, cmd) }

// locked runs a function on a thread that does nothing else.
func locked(life func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return life()
}

// StartWithin is Start inside something, such as a network namespace: within
// runs a function on a thread that is there, for as long as the child lives.
//
// The thread that starts a child waits for it, because the kernel ends the child
// when that thread ends (prctl(2), PR_SET_PDEATHSIG). What the child has started
// meanwhile is the janitor's, if it is of the child's group.
func StartWithin(within func(func() error) error, cmd *exec.Cmd) (*Process, error) {
	p := prepare(cmd)
	started := make(chan error, 1)
	go func() {
		err := within(func() error {
			if err := cmd.Start(); err != nil {
				return err
			}
			p.PID = cmd.Process.Pid
			forget := p.abandon()
			started <- nil
			_ = cmd.Wait() // ProcessState tells
			forget()
			close(p.ended)
			return nil
		})
		if err != nil {
			started <- err
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// abandon leaves the child's group to the janitor, if it is its own. Without a
// janitor the child itself is still ended by the kernel.
func (p *Process) abandon() (forget func()) {
	if a := p.cmd.SysProcAttr; a.Setpgid || a.Setsid {
		if forget, err := janitor.AbandonGroup(p.PID); err == nil {
			return forget
		}
	}
	return func() {}
}

// prepare sets what the caller of Start has not.
func prepare(cmd *exec.Cmd) *Process {
	p := &Process{Name: cmd.Path, cmd: cmd, out: &tail{}, ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.out
	}
	if cmd.Env == nil {
		cmd.Env = Environment()
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	cmd.WaitDelay = inherited
	return p
}

// Environment is that of this process with more variables, and without those
// that lead AWS clients or Postern's commands elsewhere: a child sees of these
// only what is added here, and a Postern asks no server for names unless it is told one.
// Of variables that are there twice the last counts.
func Environment(more ...string) []string {
	kept := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "POSTERN_")
	})
	return append(append(kept, "POSTERN_UPSTREAM=none"), more...)
}

// Ended is closed when the child has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Status is how the child ended, as a shell has it: 128 and the signal for one
// that was ended by a signal.
func (p *Process) Status() (status int, ended bool) {
	select {
	case <-p.ended:
	default:
		return 0, false
	}
	if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), true
	}
	return p.cmd.ProcessState.ExitCode(), true
}

// Output is the end of what the child wrote to outputs that were not set, both
// in the order in which they came.
func (p *Process) Output() string { return p.out.text() }

// Early is the error of a child that should not have ended; call it after Ended.
func (p *Process) Early() error {
	return p.errorf("has ended too early: %v", p.cmd.ProcessState)
}

// errorf names the child, and adds what it said.
func (p *Process) errorf(format string, args ...any) error {
	text := p.Name + " " + fmt.Sprintf(format, args...)
	if said := p.Output(); said != "" {
		text += "; it said:\n" + said
	}
	return errors.New(text)
}

// Signal sends a signal; a child that has ended gets none.
func (p *Process) Signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended, or be ending just now
}

// Kill ends the child at once and waits until it has ended.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Wait waits for the end and gives the status. A child that does not end within
// the time is killed, and that is an error.
func (p *Process) Wait(timeout time.Duration) (int, error) {
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	var err error
	select {
	case <-p.ended:
	case <-limit.C:
		p.Kill()
		err = p.errorf("did not end within %v and was killed", timeout)
	}
	status, _ := p.Status()
	return status, err
}

// Stop tells the child to end, with SIGTERM, and waits as Wait does.
func (p *Process) Stop(timeout time.Duration) (int, error) {
	p.Signal(syscall.SIGTERM)
	return p.Wait(timeout)
}
