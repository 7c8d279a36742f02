// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// victim is set in the process that is killed by TestNothingIsLeftOfAKilledTest,
// to a folder that it has to use for everything.
const victim = "TEST_SYSTEM_VICTIM"

// A test process that is killed in the middle leaves no process, no namespace
// and no mount.
func TestNothingIsLeftOfAKilledTest(t *testing.T) {
	testnet.Require(t)
	if os.Getenv(victim) != "" {
		beKilled(t)
	}
	folder := t.TempDir()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestNothingIsLeftOfAKilledTest$")
	cmd.Env = child.Environment(victim+"="+folder, "TMPDIR="+folder, "POSTERN_BIN="+postern.Binary(t))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	names, ok := strings.CutPrefix(strings.TrimSpace(line), "made ")
	if err != nil || !ok {
		t.Fatalf("the victim says %q (%v) and %s", line, err, p.Output())
	}
	mark, workload, _ := strings.Cut(names, " ")
	left := func() string {
		return strings.Join(append(child.Knowing(folder), namespacesOf(t, mark, workload)...), "\n")
	}
	if before := left(); strings.Count(before, "postern-"+mark) < 4 || strings.Count(before, "while") < 2 || !strings.Contains(before, " up ") {
		t.Errorf("the victim has too little to leave:\n%s", before)
	}
	p.Kill()
	if err := instance.Poll(t.Context(), testnet.Patience, "the end of everything", func() (bool, error) { return left() == "", nil }); err != nil {
		t.Errorf("%v; left are\n%s", err, left())
	}
}

// beKilled makes one of everything and waits for its end.
func beKilled(t *testing.T) {
	s := newPair(t)
	s.sleeper()
	fmt.Println("made", s.Mark(), s.client.Name)
	select {}
}

// namespacesOf gives the names and mounts of a Postern's namespaces, and of a
// workload's.
func namespacesOf(t *testing.T, mark, workload string) (lines []string) {
	t.Helper()
	for _, pattern := range []string{"postern-" + mark + "-*", workload} {
		found, err := filepath.Glob("/run/netns/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, found...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "postern-"+mark) || strings.Contains(line, workload) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
