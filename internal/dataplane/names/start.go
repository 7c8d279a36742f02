// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/resolver/control"
)

// LogName is the name of the file in the data folder in which the process says what a
// person cares about. A start empties one that has become large.
const (
	LogName = "resolver.log"
	maxLog  = 1 << 20
)

// startTime is how long a process may take until it serves: usually twenty seconds.
func (n *Names) startTime() time.Duration { return 10 * n.cfg.Every }

// ensure sees to it that the right process serves, and gives it. It waits until one is
// needed.
func (n *Names) ensure(ctx context.Context) (*served, error) {
	status, err := n.present(ctx)
	if errors.Is(err, control.ErrNobody) && !n.cfg.Always && !n.kept() {
		select {
		case <-n.needed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	shelf := n.shelf() // void before a process is there that can change anything
	if err != nil || status.Identity != n.identity() {
		if status, err = n.replace(ctx, status); err != nil {
			return nil, err
		}
	} else {
		n.cfg.Log.Info("names are resolved by the process that runs", "pid", status.PID)
	}
	p, err := n.hold(ctx, status.PID)
	if err != nil {
		return nil, err
	}
	if shelf != nil {
		n.hand(ctx, *shelf)
	}
	n.say(status.PID, nil)
	return p, nil
}

// present asks the process that was there before this one. When it hangs it is killed.
func (n *Names) present(ctx context.Context) (status control.Status, err error) {
	for range misses {
		if status, err = n.ask(ctx); !errors.Is(err, errSilent) {
			return status, err
		}
	}
	return status, errors.Join(err, n.endHolder())
}

// endHolder kills the process that has the lock of the folder, because it hangs.
func (n *Names) endHolder() error {
	n.mu.Lock()
	n.hung++
	n.mu.Unlock()
	n.cfg.Log.Warn("the process that resolves names does not answer, and is killed")
	return killHolder(n.cfg.Folder)
}

// shelf is what the next process may have the kernel answer by itself. What the one
// before has there is void.
func (n *Names) shelf() *control.Shelf {
	if n.cfg.Shelf == nil {
		return nil
	}
	s, err := n.cfg.Shelf()
	if err != nil {
		n.cfg.Log.Warn("the kernel answers no names by itself", "error", err)
	}
	return s
}

// hand gives the shelf to the process that serves. Without it all goes to the process.
func (n *Names) hand(ctx context.Context, s control.Shelf) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Every)
	defer cancel()
	if err := n.client.UseShelf(ctx, s); err != nil {
		n.cfg.Log.Warn("the kernel answers no names by itself", "error", err)
	}
}

// replace starts a process that takes the place of what there is, and waits until it
// serves. One that does not is ended; the process before it goes on.
func (n *Names) replace(ctx context.Context, old control.Status) (status control.Status, err error) {
	if n.cfg.Program == "" {
		return status, errors.New("there is no program to start")
	}
	starting, cancel := context.WithTimeout(ctx, n.startTime())
	defer cancel()
	if err := displace(starting, n.cfg.Folder, n.cfg.Instance); err != nil {
		return status, fmt.Errorf("end the process that resolves names for another data folder: %w", err)
	}
	gone, err := n.start(starting)
	if err != nil {
		return status, fmt.Errorf("start the process that resolves names: %w", err)
	}
	if status, err = n.started(starting, old, gone); err != nil {
		n.sweep(old.PID)
	}
	return status, err
}

