// SPDX-License-Identifier: Apache-2.0

package nfnl

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Inside runs f on a thread that is in the network namespace of nsFD. What f
// opens or starts belongs to that namespace for good; f must not start
// goroutines that count on it. A thread that cannot return to where it was is
// given up, never used again.
func Inside(nsFD int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		before, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open the network namespace of the thread: %w", err)
			return
		}
		defer unix.Close(before)
		if err := unix.Setns(nsFD, unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		err = f()
		// Ending a goroutine that is still locked ends its thread.
		if unix.Setns(before, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// Scratch makes a network namespace that nothing else knows. It is gone when what is
// returned is closed, and what was opened or started inside has ended.
func Scratch() (nsFD int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("make network namespace: %w", err)
			return
		}
		if nsFD, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			err = fmt.Errorf("open the network namespace of the thread: %w", err)
		}
	}()
	<-done
	return nsFD, err
}
