// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Position is a place between two lines of an account. The zero Position is behind the
// newest line.
type Position struct{ File, Offset int64 }

// Backwards gives the lines of an account before a position, the newest first and
// without their ends, with the position before each, until yield returns false. Files
// that were last written before since are not opened. A position at which there is none,
// or no more, has nothing before it. A line is yield's until it returns.
func (t *Trail) Backwards(ctx context.Context, account string, from Position, since time.Time, yield func(Position, []byte) bool) error {
	s := t.of(account)
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	if from != (Position{}) && (from.Offset < 0 || !slices.Contains(numbers, from.File)) {
		return nil
	}
	for _, number := range slices.Backward(numbers) {
		if from != (Position{}) && number > from.File {
			continue
		}
		end := int64(-1)
		if number == from.File {
			end = from.Offset
		}
		more, err := s.backwards(ctx, number, end, since, yield)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// backwards reads one file from a place, -1 for its end, and says whether older ones
// are wanted.
func (s *series) backwards(ctx context.Context, number, end int64, since time.Time, yield func(Position, []byte) bool) (more bool, err error) {
	f, err := os.Open(s.path(number))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it went meanwhile, and the older ones before it
	}
	if err != nil {
		return false, fmt.Errorf("read the audit log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("read the audit log: %w", err)
	}
	if info.ModTime().Before(since) {
		return false, nil
	}
	if end < 0 {
		if end, err = lastEnd(f, info.Size()); err != nil {
			return false, fmt.Errorf("read the audit log: %w", err)
		}
	}
	if ok, err := isEnd(f, end, info.Size()); err != nil || !ok {
		return false, err
	}
	more = true
	err = linesBackwards(f, end, func(start int64, line []byte) bool {
		more = ctx.Err() == nil && yield(Position{number, start}, line)
		return more
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("read the audit log: %w", err)
	}
	return more, nil
}

// isEnd says whether a place in a file is behind a line.
func isEnd(f io.ReaderAt, at, size int64) (bool, error) {
	if at <= 0 || at > size {
		return at == 0, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], at-1); err != nil {
		return false, fmt.Errorf("read the audit log: %w", err)
	}
	return last[0] == '\n', nil
}

// chunk is how much is read at a time; a line is much shorter.
const chunk = 256 << 10

// lastEnd finds the place behind the last whole line.
func lastEnd(f io.ReaderAt, size int64) (int64, error) {
	buffer := make([]byte, min(chunk, size))
	for size > 0 {
		part := buffer[:min(chunk, size)]
		if _, err := f.ReadAt(part, size-int64(len(part))); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return size - int64(len(part)) + int64(i) + 1, nil
		}
		size -= int64(len(part))
	}
	return 0, nil
}

// linesBackwards gives the lines before end, which is behind a line, the last one first,
// each with the place where it begins.
func linesBackwards(f io.ReaderAt, end int64, yield func(start int64, line []byte) bool) error {
	var rest []byte // the lines from at on that were not given; the first may begin earlier
	for at := end; at > 0; {
		n := min(chunk, at)
		block := make([]byte, n+int64(len(rest)))
		if _, err := f.ReadAt(block[:n], at-n); err != nil {
			return err
		}
		copy(block[n:], rest)
		at -= n
		for rest = block; len(rest) > 0; {
			i := bytes.LastIndexByte(rest[:len(rest)-1], '\n')
			if i < 0 && at > 0 {
				break
			}
			if !yield(at+int64(i)+1, rest[i+1:len(rest)-1]) {
				return nil
			}
			rest = rest[:i+1]
		}
	}
	return nil
}
