// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

func TestTriesAreMaps(t *testing.T) {
	keys := make([]text, 500)
	for i := range keys {
		keys[i] = text(fmt.Sprint(i))
	}
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			trie trie[text]
			want map[text]bool
		}
		versions := []version{{want: map[text]bool{}}}
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			last := versions[len(versions)-1]
			next, by := version{last.trie, maps.Clone(last.want)}, &edit{}
			for _, k := range rapid.SliceOf(rapid.SampledFrom(keys)).Draw(t, "put") {
				next.trie, next.want[k] = next.trie.put(by, k), true
			}
			for _, k := range rapid.SliceOf(rapid.SampledFrom(keys)).Draw(t, "remove") {
				next.trie = next.trie.remove(by, string(k))
				delete(next.want, k)
			}
			versions = append(versions, next)
		}
		for i, v := range versions {
			got := map[text]bool{}
			for k := range v.trie.all() {
				got[k] = true
			}
			if !maps.Equal(got, v.want) || v.trie.len() != len(got) {
				t.Fatalf("version %d has %v and says %d, want %v", i, got, v.trie.len(), v.want)
			}
			for _, k := range keys {
				if (v.trie.get([]byte(k)) == k) != v.want[k] {
					t.Fatalf("version %d has %s: %v", i, k, !v.want[k])
				}
			}
		}
	})
}

// Keys whose hashes are the same to the last bit are told apart too.
func TestTriesTellKeysOfOneHashApart(t *testing.T) {
	var b *branch[text]
	for _, k := range []text{"a", "b", "c", "b"} {
		b, _ = b.put(&edit{}, 7, last, k)
	}
	old := b
	b = b.remove(&edit{}, 7, last, "a")
	for _, c := range []struct {
		branch *branch[text]
		want   string
	}{{old, "[{a <nil>} {b <nil>} {c <nil>}]"}, {b, "[{b <nil>} {c <nil>}]"}} {
		if got := fmt.Sprint(c.branch.slots); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if b = b.remove(&edit{}, 7, last, "b").remove(&edit{}, 7, last, "c"); b != nil {
		t.Errorf("left over: %v", b.slots)
	}
}
