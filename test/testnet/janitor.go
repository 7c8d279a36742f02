// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// janitorScript is told patterns of names under /run/netns, by lines "+PATTERN"
// and "-PATTERN". When its input ends, because the test process has ended in
// whatever way, it removes the namespaces of the patterns that are left.
const janitorScript = `
left=
while read -r line; do
	pattern=${line#?}
	case $line in
	+*) left="$left $pattern" ;;
	-*) kept=
		set -f
		for p in $left; do [ "$p" = "$pattern" ] || kept="$kept $p"; done
		left=$kept
		set +f ;;
	esac
done
for p in $left; do
	for path in /run/netns/$p; do
		umount -l "$path" 2>/dev/null
		rm -f "$path"
	done
done`

// janitor cleans up after this process. It is one process for all tests of a
// test binary, in a session of its own so that no terminal interrupts it.
type janitor struct {
	mu    sync.Mutex
	input io.WriteCloser
}

var theJanitor janitor // one per process, as what it watches is the process

// Abandon has the namespaces whose names match a pattern removed when the test
// process ends without having called forget: interrupted, killed, or out of
// time, when no Cleanup runs.
func Abandon(pattern string) (forget func(), err error) {
	if err := theJanitor.tell("+" + pattern); err != nil {
		return nil, fmt.Errorf("tell the janitor of %s: %w", pattern, err)
	}
	return func() { theJanitor.tell("-" + pattern) }, nil
}

// AbandonInstance is Abandon for what a Postern of this instance makes, until
// the test has cleaned up itself.
func AbandonInstance(t testing.TB, instance string) {
	t.Helper()
	forget, err := Abandon("postern-" + instance + "-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(forget)
}

func (j *janitor) tell(line string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.input == nil {
		cmd := exec.Command("/bin/sh", "-c", janitorScript)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		input, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		j.input = input
	}
	_, err := fmt.Fprintln(j.input, line)
	return err
}
