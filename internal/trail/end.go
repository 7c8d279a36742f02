// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lookEvery is how often it is looked whether the disk has room, and whether the file
	// is still there: operators move files away as they like.
	lookEvery = time.Second
	// keptOpen is how many accounts' files are open at a time: with more accounts that ask in
	// turn every line opens one. It leaves most of 4096, a usual limit, to others.
	keptOpen = 1024
)

// end is where an account's next line goes. The zero end is closed.
type end struct {
	file   *os.File
	size   int64
	looked time.Time
}

func (e *end) close() error {
	f := e.file
	*e = end{}
	if f == nil {
		return nil
	}
	return f.Close()
}

// ready has the newest file open, and room on the disk. The folder may have been moved away
// as well as the file.
func (s *series) ready() error {
	if s.end.file != nil && time.Since(s.end.looked) < lookEvery {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the audit log: %w", err)
	}
	if s.number == 0 {
		if err := s.begin(); err != nil {
			return err
		}
	}
	if err := s.hasRoom(); err != nil {
		return err
	}
	if s.end.file != nil && s.isThere() {
		s.end.looked = time.Now()
		return nil
	}
	if err := s.end.close(); err != nil {
		return fmt.Errorf("close the audit log: %w", err)
	}
	return s.open()
}

// isThere says whether the open file is the one that has its name.
func (s *series) isThere() bool {
	open, err := s.end.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(s.path(s.number))
	return err == nil && os.SameFile(open, named)
}

func (s *series) open() error {
	path := s.path(s.number)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	f := os.NewFile(uintptr(fd), path)
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return fmt.Errorf("open the audit log: %w", err)
	}
	s.end = end{f, size, time.Now()}
	s.kept.add(s)
	return nil
}

// kept are those whose files are open, as far as is known, the first one longest.
type kept struct {
	mu   sync.Mutex
	open []*series
}

// add notes that a series, whose writing the caller holds, has its file open. When there
// are too many the one that was opened first is closed, unless it is being written.
func (k *kept) add(s *series) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.open, s) {
		return
	}
	k.open = append(k.open, s)
	for i := 0; len(k.open) > keptOpen && i < len(k.open); {
		other := k.open[i]
		if other == s || !other.writing.TryLock() {
			i++
			continue
		}
		_ = other.end.close() // what was written is written
		other.writing.Unlock()
		k.open = slices.Delete(k.open, i, i+1)
	}
}
