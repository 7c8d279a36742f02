// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeIsASortedSet draws changes of trees of which copies are kept: each answer is
// that of a sorted list, and no copy changes with another one.
func TestTreeIsASortedSet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var now sortedSet
		var kept []sortedSet
		add := rapid.IntRange(0, 10).Draw(rt, "of ten changes put")
		for range rapid.IntRange(0, 400).Draw(rt, "runs") {
			from := rapid.IntRange(0, 2000).Draw(rt, "from")
			length, step := rapid.IntRange(1, 60).Draw(rt, "length"), rapid.IntRange(-3, 3).Draw(rt, "step")
			put := rapid.IntRange(0, 9).Draw(rt, "put") < add
			for i := range length {
				now.change(rt, item{from + i*step, i}, put)
			}
			if rapid.IntRange(0, 5).Draw(rt, "keep") == 0 {
				kept = append(kept, sortedSet{now.edit, now.tree, slices.Clone(now.list)})
				now.edit++
			}
		}
		for _, s := range append(kept, now) {
			s.check(rt)
		}
	})
}

type item struct{ key, value int }

func at(key int) func(item) int { return func(i item) int { return cmp.Compare(key, i.key) } }

// sortedSet is a tree and what it should have.
type sortedSet struct {
	edit int64
	tree tree[item]
	list []item
}

func (s *sortedSet) change(t *rapid.T, i item, put bool) {
	place, there := slices.BinarySearchFunc(s.list, i, func(a, b item) int { return cmp.Compare(a.key, b.key) })
	var want, got item
	var had bool
	if there {
		want = s.list[place]
	}
	if found, ok := s.tree.get(at(i.key)); ok != there || found != want {
		t.Fatalf("get %d: %v, %v, want %v, %v", i.key, found, ok, want, there)
	}
	switch {
	case put && there:
		got, had = s.tree.set(s.edit, i, at(i.key))
		s.list[place] = i
	case put:
		got, had = s.tree.set(s.edit, i, at(i.key))
		s.list = slices.Insert(s.list, place, i)
	default:
		got, had = s.tree.remove(s.edit, at(i.key))
		s.list = slices.DeleteFunc(s.list, func(in item) bool { return in.key == i.key })
	}
	if had != there || got != want {
		t.Fatalf("change %v, put %v: gave %v, %v, want %v, %v", i, put, got, had, want, there)
	}
}

func (s *sortedSet) check(t *rapid.T) {
	if got := slices.Collect(s.tree.all); !slices.Equal(got, s.list) {
		t.Fatalf("all: %v, want %v", got, s.list)
	}
	for _, from := range []int{-200, 0, 500, 1000, 5000} {
		got := slices.Collect(func(yield func(item) bool) { s.tree.from(at(from), yield) })
		first, _ := slices.BinarySearchFunc(s.list, from, func(i item, key int) int { return cmp.Compare(i.key, key) })
		if want := s.list[first:]; !slices.Equal(got, want) {
			t.Fatalf("from %d: %v, want %v", from, got, want)
		}
		for range s.tree.all { // who stops is not called again
			break
		}
	}
	if s.tree.root != nil {
		s.depth(t, s.tree.root)
	}
}

// depth checks that all leaves are equally deep, and no node is empty or too large.
func (s *sortedSet) depth(t *rapid.T, n *node[item]) int {
	if len(n.items) == 0 || len(n.items) > mostItems || n.kids != nil && len(n.kids) != len(n.items)+1 {
		t.Fatalf("a node has %d items and %d kids", len(n.items), len(n.kids))
	}
	depth := 0
	for i, kid := range n.kids {
		if d := s.depth(t, kid); i > 0 && d != depth {
			t.Fatalf("leaves at depths %d and %d", d, depth)
		} else {
			depth = d
		}
	}
	return depth + 1
}
