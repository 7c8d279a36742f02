// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/store"
)

func testReadAndWrite(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	if _, ok, err := s.Get(ctx, base+"a"); ok || err != nil {
		t.Errorf("absent key: %v, %v", ok, err)
	}
	before := revision(t, s)
	rev := put(t, s, "a", "1", "b", "")
	if rev <= before || revision(t, s) != rev {
		t.Errorf("revisions: before %d, commit %d, after %d", before, rev, revision(t, s))
	}
	kv, ok, err := s.Get(ctx, base+"a")
	if err != nil || !ok || kv.Key != base+"a" || string(kv.Value) != "1" || kv.ModRevision != rev {
		t.Errorf("key is %+v, %v, %v; revision %d", kv, ok, err, rev)
	}
	next := put(t, s, "a", "2")
	equal(t, "values", values(t, s), map[string]string{"a": "2", "b": ""})
	kv, _, _ = s.Get(ctx, base+"b")
	if next != rev+1 || kv.ModRevision != rev {
		t.Errorf("revision %d follows %d, unchanged key is at %d", next, rev, kv.ModRevision)
	}
}

func testRange(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	const many = 4500 // more than a page of etcdstore
	want := make([]string, many)
	for i := 0; i < many; i += 100 {
		var txn store.Txn
		for j := range 100 {
			want[i+j] = fmt.Sprintf("%sin/%04d", base, i+j)
			txn.Put = append(txn.Put, store.KeyValue{Key: want[i+j]})
		}
		commit(t, s, txn)
	}
	rev := put(t, s, "in", "before", "in0", "after", "im/", "before")
	keys, at, err := s.Range(ctx, base+"in/")
	if err != nil || at != rev {
		t.Fatalf("range at %d, want %d: %v", at, rev, err)
	}
	var got []string
	for _, kv := range keys {
		got = append(got, kv.Key)
	}
	equal(t, "keys", got, want)
	everything, _, err := s.Range(ctx, "")
	if err != nil || len(everything) < many+3 {
		t.Errorf("empty prefix gives %d keys, %v", len(everything), err)
	}
}

func testCompare(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	first := put(t, s, "a", "1")
	cases := []struct {
		name string
		when []store.Compare
		want bool
	}{
		{"absent is absent", []store.Compare{{Key: base + "x"}}, true},
		{"present is not absent", []store.Compare{{Key: base + "a"}}, false},
		{"same revision", []store.Compare{{Key: base + "a", ModRevision: first}}, true},
		{"other revision", []store.Compare{{Key: base + "a", ModRevision: first - 1}}, false},
		{"absent is not present", []store.Compare{{Key: base + "x", ModRevision: first}}, false},
		{"all must hold", []store.Compare{{Key: base + "x"}, {Key: base + "a"}}, false},
	}
	for _, c := range cases {
		before := revision(t, s)
		txn := store.Txn{Compare: c.when}
		rev, ok, err := s.Commit(ctx, txn)
		if err != nil || ok != c.want || rev != before {
			t.Errorf("%s, only checked: %v at %d, %v; want %v at %d", c.name, ok, rev, err, c.want, before)
		}
		txn.Put = []store.KeyValue{{Key: base + "result", Value: []byte(c.name)}}
		rev, ok, err = s.Commit(ctx, txn)
		if err != nil || ok != c.want || ok != (rev == before+1) {
			t.Errorf("%s: %v at %d after %d, %v; want %v", c.name, ok, rev, before, err, c.want)
		}
		if got := values(t, s)["result"]; (got == c.name) != c.want {
			t.Errorf("%s: result is %q", c.name, got)
		}
	}
}

func testDeleteAbsent(t *testing.T, target Target) {
	s := target.Open(t)
	rev := put(t, s, "a", "1", "b", "2")
	if got := commit(t, s, store.Txn{Delete: []string{base + "x"}}); got != rev {
		t.Errorf("delete of an absent key made revision %d of %d", got, rev)
	}
	if got := commit(t, s, store.Txn{Delete: []string{base + "a", base + "x"}}); got != rev+1 {
		t.Errorf("delete made revision %d of %d", got, rev)
	}
	equal(t, "values", values(t, s), map[string]string{"b": "2"})
}

