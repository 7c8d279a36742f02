// SPDX-License-Identifier: Apache-2.0

// Package supervisortest gives tests supervisors, which are the test's own program and do
// not outlive it.
package supervisortest

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/test/janitor"
	"github.com/posternhq/postern/test/testnet"
)

// Main is for TestMain: it lets the test's program be a supervisor. Otherwise it runs more,
// if there is any, and then the tests.
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
	os.Exit(m.Run())
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
	return supervisor.Options{Program: program, Folder: folder, Mark: mark, UID: uid, GID: gid, Log: slog.New(slog.DiscardHandler)}
}

// Folder gives a folder whose supervisor ends with the test, or with its process. The name
// is that of the folder itself.
func Folder(t testing.TB, name string) string {
	t.Helper()
	testnet.Require(t)
	folder := filepath.Join(t.TempDir(), name)
	forget, err := janitor.AbandonFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
		defer cancel()
		if c, err := supervisor.Open(ctx, folder); err == nil {
			if err := c.Slay(ctx); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		forget()
	})
	return folder
}
