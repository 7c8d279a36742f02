// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/internal/resolver/control"
)

// Stop ends the process of a data folder, and removes what it has kept there. It reports
// whether there was one.
func Stop(ctx context.Context, folder string) (stopped bool, err error) {
	client := control.NewClient(folder)
	defer client.Close()
	waiting, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	switch err = client.Stop(waiting); {
	case errors.Is(err, control.ErrNobody), errors.Is(err, os.ErrNotExist):
		err = nil
	case err == nil:
		stopped = true
	case ctx.Err() != nil:
		return false, err
	default:
		stopped = true
		if err = killHolder(folder); err != nil {
			return false, fmt.Errorf("stop the process that resolves names: %w", err)
		}
	}
	for _, pid := range Processes(folder) { // starts that hang half-way, and who answers last questions
		if left := kill(pid, folder, parting); left == nil {
			stopped = true
		} else if !errors.Is(left, errHangs) {
			err = errors.Join(err, left)
		}
	}
	for _, name := range []string{resolver.JournalName, control.SocketName, LogName, resolver.LockName} {
		if gone := os.Remove(filepath.Join(folder, name)); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return stopped, err
}

// parting is how long a process may take to answer what it has read.
const parting = 8 * time.Second

// killHolder ends the process whose number is in the lock of a folder.
func killHolder(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, resolver.LockName))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return errHangs
	}
	return kill(pid, folder, 0)
}

// StopAll ends the processes of all data folders of this machine, also of those that are
// gone, and gives the folders.
func StopAll(ctx context.Context) (folders []string, err error) {
	return stopWhere(ctx, func(duty) bool { return true })
}

// displace ends processes that are in the routers of an instance for other data folders:
// one that was restored from a backup has the routers of the one that it is a backup of.
func displace(ctx context.Context, folder, instance string) error {
	_, err := stopWhere(ctx, func(d duty) bool { return d.instance == instance && d.folder != folder })
	return err
}

func stopWhere(ctx context.Context, chosen func(duty) bool) (folders []string, err error) {
	var errs []error
	for pid, d := range duties() {
		if !chosen(d) {
			continue
		}
		stopped, err := Stop(ctx, d.folder)
		if err == nil && !stopped {
			err = kill(pid, d.folder, 0)
		}
		errs, folders = append(errs, err), append(folders, d.folder)
	}
	return folders, errors.Join(errs...)
}

// duties are the processes of this machine that resolve names, by their numbers.
func duties() iter.Seq2[int, duty] {
	return func(yield func(int, duty) bool) {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return // only if the pattern were wrong
		}
		for _, p := range processes {
			pid, err := strconv.Atoi(filepath.Base(p))
			if err != nil {
				continue
			}
			if d, ok := dutyOf(pid); ok && !yield(pid, d) {
				return
			}
		}
	}
}

// Processes are the numbers of those that resolve the names of a folder, or were started
// to: one, but while another one takes its place.
func Processes(folder string) (pids []int) {
	for pid, d := range duties() {
		if d.folder == folder {
			pids = append(pids, pid)
		}
	}
	return pids
}

// resolves reports whether a process resolves the names of a folder.
func resolves(pid int, folder string) bool {
	d, ok := dutyOf(pid)
	return ok && d.folder == folder
}

// duty is what a process that resolves names was started for.
type duty struct{ folder, instance string }

// dutyOf reads the command line of a process, if it is one that resolves names.
func dutyOf(pid int) (d duty, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return duty{}, false
	}
	var args []string
	for arg := range bytes.SplitSeq(text, []byte{0}) {
		args = append(args, string(arg))
	}
	if len(args) < 2 || args[1] != Verb {
		return duty{}, false
	}
	for i, arg := range args[:len(args)-1] {
		switch arg {
		case "--data":
			d.folder = args[i+1]
		case "--instance":
			d.instance = args[i+1]
		}
	}
	return d, d.folder != "" && d.instance != ""
}

// Verb is the command of the program that resolves names.
const Verb = "resolver"
