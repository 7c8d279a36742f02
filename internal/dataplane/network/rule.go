// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// The kernel asks its rules one by one (ip-rule(8)), so those of tables are a tree: at
// each step a bit of the mark decides whether to go on or to go to a later rule. A
// packet of one of 200 tables meets about a dozen rules, and one without a mark one.
//
// Every rule has a preference of its own, which its place in the tree of all numbers
// gives, so that what it says never depends on which others there are: a table that
// comes or goes changes the few rules of its own way.
//
//	1000          no mark: to the end
//	1001…21480    the tree; at a table's leaf: before, main without its default routes, behind
//	30000         the end: the main table
const (
	treeBase = 1001
	treeEnd  = 30000
	treeBits = 12 // of desired.MaxTable
	// leafRules are the rules of a table: three that look up and one that ends.
	leafRules = 4

	markMask = desired.MaxTable << markShift
)

// branchRules is how many rules a part of the tree has room for, of numbers that have
// that many bits in common with no other part.
func branchRules(bits int) int {
	if bits == 0 {
		return leafRules
	}
	return 1 + 2*branchRules(bits-1)
}

// placeOf is the preference where the part of the tree begins that has the numbers
// from one on, of that many bits.
func placeOf(first, bits int) int {
	at, low := treeBase, 0
	for level := treeBits; level > bits; level-- {
		at++
		if half := 1 << (level - 1); first >= low+half {
			at += branchRules(level - 1)
			low += half
		}
	}
	return at
}

// treeOf are the rules for tables of one family, by their preferences.
func treeOf(family int, numbers []int) map[int]netlink.Rule {
	rules := map[int]netlink.Rule{}
	if len(numbers) == 0 {
		return rules
	}
	zero := ruleAt(family, treeBase-1)
	zero.Mask, zero.Goto = new(uint32(markMask)), treeEnd
	rules[zero.Priority] = zero
	end := ruleAt(family, treeEnd)
	end.Table = unix.RT_TABLE_MAIN
	rules[end.Priority] = end
	grow(rules, family, slices.Sorted(slices.Values(numbers)), 0, treeBits, false)
	return rules
}

// grow adds the part of the tree with the numbers from one on, which are sorted, and
// reports whether there are any. A part that others go to has its first rule in any case.
func grow(rules map[int]netlink.Rule, family int, numbers []int, first, bits int, reached bool) bool {
	if i, _ := slices.BinarySearch(numbers, first); i == len(numbers) || numbers[i] >= first+1<<bits {
		return false
	}
	at := placeOf(first, bits)
	if bits == 0 {
		leaf(rules, family, at, first)
		return true
	}
	half := 1 << (bits - 1)
	left := grow(rules, family, numbers, first, bits-1, false)
	right := grow(rules, family, numbers, first+half, bits-1, true)
	if right || reached && left {
		r := ruleAt(family, at)
		r.Mark, r.Mask, r.Goto = TableMark(half), new(TableMark(half)), placeOf(first+half, bits-1)
		rules[at] = r
	}
	return left || right
}

// leaf adds the rules of a table.
func leaf(rules map[int]netlink.Rule, family, at, number int) {
	for i, table := range []int{beforeBase + number, unix.RT_TABLE_MAIN, behindBase + number} {
		r := ruleAt(family, at+i)
		r.Mark, r.Mask, r.Table = TableMark(number), new(^uint32(0)), table
		if table == unix.RT_TABLE_MAIN {
			r.SuppressPrefixlen = 0
		}
		rules[at+i] = r
	}
	last := ruleAt(family, at+leafRules-1)
	last.Goto = treeEnd
	rules[last.Priority] = last
}

func ruleAt(family, preference int) netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Protocol = family, preference, uint8(Protocol)
	return *r
}

// said is what matters of a rule.
type said struct {
	table, target, suppress int
	mark, mask              uint32
}

func sayOf(r netlink.Rule) said {
	s := said{table: max(r.Table, 0), target: max(r.Goto, 0), suppress: r.SuppressPrefixlen, mark: r.Mark}
	if r.Mask != nil {
		s.mask = *r.Mask
	}
	if s.target != 0 {
		s.table = 0
	}
	return s
}

