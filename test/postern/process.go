// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is a child that does not outlive the tests.
type process struct {
	pid    int
	ended  chan struct{}
	result int // valid once ended is closed
}

// start starts a program that writes to one file.
func start(path string, args []string, output io.Writer) (*process, error) {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = output, output, without(os.Environ())
	return supervise(cmd)
}

// supervise starts a command on a thread that waits for it: the kernel kills
// the child when the thread that made it ends (prctl(2), PR_SET_PDEATHSIG).
func supervise(cmd *exec.Cmd) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	cmd.WaitDelay = 5 * time.Second // for what it leaves behind with its outputs open
	p := &process{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.result = statusOf(cmd.Wait())
		close(p.ended)
	}()
	return p, <-started
}

// statusOf is an exit status as a shell has it.
func statusOf(err error) int {
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		return -1
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exit.ExitCode()
}

func (p *process) status() (status int, ended bool) {
	select {
	case <-p.ended:
		return p.result, true
	default:
		return 0, false
	}
}

func (p *process) signal(s syscall.Signal) {
	if _, ended := p.status(); !ended {
		unix.Kill(p.pid, s) // it may be ending just now
	}
}

func (p *process) kill() {
	p.signal(unix.SIGKILL)
	<-p.ended
}

func (p *process) stop(timeout time.Duration) (int, error) {
	p.signal(unix.SIGTERM)
	return p.wait(timeout)
}

// wait waits for the end and kills when it does not come.
func (p *process) wait(timeout time.Duration) (int, error) {
	select {
	case <-p.ended:
		return p.result, nil
	case <-time.After(timeout):
		p.kill()
		return p.result, fmt.Errorf("process %d did not end within %v", p.pid, timeout)
	}
}

// Result is what a command left.
type Result struct {
	Status         int
	Stdout, Stderr string
}

// Command runs `postern ARGS --data DIR` and waits for its end.
func (p *Postern) Command(args ...string) Result {
	p.T.Helper()
	return p.Begin(args...).Wait()
}

// Running is a command that has not ended.
type Running struct {
	T              testing.TB
	PID            int
	Stdin          io.WriteCloser
	process        *process
	stdout, stderr *bytes.Buffer
}

// Begin starts a command and gives it a pipe as standard input. `--data` goes
// before a `--` among the arguments.
func (p *Postern) Begin(args ...string) *Running {
	p.T.Helper()
	return p.BeginIn(nil, args...)
}

// BeginIn is Begin with more of an environment.
func (p *Postern) BeginIn(environment []string, args ...string) *Running {
	p.T.Helper()
	before, after := args, []string(nil)
	for i, a := range args {
		if a == "--" {
			before, after = args[:i], args[i:]
			break
		}
	}
	args = append(append(append([]string{}, before...), "--data", p.Data), after...)
	return Begin(p.T, environment, args...)
}

// Begin starts the binary with these arguments and no others.
func Begin(t testing.TB, environment []string, args ...string) *Running {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = append(without(os.Environ()), environment...)
	r := &Running{T: t, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	cmd.Stdout, cmd.Stderr = r.stdout, r.stderr
	var err error
	if r.Stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if r.process, err = supervise(cmd); err != nil {
		t.Fatal(err)
	}
	r.PID = r.process.pid
	t.Cleanup(r.process.kill)
	return r
}

// Signal sends a signal.
func (r *Running) Signal(s syscall.Signal) { r.process.signal(s) }

// Wait closes standard input and waits for the end.
func (r *Running) Wait() Result {
	r.T.Helper()
	r.Stdin.Close()
	status, err := r.process.wait(time.Minute)
	if err != nil {
		r.T.Errorf("%v; it wrote %s%s", err, r.stdout, r.stderr)
	}
	return Result{status, r.stdout.String(), r.stderr.String()}
}
