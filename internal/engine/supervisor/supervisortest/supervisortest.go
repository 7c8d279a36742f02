// SPDX-License-Identifier: Apache-2.0

// Package supervisortest gives tests supervisors, which are the test's own program and do
// not outlive it.
package supervisortest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/test/janitor"
	"github.com/posternhq/postern/test/testnet"
)

// Main is for TestMain: it lets the test's program be a supervisor. Otherwise it runs more,
// if there is any, and then the tests, which fail when a supervisor is left of them.
func Main(m *testing.M, more ...func()) {
	if len(os.Args) > 1 && os.Args[1] == supervisor.Command {
		if err := supervise(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for _, do := range more {
		do()
	}
	code := m.Run()
	if err := leftovers(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		code = max(code, 1)
	}
	supervisor.RemoveGroups(mark)
	os.Exit(code)
}

// folders are those that supervisors of this process may have.
var folders sync.Map

// leftovers ends the supervisors that the tests have left, and tells of them.
func leftovers() (err error) {
	for folder := range folders.Range {
		for pid, supervised := range supervisor.Supervised() {
			if supervised == folder {
				err = errors.Join(err, fmt.Errorf("a test has left supervisor %d of %s", pid, folder), end(supervised))
			}
		}
	}
	return err
}

// end kills who supervises a folder, and with it all that it has started, and waits until
// they are gone. It goes by the processes, not by the folder: that may be gone, or another's
// by now, and who hangs does not answer there.
func end(folder string) error {
	for pid, supervised := range supervisor.Supervised() {
		if supervised != folder {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err == unix.ESRCH {
			continue
		}
		if err == nil {
			// Who was listed before the descriptor was opened may have been another one.
			if supervisor.Supervised()[pid] == folder {
				err = kill(fd)
			}
			err = errors.Join(err, unix.Close(fd))
		}
		if err != nil {
			return fmt.Errorf("end supervisor %d of %s: %w", pid, folder, err)
		}
	}
	return nil
}

// kill kills a process by its descriptor, and waits until that says that it has ended
// (pidfd_open(2)).
func kill(fd int) error {
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	for until := time.Now().Add(testnet.Patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(until).Milliseconds()))
		switch {
		case err == unix.EINTR && time.Now().Before(until):
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("it does not end within %v of being killed", testnet.Patience)
		default:
			return nil
		}
	}
}

func supervise(args []string) error {
	flags := flag.NewFlagSet(supervisor.Command, flag.ExitOnError)
	folder, uid, gid := flags.String("folder", "", ""), flags.Uint("uid", 0, ""), flags.Uint("gid", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return supervisor.Supervise(context.Background(), supervisor.Config{
		Folder: *folder, UID: uint32(*uid), GID: uint32(*gid), Version: "test", Ready: os.NewFile(supervisor.ReadyFD, "ready"),
	})
}

// mark is this process's: tests of other packages that run at the same time have instances
// of the same ids, whose control groups are killed as a whole.
var mark = fmt.Sprintf("test%08x", rand.Uint32())

// Options are those of a supervisor that is this program.
func Options(folder string, uid, gid uint32) supervisor.Options {
	program, err := os.Executable()
	if err != nil {
		panic(err) // of a program that runs
	}
	folders.Store(folder, nil)
	return supervisor.Options{Program: program, Folder: folder, Mark: mark, UID: uid, GID: gid, Log: slog.New(slog.DiscardHandler)}
}

// Folder gives a folder whose supervisor ends with the test, or with its process. The name
// is that of the folder itself.
func Folder(t testing.TB, name string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), name)
	Ends(t, folder)
	return folder
}

// Ends has the supervisor of a folder end with the test, or with its process.
func Ends(t testing.TB, folder string) {
	t.Helper()
	testnet.Require(t)
	forget, err := janitor.AbandonFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(folder); err != nil {
			t.Error(err)
			return
		}
		forget()
	})
}
