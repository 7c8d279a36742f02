// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// snapshotFormat is the first thing in a snapshot, so that no other file is
// taken for one.
const snapshotFormat = "postern-snapshot/1"

// restoreStep is how many keys one transaction of Restore writes; an external
// etcd takes 128 unless it is configured otherwise.
const restoreStep = 100

// restoreBytes is about how many bytes one transaction of Restore writes.
const restoreBytes = 512 << 10

// ErrNotEmpty refuses to restore a snapshot into a store that holds keys.
var ErrNotEmpty = errors.New("store is not empty")

// A snapshot is lines of JSON: a header, the keys in order, and a trailer with
// the checksum of all lines before it.
type snapshotHeader struct {
	Format   string `json:"format"`
	Revision int64  `json:"revision"`
	Keys     int    `json:"keys"`
}

type snapshotKey struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

type snapshotTrailer struct {
	SHA256 string `json:"sha256"`
}

// Snapshot writes all keys that start with prefix, as they are at one revision,
// to w, and returns that revision. The snapshot holds everything that the keys
// hold, secrets too; it does not depend on the kind of store or its version.
func Snapshot(ctx context.Context, s Store, prefix string, w io.Writer) (int64, error) {
	keys, rev, err := s.Range(ctx, prefix)
	if err != nil {
		return 0, fmt.Errorf("snapshot: %w", err)
	}
	sum := sha256.New()
	buffer := bufio.NewWriter(w)
	lines := json.NewEncoder(io.MultiWriter(buffer, sum))
	err = lines.Encode(snapshotHeader{Format: snapshotFormat, Revision: rev, Keys: len(keys)})
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
		return 0, fmt.Errorf("write snapshot: %w", err)
	}
	return rev, nil
}

// Restore reads a snapshot, checks that it is whole, and then puts its keys
// into the store, which must be empty (else ErrNotEmpty). Keys get new
// revisions, so nobody may hold a state of before: restore first, then start
// the servers. When Restore fails halfway, the store must be thrown away.
func Restore(ctx context.Context, s Store, r io.Reader) error {
	keys, err := readSnapshot(r)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	present, _, err := s.Range(ctx, "")
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if len(present) > 0 {
		return fmt.Errorf("restore: %w: it holds %d keys", ErrNotEmpty, len(present))
	}
	for len(keys) > 0 {
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

func readSnapshot(r io.Reader) ([]KeyValue, error) {
	lines, sum := bufio.NewReader(r), sha256.New()
	var header snapshotHeader
	if err := readLine(lines, sum, &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if header.Format != snapshotFormat {
		return nil, fmt.Errorf("format is %q, not %q", header.Format, snapshotFormat)
	}
	var keys []KeyValue
	for i := range header.Keys {
		var key snapshotKey
		if err := readLine(lines, sum, &key); err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, header.Keys, err)
		}
		keys = append(keys, KeyValue{Key: key.Key, Value: key.Value})
	}
	want := hex.EncodeToString(sum.Sum(nil))
	var trailer snapshotTrailer
	if err := readLine(lines, io.Discard, &trailer); err != nil {
		return nil, fmt.Errorf("checksum: %w", err)
	}
	if trailer.SHA256 != want {
		return nil, errors.New("checksum does not match: the snapshot is damaged")
	}
	return keys, nil
}

// readLine decodes one line and copies it to the checksum.
func readLine(from *bufio.Reader, sum io.Writer, to any) error {
	line, err := from.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if _, err := sum.Write(line); err != nil {
		return err
	}
	return json.Unmarshal(bytes.TrimSpace(line), to)
}
