// SPDX-License-Identifier: Apache-2.0

// Package thread does work in network namespaces, which threads are in and not processes.
//
// The first thread of the process never leaves the namespace that the process began in:
// /proc/PID is about that thread, by which this process and others tell where it is, and
// the runtime keeps it for ever, also when its goroutine has ended on it.
package thread

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Own names the network namespace of the calling thread. It is for goroutines that are not
// inside another one.
const Own = "/proc/thread-self/ns/net"

// Enter takes a thread into the network namespace of a descriptor.
func Enter(ns int) func() error {
	return func() error {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return nil
	}
}

// Leave takes a thread into a network namespace that nothing else knows.
func Leave() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	return nil
}

// In has a thread go elsewhere, by Enter or Leave, and runs f there. What f opens or starts
// belongs to that namespace for good; goroutines of f are outside. Then the thread is
// brought back. One that cannot be is never used again: its goroutine ends while locked to
// it, and the runtime ends it.
func In(elsewhere, f func() error) error {
	result := make(chan error, 1)
	go func() { result <- onOther(func() error { return in(elsewhere, f) }) }()
	return <-result
}

// onOther runs f on a thread that the calling goroutine, which ends with it, is locked to.
func onOther(f func() error) error {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		return f()
	}
	defer runtime.UnlockOSThread()
	result := make(chan error, 1)
	go func() { result <- onOther(f) }() // while this one has the first thread
	return <-result
}

func in(elsewhere, f func() error) error {
	home, err := os.Open(Own)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the network namespace of the thread: %w", err)
	}
	defer home.Close()
	err = elsewhere()
	if err == nil {
		err = f()
	}
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}
