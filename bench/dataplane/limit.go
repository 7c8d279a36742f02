// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// raiseFileLimit lets this process and the children it starts open as many
// files as possible, and returns how many: ten thousand connections through a
// proxy are twenty thousand. It takes what the kernel allows one process or,
// without the right to that (CAP_SYS_RESOURCE), the hard limit it was given.
func raiseFileLimit() (uint64, error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return 0, fmt.Errorf("read file limit: %w", err)
	}
	text, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0, fmt.Errorf("raise file limit: %w", err)
	}
	var most uint64
	if _, err := fmt.Sscan(string(text), &most); err != nil {
		return 0, fmt.Errorf("raise file limit: read nr_open %q: %w", text, err)
	}
	err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most})
	if errors.Is(err, unix.EPERM) {
		most = now.Max
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most})
	}
	if err != nil {
		return 0, fmt.Errorf("raise file limit to %d: %w", most, err)
	}
	return most, nil
}
