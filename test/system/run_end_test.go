// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// Whenever a run is killed, also when it has hardly begun, no interface is left
// that nobody owns: the subnet can be deleted.
func TestRunKilledWhileItStarts(t *testing.T) {
	s := newPair(t)
	subnet := s.consumer.Subnet(0, "10.0.7.0/24")
	started := time.Now()
	if r := child.Run(s.program(subnet, "true")); r.Status != 0 {
		t.Fatalf("status %d: %s", r.Status, r.Stderr)
	}
	whole := min(time.Since(started), 500*time.Millisecond)
	const kills, atATime = 45, 3
	var workers sync.WaitGroup
	for worker := range atATime {
		workers.Go(func() {
			for i := worker; i < kills; i += atATime {
				p, err := child.Start(s.program(subnet, "sleep", "60"))
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(2 * whole * time.Duration(i) / kills) // at another point each time
				p.Kill()
			}
		})
	}
	workers.Wait()
	s.expectDeletable(subnet)
}

// program is a program as a workload, for any goroutine.
func (s *pair) program(subnet *postern.Subnet, command ...string) *exec.Cmd {
	return exec.Command(s.Binary, s.Arguments(append([]string{"run", "--subnet", subnet.ID, "--"}, command...)...)...)
}

// expectDeletable waits until what runs made in a subnet is gone, and deletes it.
func (s *pair) expectDeletable(subnet *postern.Subnet) {
	s.t.Helper()
	s.Await("interfaces to go", func() (bool, error) { return len(s.Interfaces("subnet-id", subnet.ID)) == 0, nil })
	postern.Call[ec2.DeleteSubnetOutput](s.Postern, ec2.Service, "DeleteSubnet", &ec2.DeleteSubnetInput{SubnetId: &subnet.ID})
	s.expectNothingLeft()
}

// The same when Postern is killed, or stopped, while programs start and end.
func TestPosternEndsWhileProgramsRun(t *testing.T) {
	s := newPair(t)
	subnet := s.consumer.Subnet(0, "10.0.7.0/24")
	var stop atomic.Bool
	var runners sync.WaitGroup
	for range 3 {
		runners.Go(func() {
			for !stop.Load() {
				if r := child.Run(s.program(subnet, "sh", "-c", "exit 4")); r.Status != 4 && r.Status != 1 {
					t.Errorf("a run ends with status %d: %s", r.Status, r.Stderr)
				}
			}
		})
	}
	for i := range 6 {
		time.Sleep(time.Duration(100+rand.IntN(300)) * time.Millisecond)
		if i%2 == 0 {
			s.Kill()
		} else {
			s.Stop()
		}
		if err := s.Launch(); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	runners.Wait()
	s.expectDeletable(subnet)
}

// Without Postern a program goes on and ends as it would, and what it had is taken
// away when Postern is back.
func TestRunEndsWhilePosternIsAway(t *testing.T) {
	s := newPair(t)
	for _, away := range []func(){s.Kill, s.Stop} {
		r := s.sleeper()
		away()
		r.Signal(unix.SIGTERM)
		if done := r.Wait(); done.Status != 9 || done.Stdout != "told\n" || strings.Count(done.Stderr, "\n") != 1 {
			t.Errorf("status %d, %q, %q; want the program's own, 9, and a line about the rest", done.Status, done.Stdout, done.Stderr)
		}
		s.Up()
		s.expectNothingLeft()
	}
}

// What a program has started ends with it, whatever it did to get away, and with
// the run too.
func TestAllEndsWithTheProgram(t *testing.T) {
	s := newPair(t)
	leave := fmt.Sprintf("setsid sh -c 'trap : TERM HUP INT; (trap : TERM HUP INT; while :; do sleep 0.05; done; : %s) & wait' >/dev/null 2>&1 </dev/null & ", t.Name())
	r := s.Command(s.run("sh", "-c", leave+"sleep 0.2; exit 3")...)
	if left := children(t, s); r.Status != 3 || len(left) > 0 {
		t.Errorf("status %d, %s; processes left: %v", r.Status, r.Stderr, left)
	}
	running := s.Begin(s.run("sh", "-c", leave+"wait")...)
	s.Await("its children", func() (bool, error) { return len(children(t, s)) >= 3, nil })
	running.Signal(unix.SIGKILL)
	running.Wait()
	s.Await("its children to end", func() (bool, error) { return len(children(t, s)) == 0, nil })
	s.expectNothingLeft()
}

// Told to end before its program has begun, a run ends as if the program had been
// told, also when Postern does not answer.
func TestRunToldToEndWhileItStarts(t *testing.T) {
	s := newPair(t)
	s.Signal(unix.SIGSTOP)
	defer s.Signal(unix.SIGCONT)
	r := s.Begin(s.run("true")...)
	s.Await("the child", func() (bool, error) { return hasChild(t, r.PID), nil })
	r.Signal(unix.SIGTERM)
	if done := r.Wait(); done.Status != 128+15 {
		t.Errorf("status %d, %q", done.Status, done.Stderr)
	}
	s.Signal(unix.SIGCONT)
	s.expectNothingLeft()
}

// hasChild reports whether a process has a child, of any of its threads.
func hasChild(t *testing.T, pid int) bool {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil && len(text) > 0 {
			return true
		}
	}
	return false
}

