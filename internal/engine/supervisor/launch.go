// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/engine"
)

// Options say what a supervisor is started with.
type Options struct {
	// Program is the binary, which becomes a supervisor by Command.
	Program string
	// Folder is the server's. It and its parts are made when they are not there.
	Folder string
	// Namespace names the network namespace of the server below /run/netns; empty means that
	// of this process.
	Namespace string
	// Mark is the instance's, by which what is left can be found.
	Mark string
	// UID and GID are those of the user that the server runs as.
	UID, GID uint32
	Log      *slog.Logger
}

// Start starts a supervisor, which lives on when this process ends, and waits until it
// answers. When another process has the folder it is engine.ErrTaken. The caller calls
// Close.
func Start(ctx context.Context, o Options) (*Client, error) {
	if err := furnish(o.Folder, int(o.UID), int(o.GID)); err != nil {
		return nil, fmt.Errorf("start the supervisor of %s: %w", o.Folder, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the supervisor of %s: %w", o.Folder, err)
	}
	defer read.Close()
	cmd, err := launch(o, write)
	if err != nil {
		return nil, fmt.Errorf("start the supervisor of %s: %w", o.Folder, errors.Join(err, write.Close()))
	}
	go func() { _ = cmd.Wait() }() // it is this process' child for as long as that lives
	if err := errors.Join(write.Close(), ready(ctx, read)); err != nil {
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("start the supervisor of %s: %w", o.Folder, err)
	}
	if err := enterGroup(groupName(o.Mark, o.Folder), cmd.Process.Pid); err != nil {
		o.Log.Warn("a database's processes have no control group of their own", "folder", o.Folder, "error", err)
	}
	c, err := Open(ctx, o.Folder)
	if err != nil {
		_ = cmd.Process.Kill()
		said, _ := os.ReadFile(ownLog(o.Folder)) // without it there is nothing more to say
		return nil, fmt.Errorf("start the supervisor of %s: %w: %s", o.Folder, err, strings.TrimSpace(string(said)))
	}
	return c, nil
}

func ownLog(folder string) string { return filepath.Join(folder, engine.PartLog, ownLogName) }

// launch starts the process in namespaces of its own.
func launch(o Options, ready *os.File) (*exec.Cmd, error) {
	log, err := os.OpenFile(ownLog(o.Folder), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(o.Program, Command, folderFlag, o.Folder, "--uid", strconv.Itoa(int(o.UID)), "--gid", strconv.Itoa(int(o.GID)))
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.ExtraFiles = []*os.File{ready}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC}
	if o.Namespace == "" {
		return cmd, cmd.Start()
	}
	ns, err := network.OpenNamespace(o.Namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return cmd, network.Inside(ns, cmd.Start)
}

// ReadyFD is the descriptor at which a supervisor that was started finds Config.Ready.
const ReadyFD = 3

// Command is the word on the command line that makes a process a supervisor.
const Command = "supervise"

// folderFlag is the option by which a process says which folder it supervises.
const folderFlag = "--folder"

// ready waits until the supervisor answers: it closes its end, or says what is wrong.
func ready(ctx context.Context, read *os.File) error {
	defer context.AfterFunc(ctx, func() { _ = read.Close() })()
	said, err := io.ReadAll(read)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case strings.TrimSpace(string(said)) == engine.ErrTaken.Error():
		return engine.ErrTaken
	case len(said) > 0:
		return errors.New(strings.TrimSpace(string(said)))
	}
	return nil
}

// furnish makes the folder and its parts. Nobody but root comes to them from outside: the
// folder above is root's alone.
func furnish(folder string, uid, gid int) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for _, part := range []struct {
		name  string
		owner int
		mode  os.FileMode
	}{
		{"", 0, 0o750}, {engine.PartConf, 0, 0o750}, {engine.PartTLS, 0, 0o750}, {engine.PartLog, 0, 0o700},
		{engine.PartData, uid, 0o700}, {engine.PartRun, uid, 0o750}, {engine.PartCopy, uid, 0o700},
	} {
		path := filepath.Join(folder, part.name)
		if err := os.MkdirAll(path, part.mode); err != nil {
			return err
		}
		if err := errors.Join(os.Chown(path, part.owner, gid), os.Chmod(path, part.mode)); err != nil {
			return err
		}
	}
	return nil
}

// Supervised lists the folders that processes of this machine supervise, by the numbers of
// these processes.
func Supervised() map[int]string {
	found := map[int]string{}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return found // only if the pattern were wrong
	}
	for _, p := range processes {
		text, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		words := strings.Split(string(text), "\x00")
		i := slices.Index(words, folderFlag)
		if i < 1 || words[i-1] != Command || i+1 >= len(words) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil {
			found[pid] = words[i+1]
		}
	}
	return found
}
