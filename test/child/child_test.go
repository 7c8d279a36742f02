// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/child"
)

// long is how long anything here may take a machine that is busy with other
// things.
const long = time.Minute

func start(t *testing.T, script string) *child.Process {
	t.Helper()
	p, err := child.Start(exec.Command("sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestStatusIsAShells(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15} {
		if r := child.Exec(nil, "sh", "-c", script); r.Status != want {
			t.Errorf("%s: status %d, want %d", script, r.Status, want)
		}
	}
	if r := child.Exec(nil, "/nonexistent/program"); r.Status != -1 || !strings.Contains(r.Stderr, "no such file") {
		t.Errorf("a program that is not there leaves %+v", r)
	}
}

func TestExecKeepsOutputsApart(t *testing.T) {
	r := child.Exec([]string{"WORD=said"}, "/bin/sh", "-c", "echo $WORD; echo $WORD aside >&2")
	if r != (child.Result{Stdout: "said\n", Stderr: "said aside\n"}) {
		t.Errorf("got %+v", r)
	}
}

func TestEnvironmentLeadsNobodyElsewhere(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://192.0.2.1")
	t.Setenv("POSTERN_DATA", "elsewhere")
	r := child.Exec(nil, "sh", "-c", `echo "$AWS_ENDPOINT_URL$POSTERN_DATA${PATH:+.}"`)
	if r.Stdout != ".\n" {
		t.Errorf("a child sees %q", r.Stdout)
	}
	if more := child.Environment("AWS_REGION=here"); !slices.Contains(more, "AWS_REGION=here") {
		t.Error("what is added is not in the environment")
	}
}

func TestEarlyEndTellsWhatWasSaid(t *testing.T) {
	p := start(t, "echo one; echo two >&2; exit 3")
	<-p.Ended()
	if text := p.Early().Error(); !strings.Contains(text, "sh has ended too early: exit status 3") || !strings.HasSuffix(text, "one\ntwo") {
		t.Errorf("the error is %q", text)
	}
	p.Signal(syscall.SIGTERM) // nobody gets it
	if status, err := p.Stop(long); status != 3 || err != nil {
		t.Errorf("after the end Stop gives %d, %v", status, err)
	}
}

func TestStopKillsWhoDoesNotEnd(t *testing.T) {
	p := start(t, "trap '' TERM; echo deaf; while :; do sleep 0.01; done")
	for begun := time.Now(); p.Output() != "deaf"; time.Sleep(time.Millisecond) {
		if time.Since(begun) > long {
			t.Fatal("the child says nothing")
		}
	}
	if status, err := p.Stop(10 * time.Millisecond); status != 128+9 || err == nil || !strings.Contains(err.Error(), "deaf") {
		t.Errorf("status %d, %v", status, err)
	}
}

// TestWithinHoldsTheWholeLife starts a child inside something that notes when it
// is left.
func TestWithinHoldsTheWholeLife(t *testing.T) {
	left := make(chan struct{})
	p, err := child.StartWithin(func(life func() error) error {
		defer close(left)
		return life()
	}, exec.Command("cat"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended() // its input is empty
	<-left
	refusal := errors.New("closed")
	if _, err := child.StartWithin(func(func() error) error { return refusal }, exec.Command("cat")); !errors.Is(err, refusal) {
		t.Errorf("within something that cannot be entered: %v", err)
	}
}

// victim is set in the process that is killed by TestNoChildOutlivesItsParent.
const victim = "TEST_CHILD_VICTIM"

func TestNoChildOutlivesItsParent(t *testing.T) {
	if os.Getenv(victim) != "" {
		p := start(t, "trap '' TERM; sleep 600 & echo $!; wait")
		for p.Output() == "" {
			time.Sleep(time.Millisecond)
		}
		fmt.Println(p.PID, p.Output())
		select {}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestNoChildOutlivesItsParent$")
	cmd.Env = child.Environment(victim + "=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	for _, pid := range strings.Fields(line) { // the child and the child's
		for begun := time.Now(); lives(pid); time.Sleep(time.Millisecond) {
			if time.Since(begun) > long {
				t.Fatalf("process %s outlives the one that started it", pid)
			}
		}
	}
}

// lives tells whether a process has not ended; one that only nobody has waited
// for has.
func lives(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}