// At a terminal a shell as a workload has job control, and what is typed reaches
// the program once.
func TestRunAtATerminal(t *testing.T) {
	needPrograms(t, "bash")
	s := newPair(t)
	terminal, session := openTerminal(t)
	cmd := s.program(s.clients, "bash", "--norc", "--noprofile", "-i")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = session, session, session
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PS1=> ", "TERM=dumb"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	shell, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	session.Close()
	defer shell.Kill()
	screen := &watched{}
	go screen.read(terminal)
	expect := func(text string) {
		t.Helper()
		err := instance.Poll(t.Context(), testnet.Patience, text, func() (bool, error) { return screen.took(text), nil })
		if err != nil {
			t.Fatalf("%v; the screen has %q", err, screen.text())
		}
	}
	typed := func(text string) {
		t.Helper()
		if _, err := terminal.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	expect("> ")
	if strings.Contains(screen.text(), "job control") {
		t.Error("the shell has no job control")
	}
	typed("trap 'echo outer' INT; sh -c 'trap \"echo caught; exit 5\" INT; echo be${x}gun; while :; do sleep 0.05; done'; echo status=$?\n")
	expect("begun")
	typed("\x03")
	expect("caught")
	expect("status=5")
	typed("sh -c 'echo run${x}ning; exec sleep 60'\n")
	expect("running")
	typed("\x1a")
	expect("Stopped")
	// fg waits for a job that was stopped; wait does not, and a shell with a stopped job
	// does not exit when it is told to for the first time.
	typed("kill %1; fg; echo go${x}ne\n")
	expect("gone")
	typed("exit 7\n")
	if status, err := shell.Wait(time.Minute); err != nil || status != 7 {
		t.Errorf("status %d (%v), want the shell's, 7", status, err)
	}
	s.expectNothingLeft()
}

// openTerminal makes a pseudo-terminal (pty(7)): the end that types and looks, and
// the one for a session.
func openTerminal(t *testing.T) (terminal, session *os.File) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	fd := int(terminal.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		session, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return terminal, session
}

// watched is what a terminal has shown.
type watched struct {
	mu  sync.Mutex
	all string
	new string // what nobody has taken yet
}

func (w *watched) read(from *os.File) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		w.all += string(buffer[:n])
		w.new += string(buffer[:n])
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// took reports whether a text was shown since the one that was taken before.
func (w *watched) took(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, rest, found := strings.Cut(w.new, text)
	if found {
		w.new = rest
	}
	return found
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}
