// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// run is the beginning of a `postern run` in the clients' subnet.
func (s *pair) run(command ...string) []string {
	return append([]string{"run", "--subnet", s.clients.ID, "--security-group", s.openClient, "--"}, command...)
}

// own are the interfaces that `postern run` has made and not taken away.
func (s *pair) own() []ec2.NetworkInterface {
	s.t.Helper()
	return s.Interfaces("description", "postern run")
}

func (s *pair) expectNothingLeft() {
	s.t.Helper()
	s.Await("what run made to go", func() (bool, error) {
		return len(s.own()) == 0 && !strings.Contains(s.Desired(), "pid:"), nil
	})
}

func TestRunPassesThrough(t *testing.T) {
	s := newPair(t)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo \"of the shell: $1\"\nexit 5\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name           string
		command        []string
		status         int
		stdout, stderr string
	}{
		{"success", []string{"true"}, 0, "", ""},
		{"status", []string{"sh", "-c", "exit 77"}, 77, "", ""},
		{"both outputs", []string{"sh", "-c", "echo out; echo err >&2"}, 0, "out\n", "err\n"},
		{"arguments as they are", []string{"printf", "%s|", "a b", "--data", "-x", ""}, 0, "a b|--data|-x||", ""},
		{"killed by itself", []string{"sh", "-c", "kill -TERM $$"}, 128 + 15, "", ""},
		{"no such program", []string{"no-such-program"}, 127, "", ""},
		{"no such file", []string{"/nonexistent"}, 127, "", ""},
		{"no such file in a folder", []string{"./nonexistent/program"}, 127, "", ""},
		{"not a program", []string{"/etc/passwd"}, 126, "", ""},
		{"a folder", []string{"/etc"}, 126, "", ""},
		{"below a file", []string{"/etc/passwd/program"}, 126, "", ""},
		{"a script without a first line", []string{script, "a b"}, 5, "of the shell: a b\n", ""},
		{"killed by a signal that ends no first process", []string{"sh", "-c", "kill -KILL $$"}, 128 + 9, "", ""},
		{"processes of its own", []string{"sh", "-c", "set -- /proc/[0-9]*; echo $# processes"}, 0, "2 processes\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.Command(s.run(c.command...)...)
			if r.Status != c.status || r.Stdout != c.stdout || c.stderr != "" && r.Stderr != c.stderr {
				t.Errorf("status %d, %q, %q; want %d, %q, %q", r.Status, r.Stdout, r.Stderr, c.status, c.stdout, c.stderr)
			}
			if c.status >= 126 && c.status <= 127 && r.Stderr == "" {
				t.Error("it does not say why")
			}
		})
	}
	s.expectNothingLeft()
}

func TestRunGivesANetwork(t *testing.T) {
	needPrograms(t, "ip")
	s := newPair(t)
	subnet := s.consumer.Subnet(0, "10.0.7.0/24") // where nothing takes addresses
	command := append([]string{"run", "--subnet", subnet.ID, "--security-group", s.openClient, "--private-ip", "10.0.7.5", "--name", "by-hand", "--"},
		"sh", "-c", "ip -o -4 addr show eth0; ip route; cat /etc/resolv.conf; ls /sys/class/net; read line; echo got $line")
	r := s.Begin(command...)
	s.Await("the workload", func() (bool, error) { return len(s.own()) == 1, nil })
	ni := s.own()[0]
	if *ni.TagSet[0].Key != "Name" || *ni.TagSet[0].Value != "by-hand" || *ni.PrivateIpAddress != "10.0.7.5" {
		t.Errorf("interface %s with tags %v", *ni.PrivateIpAddress, ni.TagSet)
	}
	if _, err := io.WriteString(r.Stdin, "a line\n"); err != nil {
		t.Error(err)
	}
	done := r.Wait()
	for _, want := range []string{"10.0.7.5/32", "default via 10.0.7.1", "eth0", "got a line"} {
		if !strings.Contains(done.Stdout, want) {
			t.Errorf("no %q in what it prints:\n%s%s", want, done.Stdout, done.Stderr)
		}
	}
	s.expectNothingLeft()
}

// sleeper runs a program that says when it is there and how it was ended.
func (s *pair) sleeper() *postern.Running {
	s.t.Helper()
	ready := s.t.TempDir() + "/ready"
	r := s.Begin(s.run("sh", "-c", fmt.Sprintf("trap 'echo told; exit 9' TERM HUP USR1; echo $$ > %s; while :; do sleep 0.02; done", ready))...)
	s.Await("the workload", func() (bool, error) {
		text, err := os.ReadFile(ready)
		return err == nil && len(text) > 0, nil
	})
	return r
}

func TestRunForwardsSignals(t *testing.T) {
	// What is started under nohup ignores a signal, and with it all that it starts,
	// unless it is taken here.
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, unix.SIGHUP)
	defer signal.Stop(taken)
	s := newPair(t)
	for _, signal := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1} {
		r := s.sleeper()
		r.Signal(signal)
		if done := r.Wait(); done.Status != 9 || done.Stdout != "told\n" {
			t.Errorf("%v: status %d, %q, %q", signal, done.Status, done.Stdout, done.Stderr)
		}
	}
	s.expectNothingLeft()
}

// A run that is killed takes its program with it, and Postern removes what it
// made, also when it was away meanwhile.
func TestRunKilled(t *testing.T) {
	s := newPair(t)
	for _, away := range []bool{false, true} {
		r := s.sleeper()
		if away {
			s.Kill()
		}
		r.Signal(unix.SIGKILL)
		r.Wait()
		if away {
			s.Up()
		}
		s.expectNothingLeft()
		s.Await("the program to end", func() (bool, error) { return len(children(t, s)) == 0, nil })
	}
}

// children finds programs whose command line names this test's folder.
func children(t *testing.T, s *pair) (found []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), "trap") && strings.Contains(string(line), t.Name()) {
			found = append(found, e.Name())
		}
	}
	return found
}

func TestRunRefusals(t *testing.T) {
	s := newPair(t)
	for name, c := range map[string]struct {
		args   []string
		status int
		reason string
	}{
		"no program":        {[]string{"run", "--subnet", s.clients.ID}, 2, "command"},
		"no subnet":         {[]string{"run", "--", "true"}, 2, "--subnet"},
		"unknown subnet":    {[]string{"run", "--subnet", "subnet-0123456789abcdef0", "--", "true"}, 1, "InvalidSubnetID.NotFound"},
		"address in use":    {[]string{"run", "--subnet", s.clients.ID, "--private-ip", "10.0.1.10", "--", "true"}, 1, "10.0.1.10"},
		"address elsewhere": {[]string{"run", "--subnet", s.clients.ID, "--private-ip", "10.9.9.9", "--", "true"}, 1, "10.9.9.9"},
		"unknown group":     {[]string{"run", "--subnet", s.clients.ID, "--security-group", "sg-0123456789abcdef0", "--", "true"}, 1, "InvalidGroup.NotFound"},
	} {
		r := s.Command(c.args...)
		if r.Status != c.status || !strings.Contains(r.Stderr, c.reason) || strings.Count(strings.TrimSpace(r.Stderr), "\n") > 1 {
			t.Errorf("%s: status %d, %q; want %d and %q", name, r.Status, r.Stderr, c.status, c.reason)
		}
	}
	s.expectNothingLeft()
}
