// SPDX-License-Identifier: Apache-2.0

// Package privilege takes from a process what it does not need: it reads packets that
// anybody in a VPC can make.
package privilege

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that the process goes on having: to enter the routers of VPCs
// and find maps of the kernel, to open ports below 1024, and to have sockets hold more
// than is usual.
var kept = []int{unix.CAP_SYS_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_ADMIN}

// dropped names the variable that says what is there already was dropped.
const dropped = "POSTERN_DROPPED"

// Drop keeps of this process's privileges what kept says, for good: none can be had back,
// also not by running other programs. Where the kernel has Landlock, it may change files
// below the folder only, mount nothing, and send signals to nobody else. A process that is
// not root's has none to drop.
//
// It runs the program again, in the same process and with the same arguments: privileges
// are a thread's, and a program of Go has several. It must be called before anything else
// is begun, and returns in the program that runs with less.
func Drop(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if os.Getenv(dropped) != "" {
		return errors.Join(os.Unsetenv(dropped), check())
	}
	runtime.LockOSThread() // which is never unlocked: it ends here
	if err := drop(folder); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), dropped+"=1"))
	return fmt.Errorf("drop privileges: run the program again: %w", err)
}

// check reports whether what was dropped is gone.
func check() error {
	nnp, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && nnp != 1 {
		err = errors.New("the process may gain more")
	}
	if err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	return nil
}

// drop takes privileges from the calling thread.
func drop(folder string) error {
	for c := range 64 { // more than there are; those that there are not are refused
		if !slices.Contains(kept, c) && c != unix.CAP_DAC_OVERRIDE {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("capability %d: %w", c, err)
			}
		}
	}
	// A folder that is somebody else's, or below such a one, is closed to a root without
	// this. The last of all is what bounds are changed with.
	ours, err := reach(folder)
	if err != nil {
		return err
	}
	keep := kept
	if ours {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_DAC_OVERRIDE, 0, 0, 0); err != nil {
			return fmt.Errorf("capability %d: %w", unix.CAP_DAC_OVERRIDE, err)
		}
	} else {
		keep = append([]int{unix.CAP_DAC_OVERRIDE}, kept...)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := confine(folder); err != nil {
		return fmt.Errorf("restrict to the data folder: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	return limit(func(c int) bool { return slices.Contains(keep, c) })
}

// reach reports whether a folder can be written to without the capability that passes
// over owners.
func reach(folder string) (bool, error) {
	var before [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &before[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	without := before
	without[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&header, &without[0]); err != nil {
		return false, fmt.Errorf("set capabilities: %w", err)
	}
	denied := unix.Faccessat(unix.AT_FDCWD, folder, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err := unix.Capset(&header, &before[0]); err != nil {
		return false, fmt.Errorf("set capabilities: %w", err)
	}
	return denied == nil, nil
}

// limit takes all capabilities but some from the calling thread, and lets none be
// inherited.
func limit(keep func(int) bool) error {
	var sets [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for i := range sets {
		var mask uint32
		for bit := range 32 {
			if keep(32*i + bit) {
				mask |= 1 << bit
			}
		}
		sets[i].Permitted &= mask
		sets[i].Effective = sets[i].Permitted
		sets[i].Inheritable = 0
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("set capabilities: %w", err)
	}
	return nil
}