// setRules makes the rules those of the tables that are wanted and of those that there
// are rules of already, but for some.
func (r *Router) setRules(without ...int) error {
	for _, family := range ruleFamilies() {
		have, err := r.rules(family)
		if err != nil {
			return err
		}
		numbers := map[int]bool{}
		for _, e := range have {
			if e.Table > beforeBase && !slices.Contains(without, numberOf(e.Table)) {
				numbers[numberOf(e.Table)] = true
			}
		}
		for n, t := range r.tables {
			delete(numbers, n)
			if slices.ContainsFunc(t.Routes, func(e desired.TableRoute) bool { return familyOf(e.Prefix.Addr()) == family }) {
				numbers[n] = true
			}
		}
		if err := r.writeRules(have, treeOf(family, slices.Sorted(maps.Keys(numbers)))); err != nil {
			return err
		}
	}
	return nil
}

func ruleFamilies() []int {
	if !hasIPv6() {
		return []int{netlink.FAMILY_V4}
	}
	return []int{netlink.FAMILY_V4, netlink.FAMILY_V6}
}

// numbersOf are the tables that have routes of a family.
func numbersOf(list steps, family int) []int {
	found := map[int]bool{}
	for table, routes := range list {
		for e := range routes {
			if familyOf(e.prefix.Addr()) == family {
				found[numberOf(table)] = true
				break
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// numberOf is the number of the table that one of the kernel's belongs to.
func numberOf(table int) int {
	if table > behindBase {
		return table - behindBase
	}
	return table - beforeBase
}

// writeRules adds what is missing from the end of the list on, so that what a rule
// goes to is there before it, and takes away what is not wanted from its begin on.
func (r *Router) writeRules(have []netlink.Rule, want map[int]netlink.Rule) error {
	there := map[int]bool{}
	for _, e := range have {
		w, ok := want[e.Priority]
		if ok && !there[e.Priority] && sayOf(w) == sayOf(e) {
			there[e.Priority] = true
		}
	}
	preferences := slices.Sorted(maps.Keys(want))
	slices.Reverse(preferences)
	for _, at := range preferences {
		rule := want[at]
		if there[at] {
			continue
		}
		if err := retry(func() error { return r.handle.RuleAdd(&rule) }); err != nil {
			return fmt.Errorf("add rule %d: %w", at, err)
		}
	}
	kept := map[int]bool{}
	for _, e := range have {
		if w, ok := want[e.Priority]; ok && !kept[e.Priority] && sayOf(w) == sayOf(e) {
			kept[e.Priority] = true
			continue
		}
		if err := absent(retry(func() error { return r.handle.RuleDel(&e) })); err != nil {
			return fmt.Errorf("delete rule %d: %w", e.Priority, err)
		}
	}
	return nil
}

// rules lists the rules of ours of a family, in their order.
func (r *Router) rules(family int) ([]netlink.Rule, error) {
	list, err := fetch(func() ([]netlink.Rule, error) { return r.handle.RuleList(family) })
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	list = slices.DeleteFunc(list, func(e netlink.Rule) bool { return e.Protocol != uint8(Protocol) })
	for i := range list {
		list[i].Family = family
	}
	return list, nil
}

// ledByRules tells of each table whether all the rules on the way to it are there, and
// no other ones. Tables that there are rules of and no routes are told of too.
func (v view) ledByRules(list steps) (map[int]bool, error) {
	led := map[int]bool{}
	for _, family := range ruleFamilies() {
		have, err := v.rules(family)
		if err != nil {
			return nil, err
		}
		numbers := numbersOf(list, family)
		want := treeOf(family, numbers)
		whole := len(have) == len(want)
		for _, e := range have {
			w, ok := want[e.Priority]
			whole = whole && ok && sayOf(w) == sayOf(e)
			if n := numberOf(e.Table); e.Table > beforeBase && !slices.Contains(numbers, n) {
				led[n] = false
			}
		}
		for _, n := range numbers {
			before, known := led[n]
			led[n] = whole && (before || !known)
		}
	}
	return led, nil
}
