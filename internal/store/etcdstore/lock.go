// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse is the cause when a data folder belongs to another process.
var ErrInUse = errors.New("in use by another process")

// FolderLock is the right to use a data folder. It ends with Close, and with
// the process however that ends, because the kernel keeps it (flock(2)).
type FolderLock struct {
	file *os.File
}

// LockFolder takes the folder for this process, and makes it if it is absent.
// When it is taken, the error wraps ErrInUse and names the process.
func LockFolder(dir string) (*FolderLock, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = &inUse{dir, holder(file)}
		return nil, errors.Join(err, file.Close())
	}
	if err == nil {
		err = writeHolder(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder %s: %w", dir, err), file.Close())
	}
	return &FolderLock{file}, nil
}

// Close gives the folder back. The lock file stays: removing it would let two
// processes lock two files of the same name.
func (l *FolderLock) Close() error {
	return l.file.Close()
}

// inUse is the error for a folder that another process has.
type inUse struct{ dir, process string }

func (e *inUse) Error() string {
	return fmt.Sprintf("data folder %s is in use by process %s", e.dir, e.process)
}

func (e *inUse) Is(target error) bool { return target == ErrInUse }

// holder returns the process that wrote its number into the lock file.
func holder(file *os.File) string {
	data, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil || len(data) == 0 {
		return "(unknown)"
	}
	return strings.TrimSpace(string(data))
}

func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
