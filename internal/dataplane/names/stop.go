// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
	for _, name := range []string{resolver.JournalName, control.SocketName, LogName, resolver.LockName} {
		if gone := os.Remove(filepath.Join(folder, name)); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return stopped, err
}

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
	return kill(pid, folder)
}

// StopAll ends the processes of all data folders of this machine, also of those that are
// gone, and gives the folders.
func StopAll(ctx context.Context) (folders []string, err error) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range processes {
		pid, err := strconv.Atoi(filepath.Base(p))
		folder, ok := folderOf(pid)
		if err != nil || !ok {
			continue
		}
		stopped, err := Stop(ctx, folder)
		if err == nil && !stopped {
			err = kill(pid, folder)
		}
		errs, folders = append(errs, err), append(folders, folder)
	}
	return folders, errors.Join(errs...)
}

// resolves reports whether a process resolves the names of a folder.
func resolves(pid int, folder string) bool {
	found, ok := folderOf(pid)
	return ok && found == folder
}

// folderOf gives the data folder of a process, if it is one that resolves names.
func folderOf(pid int) (string, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", false
	}
	var args []string
	for arg := range bytes.SplitSeq(text, []byte{0}) {
		args = append(args, string(arg))
	}
	data := slices.Index(args, "--data")
	if len(args) < 2 || args[1] != Verb || data < 0 || data+1 >= len(args) || !slices.Contains(args, "--instance") {
		return "", false
	}
	return args[data+1], true
}

// Verb is the command of the program that resolves names.
const Verb = "resolver"
