// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/google/btree"
)

// degree of the trees. A change copies a few nodes of up to 2*degree-1 items in
// each tree that it touches, so a small degree makes changes cheap.
const degree = 16

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
	value  string
	*entry // nil comes before all that have the value
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

// content is one version of one table. All versions share most of their nodes.
// A content that was published is only read, and cloned.
type content struct {
	cloning sync.Mutex // a tree can be read, but not cloned again, while it is cloned
	rows    *btree.BTreeG[rowItem]
	indexes []*btree.BTreeG[indexItem] // indexes[0] is unused: rows is in the order of scopes
	ranges  *btree.BTreeG[rangeItem]
	aside   map[string]aside // by path, nil for nearly all tables; never changed, only replaced
}

func newContent(def *definition) *content {
	c := &content{
		rows:    btree.NewG(degree, func(a, b rowItem) bool { return a.path < b.path }),
		indexes: make([]*btree.BTreeG[indexItem], len(def.names)),
		ranges:  btree.NewG(degree, lessRange),
	}
	for i := 1; i < len(c.indexes); i++ {
		c.indexes[i] = btree.NewG(degree, lessIndexed)
	}
	return c
}

func lessIndexed(a, b indexItem) bool {
	if order := strings.Compare(a.value, b.value); order != 0 {
		return order < 0
	}
	return b.entry != nil && (a.entry == nil || a.path < b.path)
}

func lessRange(a, b rangeItem) bool {
	if order := cmp.Compare(a.index, b.index); order != 0 {
		return order < 0
	}
	return a.value < b.value
}

// clone returns a version that can be changed without changing c.
func (c *content) clone() *content {
	c.cloning.Lock()
	defer c.cloning.Unlock()
	out := &content{
		rows:    c.rows.Clone(),
		indexes: make([]*btree.BTreeG[indexItem], len(c.indexes)),
		ranges:  c.ranges.Clone(),
		aside:   c.aside,
	}
	for i := 1; i < len(c.indexes); i++ {
		out.indexes[i] = c.indexes[i].Clone()
	}
	return out
}

// get returns the entry at path, or nil.
func (c *content) get(path string) *entry {
	item, _ := c.rows.Get(rowItem{path: path})
	return item.entry
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
		item, _ = c.rows.Delete(rowItem{path: path})
	} else {
		item, _ = c.rows.ReplaceOrInsert(rowItem{path, e.entry})
	}
	old := item.placed()
	if old.entry != nil && !slices.Equal(old.places, e.places) {
		for _, p := range old.places {
			c.indexes[p.index].Delete(indexItem{p.value, old.entry})
		}
	}
	for _, p := range e.places {
		c.indexes[p.index].ReplaceOrInsert(indexItem{p.value, e.entry})
	}
	return old
}

// count adds a number to the count of each range that the row is in.
func (c *content) count(e placed, by int) {
	for p := range e.ranges {
		item := rangeItem{index: p.index, value: p.value}
		if known, ok := c.ranges.Get(item); ok {
			item = known
			item.count += by
		} else {
			item.count = c.few(p.index, p.value)
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
	item := rangeItem{index: index, value: value}
	if known, ok := c.ranges.Get(item); ok {
		return known
	}
	item.count = c.few(index, value)
	return item
}

// guard returns the revision of a range's guard.
func (c *content) guard(index int, value string) int64 {
	item, _ := c.ranges.Get(rangeItem{index: index, value: value})
	return item.guard
}

func (c *content) putRange(item rangeItem) {
	if item.count > 1 || item.guard != 0 {
		c.ranges.ReplaceOrInsert(item)
	} else if c.ranges.Has(item) {
		c.ranges.Delete(item)
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
		c.indexes[index].AscendGreaterOrEqual(indexItem{value: value}, func(item indexItem) bool {
			return item.value == value && yield(item.entry)
		})
	}
}

// scanIndex yields all entries that an index has, in the order of their values.
func (c *content) scanIndex(index int) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		c.indexes[index].Ascend(func(item indexItem) bool { return yield(item.entry) })
	}
}

// scanRows yields the entries whose path starts with prefix, in order.
func (c *content) scanRows(prefix string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		c.rows.AscendGreaterOrEqual(rowItem{path: prefix}, func(item rowItem) bool {
			return strings.HasPrefix(item.path, prefix) && yield(item.entry)
		})
	}
}
