// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/posternhq/postern/internal/store"
)

// show renders a batch with its events in the order of their keys.
func show(batch store.Batch) string {
	var events []string
	for _, e := range batch.Events {
		value := "=" + string(e.Value)
		if e.Deleted {
			value = " deleted"
		}
		events = append(events, strings.TrimPrefix(e.Key, base)+value)
	}
	slices.Sort(events)
	return fmt.Sprintf("%d: %s", batch.Rev, strings.Join(events, ", "))
}

// watch returns the first n batches from a revision on.
func watch(t *testing.T, s store.Store, from int64, n int) []string {
	t.Helper()
	var got []string
	for batch, err := range s.Watch(deadline(t), base, from) {
		if err != nil {
			t.Fatalf("watch after %d of %d batches: %v", len(got), n, err)
		}
		if got = append(got, show(batch)); len(got) == n {
			break
		}
	}
	return got
}

func testWatchWhole(t *testing.T, target Target) {
	s := target.Open(t)
	from := revision(t, s) + 1
	got := make(chan []string)
	go func() { got <- watch(t, s, from, 3) }()
	a := put(t, s, "a", "1", "b", "2")
	commit(t, s, store.Txn{Put: []store.KeyValue{{Key: "/storetest-other"}}})
	b := commit(t, s, store.Txn{
		Put:    []store.KeyValue{{Key: base + "c", Value: []byte("3")}, {Key: "/storetest-other"}},
		Delete: []string{base + "a", base + "x"},
	})
	c := put(t, s, "b", "4")
	commit(t, s, store.Txn{Delete: []string{"/storetest-other"}})
	equal(t, "batches", <-got, []string{
		fmt.Sprintf("%d: a=1, b=2", a),
		fmt.Sprintf("%d: a deleted, c=3", b),
		fmt.Sprintf("%d: b=4", c),
	})
}

func testWatchHistory(t *testing.T, target Target) {
	s := target.Open(t)
	var want []string
	var revs []int64
	for i := range 50 {
		rev := put(t, s, "k", fmt.Sprint(i))
		revs = append(revs, rev)
		want = append(want, fmt.Sprintf("%d: k=%d", rev, i))
	}
	equal(t, "whole history", watch(t, s, revs[0], 50), want)
	equal(t, "half of the history", watch(t, s, revs[25], 25), want[25:])
}

func testWatchEnds(t *testing.T, target Target) {
	s := target.Open(t)
	from := put(t, s, "a", "1")
	watchUntil := func(ctx context.Context, then func()) error {
		for _, err := range s.Watch(ctx, base, from) {
			if err != nil {
				return err
			}
			then()
		}
		return errors.New("watch ended without an error")
	}
	ctx, cancel := context.WithCancel(deadline(t))
	wantError(t, "end of the context", watchUntil(ctx, cancel), context.Canceled)
	err := watchUntil(deadline(t), func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("end of the store: %v", err)
	}
}

func testCompacted(t *testing.T, target Target) {
	s := target.Open(t)
	first := put(t, s, "a", "1")
	var last int64
	for i := range 10 {
		last = put(t, s, "a", fmt.Sprint(i))
	}
	if err := target.Compact(deadline(t), s, last); err != nil {
		t.Fatal(err)
	}
	for batch, err := range s.Watch(deadline(t), base, first) {
		if wantError(t, "watch of what is forgotten", err, store.ErrCompacted); err == nil {
			t.Fatalf("watch gives %s", show(batch))
		}
	}
	equal(t, "watch of what is left", watch(t, s, last, 1), []string{fmt.Sprintf("%d: a=9", last)})
}

// testWatchComplete replays a watch beside concurrent writers, and compares
// each revision with what the writers committed, and the end with the store.
func testWatchComplete(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	const writers, writes = 6, 60
	from := revision(t, s) + 1
	var mu sync.Mutex
	committed := make(map[int64]string)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range writes {
				var txn store.Txn
				for k := range 3 {
					txn.Put = append(txn.Put, store.KeyValue{
						Key:   fmt.Sprintf("%sk%d/%d", base, random.IntN(5), k),
						Value: fmt.Appendf(nil, "%d.%d", w, i),
					})
				}
				rev := commit(t, s, txn)
				mu.Lock()
				batch := store.Batch{Rev: rev}
				for _, kv := range txn.Put {
					batch.Events = append(batch.Events, store.Event{Key: kv.Key, Value: kv.Value})
				}
				committed[rev] = show(batch)
				mu.Unlock()
			}
		})
	}
	replayed, seen := make(map[string]string), make(map[int64]string)
	last := int64(0)
	for batch, err := range s.Watch(ctx, base, from) {
		if err != nil {
			t.Fatal(err)
		}
		if batch.Rev <= last {
			t.Fatalf("revision %d after %d", batch.Rev, last)
		}
		last = batch.Rev
		seen[batch.Rev] = show(batch)
		for _, e := range batch.Events {
			replayed[strings.TrimPrefix(e.Key, base)] = string(e.Value)
		}
		if len(seen) == writers*writes {
			break
		}
	}
	group.Wait()
	equal(t, "revisions", seen, committed)
	equal(t, "replayed state", replayed, values(t, s))
}
