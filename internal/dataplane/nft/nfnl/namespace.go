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
