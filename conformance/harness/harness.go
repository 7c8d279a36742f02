// SPDX-License-Identifier: Apache-2.0

// Package harness runs the real binary for the black-box suites: one Postern
// for all tests of a package, in a temporary data folder, with accounts of
// their own for tests that must not see each other. It knows the binary's
// command line and the files of its data folder, and nothing of its inside.
package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The regions that every server here serves, and the account of its first start.
const (
	Region       = "us-east-1"
	OtherRegion  = "eu-west-1"
	FirstAccount = "111122223333"
)

// patience is how long the server has to start or to stop.
const patience = 30 * time.Second

// Key signs requests in the name of an account.
type Key struct{ Account, ID, Secret string }

// Server is a running Postern.
type Server struct {
	// Binary is the path of the program, Data its data folder.
	Binary, Data string
	// Endpoint is the URL of its API.
	Endpoint string
	// Admin is the key of the first account.
	Admin Key

	process *process
	log     *os.File
	janitor io.Writer
}

// Main starts a server with more flags for `postern up`, gives it to use, runs
// the tests of a package, and takes everything away. Its result is for os.Exit:
// not zero also when something was left behind, or when check, which is asked
// after a full run that went well, finds something.
//
// Without root there is no server: Main says so and runs nothing, which is a
// failure where the environment has CI.
func Main(m *testing.M, use func(*Server), check func() error, flags ...string) int {
	if os.Geteuid() != 0 {
		return Unable("these tests need root: they run a Postern, which makes network namespaces; use sudo make test")
	}
	dir, err := os.MkdirTemp("", "postern-conformance-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	s, err := start(dir, flags)
	if err != nil {
		return fail(err)
	}
	use(s)
	status := m.Run()
	if status == 0 && check != nil && wholeRun() {
		if err := check(); err != nil {
			status = fail(err)
		}
	}
	if err := s.end(); err != nil {
		status = fail(err)
	}
	if status != 0 {
		s.printLog()
	}
	return status
}

// Unable says loudly why a suite cannot run here. The result is for os.Exit: a
// failure where the environment has CI.
func Unable(why string) int {
	status := Absent(why)
	if os.Getenv("CI") != "" {
		status = 1
	}
	return status
}

// notTested names a file to which it is written what was not tested: go test
// shows nothing of what a package says that does not fail.
const notTested = "POSTERN_NOT_TESTED"

// Absent says loudly that a suite does not run because its client is not
// installed, and nothing here can or should install it. The result is for
// os.Exit: no failure, with CI neither.
func Absent(why string) int {
	text := fmt.Sprintf("\n*** NOT TESTED: %s\n\n", why)
	fmt.Fprint(os.Stderr, text)
	if path := os.Getenv(notTested); path != "" {
		if err := note(path, text); err != nil {
			return fail(err)
		}
	}
	return 0
}

// note adds to a file, in one write because suites run side by side.
func note(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}

func start(dir string, flags []string) (*Server, error) {
	binary, err := findBinary(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{Binary: binary, Data: filepath.Join(dir, "data")}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	args := append([]string{
		"up", "--data", s.Data, "--listen", "127.0.0.1:0", "--region", Region + "," + OtherRegion,
		"--verify-interval", "2s", "--unsafe-no-fsync",
	}, flags...)
	if s.process, err = launch(binary, args, s.log); err != nil {
		return nil, err
	}
	if err = s.awaitAPI(); err == nil {
		err = s.abandon()
	}
	if err != nil {
		s.printLog()
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// abandon starts a process that removes the server's namespaces when this one
// ends without having taken them away: interrupted, killed or out of time. A
// session of its own keeps it from being interrupted too.
func (s *Server) abandon() error {
	instance, err := s.instance()
	if err != nil {
		return err
	}
	script := `read -r done || for path in /run/netns/postern-"$0"-*; do umount -l "$path"; rm -f "$path"; done 2>/dev/null`
	janitor := exec.Command("/bin/sh", "-c", script, instance)
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if s.janitor, err = janitor.StdinPipe(); err != nil {
		return err
	}
	return janitor.Start()
}

// instance reads the mark of what the server makes in the kernel.
func (s *Server) instance() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Data, "instance"))
	return strings.TrimSpace(string(text)), err
}

// awaitAPI waits for the file that the server writes when its API answers.
func (s *Server) awaitAPI() error {
	var running struct{ Endpoint string }
	var key struct{ Account, AccessKeyID, SecretAccessKey string }
	err := Poll(patience, "the API", func() (bool, error) {
		if s.process.ended() {
			return false, errors.New("postern up ended")
		}
		return errors.Join(s.read("running.json", &running), s.read("credentials.json", &key)) == nil, nil
	})
	s.Endpoint = running.Endpoint
	s.Admin = Key{key.Account, key.AccessKeyID, key.SecretAccessKey}
	return err
}

func (s *Server) read(name string, into any) error {
	text, err := os.ReadFile(filepath.Join(s.Data, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// end stops the server, removes what it made and tells what is left.
func (s *Server) end() error {
	defer s.log.Close()
	err := s.process.stop(patience)
	instance, readErr := s.instance()
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if r := s.Command("clean"); r.Status != 0 {
		err = errors.Join(err, fmt.Errorf("postern clean: status %d: %s", r.Status, r.Stderr))
	}
	left, globErr := filepath.Glob("/run/netns/postern-" + instance + "-*")
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("namespaces left behind: %v", left))
	}
	if s.janitor != nil {
		fmt.Fprintln(s.janitor, "done")
	}
	return errors.Join(err, globErr)
}

func (s *Server) printLog() {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n")
	fmt.Fprintf(os.Stderr, "the end of the server's log:\n%s\n", strings.Join(lines[max(0, len(lines)-40):], "\n"))
}

// NewAccount makes an account with an administrator's key. The account lasts as
// long as the server.
func (s *Server) NewAccount() (Key, error) {
	r := s.Command("account", "create")
	if r.Status != 0 {
		return Key{}, fmt.Errorf("postern account create: status %d: %s", r.Status, r.Stderr)
	}
	var key Key
	fields := map[string]*string{
		"# account ": &key.Account, "export AWS_ACCESS_KEY_ID=": &key.ID, "export AWS_SECRET_ACCESS_KEY=": &key.Secret,
	}
	for line := range strings.Lines(r.Stdout) {
		for prefix := range maps.Keys(fields) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
				*fields[prefix] = value
			}
		}
	}
	if slices.Contains([]string{key.Account, key.ID, key.Secret}, "") {
		return Key{}, errors.New("postern account create: the answer lacks account, id or secret of the key")
	}
	return key, nil
}

// Poll asks until the answer is yes, quickly at first. It gives up after the
// timeout or at an error.
func Poll(timeout time.Duration, what string, done func() (bool, error)) error {
	end := time.Now().Add(timeout)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		ok, err := done()
		switch {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		case ok:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("wait for %s: not within %v", what, timeout)
		}
		time.Sleep(wait)
	}
}
