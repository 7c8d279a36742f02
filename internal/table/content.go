// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// entry is one row in memory. It never changes. There are tens of thousands of
// them, so it holds nothing that the row can tell.
type entry struct {
	def  *definition
	path string
	row  Row
	rest *rest // of the stored row; nil for nearly all
	rev  int64 // revision of the row's last change
}

// placed is an entry with what only those need to know who write it: its places in
// the indexes but that of scopes, sorted and without repetition. An entry may be nil.
type placed struct {
	*entry
	places []place
}

// placed finds the places of an entry.
func (e *entry) placed() placed {
	if e == nil {
		return placed{}
	}
	return placed{e, e.def.places(e.row, nil)}
}

// place is where an index has a row.
type place struct {
	value string
	index int
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.index, other.index), strings.Compare(p.value, other.value))
}

func (e *entry) key() Key { return e.def.key(e.row) }

// scope is the value of the index of scopes, the path without the id.
func (e *entry) scope() string { return e.path[:strings.LastIndexByte(e.path, '/')] }

// ranges yields the places of the row that have guards, with that in the scope.
func (e placed) ranges(yield func(place) bool) {
	if e.entry == nil || !yield(place{e.scope(), 0}) {
		return
	}
	for _, p := range e.places {
		if !e.def.unguarded[p.index] && !yield(p) {
			return
		}
	}
}

// rowItem, indexItem and rangeItem are what the trees of a table hold.
type rowItem struct {
	path string
	*entry
}

type indexItem struct {
	value string
	*entry
}

// rangeItem is what is known of one range: how many rows it has and the
// revision of its guard in the store, zero when there is none. Ranges of less than
// two rows that have no guard have no item: nearly all values have one row.
type rangeItem struct {
	index int
	value string
	count int
	guard int64
}

// Where what is sought comes in a tree.
func atPath(path string) func(rowItem) int {
	return func(item rowItem) int { return strings.Compare(path, item.path) }
}

func atPlace(value, path string) func(indexItem) int {
	return func(item indexItem) int {
		if order := strings.Compare(value, item.value); order != 0 {
			return order
		}
		return strings.Compare(path, item.path)
	}
}

func atRange(index int, value string) func(rangeItem) int {
	return func(item rangeItem) int {
		if order := cmp.Compare(index, item.index); order != 0 {
			return order
		}
		return strings.Compare(value, item.value)
	}
}

// content is one version of one table. All versions share most of their nodes.
// A content that was published is only read, and cloned.
type content struct {
	// edit is more than that of all nodes which others have too.
	edit    int64
	rows    tree[rowItem]
	indexes []tree[indexItem] // indexes[0] is unused: rows is in the order of scopes
	ranges  tree[rangeItem]
	aside   map[string]aside // by path, nil for nearly all tables; never changed, only replaced
}

func newContent(def *definition) *content {
	return &content{indexes: make([]tree[indexItem], len(def.names))}
}

// clone returns a version that can be changed without changing c, which itself must not
// be changed any more.
func (c *content) clone() *content {
	out := *c
	out.indexes = slices.Clone(c.indexes)
	out.edit++
	return &out
}

// kept returns what c is now, whatever is changed in it later. It must not be changed.
func (c *content) kept() *content {
	out := *c
	out.indexes = slices.Clone(c.indexes)
	c.edit++
	return &out
}

// get returns the entry at path, or nil. Nothing is asked for as often, so it goes
// through the tree without a function that compares; it keeps nothing of path.
func (c *content) get(path string) *entry {
	for n := c.rows.root; n != nil; {
		low, high := 0, len(n.items)
		for low < high {
			if middle := int(uint(low+high) / 2); n.items[middle].path < path {
				low = middle + 1
			} else {
				high = middle
			}
		}
		if low < len(n.items) && n.items[low].path == path {
			return n.items[low].entry
		}
		if n.kids == nil {
			break
		}
		n = n.kids[low]
	}
	return nil
}

// set puts an entry at path, or removes what is there when it is nil, and returns
// what was there before.
func (c *content) set(path string, e placed) *entry {
	old := c.setRow(path, e)
	if old.entry != nil && e.entry != nil && slices.Equal(old.places, e.places) {
		return old.entry
	}
	c.count(old, -1)
	c.count(e, 1)
	return old.entry
}

// setRow is set without the counts of ranges.
func (c *content) setRow(path string, e placed) placed {
	var item rowItem
	if e.entry == nil {
		item, _ = c.rows.remove(c.edit, atPath(path))
	} else {
		item, _ = c.rows.set(c.edit, rowItem{path, e.entry}, atPath(path))
	}
	old := item.placed()
	if old.entry != nil && !slices.Equal(old.places, e.places) {
		for _, p := range old.places {
			c.indexes[p.index].remove(c.edit, atPlace(p.value, path))
		}
	}
	for _, p := range e.places {
		c.indexes[p.index].set(c.edit, indexItem{p.value, e.entry}, atPlace(p.value, path))
	}
	return old
}

// count adds a number to the count of each range that the row is in.
func (c *content) count(e placed, by int) {
	for p := range e.ranges {
		item, known := c.ranges.get(atRange(p.index, p.value))
		if item.count += by; !known {
			item = rangeItem{index: p.index, value: p.value, count: c.few(p.index, p.value)}
		}
		c.putRange(item)
	}
}

// few counts the rows of a range, up to two.
func (c *content) few(index int, value string) (n int) {
	for range c.scan(index, value) {
		if n++; n == 2 {
			break
		}
	}
	return n
}

// lookupRange returns what is known of a range.
func (c *content) lookupRange(index int, value string) rangeItem {
	if item, known := c.ranges.get(atRange(index, value)); known {
		return item
	}
	return rangeItem{index: index, value: value, count: c.few(index, value)}
}

// guard returns the revision of a range's guard.
func (c *content) guard(index int, value string) int64 {
	item, _ := c.ranges.get(atRange(index, value))
	return item.guard
}

func (c *content) putRange(item rangeItem) {
	if item.count > 1 || item.guard != 0 {
		c.ranges.set(c.edit, item, atRange(item.index, item.value))
	} else {
		c.ranges.remove(c.edit, atRange(item.index, item.value))
	}
}

// setGuard notes the revision of a range's guard in the store.
func (c *content) setGuard(index int, value string, rev int64) {
	item := c.lookupRange(index, value)
	item.guard = rev
	c.putRange(item)
}

// scan yields the entries of a range in the order of their paths.
func (c *content) scan(index int, value string) iter.Seq[*entry] {
	if index == 0 {
		return c.scanRows(value + "/")
	}
	return func(yield func(*entry) bool) {
		c.indexes[index].from(atPlace(value, ""), func(item indexItem) bool {
			return item.value == value && yield(item.entry)
		})
	}
}

// scanIndex yields all entries that an index has, in the order of their values.
func (c *content) scanIndex(index int) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		c.indexes[index].all(func(item indexItem) bool { return yield(item.entry) })
	}
}

// scanRows yields the entries whose path starts with prefix, in order.
func (c *content) scanRows(prefix string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		c.rows.from(atPath(prefix), func(item rowItem) bool {
			return strings.HasPrefix(item.path, prefix) && yield(item.entry)
		})
	}
}
