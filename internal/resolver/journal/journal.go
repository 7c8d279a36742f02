// SPDX-License-Identifier: Apache-2.0

// Package journal keeps on disk what a resolver serves, so that a process which is
// started after another one was killed serves it at once.
//
// A journal is a text. Its first line says whose it is. Blocks follow, each of the
// entries that were put, one record a line, and of the keys that were deleted, behind a
// minus. A block ends with a sum over all that is in the file before it:
//
//	# postern names 1 instance="k3v9x"
//	zone zone:Z1 main name=db.example.com.
//	# sum 0b9c4f…
//	- zone zone:Z1 main
//	# sum 77e00a…
//
// A block is written before anything of it is served or acknowledged. What comes behind
// the last whole block was acknowledged to nobody, and is cut off. Nothing waits for the
// disk: after the machine was restarted the agent puts what is missing.
package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	form      = "# postern names 1 "
	blockEnd  = "# sum "
	deletion  = "- "
	sumDigits = 32
	maxLine   = 1 << 20
	// piece is how much of a whole state is written at once.
	piece = 64 << 10
	// leastMore is how much may be added to a journal before it is written anew.
	leastMore = 256 << 10
)

// Journal is an open journal. It is not safe for concurrent use.
type Journal struct {
	path     string
	instance string
	file     *os.File // nil when there is no journal that is current
	sum      hash.Hash
	// state is how large the first block is, more what all others are.
	state, more int
}

// At is the journal of an instance at a path; nothing is opened.
func At(path, instance string) *Journal { return &Journal{path: path, instance: instance} }

func (j *Journal) header() string { return fmt.Sprintf("%sinstance=%q\n", form, j.instance) }

// Replay reads what is at the path, block by block: put is called with records and del
// with keys, in the order in which they were written. What is behind the last whole
// block, or damaged, is left out, and the error says so; what was read before it counts.
// A path without a file has nothing. One that was read to its end can be added to;
// Replace begins another one.
func (j *Journal) Replay(put, del func(text string) error) (err error) {
	file, err := os.OpenFile(j.path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = j.replay(file, put, del)
		j.keep(file, err)
	}
	if err != nil {
		return fmt.Errorf("read the names in %s: %w", j.path, err)
	}
	return nil
}

// errTorn says that a journal goes on behind its last whole block.
var errTorn = errors.New("what is behind the last whole change was left out")

func (j *Journal) replay(file io.Reader, put, del func(text string) error) error {
	r := bufio.NewReaderSize(file, piece)
	if header, err := r.ReadString('\n'); err != nil || header != j.header() {
		return errors.New("it does not begin as those of this instance and form do")
	}
	sum := sha256.New()
	j.sum, j.state, j.more = sum, 0, 0
	io.WriteString(sum, j.header())
	var block []string
	for {
		line, err := r.ReadString('\n')
		switch {
		case err == io.EOF && line == "" && len(block) == 0:
			return nil
		case err == io.EOF:
			return errTorn
		case err != nil:
			return err
		}
		check, end := strings.CutPrefix(strings.TrimSuffix(line, "\n"), blockEnd)
		if !end {
			if len(line) > maxLine {
				return errTorn
			}
			block = append(block, line)
			continue
		}
		for _, l := range block {
			io.WriteString(sum, l)
		}
		io.WriteString(sum, blockEnd)
		if check != digest(sum) {
			return errTorn
		}
		io.WriteString(sum, check+"\n")
		for _, l := range append(block, line) {
			j.state += len(l)
		}
		if err := play(block, put, del); err != nil {
			return err
		}
		block = block[:0]
	}
}

// keep holds a file that was read for what is added to it, unless reading it failed.
func (j *Journal) keep(file *os.File, err error) {
	j.Close()
	if err != nil {
		file.Close()
		return
	}
	j.file = file
}

