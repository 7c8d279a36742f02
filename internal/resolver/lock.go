// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// LockName is the name of the file in the data folder that the process which serves it
// has locked, and in which its number is.
const LockName = "resolver.lock"

// lock is the right to serve a data folder. It ends with the process.
type lock struct {
	file *os.File

	mu     sync.Mutex
	closed bool
}

// openLock opens the file; nothing is locked yet.
func openLock(folder string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(folder, LockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the names of a data folder: %w", err)
	}
	return &lock{file: file}, nil
}

// try locks, and reports whether nobody else has it.
func (l *lock) try() (bool, error) {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err == nil {
		if err = l.file.Truncate(0); err == nil {
			_, err = l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
		if errors.Is(err, unix.ENOSPC) {
			err = nil // the number is for people, and for who kills what hangs
		}
	}
	if err != nil {
		return false, fmt.Errorf("lock the names of a data folder: %w", err)
	}
	return true, nil
}

// wait locks as soon as nobody else has it.
func (l *lock) wait(ctx context.Context) error {
	for {
		if got, err := l.try(); got || err != nil {
			return err
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("lock the names of a data folder: another process has them: %w", ctx.Err())
		}
	}
}

// release lets another process lock. The end of the process, which may come meanwhile,
// does so too.
func (l *lock) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	return unix.Flock(int(l.file.Fd()), unix.LOCK_UN)
}

// close closes the file, and with it gives up the right.
func (l *lock) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.file.Close()
}
