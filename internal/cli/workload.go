// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// workloadFD is the descriptor on which a workload is told to begin.
const workloadFD = 3

// workloadStart is what a workload is told once its network is there.
type workloadStart struct {
	// Nameservers and Search make its resolv.conf; without nameservers the
	// machine's own is left in place, because there is nothing better to say.
	Nameservers []string `json:"nameservers"`
}

// workloadCommand is the other half of runCommand: it runs inside the new
// namespaces as the child of `postern run`, waits until its network is there,
// and becomes the program. The parent's pid for it stays that of the program.
type workloadCommand struct {
	Command []string `arg:"" passthrough:""`
}

func (c *workloadCommand) Run(in *Invocation) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	parent := os.Getppid()
	pipe := os.NewFile(workloadFD, "start")
	var start workloadStart
	err := json.NewDecoder(pipe).Decode(&start)
	if err := errors.Join(err, pipe.Close()); err != nil {
		return &exitError{125} // the parent gave up and has said why
	}
	if err := prepare(start); err != nil {
		fmt.Fprintln(in.Stderr, "postern: prepare the workload:", err)
		return &exitError{125}
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		fmt.Fprintln(in.Stderr, "postern:", err)
		if errors.Is(err, exec.ErrNotFound) {
			return &exitError{127}
		}
		return &exitError{126}
	}
	if err := dieWith(parent); err != nil {
		fmt.Fprintln(in.Stderr, "postern:", err)
		return &exitError{125}
	}
	err = unix.Exec(path, command, os.Environ())
	fmt.Fprintf(in.Stderr, "postern: run %s: %v\n", path, err)
	return &exitError{126}
}

// dieWith makes sure that the program is killed when the parent ends. The parent
// has asked for it, but a thread keeps that for itself (prctl(2),
// PR_SET_PDEATHSIG): it is lost when another thread than the first one executes
// the program. So the thread that will do so asks again.
func dieWith(parent int) error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("tie the workload to postern run: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("tie the workload to postern run: it has ended")
	}
	return nil
}

// prepare finishes the namespaces: loopback, a /sys that shows this network,
// and the VPC's resolv.conf. Mounts stay in the workload's own mount namespace.
func prepare(start workloadStart) error {
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
	if len(start.Nameservers) == 0 {
		return nil
	}
	return replaceResolver(start)
}

// replaceResolver binds a file over /etc/resolv.conf, following links, for this
// mount namespace only.
func replaceResolver(start workloadStart) error {
	file, err := os.CreateTemp("", "postern-resolv-")
	if err != nil {
		return fmt.Errorf("make resolv.conf: %w", err)
	}
	defer os.Remove(file.Name()) // the mount keeps it
	for _, s := range start.Nameservers {
		if _, err := fmt.Fprintln(file, "nameserver", s); err != nil {
			return fmt.Errorf("write resolv.conf: %w", err)
		}
	}
	if err := errors.Join(file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("write resolv.conf: %w", err)
	}
	over, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if errors.Is(err, os.ErrNotExist) {
		return nil // this machine has none, and making one would change it
	}
	if err != nil {
		return fmt.Errorf("find resolv.conf: %w", err)
	}
	if err := unix.Mount(file.Name(), over, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount resolv.conf: %w", err)
	}
	return nil
}
