// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// workloadFD is the descriptor on which a workload is told what to do: a line of
// JSON to begin, which is its resolv.conf, and then a byte for each signal that is
// for the program. A byte of zero is no signal: another such line follows it.
const workloadFD = 3

// workloadCommand is the other half of runCommand: it is the first process inside
// the new namespaces. It waits until its network is there, runs the program, passes
// on the signals that it is told, buries what has ended, and ends with the program.
// The kernel kills whatever is then left in its process namespace
// (pid_namespaces(7)).
type workloadCommand struct {
	Command []string `arg:"" passthrough:""`
}

// The statuses of what is no program's: as of env(1), and of bash.
const (
	statusNotBegun    = 125
	statusNotRunnable = 126
	statusNotFound    = 127
)

func (c *workloadCommand) Run(in *Invocation) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	shield()
	unix.CloseOnExec(workloadFD)
	orders := bufio.NewReader(os.NewFile(workloadFD, "orders"))
	start, err := readResolvConf(orders)
	if err != nil {
		return &exitError{statusNotBegun} // the parent gave up and has said why
	}
	var names resolvFile
	if err := prepare(&names, start); err != nil {
		fmt.Fprintln(in.Stderr, "postern: prepare the workload:", err)
		return &exitError{statusNotBegun}
	}
	program, err := execute(command)
	if err != nil {
		fmt.Fprintf(in.Stderr, "postern: run %s: %v\n", command[0], err)
		if errors.Is(err, unix.ENOENT) {
			return &exitError{statusNotFound}
		}
		return &exitError{statusNotRunnable}
	}
	go obey(orders, program, &names)
	return &exitError{bury(program)}
}

// shield keeps signals from this process that the terminal or a whole process
// group gets: the program gets them too, and this process ends with it only.
// Signals that it was started to ignore stay so, for the program.
func shield() {
	drop := make(chan os.Signal, 1)
	for _, s := range forwarded {
		if !signal.Ignored(s) {
			signal.Notify(drop, s)
		}
	}
}

func readResolvConf(orders *bufio.Reader) (c resolvConf, err error) {
	line, err := orders.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c)
	}
	return c, err
}

// obey does as the parent orders: it passes signals on to the program, and changes
// its resolv.conf. The end of the orders is the end of the parent: then all ends.
func obey(orders *bufio.Reader, program int, names *resolvFile) {
	for {
		s, err := orders.ReadByte()
		var changed resolvConf
		if err == nil && s == 0 {
			changed, err = readResolvConf(orders)
		}
		switch {
		case err != nil:
			os.Exit(128 + int(unix.SIGKILL))
		case s == 0:
			_ = names.set(changed) // a file that cannot be written stays what it is
		default:
			_ = unix.Kill(program, syscall.Signal(s)) // it may have ended just now
		}
	}
}

// bury waits for everything that becomes a child of this process, as the first
// process of a namespace must, until the program has ended. It gives the program's
// status as a shell would.
func bury(program int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return statusNotBegun // there is no child: excluded
		case pid == program && status.Signaled():
			return 128 + int(status.Signal())
		case pid == program && status.Exited():
			return status.ExitStatus()
		}
	}
}

// execute starts a program as execvp(3) does: it is looked for in PATH when its
// name has no slash, and a file that is no program is given to the shell. ENOENT
// says that there is no such program.
func execute(command []string) (pid int, err error) {
	name := command[0]
	if strings.Contains(name, "/") {
		return spawn(name, command)
	}
	err = unix.ENOENT
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		pid, failed := spawn(filepath.Join(cmp.Or(dir, "."), name), command)
		switch {
		case failed == nil:
			return pid, nil
		case errors.Is(failed, unix.EACCES):
			err = failed // said when no other folder has it
		case !errors.Is(failed, unix.ENOENT) && !errors.Is(failed, unix.ENOTDIR):
			return 0, failed
		}
	}
	return 0, err
}

func spawn(path string, command []string) (int, error) {
	attributes := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}}
	pid, err := syscall.ForkExec(path, command, attributes)
	if errors.Is(err, unix.ENOEXEC) {
		pid, err = syscall.ForkExec("/bin/sh", append([]string{"sh", path}, command[1:]...), attributes)
	}
	return pid, err
}

// prepare finishes the namespaces: loopback, a /sys that shows this network, a
// /proc that shows these processes, and the VPC's resolv.conf. Mounts stay in the
// workload's own mount namespace.
func prepare(names *resolvFile, start resolvConf) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts to the workload: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return names.set(start)
}
