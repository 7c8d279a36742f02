// SPDX-License-Identifier: Apache-2.0

// Package outlive starts processes that do not end with the one that starts them, and finds
// them again.
package outlive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxLog is how large a log may be that a start goes on with.
const maxLog = 1 << 20

// Process is one that is to be started.
type Process struct {
	Program   string
	Arguments []string
	// LogFile gets what it writes. A start empties one that has become large.
	LogFile string
	// Service is the unit of systemd that this process is in, see ServiceUnit: then the new
	// one gets a unit of its own, whose name begins with Unit.
	Service, Unit, Description string
	Log                        *slog.Logger
}

// Start starts a process. The channel gets how it ended when it does so while it is a child
// of this process.
func Start(ctx context.Context, p Process) (<-chan error, error) {
	if p.Service != "" {
		ended, err := p.startUnit(ctx)
		if err == nil || ctx.Err() != nil {
			return ended, err
		}
		p.Log.Warn("a process cannot have a unit of its own: it ends with this service", "process", p.Description, "service", p.Service, "error", err)
	}
	log, err := openLog(p.LogFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(p.Program, p.Arguments...)
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
func (p *Process) startUnit(ctx context.Context) (<-chan error, error) {
	log, err := openLog(p.LogFile)
	if err != nil {
		return nil, err
	}
	log.Close()
	name := fmt.Sprintf("%s-%d", p.Unit, time.Now().UnixNano()) // the old one is there until it has ended
	args := []string{
		"--quiet", "--collect", "--service-type", "exec", "--unit", name, "--description", p.Description + ", started by " + p.Service,
		"--property", "LimitNOFILE=524288", "--property", "StandardOutput=append:" + p.LogFile, "--property", "StandardError=inherit", "--",
	}
	for _, arg := range append([]string{p.Program}, p.Arguments...) {
		args = append(args, strings.ReplaceAll(arg, "$", "$$")) // or the manager looks for variables (systemd.service(5))
	}
	if out, err := exec.CommandContext(ctx, "systemd-run", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("systemd-run: %w: %s", err, bytes.TrimSpace(out))
	}
	return make(chan error), nil
}

// Identity tells a program and its flags from others: versions of the same number are other
// programs when they were built at another time.
func Identity(program, version string, flags ...string) string {
	built := ""
	if info, err := os.Stat(program); err == nil {
		built = fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())
	}
	return strings.Join(append([]string{version, built}, flags...), " ")
}

// LastWords is the last line of a log.
func LastWords(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "it left no word"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// Duty is what a process was started for: its arguments say so.
type Duty struct{ Folder, Instance string }

// Duties are the processes of this machine that run a command of the program, by their
// numbers.
func Duties(verb string) iter.Seq2[int, Duty] {
	return func(yield func(int, Duty) bool) {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return // only if the pattern were wrong
		}
		for _, p := range processes {
			pid, err := strconv.Atoi(filepath.Base(p))
			if err != nil {
				continue
			}
			if d, ok := DutyOf(verb, pid); ok && !yield(pid, d) {
				return
			}
		}
	}
}

// DutyOf reads the command line of a process, if it runs that command.
func DutyOf(verb string, pid int) (d Duty, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return Duty{}, false
	}
	var args []string
	for arg := range bytes.SplitSeq(text, []byte{0}) {
		args = append(args, string(arg))
	}
	if len(args) < 2 || args[1] != verb {
		return Duty{}, false
	}
	for i, arg := range args[:len(args)-1] {
		switch arg {
		case "--data":
			d.Folder = args[i+1]
		case "--instance":
			d.Instance = args[i+1]
		}
	}
	return d, d.Folder != "" && d.Instance != ""
}
