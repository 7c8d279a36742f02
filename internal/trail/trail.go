// SPDX-License-Identifier: Apache-2.0

// Package trail keeps what was asked of the APIs: one line for each request, in files
// below the data folder. Each account has a folder of its own there, so that nobody
// who asks for much makes room at the expense of what is known of others; requests
// whose sender nobody knows have one, too. The lines are the caller's; package audit
// makes them.
//
// A line is in the kernel's hands when Append returns, so that nothing is lost when the
// process is killed. Nobody waits for the disk: what the machine had not written when
// it lost its power is gone.
package trail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Limits say how much is kept of each account.
type Limits struct {
	// FileSize is how large a file may become, in bytes, before another is begun.
	FileSize int64
	// Files is how many there are at most, at least 1; the oldest goes first.
	Files int
	// Spare is how many bytes of the disk are left to others: with less nothing is kept.
	Spare int64
}

// DefaultLimits keep some 100,000 requests of each account.
// They leave more of the disk than the store needs to take changes.
func DefaultLimits() Limits { return Limits{FileSize: 8 << 20, Files: 16, Spare: 32 << 20} }

// Unknown is the folder of requests whose account is not known.
const Unknown = "unknown"

const suffix = ".jsonl"

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// Trail is the files of all accounts. Its methods are for many goroutines.
type Trail struct {
	dir    string
	limits Limits
	lost   atomic.Int64
	kept   kept
	mu     sync.Mutex
	series map[string]*series // by folder
}

// Open keeps files below a folder, which is made with the first line.
func Open(dir string, limits Limits) *Trail {
	return &Trail{dir: dir, limits: limits, series: map[string]*series{}}
}

// Append adds a line, with its end, to what is kept of an account; of an account that
// is none it is kept as Unknown. An error means that the line is lost, which Problem
// says as well.
func (t *Trail) Append(account string, line []byte) error {
	err := t.of(account).append(line)
	if err != nil {
		t.lost.Add(1)
	}
	return err
}

// Close closes the files. Lines that come later open them again.
func (t *Trail) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, s := range t.series {
		s.writing.Lock()
		errs = append(errs, s.end.close())
		s.writing.Unlock()
	}
	return errors.Join(errs...)
}

// Problem says why lines cannot be written, as long as that lasts, and how many were
// lost since the start.
func (t *Trail) Problem() (reason string, lost int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.series {
		if p := s.problem.Load(); p != nil && (reason == "" || *p < reason) {
			reason = *p
		}
	}
	return reason, t.lost.Load()
}

func (t *Trail) of(account string) *series {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.series[account]; s != nil {
		return s
	}
	if !accountPattern.MatchString(account) {
		account = Unknown
	}
	s := t.series[account]
	if s == nil {
		s = &series{dir: filepath.Join(t.dir, account), limits: t.limits, kept: &t.kept, next: &batch{}}
		t.series[account] = s
	}
	return s
}

// series is the files of one account, which are numbered as they were begun.
type series struct {
	dir     string
	limits  Limits
	kept    *kept
	problem atomic.Pointer[string] // why the last write did not succeed

	mu   sync.Mutex // of next
	next *batch

	writing sync.Mutex // of what follows, of the files, and of batches that were taken
	number  int64      // of the newest file; zero is not known yet
	end     end
	spare   []byte
}

// batch is lines that are written together, by the first of those whose lines they are
// that comes to write. The others find it done.
type batch struct {
	lines []byte
	done  bool
	err   error
}

func (s *series) append(line []byte) error {
	s.mu.Lock()
	b := s.next
	b.lines = append(b.lines, line...)
	s.mu.Unlock()

	s.writing.Lock()
	defer s.writing.Unlock()
	if b.done {
		return b.err
	}
	s.mu.Lock()
	s.next = &batch{lines: s.spare[:0]}
	s.mu.Unlock()
	b.done, b.err = true, s.write(b.lines)
	s.spare, b.lines = b.lines, nil
	if b.err == nil {
		s.problem.Store(nil)
	} else {
		s.problem.Store(new(b.err.Error()))
	}
	return b.err
}

// write puts lines at the end of the newest file.
func (s *series) write(lines []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	if s.end.size > 0 && s.end.size+int64(len(lines)) > s.limits.FileSize {
		if err := s.turn(); err != nil {
			return fmt.Errorf("begin another file of the audit log: %w", err)
		}
	}
	if _, err := s.end.file.Write(lines); err != nil {
		// No part of a line stays: the reader of the next one would not find its beginning.
		return fmt.Errorf("write the audit log: %w", errors.Join(err, s.end.file.Truncate(s.end.size), s.end.close()))
	}
	s.end.size += int64(len(lines))
	return nil
}

// turn begins the next file.
func (s *series) turn() error {
	if err := errors.Join(s.end.close(), s.prune(s.limits.Files-1)); err != nil {
		return err
	}
	s.number++
	if err := s.open(); err != nil {
		s.number-- // the next line tries again
		return err
	}
	return nil
}

// hasRoom says whether the disk has more than what is left to others.
func (s *series) hasRoom() error {
	if s.limits.Spare == 0 {
		return nil
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return fmt.Errorf("look for room for the audit log: %w", &fs.PathError{Op: "statfs", Path: s.dir, Err: err})
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < s.limits.Spare {
		return fmt.Errorf("the disk of %s has %d MiB free, and the audit log leaves %d MiB to others", s.dir, free>>20, s.limits.Spare>>20)
	}
	return nil
}

// begin finds the newest file, and cuts off a line that was not
// written to its end: whoever asked for it got no answer.
func (s *series) begin() error {
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		s.number = 1
		return nil
	}
	newest := numbers[len(numbers)-1]
	if err := cutShort(s.path(newest)); err != nil {
		return fmt.Errorf("mend the audit log: %w", err)
	}
	s.number = newest
	return nil
}

func cutShort(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	end, err := lastEnd(f, size)
	if err == nil && end < size {
		err = f.Truncate(end)
	}
	return err
}

// prune removes the oldest files until there are no more than so many.
func (s *series) prune(keep int) error {
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	for len(numbers) > max(keep, 0) {
		if err := os.Remove(s.path(numbers[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old file of the audit log: %w", err)
		}
		numbers = numbers[1:]
	}
	return nil
}

func (s *series) path(number int64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%09d%s", number, suffix))
}

// numbers lists the files, the oldest first. What is called otherwise is not ours.
func (s *series) numbers() ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	var numbers []int64
	for _, e := range entries {
		name, ours := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.ParseInt(name, 10, 64); ours && err == nil && n > 0 && e.Name() == filepath.Base(s.path(n)) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
