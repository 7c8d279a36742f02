// SPDX-License-Identifier: Apache-2.0

package nfnl

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/thread"
)

// Inside runs f on a thread that is in the network namespace of nsFD. What f
// opens or starts belongs to that namespace for good; f must not start
// goroutines that count on it.
func Inside(nsFD int, f func() error) error { return thread.In(thread.Enter(nsFD), f) }

// Scratch makes a network namespace that nothing else knows. It is gone when what is
// returned is closed, and what was opened or started inside has ended.
func Scratch() (nsFD int, err error) {
	err = thread.In(thread.Leave, func() error {
		if nsFD, err = unix.Open(thread.Own, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open the network namespace of the thread: %w", err)
		}
		return nil
	})
	return nsFD, err
}
