// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"unsafe"
)

// trie is a map from texts to what has them as its key, which never changes: put and
// remove give another one, which shares all but the way to the change. It is a hash
// trie with up to 64 branches at each step. The zero trie is empty.
type trie[V keyed] struct {
	root *branch[V]
	n    int
}

type keyed interface {
	comparable
	key() string
}

// edit marks what one change made: it may be changed in place until the change is
// done, since nobody else has seen it.
type edit struct{ _ byte }

type branch[V keyed] struct {
	by   *edit
	full uint64 // which slots there are
	// slots are in the order of their bits. At the last step they are a list.
	slots []slot[V]
}

// slot is a value or a branch further down.
type slot[V keyed] struct {
	value V
	down  *branch[V]
}

const (
	step = 6
	last = 60 // the step at which no more bits of the hash are left to tell keys apart
)

// seed is the same for all tries of a process: values move between them.
var seed = maphash.MakeSeed()

func (t trie[V]) len() int { return t.n }

// get finds a value; there is none if it is the zero one.
func (t trie[V]) get(key []byte) V { return t.text(unsafe.String(unsafe.SliceData(key), len(key))) } // find does not keep it

// text finds a value too.
func (t trie[V]) text(key string) V { return t.find(maphash.String(seed, key), key) }

func (t trie[V]) find(hash uint64, key string) (none V) {
	b := t.root
	for shift := 0; b != nil; shift += step {
		if shift >= last {
			for _, s := range b.slots {
				if s.value.key() == key {
					return s.value
				}
			}
			return none
		}
		bit := uint64(1) << (hash >> shift & (1<<step - 1))
		if b.full&bit == 0 {
			return none
		}
		s := &b.slots[bits.OnesCount64(b.full&(bit-1))]
		if s.down == nil {
			if s.value.key() == key {
				return s.value
			}
			return none
		}
		b = s.down
	}
	return none
}

// put gives the trie with v, in place of what has the same key.
func (t trie[V]) put(by *edit, v V) trie[V] {
	root, added := t.root.put(by, maphash.String(seed, v.key()), 0, v)
	if added {
		t.n++
	}
	t.root = root
	return t
}

// own is the branch, or a copy that may be changed.
func (b *branch[V]) own(by *edit) *branch[V] {
	if b == nil {
		return &branch[V]{by: by}
	}
	if b.by == by {
		return b
	}
	return &branch[V]{by: by, full: b.full, slots: append(make([]slot[V], 0, len(b.slots)+1), b.slots...)}
}

func (b *branch[V]) put(by *edit, hash uint64, shift int, v V) (_ *branch[V], added bool) {
	b = b.own(by)
	if shift >= last {
		for i := range b.slots {
			if b.slots[i].value.key() == v.key() {
				b.slots[i].value = v
				return b, false
			}
		}
		b.slots = append(b.slots, slot[V]{value: v})
		return b, true
	}
	bit := uint64(1) << (hash >> shift & (1<<step - 1))
	i := bits.OnesCount64(b.full & (bit - 1))
	if b.full&bit == 0 {
		b.full |= bit
		b.slots = append(b.slots, slot[V]{})
		copy(b.slots[i+1:], b.slots[i:])
		b.slots[i] = slot[V]{value: v}
		return b, true
	}
	s := &b.slots[i]
	if s.down == nil {
		if s.value.key() == v.key() {
			s.value = v
			return b, false
		}
		down, _ := (*branch[V])(nil).put(by, maphash.String(seed, s.value.key()), shift+step, s.value)
		*s = slot[V]{down: down}
	}
	s.down, added = s.down.put(by, hash, shift+step, v)
	return b, added
}

// remove gives the trie without a key.
func (t trie[V]) remove(by *edit, key string) trie[V] {
	var none V
	if t.text(key) == none {
		return t
	}
	t.root = t.root.remove(by, maphash.String(seed, key), 0, key)
	t.n--
	return t
}

// remove takes away a key that is there; nil is a branch with nothing left.
func (b *branch[V]) remove(by *edit, hash uint64, shift int, key string) *branch[V] {
	b = b.own(by)
	i, bit := 0, uint64(0)
	if shift >= last {
		for b.slots[i].value.key() != key {
			i++
		}
	} else {
		bit = 1 << (hash >> shift & (1<<step - 1))
		i = bits.OnesCount64(b.full & (bit - 1))
	}
	if s := &b.slots[i]; s.down != nil {
		if s.down = s.down.remove(by, hash, shift+step, key); s.down != nil {
			if only := s.down.slots; len(only) == 1 && only[0].down == nil {
				*s = only[0]
			}
			return b
		}
	}
	b.full &^= bit
	copy(b.slots[i:], b.slots[i+1:])
	b.slots[len(b.slots)-1] = slot[V]{}
	b.slots = b.slots[:len(b.slots)-1]
	if len(b.slots) == 0 {
		return nil
	}
	return b
}

// all lists the values in no order.
func (t trie[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) { t.root.each(yield) }
}

func (b *branch[V]) each(yield func(V) bool) bool {
	if b == nil {
		return true
	}
	for _, s := range b.slots {
		if s.down != nil {
			if !s.down.each(yield) {
				return false
			}
		} else if !yield(s.value) {
			return false
		}
	}
	return true
}
