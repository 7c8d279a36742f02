// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/internal/engine/supervisor/supervisortest"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// nobody is a user without rights that runs the servers of these tests.
const nobody = 65534

// TestMain lets this program be a supervisor, and somebody who starts one.
func TestMain(m *testing.M) {
	supervisortest.Main(m, func() {
		folder := os.Getenv("TEST_START_AND_WAIT")
		if folder == "" {
			return
		}
		c, err := supervisor.Start(context.Background(), options(folder))
		if err == nil {
			err = c.Start(context.Background(), sleeps)
		}
		fmt.Println("started", err)
		time.Sleep(time.Hour) // until it is killed
	})
}

var sleeps = shell("exec sleep 1000")

func shell(script string) engine.Command {
	return engine.Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

func options(folder string) supervisor.Options { return supervisortest.Options(folder, nobody, nobody) }

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
	t.Cleanup(cancel)
	return ctx
}

func newFolder(t *testing.T) string {
	t.Helper()
	return supervisortest.Folder(t, "db-"+testnet.RandomName(8))
}

func start(t *testing.T, o supervisor.Options) *supervisor.Client {
	t.Helper()
	c, err := supervisor.Start(patient(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// running starts a server and gives its state.
func running(t *testing.T, c *supervisor.Client, command engine.Command) engine.Process {
	t.Helper()
	if err := c.Start(patient(t), command); err != nil {
		t.Fatal(err)
	}
	p, err := c.Process(patient(t))
	if err != nil || !p.Running {
		t.Fatalf("the server that was started is %+v, %v", p, err)
	}
	return p
}

// residents counts the processes of the supervisor's process namespace, itself included.
func residents(t *testing.T, c *supervisor.Client) (n int) {
	t.Helper()
	return len(pidsOf(t, namespaceOf(t, c)))
}

func namespaceOf(t *testing.T, c *supervisor.Client) string {
	t.Helper()
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.PID))
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func pidsOf(t *testing.T, namespace string) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if ns, err := os.Readlink(l); err == nil && ns == namespace {
			pid, _ := strconv.Atoi(strings.Split(l, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// others leaves out the supervisor, which may have ended and not be buried yet.
func others(c *supervisor.Client, pids []int) []int {
	return slices.DeleteFunc(pids, func(pid int) bool { return pid == c.PID })
}

func TestServersOutliveWhoStartedThem(t *testing.T) {
	folder := newFolder(t)
	cmd := exec.Command(options(folder).Program)
	cmd.Env = append(os.Environ(), "TEST_START_AND_WAIT="+folder)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "started <nil>\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	c, err := supervisor.Open(patient(t), folder)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := c.Process(patient(t))
	if err != nil || !p.Running || p.Life != 1 {
		t.Fatalf("the server is %+v, %v, want it to run in its first life", p, err)
	}
	if found := supervisor.Supervised()[c.PID]; found != folder {
		t.Errorf("process %d supervises %q, want %s", c.PID, found, folder)
	}
	if err := c.End(patient(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Process(patient(t)); !errors.Is(err, engine.ErrHost) {
		t.Errorf("the supervisor that has ended says %v, want that there is none", err)
	}
	if _, err := supervisor.Open(patient(t), folder); !errors.Is(err, engine.ErrHost) {
		t.Errorf("to find it gives %v, want that there is none", err)
	}
}

// A test's supervisor ends with the test, even one that is not to be found in its folder.
func TestNoSupervisorOutlivesItsTest(t *testing.T) {
	var c *supervisor.Client
	var namespace string
	t.Run("test", func(t *testing.T) {
		folder := newFolder(t)
		c = start(t, options(folder))
		running(t, c, sleeps)
		namespace = namespaceOf(t, c)
		if len(others(c, pidsOf(t, namespace))) == 0 {
			t.Error("the server does not run")
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	})
	if left := others(c, pidsOf(t, namespace)); len(left) > 0 || supervisor.Supervised()[c.PID] != "" {
		t.Errorf("the test has ended, and supervisor %d and processes %v are left", c.PID, left)
	}
}

// Who waits is told, and only when those are gone, too, whom the server has left behind.
func TestTheEndOfAServerIsTold(t *testing.T) {
	c := start(t, options(newFolder(t)))
	p := running(t, c, shell("setsid sleep 1000 & setsid sleep 1000 & echo last words; exec sleep 1000"))
	told := make(chan engine.Process, 1)
	go func() {
		end, err := c.Wait(patient(t), p)
		if err != nil {
			t.Error(err)
		}
		told <- end
	}()
	// Not by Signal, which is told to end: from outside, as a crash.
	for _, pid := range pidsOf(t, namespaceOf(t, c)) {
		if text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); bytes.Contains(text, fmt.Appendf(nil, "PPid:\t%d\n", c.PID)) {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	end := <-told
	if end.Running || end.Asked || end.Exit != "signal: killed" || end.Life != 1 {
		t.Errorf("the end is told as %+v", end)
	}
	if n := residents(t, c); n != 1 {
		t.Errorf("%d processes are there, want only the supervisor", n)
	}
	p = running(t, c, sleeps)
	if p.Life != 2 || p.Words != "" {
		t.Errorf("the next server is %+v, want the second life, which has said nothing", p)
	}
	if err := c.Signal(patient(t), int(unix.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	if end, err := c.Wait(patient(t), p); err != nil || end.Running || !end.Asked {
		t.Errorf("the end of what was told to end is %+v, %v", end, err)
	}
	if err := c.Signal(patient(t), int(unix.SIGTERM)); !errors.Is(err, engine.ErrDown) {
		t.Errorf("a signal to none gives %v", err)
	}
}

func TestAFolderHasOneSupervisor(t *testing.T) {
	folder := newFolder(t)
	c := start(t, options(folder))
	running(t, c, sleeps)
	if err := c.Start(patient(t), sleeps); !errors.Is(err, engine.ErrRunning) {
		t.Errorf("a second server gives %v", err)
	}
	if _, err := supervisor.Start(patient(t), options(folder)); !errors.Is(err, engine.ErrTaken) {
		t.Errorf("a second supervisor gives %v", err)
	}
	if p, err := c.Process(patient(t)); err != nil || !p.Running {
		t.Errorf("the first one has %+v, %v", p, err)
	}
}

// All processes have the lock: nobody else has the folder while one is left.
func TestWhatASupervisorStartedEndsWithIt(t *testing.T) {
	folder := newFolder(t)
	c := start(t, options(folder))
	running(t, c, shell("setsid sleep 1000 & exec sleep 1000"))
	namespace := namespaceOf(t, c)
	if err := unix.Kill(c.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Gone():
	case <-patient(t).Done():
		t.Fatal("it is not told that the supervisor has ended")
	}
	if left := others(c, pidsOf(t, namespace)); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	running(t, start(t, options(folder)), sleeps)
}

func TestASupervisorThatHangsIsKilled(t *testing.T) {
	folder := newFolder(t)
	c := start(t, options(folder))
	running(t, c, sleeps)
	namespace := namespaceOf(t, c)
	if err := unix.Kill(c.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(patient(t)); err != nil {
		t.Fatal(err)
	}
	if left := others(c, pidsOf(t, namespace)); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}

	// Whoever finds it that way cannot ask it anything, either.
	again := start(t, options(folder))
	running(t, again, sleeps)
	if err := unix.Kill(again.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Slay(patient(t), folder); err != nil {
		t.Fatal(err)
	}
	<-again.Gone()
	if err := supervisor.Slay(patient(t), folder); !errors.Is(err, engine.ErrHost) {
		t.Errorf("one that has ended is killed with %v", err)
	}
	start(t, options(folder))
}

// Time that is left for a kill is enough for both ways, whatever it is.
func TestTheTimeOfAKillIsShared(t *testing.T) {
	c := start(t, options(newFolder(t)))
	running(t, c, sleeps)
	if err := unix.Kill(c.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), supervisor.KillTime)
	defer cancel()
	if err := c.Kill(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	<-c.Gone()
}

func TestServersAreStartedAgainIfThatIsWanted(t *testing.T) {
	c := start(t, options(newFolder(t)))
	once := shell("exit 3")
	if err := c.Start(patient(t), once); err != nil {
		t.Fatal(err)
	}
	p, err := c.Wait(patient(t), engine.Process{Running: true, Life: 1})
	if err != nil || p.Exit != "exit status 3" {
		t.Fatalf("it ends as %+v, %v", p, err)
	}
	once.Restart = true
	if err := c.Start(patient(t), once); err != nil {
		t.Fatal(err)
	}
	for p.Life < 5 {
		if p, err = c.Wait(patient(t), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Hold(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(patient(t)); err != nil {
		t.Fatal(err)
	}
	held, err := c.Process(patient(t))
	if err != nil || held.Running {
		t.Fatalf("the server that was killed is %+v, %v", held, err)
	}
	running(t, c, sleeps) // would be refused, did the old one run
}

func TestProgramsRunToTheirEnds(t *testing.T) {
	c := start(t, options(newFolder(t)))
	var out, errs bytes.Buffer
	command := shell("cat; echo wrong >&2")
	command.Input, command.Output, command.Errors = []byte("given"), &out, &errs
	if err := c.Run(patient(t), command); err != nil || out.String() != "given" || errs.String() != "wrong\n" {
		t.Errorf("it writes %q and %q, and ends with %v", out.String(), errs.String(), err)
	}
	err := c.Run(patient(t), shell("echo first >&2; echo because >&2; exit 7"))
	if err == nil || !strings.Contains(err.Error(), "exit status 7: first\nbecause") {
		t.Errorf("a program that fails gives %v", err)
	}
	if err := c.Run(patient(t), engine.Command{Path: "/nowhere"}); err == nil {
		t.Error("a program that is not there gives no error")
	}
	// What is left behind keeps nobody waiting.
	if err := c.Run(patient(t), shell("sleep 1000 & exit 0")); err != nil {
		t.Error(err)
	}
}

// started is a writer that cancels a program when it has said something.
type started context.CancelFunc

func (s started) Write(p []byte) (int, error) {
	if len(p) > 0 {
		s()
	}
	return len(p), nil
}

func TestProgramsEndWithWhoAskedForThem(t *testing.T) {
	c := start(t, options(newFolder(t)))
	ctx, cancel := context.WithCancel(patient(t))
	command := shell("sleep 1000 & echo yes; sleep 1000")
	command.Output = started(cancel)
	if err := c.Run(ctx, command); !errors.Is(err, context.Canceled) {
		t.Errorf("a program that was given up gives %v", err)
	}
	for patience := patient(t); residents(t, c) > 1; {
		if patience.Err() != nil {
			t.Fatal("it goes on")
		}
		time.Sleep(time.Millisecond)
	}
}

// A server has a network, and of the machine little else that others could use.
func TestWhatAServerSees(t *testing.T) {
	ns := testnet.New(t)
	folder := newFolder(t)
	o := options(folder)
	o.Namespace = ns.Name
	c := start(t, o)
	see := func(script string) string {
		t.Helper()
		var out bytes.Buffer
		command := shell(script)
		command.Output = &out
		if err := c.Run(patient(t), command); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	for script, want := range map[string]string{
		"id -u; id -g; id -G": "65534\n65534\n65534",
		"ls -A /home /root /srv /mnt /media /var | grep -v :": "",
		"ls /run; ls -A /tmp": "postern",
		"test $(ls -d /proc/[0-9]* | wc -l) -lt 7 && echo few": "few",
		"grep -c " + ns.Name + " /proc/self/mountinfo || :":    "0", // others may be made at any time
		"grep NoNewPrivs /proc/self/status":                    "NoNewPrivs:\t1",
		"grep CapEff /proc/self/status":                        "CapEff:\t0000000000000000",
		"ls /run/postern":                                      "conf\ncopy\ndata\nlog\nrun\nsupervisor.lock\nsupervisor.sock\ntls",
		"touch /run/postern/data/a && echo yes":                "yes",
		"touch /run/postern/conf/a 2>&1 || echo no":            "touch: cannot touch '/run/postern/conf/a': Permission denied\nno",
		"cat /run/postern/log/server.log || echo no":           "no",
		"env":                           "PATH=/usr/bin:/bin\nPWD=/",
		"ls /proc/self/fd | wc -l":      "5", // three, the lock, and that of ls
		"stat -Lc %i /proc/self/ns/net": fmt.Sprint(ns.Desired().Inode),
	} {
		if got := see(script); got != want {
			t.Errorf("%s prints %q, want %q", script, got, want)
		}
	}
	status, err := c.Status(patient(t))
	if err != nil || status.Namespace != ns.Desired().Inode || status.Version != "test" {
		t.Errorf("the supervisor says %+v, %v", status, err)
	}
	if c.Path(engine.PartRun, "x") != "/run/postern/run/x" {
		t.Errorf("a part of the folder is at %s", c.Path(engine.PartRun, "x"))
	}
}

func TestServersEndWellWithTheMachine(t *testing.T) {
	folder := newFolder(t)
	c := start(t, options(folder))
	command := shell("trap 'echo well; exit 0' INT; echo begun; while :; do sleep 0.01; done")
	command.Stop, command.Restart = int(unix.SIGINT), true
	running(t, c, command)
	log := filepath.Join(folder, engine.PartLog, supervisor.LogName)
	waitFor := func(want string) {
		t.Helper()
		for patience := patient(t); ; time.Sleep(time.Millisecond) {
			text, err := os.ReadFile(log)
			if err == nil && string(text) == want {
				return
			}
			if patience.Err() != nil {
				t.Fatalf("the log is %q, %v, want %q", text, err, want)
			}
		}
	}
	waitFor("begun\n")
	if err := unix.Kill(c.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.Gone()
	waitFor("begun\nwell\n")
}

func TestGroupsOfTheKernel(t *testing.T) {
	folder := newFolder(t)
	c := start(t, options(folder))
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.PID))
	if err != nil {
		t.Fatal(err)
	}
	root := ""
	for _, at := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(at, "cgroup.controllers")); err == nil {
			root = at
		}
	}
	if root == "" {
		t.Skip("SKIPPED: no control groups of the second version are mounted")
	}
	name := "postern-" + options(folder).Mark + "-" + filepath.Base(folder)
	if !strings.Contains(string(text), "0::/"+name+"\n") {
		t.Errorf("the supervisor is in groups %q, want %s", text, name)
	}
	running(t, c, sleeps)
	if err := c.Slay(patient(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, name)); !os.IsNotExist(err) {
		t.Errorf("the group is left: %v", err)
	}
}

func TestNobodyElseSupervises(t *testing.T) {
	testnet.Require(t)
	cmd := exec.Command(options("").Program, supervisor.Command, "--folder", t.TempDir())
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd.ExtraFiles = []*os.File{write}
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	write.Close()
	if status, err := p.Wait(testnet.Patience); err != nil || status != 1 {
		t.Errorf("it ends with %d, %v: %s", status, err, p.Output())
	}
}