func play(block []string, put, del func(text string) error) error {
	for _, line := range block {
		text := strings.TrimSuffix(line, "\n")
		do := put
		if key, ok := strings.CutPrefix(text, deletion); ok {
			text, do = key, del
		}
		if err := do(text); err != nil {
			return err
		}
	}
	return nil
}

func digest(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil))[:sumDigits] }

// Due reports whether the journal is to be written anew: there is none, somebody has
// removed or replaced it, or more was added to it than it began with.
func (j *Journal) Due() bool { return !j.there() || j.more > max(leastMore, j.state) }

func (j *Journal) there() bool {
	if j.file == nil {
		return false
	}
	ours, err := j.file.Stat()
	if err != nil || ours.Size() != int64(len(j.header())+j.state+j.more) {
		return false
	}
	found, err := os.Lstat(j.path)
	return err == nil && os.SameFile(ours, found)
}

// Replace puts a whole state, the records that all yields, in the place of what there
// was. Readers see the old text or the new one, also when the process is killed. When it
// cannot be written, what there was stays and can be added to, if it is current.
func (j *Journal) Replace(all func(yield func(record string) bool)) error {
	former, current := *j, j.there()
	j.file = nil
	fresh := j.path + ".new"
	err := os.RemoveAll(fresh)
	if err == nil {
		j.file, err = os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	}
	if err == nil {
		err = j.begin(all)
	}
	if err == nil {
		if err = os.Rename(fresh, j.path); errors.Is(err, fs.ErrExist) {
			err = errors.Join(os.RemoveAll(j.path), os.Rename(fresh, j.path))
		}
	}
	switch {
	case err == nil:
		former.Close()
		return nil
	case current:
		j.Close()
		*j = former
		err = errors.Join(err, os.RemoveAll(fresh))
	default:
		former.Close()
		err = errors.Join(err, os.RemoveAll(fresh), j.Drop())
	}
	return fmt.Errorf("write %s: %w", j.path, err)
}

func (j *Journal) begin(all func(yield func(string) bool)) (err error) {
	j.sum, j.state, j.more = sha256.New(), 0, 0
	if err := j.add([]byte(j.header())); err != nil {
		return err
	}
	j.more = 0
	text := make([]byte, 0, piece+1<<10)
	for record := range all {
		if text = append(append(text, record...), '\n'); len(text) < piece {
			continue
		}
		if err := j.add(text); err != nil {
			return err
		}
		text = text[:0]
	}
	err = j.end(text)
	j.state, j.more = j.more, 0
	return err
}

// add writes a part of a block.
func (j *Journal) add(text []byte) error {
	j.sum.Write(text)
	n, err := j.file.Write(text)
	j.more += n
	return err
}

// end writes a block, or the rest of one, and what it ends with.
func (j *Journal) end(block []byte) error {
	block = append(block, blockEnd...)
	j.sum.Write(block)
	check := digest(j.sum) + "\n"
	io.WriteString(j.sum, check)
	n, err := j.file.Write(append(block, check...))
	j.more += n
	return err
}

// Note adds a change: records that are put, and then keys that are deleted. When it
// cannot be written there is no journal any more until Replace: it would lead back.
func (j *Journal) Note(put, del []string) error {
	if j.file == nil {
		return nil
	}
	var block []byte
	for _, record := range put {
		block = append(append(block, record...), '\n')
	}
	for _, key := range del {
		block = append(append(append(block, deletion...), key...), '\n')
	}
	if err := j.end(block); err != nil {
		return fmt.Errorf("write %s: %w", j.path, errors.Join(err, j.Drop()))
	}
	return nil
}

// Drop removes a journal that is not current any more.
func (j *Journal) Drop() error {
	j.Close()
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Current reports whether what was noted is on disk.
func (j *Journal) Current() bool { return j.file != nil }

// Close closes the file and leaves it as it is.
func (j *Journal) Close() {
	if j.file != nil {
		j.file.Close()
	}
	j.file = nil
}
