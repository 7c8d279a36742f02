// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
)

// zeros is a file without an end, such as /dev/zero, which says when too much of
// it was read.
type zeros struct {
	t    *testing.T
	left int
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left -= len(p); z.left < 0 {
		z.t.Fatal("all of a file without an end is read")
	}
	clear(p)
	return len(p), nil
}

// What has no lines is refused before it fills the memory, wherever it begins.
func TestALineOfASnapshotHasABound(t *testing.T) {
	for _, begin := range []string{"", `{"format":"postern-backup/1","keys":1}` + "\n", `{"format":"postern-backup/1"}` + "\n"} {
		if _, err := store.ReadSnapshot(io.MultiReader(strings.NewReader(begin), &zeros{t, 256 << 20})); err == nil {
			t.Errorf("zeros behind %q are taken for a snapshot", begin)
		}
	}
}

// A key that is there twice, or is none, is damage, also when the checksum is right.
func TestKeysOfASnapshotAreInOrder(t *testing.T) {
	for _, keys := range [][]string{{"/a", "/a"}, {"/b", "/a"}, {"/a", ""}} {
		text := `{"format":"postern-backup/1","keys":2}` + "\n"
		for _, key := range keys {
			text += fmt.Sprintf(`{"key":%q,"value":""}`+"\n", key)
		}
		text += fmt.Sprintf(`{"sha256":"%x"}`+"\n", sha256.Sum256([]byte(text)))
		if _, err := store.ReadSnapshot(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "is damaged at key 2 of 2") {
			t.Errorf("keys %q: %v", keys, err)
		}
	}
}

// FuzzRestore restores whatever bytes; what is refused must leave nothing.
func FuzzRestore(f *testing.F) {
	s := memstore.New()
	txn := store.Txn{Put: []store.KeyValue{{Key: "/a", Value: []byte("1")}, {Key: "/b"}}}
	if _, _, err := s.Commit(f.Context(), txn); err != nil {
		f.Fatal(err)
	}
	var whole bytes.Buffer
	if err := store.WriteSnapshot(f.Context(), s, "/", nil, &whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:whole.Len()/2])
	f.Add([]byte(`{"format":"postern-backup/1","keys":1000000000}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := memstore.New()
		snap, err := store.ReadSnapshot(bytes.NewReader(data))
		if err == nil {
			err = snap.Restore(t.Context(), s, "")
		}
		keys, _, rangeErr := s.Range(t.Context(), "")
		if rangeErr != nil {
			t.Fatal(rangeErr)
		}
		if err != nil && len(keys) > 0 {
			t.Errorf("refused (%v), but %d keys were written", err, len(keys))
		}
	})
}