// started waits until a process serves that was started.
func (n *Names) started(ctx context.Context, old control.Status, gone <-chan error) (status control.Status, err error) {
	for missed := 0; ; {
		status, err = n.ask(ctx)
		switch {
		case err == nil && status.PID != old.PID && status.Identity == n.identity():
			n.cfg.Log.Info("names are resolved by a new process", "pid", status.PID, "before", old.PID)
			return status, nil
		case !errors.Is(err, errSilent):
			missed = 0
		default:
			if missed++; missed == misses { // it hung while it gave its sockets away
				missed = 0
				if err := n.endHolder(); err != nil {
					return status, err
				}
			}
		}
		select {
		case how := <-gone:
			return status, fmt.Errorf("the process that resolves names ended: %w: %s", how, n.lastWords())
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return status, fmt.Errorf("the process that resolves names does not answer: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// identity tells a program and its flags from others: versions of the same number are
// other programs when they were built at another time.
func (n *Names) identity() string {
	built := ""
	if info, err := os.Stat(n.cfg.Program); err == nil {
		built = fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())
	}
	return strings.Join(append([]string{n.cfg.Version, built, n.cfg.Instance}, n.cfg.Flags...), " ")
}

func (n *Names) arguments() []string {
	list := append([]string{}, n.cfg.Command...)
	list = append(list, "--data", n.cfg.Folder, "--instance", n.cfg.Instance, "--identity", n.identity())
	return append(list, n.cfg.Flags...)
}

// start starts a process that does not end with this one. The channel gets how it ended
// when it does so while it is a child of this process.
func (n *Names) start(ctx context.Context) (<-chan error, error) {
	if n.cfg.Unit != "" {
		ended, err := n.startUnit(ctx)
		if err == nil || ctx.Err() != nil {
			return ended, err
		}
		n.cfg.Log.Warn("the process that resolves names cannot have a unit of its own: it ends with this service", "service", n.cfg.Unit, "error", err)
	}
	log, err := openLog(filepath.Join(n.cfg.Folder, LogName))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(n.cfg.Program, n.arguments()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("by itself")
		}
		ended <- err
	}()
	return ended, nil
}

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Truncate(path, 0); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// ServiceUnit gives the name of the unit of systemd that this process is in, if it is a
// service, and nothing otherwise.
func ServiceUnit() string {
	if os.Getenv("INVOCATION_ID") == "" {
		return ""
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return ""
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if unit := filepath.Base(strings.TrimSpace(line)); strings.HasSuffix(unit, ".service") {
			return unit
		}
	}
	return ""
}

// startUnit has systemd start the process as a unit of its own (systemd-run(1)), which
// goes when it has ended. It fails when the program cannot be run.
func (n *Names) startUnit(ctx context.Context) (<-chan error, error) {
	path := filepath.Join(n.cfg.Folder, LogName)
	log, err := openLog(path)
	if err != nil {
		return nil, err
	}
	log.Close()
	name := fmt.Sprintf("postern-resolver-%s-%d", n.cfg.Instance, time.Now().UnixNano()) // the old one is there until it has ended
	args := []string{
		"--quiet", "--collect", "--service-type", "exec", "--unit", name, "--description", "Postern's resolver, started by " + n.cfg.Unit,
		"--property", "LimitNOFILE=524288", "--property", "StandardOutput=append:" + path, "--property", "StandardError=inherit", "--",
	}
	for _, arg := range append([]string{n.cfg.Program}, n.arguments()...) {
		args = append(args, strings.ReplaceAll(arg, "$", "$$")) // or the manager looks for variables (systemd.service(5))
	}
	if out, err := exec.CommandContext(ctx, "systemd-run", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("systemd-run: %w: %s", err, bytes.TrimSpace(out))
	}
	return make(chan error), nil
}

// lastWords is the last line of the log.
func (n *Names) lastWords() string {
	text, err := os.ReadFile(filepath.Join(n.cfg.Folder, LogName))
	if err != nil {
		return "it left no word"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// errHangs says that a process was asked to end and did not.
var errHangs = errors.New("it does not end when it is told to")

// stopTime is how long a process may take to end when it is told to.
const stopTime = 10 * time.Second

// kill ends the process of a number, if it is what its command line should be and does
// not end by itself in some time, and waits for its end.
func kill(pid int, folder string, patience time.Duration) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	defer unix.Close(pidfd)
	if !resolves(pid, folder) {
		return errHangs
	}
	if ended, err := endsWithin(pidfd, patience); ended || err != nil {
		return err
	}
	return killAndWait(pidfd)
}
