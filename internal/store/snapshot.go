// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// snapshotFormat is the first thing in a snapshot, so that no other file is
// taken for one.
const snapshotFormat = "postern-backup/1"

// restoreStep is how many keys one transaction of a restore writes; an external
// etcd takes 128 unless it is configured otherwise.
const restoreStep = 100

// restoreBytes is about how many bytes one transaction of a restore writes.
const restoreBytes = 512 << 10

// longestLine is how long a line of a snapshot may be: far beyond the largest
// value that etcd takes. What is no snapshot may have no line's end at all.
const longestLine = 64 << 20

// ErrNotEmpty refuses to restore a snapshot into a store that holds keys.
var ErrNotEmpty = errors.New("store is not empty")

// A snapshot is lines of JSON: a header, the keys in order, and a trailer with
// the checksum of all lines before it.
type snapshotHeader struct {
	Format   string          `json:"format"`
	Revision int64           `json:"revision"`
	Keys     int             `json:"keys"`
	About    json.RawMessage `json:"about,omitempty"`
}

type snapshotKey struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

type snapshotTrailer struct {
	SHA256 string `json:"sha256"`
}

// Snapshot is what a snapshot holds.
type Snapshot struct {
	// Revision is that of the store when the snapshot was taken.
	Revision int64
	// About is what the one who took it has to say, as JSON; nil for nothing.
	About json.RawMessage
	// Keys are in order. Their revisions are not kept.
	Keys []KeyValue
}

// WriteSnapshot writes all keys that start with prefix, as they are at one
// revision, to w, and what there is to say about them. The snapshot holds
// everything that the keys hold, secrets too; it does not depend on the kind of
// store or its version.
func WriteSnapshot(ctx context.Context, s Store, prefix string, about any, w io.Writer) error {
	said, err := json.Marshal(about)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	keys, rev, err := s.Range(ctx, prefix)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	sum := sha256.New()
	buffer := bufio.NewWriter(w)
	lines := json.NewEncoder(io.MultiWriter(buffer, sum))
	err = lines.Encode(snapshotHeader{Format: snapshotFormat, Revision: rev, Keys: len(keys), About: said})
	for i := 0; err == nil && i < len(keys); i++ {
		err = lines.Encode(snapshotKey{Key: keys[i].Key, Value: keys[i].Value})
	}
	if err == nil {
		err = json.NewEncoder(buffer).Encode(snapshotTrailer{hex.EncodeToString(sum.Sum(nil))})
	}
	if err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

// Restore puts the keys of a snapshot into the store, which must hold none that
// start with prefix (else ErrNotEmpty). Keys get new revisions, so nobody may hold
// a state of before: restore first, then start the servers. When Restore fails
// halfway, what was written below prefix must be thrown away.
func (snap *Snapshot) Restore(ctx context.Context, s Store, prefix string) error {
	present, _, err := s.Range(ctx, prefix)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if len(present) > 0 {
		return fmt.Errorf("restore: %w: it holds %d keys", ErrNotEmpty, len(present))
	}
	for keys := snap.Keys; len(keys) > 0; {
		var step []KeyValue
		step, keys = nextStep(keys)
		if _, _, err := s.Commit(ctx, Txn{Put: step}); err != nil {
			return fmt.Errorf("restore keys from %s on: %w", step[0].Key, err)
		}
	}
	return nil
}

// nextStep cuts off what one transaction writes, at least one key.
func nextStep(keys []KeyValue) (step, rest []KeyValue) {
	size, n := 0, 0
	for n < len(keys) && n < restoreStep && (n == 0 || size+len(keys[n].Value) <= restoreBytes) {
		size += len(keys[n].Key) + len(keys[n].Value)
		n++
	}
	return keys[:n], keys[n:]
}

// ReadSnapshot reads a snapshot and checks that it is whole. Its errors are the
// rest of a sentence about the file.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	lines, sum := bufio.NewReader(r), sha256.New()
	var header snapshotHeader
	switch err := readLine(lines, sum, &header); {
	case err != nil || !strings.HasPrefix(header.Format, strings.TrimRight(snapshotFormat, "0123456789")):
		return nil, errors.New("is no backup of Postern")
	case header.Format != snapshotFormat:
		return nil, fmt.Errorf("has the form %q of a later version; this one reads %q", header.Format, snapshotFormat)
	}
	snap := &Snapshot{Revision: header.Revision, About: header.About}
	for i := range header.Keys {
		var key snapshotKey
		if err := readLine(lines, sum, &key); err != nil {
			return nil, spoilt(err, fmt.Sprintf("key %d of %d", i+1, header.Keys))
		}
		if i > 0 && key.Key <= snap.Keys[i-1].Key {
			return nil, fmt.Errorf("is damaged at key %d of %d: %q is not in order", i+1, header.Keys, key.Key)
		}
		snap.Keys = append(snap.Keys, KeyValue{Key: key.Key, Value: key.Value})
	}
	want := hex.EncodeToString(sum.Sum(nil))
	var trailer snapshotTrailer
	if err := readLine(lines, io.Discard, &trailer); err != nil {
		return nil, spoilt(err, "its checksum")
	}
	if trailer.SHA256 != want {
		return nil, errors.New("is damaged: its checksum does not match")
	}
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is damaged: something follows its checksum")
	}
	return snap, nil
}

// spoilt says how a snapshot is not whole at a place.
func spoilt(err error, place string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("is cut short: it ends before %s", place)
	}
	return fmt.Errorf("is damaged at %s: %w", place, err)
}

// readLine decodes one line and copies it to the checksum.
func readLine(from *bufio.Reader, sum io.Writer, to any) error {
	var line []byte
	for ended := false; !ended; {
		part, err := from.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(line)+len(part) > longestLine:
			return fmt.Errorf("a line is longer than %d MiB", longestLine>>20)
		}
		line, ended = append(line, part...), err == nil
	}
	if _, err := sum.Write(line); err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}
