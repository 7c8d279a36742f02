// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"golang.org/x/sys/unix"
)

// logFacts are what is read of etcd's log while it is checked.
type logFacts struct {
	// first and last are the indexes of the entries that are there; zero means
	// that there are none.
	first, last uint64
	// committed is up to where entries are known to be committed.
	committed uint64
	// snapshots are the indexes at which entries may have been thrown away.
	snapshots []uint64
	sum       uint32 // of all records so far
}

// checkLog reads all files of a log that nobody has open, oldest first, with the
// checksums of their records. The end of the last one may be torn, as a crash
// leaves it. The file that is wrong is returned with the error.
func checkLog(folder string) (facts logFacts, file string, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.wal"))
	if err != nil || len(files) == 0 {
		return facts, folder, errors.New("has no file that ends in .wal")
	}
	slices.Sort(files)
	next := uint64(0)
	for i, path := range files {
		var number, index uint64
		if _, err := fmt.Sscanf(filepath.Base(path), "%016x-%016x.wal", &number, &index); err != nil {
			return facts, path, errors.New("has a name that is none of a log")
		}
		if i > 0 && number != next {
			return facts, folder, fmt.Errorf("lacks file number %d", next)
		}
		next = number + 1
		err := facts.read(path, i == 0)
		if errors.Is(err, io.ErrUnexpectedEOF) && i == len(files)-1 {
			err = nil
		}
		if err != nil {
			return facts, path, fmt.Errorf("is damaged: %w", err)
		}
	}
	if facts.last < facts.committed {
		return facts, files[len(files)-1], fmt.Errorf("is cut short: it ends with entry %d, and %d were committed", facts.last, facts.committed)
	}
	return facts, "", nil
}

// read goes through the records of one file.
func (f *logFacts) read(path string, first bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := wal.NewDecoder(logFile{file})
	var record walpb.Record
	for {
		switch err := decoder.Decode(&record); {
		case errors.Is(err, io.EOF):
			f.sum = decoder.LastCRC()
			return nil
		case err != nil:
			return err
		}
		if record.GetType() == wal.CrcType {
			if !first && record.GetCrc() != f.sum {
				return errors.New("it does not continue the file before it")
			}
			decoder.UpdateCRC(record.GetCrc())
			first = false
			f.sum = record.GetCrc()
			continue
		}
		if err := f.record(&record); err != nil {
			return err
		}
		f.sum = decoder.LastCRC()
	}
}

// trimLog cuts off what is behind the last whole record of a log that nobody has
// open. etcd does the same when it opens a log, but in ways that do not always
// work. Of a torn record it keeps a copy, and opens the file again at once, which
// it finds locked when a child process that is just being started still has the
// descriptor that was closed. Zeros it replaces by as many blocks. So a torn record
// is made zeros, and without room zeros are cut off too, but for those that the
// starts on a full disk write to.
func trimLog(folder string, room bool) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.wal"))
	if err != nil || len(files) == 0 {
		return err
	}
	file, err := os.OpenFile(slices.Max(files), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := wal.NewDecoder(logFile{file})
	var record walpb.Record
	info, err := file.Stat()
	for err == nil {
		if err = decoder.Decode(&record); err == nil && record.GetType() == wal.CrcType {
			decoder.UpdateCRC(record.GetCrc())
		}
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", file.Name(), err)
	}
	whole := errors.Is(err, io.EOF)
	if whole && room {
		return nil
	}
	end, size := decoder.LastOffset(), info.Size()
	if room {
		err = errors.Join(file.Truncate(end), file.Truncate(size))
	} else {
		size = min(size, end+spare)
		_, err = file.WriteAt(make([]byte, size-end), end) // which takes no blocks: they are there
		err = errors.Join(err, file.Truncate(size))
	}
	return errors.Join(err, file.Sync())
}

// spare is what stays of a log's file behind the last record where there is no room,
// in bytes. A start writes a few hundred.
const spare = 1 << 20

// withholdNext keeps etcd from making the next file of a log in advance where there is
// no room, and lets it where there is. At each start etcd would take for that file what
// blocks there are, also when they are too few, and so those that it frees itself to
// take them again for the log. A link that leads nowhere cannot be made a file. When
// the file is needed at last, the server finds that it cannot write, and is started
// anew.
func withholdNext(folder string, room bool) error {
	path := filepath.Join(folder, "0.tmp")
	info, err := os.Lstat(path)
	withheld := err == nil && info.Mode()&fs.ModeSymlink != 0
	made := err == nil && info.Mode().IsRegular() && info.Size() >= segmentBytes // by a process that was killed
	if room != withheld || made {
		return nil
	}
	if room {
		return os.Remove(path)
	}
	_ = os.Remove(path) // what was too large
	err = os.Symlink(filepath.Join("nowhere", "at", "all"), path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil // there is no log yet, or really no room
	}
	return err
}

// record takes in a record whose checksum is right.
func (f *logFacts) record(record *walpb.Record) error {
	switch record.GetType() {
	case wal.EntryType:
		index := wal.MustUnmarshalEntry(record.Data).GetIndex()
		if f.last != 0 && index > f.last+1 {
			return fmt.Errorf("entry %d follows entry %d", index, f.last)
		}
		if f.first == 0 {
			f.first = index
		}
		f.last = index
	case wal.StateType:
		f.committed = wal.MustUnmarshalState(record.Data).GetCommit()
	case wal.SnapshotType:
		f.snapshots = append(f.snapshots, snapshotIndex(record.Data))
	}
	return nil
}

// indexTag begins the first field of a walpb.Snapshot, a varint.
const indexTag = 1 << 3

// snapshotIndex reads the index of an encoded walpb.Snapshot.
func snapshotIndex(data []byte) uint64 {
	if len(data) == 0 || data[0] != indexTag {
		return 0
	}
	index, _ := binary.Uvarint(data[1:])
	return index
}

// start is the index from which on etcd reads the log.
func (f *logFacts) start() (uint64, bool) {
	found, start := false, uint64(0)
	for _, index := range f.snapshots {
		if index <= f.committed {
			found, start = true, max(start, index)
		}
	}
	return start, found
}

// logFile is what etcd's decoder reads from.
type logFile struct{ *os.File }

// FileInfo is what the decoder asks for.
func (f logFile) FileInfo() (fs.FileInfo, error) { return f.Stat() }