func testChangedTwice(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	before := revision(t, s)
	a := store.KeyValue{Key: base + "a"}
	for _, txn := range []store.Txn{
		{Put: []store.KeyValue{a, a}},
		{Put: []store.KeyValue{a}, Delete: []string{a.Key}},
	} {
		if _, ok, err := s.Commit(ctx, txn); ok || err == nil {
			t.Errorf("%+v: %v, %v", txn, ok, err)
		}
	}
	if after := revision(t, s); after != before {
		t.Errorf("revision went from %d to %d", before, after)
	}
}

// testMaxOps commits as much as the store says that it takes for sure.
func testMaxOps(t *testing.T, target Target) {
	s := target.Open(t)
	var many store.Txn
	for i := range s.MaxOps() {
		many.Compare = append(many.Compare, store.Compare{Key: fmt.Sprint(base, i)})
		many.Put = append(many.Put, store.KeyValue{Key: fmt.Sprint(base, i)})
	}
	commit(t, s, many)
}

func testTooLarge(t *testing.T, target Target) {
	if target.MaxOps == 0 {
		t.Skip("this store takes transactions of any size")
	}
	s, ctx := target.Open(t), deadline(t)
	var many store.Txn
	for i := range target.MaxOps + 1 {
		many.Put = append(many.Put, store.KeyValue{Key: fmt.Sprint(base, i)})
	}
	_, _, err := s.Commit(ctx, many)
	wantError(t, "too many changes", err, store.ErrTooLarge)
	huge := store.Txn{Put: []store.KeyValue{{Key: base + "huge", Value: make([]byte, 4<<20)}}}
	_, _, err = s.Commit(ctx, huge)
	wantError(t, "too many bytes", err, store.ErrTooLarge)
	many.Put = many.Put[:target.MaxOps]
	commit(t, s, many)
}

func testContext(t *testing.T, target Target) {
	s := target.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Get(ctx, base+"a")
	wantError(t, "get", err, context.Canceled)
	_, _, err = s.Range(ctx, base)
	wantError(t, "range", err, context.Canceled)
	_, err = s.Revision(ctx)
	wantError(t, "revision", err, context.Canceled)
	_, _, err = s.Commit(ctx, store.Txn{Put: []store.KeyValue{{Key: base + "a"}}})
	wantError(t, "commit", err, context.Canceled)
}

func testClosed(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	put(t, s, "a", "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	_, _, err := s.Get(ctx, base+"a")
	wantError(t, "get", err, store.ErrClosed)
	_, _, err = s.Range(ctx, base)
	wantError(t, "range", err, store.ErrClosed)
	_, err = s.Revision(ctx)
	wantError(t, "revision", err, store.ErrClosed)
	_, _, err = s.Commit(ctx, store.Txn{Put: []store.KeyValue{{Key: base + "a"}}})
	wantError(t, "commit", err, store.ErrClosed)
}

func testSnapshot(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	for i := range 120 {
		put(t, s, fmt.Sprint("k", i), strings.Repeat("v\n\x00\xff", i))
	}
	want := values(t, s)
	var snapshot bytes.Buffer
	if err := store.WriteSnapshot(ctx, s, base, map[string]string{"made": "here"}, &snapshot); err != nil {
		t.Fatal(err)
	}
	whole := snapshot.Bytes()
	snap, err := store.ReadSnapshot(bytes.NewReader(whole))
	if err != nil || string(snap.About) != `{"made":"here"}` {
		t.Fatalf("read a snapshot: %v, about %s", err, snap.About)
	}
	wantError(t, "restore over keys", snap.Restore(ctx, s, base), store.ErrNotEmpty)

	for _, cut := range []int{0, 10, len(whole) / 2, len(whole) - 1} {
		if _, err := store.ReadSnapshot(bytes.NewReader(whole[:cut])); err == nil {
			t.Errorf("a snapshot of %d of %d bytes was read", cut, len(whole))
		}
	}
	for at := range whole {
		damaged := bytes.Clone(whole)
		if damaged[at] ^= 1; at%97 == 0 || at > len(whole)-90 {
			if _, err := store.ReadSnapshot(bytes.NewReader(damaged)); err == nil {
				t.Errorf("a snapshot with byte %d changed was read", at)
			}
		}
	}
	if _, err := store.ReadSnapshot(bytes.NewReader(append(bytes.Clone(whole), "{}\n"...))); err == nil {
		t.Error("a snapshot with something behind it was read")
	}
	into := target.Open(t)
	if err := snap.Restore(ctx, into, base); err != nil {
		t.Fatal(err)
	}
	equal(t, "restored values", values(t, into), want)
}
