// SPDX-License-Identifier: Apache-2.0

// Package child runs the programs that a benchmark measures: daemons, proxies
// and load generators. A child does not outlive the benchmark, however that
// ends.
package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
)

// patience is how long a child may take to end before it is killed.
const patience = 15 * time.Second

// Process is a child that was started.
type Process struct {
	PID   int
	name  string
	out   *tail
	ended chan struct{}
	err   error // of Wait, valid once ended is closed
}

// Start starts a command, inside a namespace if ns is not nil. Its group is its
// own, so that what is typed at the terminal reaches the benchmark alone. What
// it writes to outputs that are not set is kept for error messages.
//
// The thread that starts a child waits for it, because the kernel kills the
// child when that thread ends (prctl(2), PR_SET_PDEATHSIG).
func Start(ns *testnet.NS, cmd *exec.Cmd) (*Process, error) {
	p := &Process{name: cmd.Path, out: &tail{}, ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.out
	}
	cmd.Env = clean(cmd.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	started := make(chan error, 1)
	life := func() error {
		if err := cmd.Start(); err != nil {
			started <- err
			return nil
		}
		p.PID = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		close(p.ended)
		return nil
	}
	go func() {
		if ns != nil {
			if err := ns.Run(life); err != nil {
				started <- err
			}
			return
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = life() // it has told started
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// clean drops what leads AWS clients or Postern's commands elsewhere.
func clean(environment []string) []string {
	var kept []string
	for _, e := range environment {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "POSTERN_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// Ended is closed when the child has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err says how a child ended that should not have; call it after Ended.
func (p *Process) Err() error {
	return fmt.Errorf("%s ended early: %v: %s", p.name, p.err, p.out)
}

// Signal sends a signal; a child that has ended gets none.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = unix.Kill(p.PID, s) // it may be ending just now
	}
}

// Stop tells the child to end and waits until it has. One that does not is
// killed, and that is an error.
func (p *Process) Stop() error {
	p.Signal(unix.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		p.Signal(unix.SIGKILL)
		<-p.ended
		return fmt.Errorf("stop %s: it did not end within %v and was killed: %s", p.name, patience, p.out)
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10 // bytes

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(b), nil
}

// String returns the end of what was written.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// RaiseFileLimit lets this process and the children it starts open as many
// files as possible, and returns how many: ten thousand connections through a
// proxy are twenty thousand. It takes what the kernel allows one process or,
// without the right to that (CAP_SYS_RESOURCE), the hard limit it was given.
func RaiseFileLimit() (uint64, error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return 0, fmt.Errorf("read file limit: %w", err)
	}
	text, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0, fmt.Errorf("raise file limit: %w", err)
	}
	var most uint64
	if _, err := fmt.Sscan(string(text), &most); err != nil {
		return 0, fmt.Errorf("raise file limit: read nr_open %q: %w", text, err)
	}
	err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most})
	if errors.Is(err, unix.EPERM) {
		most = now.Max
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most})
	}
	if err != nil {
		return 0, fmt.Errorf("raise file limit to %d: %w", most, err)
	}
	return most, nil
}
