// SPDX-License-Identifier: Apache-2.0

package outlive

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHangs says that a process was asked to end and did not.
var ErrHangs = errors.New("it does not end when it is told to")

// StopTime is how long a process may take to end when it is told to.
const StopTime = 10 * time.Second

// Kill ends the process of a number, if its command line says that it runs that command for
// that folder and it does not end by itself in some time, and waits for its end.
func Kill(verb string, pid int, folder string, patience time.Duration) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	defer unix.Close(pidfd)
	if d, ok := DutyOf(verb, pid); !ok || d.Folder != folder {
		return ErrHangs
	}
	if ended, err := endsWithin(pidfd, patience); ended || err != nil {
		return err
	}
	return KillAndWait(pidfd)
}

// KillAndWait kills the process of a descriptor and waits until it has ended: its sockets
// and its lock are free then. One that waits for a disk ends when the disk lets it.
func KillAndWait(pidfd int) error {
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return fmt.Errorf("kill it: %w", err)
	}
	ended, err := endsWithin(pidfd, StopTime)
	if err == nil && !ended {
		err = errors.New("it does not end, although it was killed; it may wait for a disk")
	}
	return err
}

// endsWithin reports whether the process of a descriptor ends in that time.
func endsWithin(pidfd int, patience time.Duration) (bool, error) {
	deadline := time.Now().Add(patience)
	for {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(max(time.Until(deadline), 0)/time.Millisecond))
		if !errors.Is(err, unix.EINTR) {
			return ready > 0, err
		}
	}
}
