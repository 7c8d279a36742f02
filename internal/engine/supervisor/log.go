// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// LogName is the name in engine.PartLog of the log of a server. Older ones have a number
// behind it.
const LogName = "server.log"

// How large a file of the log becomes, and how many older ones are kept.
const (
	maxLog   = 8 << 20
	oldLogs  = 4
	maxWords = 4096
)

// journal is the log of a server. When the disk is full it drops what comes: a server must
// not wait for its log.
type journal struct {
	path string

	mu      sync.Mutex
	file    *os.File
	size    int64
	words   []byte
	problem error
}

// Write implements io.Writer. It never fails.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.remember(p)
	j.problem = j.write(p)
	return len(p), nil
}

func (j *journal) write(p []byte) error {
	if j.file != nil && j.size > maxLog {
		if err := j.rotate(); err != nil {
			return err
		}
	}
	if j.file == nil {
		file, err := os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			file.Close()
			return err
		}
		j.file, j.size = file, info.Size()
	}
	n, err := j.file.Write(p)
	j.size += int64(n)
	return err
}

// rotate gives files the next number, the oldest last, and has the next write begin one.
func (j *journal) rotate() error {
	for i := oldLogs; i > 0; i-- {
		from := j.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", j.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", j.path, i)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// remember keeps words without a file.
func (j *journal) remember(p []byte) {
	if over := len(j.words) + len(p) - maxWords; over > 0 {
		j.words = append([]byte(nil), j.words[min(over, len(j.words)):]...)
	}
	j.words = append(j.words, p[max(len(p)-maxWords, 0):]...)
}

// begin forgets the words of the life before.
func (j *journal) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.words = nil
}

// last gives the last lines of this life, and what is wrong with the log.
func (j *journal) last() (words string, problem error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	w := j.words
	if len(w) == maxWords {
		if _, rest, found := bytes.Cut(w, []byte("\n")); found {
			w = rest
		}
	}
	return string(bytes.TrimSpace(w)), j.problem
}
