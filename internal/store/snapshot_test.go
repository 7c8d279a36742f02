// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
)

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
