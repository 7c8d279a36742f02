// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/store"
)

// TestAListingLeavesLittleInMemory: who has read everything has no copy of the database
// besides, and goes on reading and writing.
func TestAListingLeavesLittleInMemory(t *testing.T) {
	const rows, size, each = 8000, 2000, 400 // 16 MB
	dir := t.TempDir()
	s := startEmbedded(t, dir)
	for first := 0; first < rows; first += each {
		var txn store.Txn
		for i := range each {
			txn.Put = append(txn.Put, store.KeyValue{Key: fmt.Sprintf("/row/%06d", first+i), Value: bytes.Repeat([]byte{byte(i)}, size)})
		}
		if _, _, err := s.Commit(t.Context(), txn); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	s = startEmbedded(t, dir)
	for range 2 {
		listed, _, err := s.Range(t.Context(), "/row/")
		if err != nil || len(listed) != rows {
			t.Fatalf("listed %d rows: %v", len(listed), err)
		}
		if left := mapped(t, dir); left > rows*size/4 {
			t.Errorf("%d KiB of the database are left in memory", left>>10)
		}
		if kv, there, err := s.Get(t.Context(), "/row/000007"); err != nil || !there || len(kv.Value) != size || kv.Value[0] != 7 {
			t.Errorf("read afterwards: %v, %v", there, err)
		}
		if _, _, err := s.Commit(t.Context(), store.Txn{Put: []store.KeyValue{{Key: "/row/000009"}}}); err != nil {
			t.Error(err)
		}
	}
	closeStore(t, s)
}

// mapped is how many bytes of the database of a store the process has in memory.
func mapped(t *testing.T, dir string) (size int) {
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for line := range strings.Lines(string(text)) {
		var from, to uintptr
		var kib int
		if _, err := fmt.Sscanf(line, "%x-%x ", &from, &to); err == nil {
			path := strings.TrimSpace(line)
			ours = strings.HasPrefix(path[strings.LastIndexByte(path, ' ')+1:], dir) && filepath.Base(path) == "db"
		} else if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil && ours {
			size += kib << 10
		}
	}
	return size
}
