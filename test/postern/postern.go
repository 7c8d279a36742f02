// SPDX-License-Identifier: Apache-2.0

// Package postern runs the real binary for system tests: it starts, kills and
// restarts a Postern that has a data folder of its own, calls its API and its
// command line, and makes what tests need most (VPCs, workloads that answer,
// gateways, endpoints) in a line each.
//
// Whatever a test made is gone when it ends, also when it failed: the daemon
// is stopped, `postern clean` is run, and a namespace that is left fails the
// test. Functions without an error result end the test when they fail, so they
// belong to the test's own goroutine; those with one may be called anywhere.
package postern

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// Postern is an instance under test. It may be running or not.
type Postern struct {
	T testing.TB
	// Data is its data folder.
	Data string

	flags   []string
	log     *os.File
	process *process
	client  atomic.Pointer[client.Client]
}

// Start starts a Postern in a new data folder with more flags for `postern up`.
// It goes with the test.
func Start(t testing.TB, flags ...string) *Postern {
	t.Helper()
	return StartOn(t, filepath.Join(t.TempDir(), "data"), flags...)
}

// StartOn is Start with the data folder.
func StartOn(t testing.TB, data string, flags ...string) *Postern {
	t.Helper()
	testnet.Require(t)
	p := &Postern{T: t, Data: data, flags: flags}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	p.log = log
	forget := func() {}
	t.Cleanup(func() { forget() })
	t.Cleanup(p.end)
	p.Up()
	if forget, err = testnet.Abandon("postern-" + p.Instance() + "-*"); err != nil {
		t.Fatal(err)
	}
	return p
}

// Up starts the daemon on the data folder as it is and waits for its API.
func (p *Postern) Up() {
	p.T.Helper()
	if err := p.Launch(); err != nil {
		p.T.Fatal(err)
	}
}

// Launch is Up for any goroutine.
func (p *Postern) Launch() error {
	path, err := binary()
	if err != nil {
		return err
	}
	args := []string{"up", "--data", p.Data, "--listen", "127.0.0.1:0", "--unsafe-no-fsync"}
	started, err := start(path, append(args, p.flags...), p.log)
	if err != nil {
		return err
	}
	p.process = started
	return Poll(30*time.Second, "the API", func() (bool, error) {
		if status, ended := started.status(); ended {
			return false, fmt.Errorf("postern up ended with status %d", status)
		}
		return p.connect(started.pid) == nil, nil
	})
}

// connect reads where the daemon of this process is.
func (p *Postern) connect(pid int) error {
	var running struct {
		PID              int
		Endpoint, Region string
	}
	var key struct{ AccessKeyID, SecretAccessKey string }
	if err := errors.Join(p.read("running.json", &running), p.read("credentials.json", &key)); err != nil {
		return err
	}
	if running.PID != pid {
		return fmt.Errorf("running.json is of process %d, not of %d", running.PID, pid)
	}
	p.client.Store(client.New(running.Endpoint, running.Region, key.AccessKeyID, key.SecretAccessKey))
	return nil
}

// Connect finds the API again after the daemon started anew in its own process.
func (p *Postern) Connect() error { return p.connect(p.process.pid) }

// PID is the number of the daemon's process.
func (p *Postern) PID() int { return p.process.pid }

// SetFileLimit makes writes of the daemon beyond so many bytes of a file fail.
func (p *Postern) SetFileLimit(bytes uint64) error {
	return unix.Prlimit(p.process.pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil)
}

func (p *Postern) read(name string, into any) error {
	text, err := os.ReadFile(filepath.Join(p.Data, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// Kill ends the daemon with SIGKILL.
func (p *Postern) Kill() { p.process.kill() }

// Signal sends the daemon a signal.
func (p *Postern) Signal(s syscall.Signal) { p.process.signal(s) }

// Stop ends the daemon as an administrator does and checks that it ends well.
func (p *Postern) Stop() {
	p.T.Helper()
	status, err := p.process.stop(15 * time.Second)
	if err != nil || status != 0 {
		p.T.Errorf("postern up: SIGTERM: status %d, %v", status, err)
	}
}

// Log is what the daemons of this data folder have logged.
func (p *Postern) Log() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		p.T.Error(err)
	}
	return string(text)
}

// Instance is the mark of this Postern's kernel objects; empty before it has one.
func (p *Postern) Instance() string {
	text, err := os.ReadFile(filepath.Join(p.Data, "instance"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.T.Error(err)
	}
	return strings.TrimSpace(string(text))
}

// Routers are the names of the namespaces of this Postern's VPC routers.
func (p *Postern) Routers() []string {
	instance := p.Instance()
	if instance == "" {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(network.Directory, "postern-"+instance+"-*"))
	if err != nil {
		p.T.Error(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// end stops the daemon, removes what it made and checks that nothing is left.
func (p *Postern) end() {
	defer p.log.Close()
	if p.process != nil {
		if _, ended := p.process.status(); !ended {
			p.Verify()
			p.Stop()
		}
	}
	if p.Instance() != "" {
		if r := p.Command("clean"); r.Status != 0 {
			p.T.Errorf("postern clean: status %d: %s", r.Status, r.Stderr)
		}
	}
	if left := p.Routers(); len(left) > 0 {
		p.T.Errorf("namespaces left behind: %v", left)
	}
	if p.T.Failed() {
		lines := strings.Split(p.Log(), "\n")
		p.T.Logf("the end of the daemon's log:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

// Verify wants nothing to be wrong in the state and in the kernel of the daemon
// that runs, but entries that it says to be in error. Namespaces of workloads may
// be gone.
func (p *Postern) Verify() {
	p.T.Helper()
	r := p.Command("verify")
	if r.Status == 0 {
		return
	}
	wrong := 0
	for line := range strings.Lines(r.Stdout) {
		gone := strings.HasPrefix(line, "workload ") && strings.Contains(line, "does not have it") // with its namespace
		if !gone && !strings.Contains(line, "it is in error") && !strings.Contains(line, "things are wrong") {
			wrong++
			p.T.Errorf("postern verify: %s", line)
		}
	}
	if r.Stdout == "" {
		p.T.Errorf("postern verify: status %d: %s", r.Status, r.Stderr)
	}
}

// Await asks until the answer is yes; the test ends when that takes too long or
// an error comes.
func (p *Postern) Await(timeout time.Duration, what string, done func() (bool, error)) {
	p.T.Helper()
	if err := Poll(timeout, what, done); err != nil {
		p.T.Fatal(err)
	}
}

// Poll asks until the answer is yes, quickly at first.
func Poll(timeout time.Duration, what string, done func() (bool, error)) error {
	end := time.Now().Add(timeout)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		ok, err := done()
		if ok {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for %s: not within %v", what, timeout)
		}
		time.Sleep(wait)
	}
}

// without gives the environment without the variables that AWS clients and
// Postern's own commands look at, so that tests see only what they set.
func without(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "POSTERN_")
	})
}
