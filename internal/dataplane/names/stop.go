// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/outlive"
	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/internal/resolver/control"
)

// Stop ends the process of a data folder, and removes what it has kept there. It reports
// whether there was one.
func Stop(ctx context.Context, folder string) (stopped bool, err error) {
	client := control.NewClient(folder)
	defer client.Close()
	waiting, cancel := context.WithTimeout(ctx, outlive.StopTime)
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
		if left := outlive.Kill(Verb, pid, folder, parting); left == nil {
			stopped = true
		} else if !errors.Is(left, outlive.ErrHangs) {
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
		return outlive.ErrHangs
	}
	return outlive.Kill(Verb, pid, folder, 0)
}

// StopAll ends the processes of all data folders of this machine, also of those that are
// gone, and gives the folders.
func StopAll(ctx context.Context) (folders []string, err error) {
	return stopWhere(ctx, func(outlive.Duty) bool { return true })
}

// displace ends processes that are in the routers of an instance for other data folders:
// one that was restored from a backup has the routers of the one that it is a backup of.
func displace(ctx context.Context, folder, instance string) error {
	_, err := stopWhere(ctx, func(d outlive.Duty) bool { return d.Instance == instance && d.Folder != folder })
	return err
}

func stopWhere(ctx context.Context, chosen func(outlive.Duty) bool) (folders []string, err error) {
	var errs []error
	for pid, d := range outlive.Duties(Verb) {
		if !chosen(d) {
			continue
		}
		stopped, err := Stop(ctx, d.Folder)
		if err == nil && !stopped {
			err = outlive.Kill(Verb, pid, d.Folder, 0)
		}
		errs, folders = append(errs, err), append(folders, d.Folder)
	}
	return folders, errors.Join(errs...)
}

// Processes are the numbers of those that resolve the names of a folder, or were started
// to: one, but while another one takes its place.
func Processes(folder string) (pids []int) {
	for pid, d := range outlive.Duties(Verb) {
		if d.Folder == folder {
			pids = append(pids, pid)
		}
	}
	return pids
}

// resolves reports whether a process resolves the names of a folder.
func resolves(pid int, folder string) bool {
	d, ok := outlive.DutyOf(Verb, pid)
	return ok && d.Folder == folder
}

// Verb is the command of the program that resolves names.
const Verb = "resolver"
