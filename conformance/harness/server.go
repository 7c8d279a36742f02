// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
)

// The regions that every server here serves, and the account of its first start.
const (
	Region       = "us-east-1"
	OtherRegion  = "eu-west-1"
	FirstAccount = "111122223333"
)

// Key signs requests in the name of an account.
type Key struct{ Account, ID, Secret string }

// Server is a running Postern.
type Server struct {
	*instance.Instance
	// URL is that of its API.
	URL string
	// Admin is the key of the first account.
	Admin Key

	log *os.File
}

// start starts a server whose files are in a folder.
func start(dir string, flags []string) (*Server, error) {
	binary, err := instance.Binary()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	s := &Server{log: log, Instance: &instance.Instance{
		Binary: binary, Data: filepath.Join(dir, "data"), Log: log,
		Flags: append([]string{"--region", Region + "," + OtherRegion, "--verify-interval", "2s", "--unsafe-no-fsync"}, flags...),
	}}
	s.Instance.Environment = s.Environment()
	if err := s.Up(context.Background()); err != nil {
		s.printLog()
		return nil, errors.Join(err, s.Close(), log.Close())
	}
	a := s.Access()
	s.URL, s.Admin = a.URL, Key{a.Account, a.AccessKeyID, a.SecretAccessKey}
	return s, nil
}

// end wants nothing to be wrong, stops the server, removes what it made and tells
// what is left.
func (s *Server) end() error {
	return errors.Join(s.Verify(), s.Stop(), s.Close(), s.log.Close())
}

func (s *Server) printLog() {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n")
	fmt.Fprintf(os.Stderr, "the end of the server's log:\n%s\n", strings.Join(lines[max(0, len(lines)-40):], "\n"))
}

// Environment is that of this process without what AWS clients and Postern's
// commands look at, so that they see only what a test sets. It has a HOME of
// its own, in which there is nothing.
func (s *Server) Environment(more ...string) []string {
	home := filepath.Join(filepath.Dir(s.Data), "home")
	return append(child.Environment("HOME="+home, "POSTERN_DATA="+s.Data, "AWS_EC2_METADATA_DISABLED=true"), more...)
}

// Isolate starts a program in a network namespace of its own, to which it can
// be attached by the pid. The program ends with stop, or with the tests.
func Isolate(environment []string, path string, args ...string) (pid int, stop func(), err error) {
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNET}
	p, err := child.Start(cmd)
	if err != nil {
		return 0, nil, err
	}
	return p.PID, p.Kill, nil
}

// NewAccount makes an account with an administrator's key, which lasts as long as
// the server. The test ends when there is none.
func (s *Server) NewAccount(t testing.TB) Key {
	t.Helper()
	r := s.Command("account", "create")
	if r.Status != 0 {
		t.Fatalf("postern account create: status %d: %s", r.Status, r.Stderr)
	}
	var key Key
	fields := map[string]*string{
		"# account ": &key.Account, "export AWS_ACCESS_KEY_ID=": &key.ID, "export AWS_SECRET_ACCESS_KEY=": &key.Secret,
	}
	for line := range strings.Lines(r.Stdout) {
		for prefix, field := range fields {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
				*field = value
			}
		}
	}
	if slices.Contains([]string{key.Account, key.ID, key.Secret}, "") {
		t.Fatal("postern account create: the answer lacks account, id or secret of the key")
	}
	return key
}
