// SPDX-License-Identifier: Apache-2.0

package table

import "slices"

// How many items a node of a tree has at most, and at least where it is not the root
// or the last one that items were appended to. A change copies a node on each level,
// so small nodes make changes cheap, and large ones make trees cheap to hold.
const (
	mostItems  = 23
	leastItems = 8
)

// tree is a B-tree, whose copies share their nodes: who changes one makes the nodes
// on the way anew, unless it has made them itself. An edit is a number that nodes
// have which were made by it; see content.edit. Nodes are made as large as they need to
// be: there is one for ten to twenty items of some hundred thousand.
//
// Seek is how what is sought compares with an item.
type tree[T any] struct{ root *node[T] }

type node[T any] struct {
	edit  int64
	items []T
	kids  []*node[T] // one more than items; none in a leaf
}

// find gives the place of what is sought, and whether it is there.
func (n *node[T]) find(seek func(T) int) (int, bool) {
	low, high := 0, len(n.items)
	for low < high {
		middle := int(uint(low+high) / 2)
		switch order := seek(n.items[middle]); {
		case order == 0:
			return middle, true
		case order > 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, false
}

// get gives the item that is sought.
func (t tree[T]) get(seek func(T) int) (item T, ok bool) {
	for n := t.root; n != nil; {
		i, found := n.find(seek)
		if found {
			return n.items[i], true
		}
		if n.kids == nil {
			break
		}
		n = n.kids[i]
	}
	return item, false
}

// from yields the items from what is sought on, in their order.
func (t tree[T]) from(seek func(T) int, yield func(T) bool) {
	if t.root != nil {
		t.root.from(seek, yield)
	}
}

func (n *node[T]) from(seek func(T) int, yield func(T) bool) bool {
	i, found := n.find(seek)
	if n.kids != nil && !found && !n.kids[i].from(seek, yield) {
		return false
	}
	return n.rest(i, yield)
}

// all yields all items in their order.
func (t tree[T]) all(yield func(T) bool) {
	if t.root != nil {
		t.root.all(yield)
	}
}

func (n *node[T]) all(yield func(T) bool) bool {
	if n.kids != nil && !n.kids[0].all(yield) {
		return false
	}
	return n.rest(0, yield)
}

// rest yields the items from the i-th on, and what follows each.
func (n *node[T]) rest(i int, yield func(T) bool) bool {
	for ; i < len(n.items); i++ {
		if !yield(n.items[i]) || n.kids != nil && !n.kids[i+1].all(yield) {
			return false
		}
	}
	return true
}

// set puts an item, and gives the one that was sought and in its place.
func (t *tree[T]) set(edit int64, item T, seek func(T) int) (old T, had bool) {
	if t.root == nil {
		t.root = &node[T]{edit: edit, items: []T{item}}
		return old, false
	}
	t.root, old, had = t.root.set(edit, item, seek)
	if len(t.root.items) > mostItems {
		left := t.root
		middle, right := left.split(left.kids == nil && seek(left.items[mostItems]) == 0)
		t.root = &node[T]{edit: edit, items: []T{middle}, kids: []*node[T]{left, right}}
	}
	return old, had
}

func (n *node[T]) set(edit int64, item T, seek func(T) int) (_ *node[T], old T, had bool) {
	i, found := n.find(seek)
	switch {
	case found:
		n = n.own(edit, 0)
		old, n.items[i] = n.items[i], item
		return n, old, true
	case n.kids == nil:
		n = n.own(edit, 1)
		n.items = insert(n.items, i, item)
		return n, old, false
	}
	kid, old, had := n.kids[i].set(edit, item, seek)
	n = n.own(edit, 0)
	n.kids[i] = kid
	if len(kid.items) > mostItems {
		middle, right := kid.split(i == len(n.items) && (kid.kids != nil || seek(kid.items[mostItems]) == 0))
		n.items, n.kids = insert(n.items, i, middle), insert(n.kids, i+1, right)
	}
	return n, old, had
}

// own gives a node that the edit may change: a copy, with room for more items, of one that it
// has not made.
func (n *node[T]) own(edit int64, more int) *node[T] {
	if n.edit == edit {
		return n
	}
	return &node[T]{edit: edit, items: append(make([]T, 0, len(n.items)+more), n.items...), kids: slices.Clone(n.kids)}
}

// insert is slices.Insert with less room for more.
func insert[E any](list []E, i int, e E) []E {
	if len(list) == cap(list) {
		list = append(make([]E, 0, len(list)+4), list...)
	}
	return slices.Insert(list, i, e)
}

// split moves the items behind one of a node that has too many into another one:
// half of them, or the last one alone when items are appended, which then are where
// no more will come.
func (n *node[T]) split(appended bool) (middle T, right *node[T]) {
	at := len(n.items) / 2
	if appended {
		at = len(n.items) - 2
	}
	middle, right = n.items[at], &node[T]{edit: n.edit, items: slices.Clone(n.items[at+1:])}
	n.items = slices.Clone(n.items[:at])
	if n.kids != nil {
		right.kids = slices.Clone(n.kids[at+1:])
		n.kids = slices.Clone(n.kids[:at+1])
	}
	return middle, right
}

// remove removes the item that is sought, and gives it.
func (t *tree[T]) remove(edit int64, seek func(T) int) (old T, had bool) {
	if t.root == nil {
		return old, false
	}
	t.root, old, had = t.root.remove(edit, seek)
	switch root := t.root; {
	case len(root.items) > 0:
	case root.kids == nil:
		t.root = nil
	default:
		t.root = root.kids[0]
	}
	return old, had
}

func (n *node[T]) remove(edit int64, seek func(T) int) (_ *node[T], old T, had bool) {
	i, found := n.find(seek)
	switch {
	case n.kids == nil && !found:
		return n, old, false
	case n.kids == nil:
		n = n.own(edit, 0)
		old = n.items[i]
		n.items = slices.Delete(n.items, i, i+1)
		return n, old, true
	case found:
		n = n.own(edit, 0)
		old = n.items[i]
		n.kids[i], n.items[i] = n.kids[i].removeLast(edit)
	default:
		kid, was, had := n.kids[i].remove(edit, seek)
		if !had {
			return n, old, false
		}
		n, old = n.own(edit, 0), was
		n.kids[i] = kid
	}
	n.mend(edit, i)
	return n, old, true
}

// removeLast removes the last item, and gives it.
func (n *node[T]) removeLast(edit int64) (_ *node[T], old T) {
	n = n.own(edit, 0)
	last := len(n.items) - 1
	if n.kids == nil {
		old = n.items[last]
		n.items = slices.Delete(n.items, last, last+1)
		return n, old
	}
	n.kids[last+1], old = n.kids[last+1].removeLast(edit)
	n.mend(edit, last+1)
	return n, old
}

// mend joins the i-th kid, when it has too few items, with one beside it, or shares
// the items of both among them when they are too many for one.
func (n *node[T]) mend(edit int64, i int) {
	if len(n.kids[i].items) >= leastItems {
		return
	}
	i = min(i, len(n.items)-1)
	left, right := n.kids[i], n.kids[i+1]
	both := &node[T]{edit: edit, items: slices.Concat(left.items, n.items[i:i+1], right.items)}
	if left.kids != nil {
		both.kids = slices.Concat(left.kids, right.kids)
	}
	n.kids[i] = both
	if len(both.items) <= mostItems {
		n.items, n.kids = slices.Delete(n.items, i, i+1), slices.Delete(n.kids, i+1, i+2)
	} else {
		n.items[i], n.kids[i+1] = both.split(false)
	}
}
