// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// findBinary gives the program under test: POSTERN_BIN, or one that is built
// into dir from the module above this one.
func findBinary(dir string) (string, error) {
	if path := os.Getenv("POSTERN_BIN"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "postern")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/postern")
	build.Dir = filepath.FromSlash("../..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program under test: %w\n%s", err, out)
	}
	return path, nil
}

// wholeRun tells whether all tests were asked for, and not chosen ones.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// Environment is that of this process without what AWS clients and Postern's
// commands look at, so that they see only what a test sets. It has a HOME of
// its own, in which there is nothing.
func (s *Server) Environment(more ...string) []string {
	home := filepath.Join(filepath.Dir(s.Data), "home")
	environment := []string{"HOME=" + home, "POSTERN_DATA=" + s.Data, "AWS_EC2_METADATA_DISABLED=true"}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); name != "HOME" && !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "POSTERN_") {
			environment = append(environment, variable)
		}
	}
	return append(environment, more...)
}

// Result is what a command left.
type Result struct {
	Status         int
	Stdout, Stderr string
}

// Command runs the program under test with the server's data folder, and waits
// for its end.
func (s *Server) Command(args ...string) Result {
	return Exec(s.Environment(), s.Binary, args...)
}

// Exec runs a program in an environment, without a shell. A program that cannot
// be started has status -1, with the reason as its standard error.
func Exec(environment []string, path string, args ...string) Result {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Result{0, stdout.String(), stderr.String()}
	case errors.As(err, &exit):
		return Result{exit.ExitCode(), stdout.String(), stderr.String()}
	}
	return Result{-1, "", err.Error()}
}

// process is a child that does not outlive the tests.
type process struct {
	pid  int
	done chan struct{}
	err  error // valid once done is closed
}

// launch starts a program on a thread that waits for it: the kernel kills the
// child when the thread that made it ends (prctl(2), PR_SET_PDEATHSIG).
func launch(path string, args []string, output io.Writer) (*process, error) {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = output, output
	return begin(cmd)
}

// Isolate starts a program in a network namespace of its own, to which it can
// be attached by the pid. The program ends with stop, or with the tests.
func Isolate(environment []string, path string, args ...string) (pid int, stop func(), err error) {
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	p, err := begin(cmd)
	if err != nil {
		return 0, nil, err
	}
	return p.pid, func() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.done
	}, nil
}

func begin(cmd *exec.Cmd) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process as an administrator does; one that does not end in time
// is killed.
func (p *process) stop(timeout time.Duration) error {
	if p.ended() {
		return fmt.Errorf("postern up ended too early: %w", errors.Join(errors.New("it was not asked to"), p.err))
	}
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop postern up: %w", err)
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(timeout):
	}
	err := syscall.Kill(p.pid, syscall.SIGKILL)
	<-p.done
	return errors.Join(fmt.Errorf("postern up did not end within %v of SIGTERM", timeout), err)
}
