// SPDX-License-Identifier: Apache-2.0

package plan

import "slices"

// number names a unit, or an entry, within a plan: in half the memory of a pointer,
// and in memory that has no pointers. Zero names none.
type number uint32

// numbered is things by their numbers.
type numbered[T any] struct {
	all  []T // the first one is none
	free []number
}

func (n *numbered[T]) at(i number) T { return n.all[i] }

// add gives a thing a number, also one that another one had.
func (n *numbered[T]) add(thing T) number {
	if last := len(n.free) - 1; last >= 0 {
		i := n.free[last]
		n.free, n.all[i] = n.free[:last], thing
		return i
	}
	if n.all == nil {
		n.all = make([]T, 1)
	}
	n.all = append(n.all, thing)
	return number(len(n.all) - 1)
}

func (n *numbered[T]) remove(i number) {
	clear(n.all[i : i+1])
	n.free = append(n.free, i)
}

// set is a set of units: none, the number of one, or the number of a crowd. Most have
// one member, some have all.
type set number

const isCrowd set = 1 << 31

func (s set) empty() bool { return s == 0 }

// sets keeps the crowds: sorted numbers of units, at least two.
type sets struct{ crowds numbered[[]number] }

// crowd is the members of a set that has several.
func (c *sets) crowd(s set) []number { return c.crowds.at(number(s &^ isCrowd)) }

// each calls yield with each member.
func (c *sets) each(s set, yield func(number)) {
	switch {
	case s == 0:
	case s&isCrowd == 0:
		yield(number(s))
	default:
		for _, n := range c.crowd(s) {
			yield(n)
		}
	}
}

func (c *sets) has(s set, n number) bool {
	if s&isCrowd == 0 {
		return s == set(n)
	}
	_, among := slices.BinarySearch(c.crowd(s), n)
	return among
}

// with gives the set with one more member.
func (c *sets) with(s set, n number) set {
	switch {
	case s == 0:
		return set(n)
	case c.has(s, n):
	case s&isCrowd == 0:
		return set(c.crowds.add([]number{min(number(s), n), max(number(s), n)})) | isCrowd
	default:
		crowd := c.crowd(s)
		i, _ := slices.BinarySearch(crowd, n)
		c.crowds.all[s&^isCrowd] = slices.Insert(crowd, i, n)
	}
	return s
}

// without gives the set without a member, if it was one.
func (c *sets) without(s set, n number) set {
	switch {
	case !c.has(s, n):
		return s
	case s&isCrowd == 0:
		return 0
	}
	crowd := c.crowd(s)
	i, _ := slices.BinarySearch(crowd, n)
	if crowd = slices.Delete(crowd, i, i+1); len(crowd) == 1 {
		c.crowds.remove(number(s &^ isCrowd))
		return set(crowd[0])
	}
	c.crowds.all[s&^isCrowd] = crowd
	return s
}
