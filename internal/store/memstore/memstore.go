// SPDX-License-Identifier: Apache-2.0

// Package memstore is a store in memory, for tests. It behaves like etcdstore
// and forgets everything when it is dropped.
package memstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/google/btree"

	"github.com/posternhq/postern/internal/store"
)

// Store implements store.Store. Make one with New.
type Store struct {
	mu        sync.Mutex
	keys      *btree.BTreeG[store.KeyValue]
	rev       int64
	compacted int64         // revisions up to this one are forgotten
	history   []store.Batch // of the revisions after it, in order
	changed   chan struct{} // closed at the next change
	closed    bool
	offices   store.Offices
}

// New returns an empty store at revision 1.
func New() *Store {
	less := func(a, b store.KeyValue) bool { return a.Key < b.Key }
	return &Store{keys: btree.NewG(32, less), rev: 1, compacted: 1, changed: make(chan struct{})}
}

// begin locks the store, unless the context or the store has ended.
func (s *Store) begin(ctx context.Context, operation string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("%s: %w", operation, store.ErrClosed)
	}
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.KeyValue, bool, error) {
	if err := s.begin(ctx, "get "+key); err != nil {
		return store.KeyValue{}, false, err
	}
	defer s.mu.Unlock()
	kv, ok := s.keys.Get(store.KeyValue{Key: key})
	return kv, ok, nil
}

// Range implements store.Store.
func (s *Store) Range(ctx context.Context, prefix string) ([]store.KeyValue, int64, error) {
	if err := s.begin(ctx, "range "+prefix); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	var out []store.KeyValue
	s.keys.AscendGreaterOrEqual(store.KeyValue{Key: prefix}, func(kv store.KeyValue) bool {
		if !strings.HasPrefix(kv.Key, prefix) {
			return false
		}
		out = append(out, kv)
		return true
	})
	return out, s.rev, nil
}

// Revision implements store.Store.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	if err := s.begin(ctx, "revision"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	return s.rev, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if err := s.begin(ctx, "commit"); err != nil {
		return 0, false, err
	}
	defer s.mu.Unlock()
	for _, c := range txn.Compare {
		if kv, _ := s.keys.Get(store.KeyValue{Key: c.Key}); kv.ModRevision != c.ModRevision {
			return s.rev, false, nil
		}
	}
	if err := distinct(txn); err != nil {
		return 0, false, fmt.Errorf("commit: %w", err)
	}
	batch := store.Batch{Rev: s.rev + 1}
	for _, kv := range txn.Put {
		kv.Value, kv.ModRevision = slices.Clone(kv.Value), batch.Rev
		s.keys.ReplaceOrInsert(kv)
		batch.Events = append(batch.Events, store.Event{Key: kv.Key, Value: kv.Value})
	}
	for _, key := range txn.Delete {
		if _, ok := s.keys.Delete(store.KeyValue{Key: key}); ok {
			batch.Events = append(batch.Events, store.Event{Key: key, Deleted: true})
		}
	}
	if len(batch.Events) > 0 {
		s.rev = batch.Rev
		s.history = append(s.history, batch)
		s.wake()
	}
	return s.rev, true, nil
}

// MaxOps implements store.Store: that of an etcd cluster, as etcdstore has it.
func (s *Store) MaxOps() int { return 128 }

// distinct refuses a transaction that changes a key twice.
func distinct(txn store.Txn) error {
	seen := make(map[string]bool, len(txn.Put)+len(txn.Delete))
	for _, kv := range txn.Put {
		if seen[kv.Key] {
			return fmt.Errorf("key %s is changed twice", kv.Key)
		}
		seen[kv.Key] = true
	}
	for _, key := range txn.Delete {
		if seen[key] {
			return fmt.Errorf("key %s is changed twice", key)
		}
		seen[key] = true
	}
	return nil
}

// wake lets all watches look for news. The caller holds the lock.
func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, fromRev int64) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		for next := fromRev; ; {
			batches, changed, err := s.since(ctx, next)
			if err != nil {
				yield(store.Batch{}, fmt.Errorf("watch %s: %w", prefix, err))
				return
			}
			for _, batch := range batches {
				next = batch.Rev + 1
				if batch = below(prefix, batch); len(batch.Events) > 0 && !yield(batch, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// since returns the history from a revision on, and what is closed when there
// is more of it.
func (s *Store) since(ctx context.Context, rev int64) ([]store.Batch, <-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, store.ErrClosed
	case rev < s.compacted:
		return nil, nil, store.ErrCompacted
	}
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].Rev >= rev })
	if i == len(s.history) {
		return nil, s.changed, nil
	}
	return s.history[i:len(s.history):len(s.history)], closedChannel, nil
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// below returns the part of a batch whose keys start with prefix.
func below(prefix string, batch store.Batch) store.Batch {
	out := store.Batch{Rev: batch.Rev}
	for _, event := range batch.Events {
		if strings.HasPrefix(event.Key, prefix) {
			out.Events = append(out.Events, event)
		}
	}
	return out
}

// Compact forgets the history before the revision, as etcd does from time to
// time; a watch that starts there ends with store.ErrCompacted.
func (s *Store) Compact(_ context.Context, rev int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rev > s.rev {
		return fmt.Errorf("compact: revision %d is in the future", rev)
	}
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].Rev >= rev })
	s.history = slices.Clone(s.history[i:])
	s.compacted = max(s.compacted, rev)
	return nil
}

// Campaign implements store.Store.
func (s *Store) Campaign(ctx context.Context, office string) (store.Tenure, error) {
	return s.offices.Campaign(ctx, office)
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.offices.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.wake()
	}
	return nil
}
