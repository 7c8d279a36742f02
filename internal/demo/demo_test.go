// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// bin is where TestMain lets programs be built.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "postern-demo-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(bin)
	os.Exit(status)
}

// build builds what the demo is run with.
var build = sync.OnceValue(func() error {
	return instance.Build(bin, "postern", "postern-demo")
})

// show is a run of the demo whose temporary folder is the test's own.
type show struct {
	*child.Process
	temp string
	out  *transcript
}

func startShow(t *testing.T, story string) *show {
	t.Helper()
	testnet.Require(t)
	if _, err := findTools(t.Context(), story); err != nil {
		testnet.Unable(t, err.Error())
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir, whose name has the test's, and so what the test waits for.
	temp, err := os.MkdirTemp("", "postern-show-")
	if err == nil {
		err = os.Chmod(temp, 0o711) // the database's user passes through
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	s := &show{temp: temp, out: &transcript{seen: make(chan struct{}, 1)}}
	cmd := exec.Command(filepath.Join(bin, "postern-demo"), "--postern", filepath.Join(bin, "postern"), "--story", story)
	cmd.Env = child.Environment("TMPDIR=" + s.temp)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	if s.Process, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Stop(2 * time.Minute); err != nil { // the test gave up
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the demo said:\n%s", s.out)
		}
	})
	return s
}

// end waits for the demo and gives its exit status.
func (s *show) end(t *testing.T) int {
	t.Helper()
	status, err := s.Wait(15 * time.Minute)
	if err != nil {
		t.Error(err)
	}
	return status
}

// instance reads the mark of what the demo makes; empty before there is one.
func (s *show) instance() string {
	files, _ := filepath.Glob(filepath.Join(s.temp, "postern-demo-*", "data", "instance"))
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	return ""
}

// checkNothingLeft looks for files, namespaces and processes of the demo.
func (s *show) checkNothingLeft(t *testing.T, instance string) {
	t.Helper()
	if files, _ := filepath.Glob(filepath.Join(s.temp, "*")); len(files) > 0 {
		t.Errorf("files are left: %v", files)
	}
	if instance != "" {
		if left, _ := filepath.Glob("/run/netns/postern-" + instance + "-*"); len(left) > 0 {
			t.Errorf("namespaces are left: %v", left)
		}
	}
	for _, line := range child.Knowing(s.temp) {
		t.Errorf("a process is left: %s", line)
	}
}

func TestDemoHoldsAndLeavesNothing(t *testing.T) {
	for _, story := range Stories {
		t.Run(story, func(t *testing.T) {
			s := startShow(t, story)
			s.out.wait(t, "\n3  ")
			instance := s.instance()
			if instance == "" {
				t.Error("the demo has no data folder where the test looks for it")
			}
			if status := s.end(t); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			s.checkNothingLeft(t, instance)
		})
	}
}

// TestStoppedDemoLeavesNothing stops the demo when it prints a mark, which is
// when something is about to begin.
func TestStoppedDemoLeavesNothing(t *testing.T) {
	tests := []struct {
		mark   string
		signal os.Signal
		story  string
	}{
		{mark: "1  Start", signal: unix.SIGINT},
		{mark: "create-subnet", signal: unix.SIGTERM},
		{mark: "4  A PostgreSQL", signal: unix.SIGINT},
		{mark: "-- postgres -D", signal: unix.SIGINT},
		{mark: "-- psql", signal: unix.SIGTERM},
		{mark: "create-resource-gateway", signal: unix.SIGHUP},
		{mark: "create-vpc-endpoint", signal: unix.SIGINT},
		{mark: "revoke-security-group", signal: unix.SIGINT},
		{mark: "delete-vpc-endpoints", signal: unix.SIGINT},
		{mark: "Take everything away", signal: unix.SIGINT},
		{"create-vpc-endpoint", unix.SIGTERM, "overlap"},
		{"a client that opens", unix.SIGINT, "overlap"},
		{"accept-resource-share", unix.SIGINT, "tenants"},
	}
	for _, tt := range tests {
		t.Run(strings.Fields(tt.mark)[0]+" "+tt.signal.String(), func(t *testing.T) {
			s := startShow(t, cmp.Or(tt.story, Stories[0]))
			s.out.wait(t, tt.mark)
			instance := s.instance()
			for range 2 { // people press Ctrl-C twice
				s.Signal(tt.signal)
			}
			status := s.end(t)
			if want := 130; status != want && tt.mark != "Take everything away" {
				t.Errorf("exit status %d, want %d", status, want)
			}
			s.checkNothingLeft(t, instance)
		})
	}
}

// transcript keeps what a program prints and lets a test wait for a part of it.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
	seen chan struct{}
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	select {
	case o.seen <- struct{}{}:
	default:
	}
	return len(p), nil
}

// String is all that was printed so far.
func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *transcript) wait(t *testing.T, mark string) {
	t.Helper()
	limit := time.After(testnet.Patience)
	for !strings.Contains(o.String(), mark) {
		select {
		case <-o.seen:
		case <-limit:
			t.Fatalf("the demo did not come to %q; it said:\n%s", mark, o)
		}
	}
}
