// SPDX-License-Identifier: Apache-2.0

// Package janitor cleans up when a process ends without having done so itself:
// interrupted, killed, or out of time, when no Cleanup and no defer runs. It
// removes network namespaces, and ends what programs have started that were
// themselves ended by the kernel.
package janitor

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// script is told what to take away by lines "+WHAT" and "-WHAT": a pattern of
// names under /run/netns; when it begins with a slash, a data folder, which
// stands for the namespaces of its Postern, and for processes that are told the
// folder's name; or "group" and a process group. When its input ends, because the
// process has ended in whatever way, it takes away what is left of them. A mark that is
// none, of a folder that was damaged, removes nothing: it could be a pattern.
const script = `
set -f
IFS='
'
left=
while read -r line; do
	what=${line#?}
	case $line in
	+*) left="$left$what$IFS" ;;
	-*) kept=
		for w in $left; do [ "$w" = "$what" ] || kept="$kept$w$IFS"; done
		left=$kept ;;
	esac
done
for w in $left; do
	case $w in
	group\ *)
		kill -9 "-${w#group }" 2>/dev/null
		continue ;;
	/*)
		mark=$(cat "$w/instance" 2>/dev/null)
		case $mark in '' | *[!a-z0-9]*) continue ;; esac
		for p in $(set +f; grep -lszxF -e "$w" /proc/[0-9]*/cmdline); do
			p=${p#/proc/}
			kill -9 "${p%/cmdline}" 2>/dev/null
		done
		w=postern-$mark-* ;;
	esac
	set +f
	for path in /run/netns/$w; do
		umount -l "$path" 2>/dev/null
		rm -f "$path"
	done
	set -f
done`

// janitor is one process for all that this one makes, in a session of its own so
// that no terminal interrupts it.
type janitor struct {
	mu    sync.Mutex
	input io.WriteCloser
}

var one janitor // as what it watches is the process

// Abandon has the namespaces whose names match a pattern of the shell removed
// when this process ends without having called forget.
func Abandon(pattern string) (forget func(), err error) { return one.told(pattern) }

// AbandonFolder is Abandon for what the Postern of a data folder has made by
// then. The folder need not exist yet.
func AbandonFolder(data string) (forget func(), err error) {
	path, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	return one.told(path)
}

// AbandonGroup has the processes of a group killed when this process ends
// without having called forget.
func AbandonGroup(pgid int) (forget func(), err error) { return one.told(fmt.Sprint("group ", pgid)) }

func (j *janitor) told(what string) (forget func(), err error) {
	if err := j.tell("+" + what); err != nil {
		return nil, fmt.Errorf("tell the janitor of %s: %w", what, err)
	}
	return func() { _ = j.tell("-" + what) }, nil // without a janitor there is nothing to forget
}

func (j *janitor) tell(line string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.input == nil {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
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
