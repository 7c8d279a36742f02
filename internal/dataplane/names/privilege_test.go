// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// TestTheProcessHasFewPrivileges reads what the kernel says of each thread of it, and has
// it serve all the same: after a start, and after a take-over.
func TestTheProcessHasFewPrivileges(t *testing.T) {
	r := newRig(t)
	n, stop := r.run()
	r.serve(n)
	pid := r.pid()
	r.few(pid)
	stop()
	r.config.Version = "2"
	r.run()
	next := r.other(pid)
	r.few(next)
	r.answers("after a take-over")
}

// few wants little of a process.
func (r *rig) few(pid int) {
	r.t.Helper()
	const some = "0000000000201400" // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_SYS_ADMIN
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		r.t.Fatalf("threads %v, %v", threads, err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		for name, want := range map[string]string{
			"CapInh": "0000000000000000", "CapAmb": "0000000000000000", "CapPrm": some, "CapEff": some, "CapBnd": some, "NoNewPrivs": "1",
		} {
			got := regexp.MustCompile(`(?m)^` + name + `:\s*(\S+)$`).FindStringSubmatch(string(text))
			if got == nil || got[1] != want {
				r.t.Errorf("%s: %s is %v; want %s", thread, name, got, want)
			}
		}
	}
}

// TestTheProcessKeepsToItsFolder has one try to write elsewhere, and to signal another
// process.
func TestTheProcessKeepsToItsFolder(t *testing.T) {
	r := newRig(t)
	version, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if int(version) < 6 {
		t.Skip("the Landlock of this kernel keeps no signals to a process")
	}
	elsewhere := filepath.Join(t.TempDir(), "file")
	r.config.Flags = []string{"--trespasses", elsewhere}
	n, _ := r.run()
	failed := n.Apply(t.Context(), desired.Zone(vpc), entries(), nil)
	want := "open " + elsewhere + ": permission denied operation not permitted"
	if err := failed[entries()[0].Key()]; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it says %v; want %q", err, want)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("it wrote elsewhere")
	}
}
