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
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// Postern is an instance under test. It may be running or not.
type Postern struct {
	*instance.Instance
	T testing.TB

	log    *os.File
	client atomic.Pointer[client.Client]
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
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	i := &instance.Instance{Binary: Binary(t), Data: data, Flags: append([]string{"--unsafe-no-fsync"}, flags...), Log: log}
	p := &Postern{Instance: i, T: t, log: log}
	t.Cleanup(p.end)
	p.Up()
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
	if err := p.Instance.Up(context.Background()); err != nil {
		return err
	}
	p.call()
	return nil
}

// Connect finds the API again after the daemon started anew in its own process.
func (p *Postern) Connect() error {
	if err := p.Instance.Connect(); err != nil {
		return err
	}
	p.call()
	return nil
}

// call lets calls go to where the daemon is.
func (p *Postern) call() {
	a := p.Access()
	p.client.Store(client.New(a.URL, a.Region, a.AccessKeyID, a.SecretAccessKey))
}

// SetFileLimit makes writes of the daemon beyond so many bytes of a file fail.
func (p *Postern) SetFileLimit(bytes uint64) error {
	return unix.Prlimit(p.PID(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil)
}

// Stop ends the daemon as an administrator does and checks that it ends well.
func (p *Postern) Stop() {
	p.T.Helper()
	if err := p.Instance.Stop(); err != nil {
		p.T.Error(err)
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

// Mark is what names this Postern's kernel objects; empty before it has one.
func (p *Postern) Mark() string {
	p.T.Helper()
	mark, err := p.Instance.Mark()
	if err != nil {
		p.T.Error(err)
	}
	return mark
}

// Routers are the names of the namespaces of this Postern's VPC routers.
func (p *Postern) Routers() []string {
	p.T.Helper()
	names, err := p.Instance.Routers()
	if err != nil {
		p.T.Error(err)
	}
	return names
}

// end stops the daemon, removes what it made and checks that nothing is left.
func (p *Postern) end() {
	defer p.log.Close()
	if p.Runs() {
		p.Verify()
	}
	if err := p.Close(); err != nil {
		p.T.Error(err)
	}
	if p.T.Failed() {
		lines := strings.Split(p.Log(), "\n")
		p.T.Logf("the end of the daemon's log:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

// Verify wants nothing to be wrong, as instance.Instance does.
func (p *Postern) Verify() {
	p.T.Helper()
	if err := p.Instance.Verify(); err != nil {
		p.T.Error(err)
	}
}

// Await asks until the answer is yes; the test ends when that does not come or an
// error does.
func (p *Postern) Await(what string, done func() (bool, error)) {
	p.T.Helper()
	if err := instance.Poll(context.Background(), testnet.Patience, what, done); err != nil {
		p.T.Fatal(err)
	}
}
