// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// seal is what a server that was stopped in order leaves beside its files: their
// sizes and checksums. etcd's database has no checksums of its own, so that a
// flipped bit in a row would be believed. There is no seal while a server runs,
// nor after a kill.
type seal struct {
	Files []sealedFile `json:"files"`
	// Sum is the checksum of the other fields.
	Sum uint32 `json:"sum"`
}

type sealedFile struct {
	// Path is relative to the folder of the member.
	Path string `json:"path"`
	Size int64  `json:"size"`
	Sum  uint32 `json:"sum"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of the list of files.
func (s seal) sum() uint32 {
	sum := crc32.New(castagnoli)
	for _, f := range s.Files {
		_, _ = fmt.Fprintf(sum, "%s %d %d\n", f.Path, f.Size, f.Sum)
	}
	return sum.Sum32()
}

// sealFiles writes the seal of a server that has stopped.
func (p places) sealFiles() error {
	var s seal
	logs, err := filepath.Glob(filepath.Join(p.log(), "*.wal"))
	if err != nil {
		return fmt.Errorf("seal the store: %w", err)
	}
	for _, path := range append(logs, p.database()) {
		size, sum, err := checksum(path)
		if err != nil {
			return fmt.Errorf("seal the store: %w", err)
		}
		relative, err := filepath.Rel(p.member(), path)
		if err != nil {
			return fmt.Errorf("seal the store: %w", err)
		}
		s.Files = append(s.Files, sealedFile{relative, size, sum})
	}
	s.Sum = s.sum()
	text, err := json.Marshal(s)
	if err == nil {
		err = writeSynced(p.seal(), text)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("seal the store: %w", err), os.RemoveAll(p.seal()))
	}
	return nil
}

// checkSeal compares the files with their seal; false says that there is none,
// or one that is damaged itself.
func (p places) checkSeal() (bool, error) {
	text, err := os.ReadFile(p.seal())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var s seal
	if err != nil || json.Unmarshal(text, &s) != nil || s.Sum != s.sum() {
		return false, nil
	}
	for _, f := range s.Files {
		path := filepath.Join(p.member(), f.Path)
		size, sum, err := checksum(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return true, p.changed(path, "is missing")
		case err != nil:
			return true, p.damaged(path, "cannot be read: %v", err)
		case size != f.Size:
			return true, p.changed(path, "has %d bytes; it had %d when Postern was stopped", size, f.Size)
		case sum != f.Sum:
			return true, p.changed(path, "is not what it was when Postern was stopped")
		}
	}
	logs, err := filepath.Glob(filepath.Join(p.log(), "*.wal"))
	if err != nil {
		return true, err
	}
	for _, path := range logs {
		if !slices.ContainsFunc(s.Files, func(f sealedFile) bool { return filepath.Join(p.member(), f.Path) == path }) {
			return true, p.changed(path, "was not there when Postern was stopped")
		}
	}
	return true, nil
}

// checksum reads a file.
func checksum(path string) (size int64, sum uint32, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	crc := crc32.New(castagnoli)
	size, err = io.CopyBuffer(struct{ io.Writer }{crc}, struct{ io.Reader }{file}, make([]byte, 1<<20))
	return size, crc.Sum32(), err
}

// writeSynced makes a file that is on disk, whole, when it returns.
func writeSynced(path string, text []byte) error {
	fresh := path + ".new"
	file, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder makes names that came or went in a folder last, also when the machine
// stops at once. The folder must be there.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
