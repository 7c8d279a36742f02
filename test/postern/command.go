// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
)

// Main is what TestMain of a package of system tests calls: it runs the tests
// and takes away the binary that was built for them. Its result is for os.Exit.
func Main(m *testing.M) int {
	defer instance.RemoveBinary()
	return m.Run()
}

// Binary is the path of the binary under test. The test ends when it cannot be
// built.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := instance.Binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Running is a command that has not ended.
type Running struct {
	*child.Process
	T              testing.TB
	Stdin          io.WriteCloser
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
	return Begin(p.T, environment, p.Arguments(args...)...)
}

// Begin starts the binary with these arguments and no others.
func Begin(t testing.TB, environment []string, args ...string) *Running {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = child.Environment(environment...)
	r := &Running{T: t, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	cmd.Stdout, cmd.Stderr = r.stdout, r.stderr
	var err error
	if r.Stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if r.Process, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Kill)
	return r
}

// Wait closes standard input and waits for the end.
func (r *Running) Wait() child.Result {
	r.T.Helper()
	r.Stdin.Close()
	status, err := r.Process.Wait(time.Minute)
	if err != nil {
		r.T.Errorf("%v; it wrote %s%s", err, r.stdout, r.stderr)
	}
	return child.Result{Status: status, Stdout: r.stdout.String(), Stderr: r.stderr.String()}
}

// CommandAs runs `postern ARGS --data DIR` as a user without rights, with more of
// an environment. The way to the data folder and to the binary is opened.
func (p *Postern) CommandAs(uid uint32, environment []string, args ...string) child.Result {
	p.T.Helper()
	path := filepath.Join(p.T.TempDir(), "postern")
	binary, err := os.ReadFile(p.Binary)
	if err == nil {
		err = os.WriteFile(path, binary, 0o755)
	}
	if err != nil {
		p.T.Fatal(err)
	}
	Passable(p.T, filepath.Dir(path))
	Passable(p.T, filepath.Dir(p.Data))
	cmd := exec.Command(path, p.Arguments(args...)...)
	cmd.Env = child.Environment(environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return child.Run(cmd)
}

// Passable lets all users search a folder and those above it, as far as they
// cannot.
func Passable(t testing.TB, dir string) {
	t.Helper()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(dir, 0o711); err != nil {
				t.Fatal(err)
			}
		}
	}
}
