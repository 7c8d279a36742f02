// SPDX-License-Identifier: Apache-2.0

package network

import (
	"maps"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
)

// walk follows a mark through rules as the kernel does: it gives the tables that are
// asked in turn, and how many rules are looked at up to the last table of a number. A
// rule that goes to one that is not there goes to the next one.
func walk(rules map[int]netlink.Rule, mark uint32) (tables []int, met int) {
	least, seen := 0, 0
	for _, at := range slices.Sorted(maps.Keys(rules)) {
		r := rules[at]
		if at < least {
			continue
		}
		seen++
		switch _, there := rules[r.Goto]; {
		case r.Mask != nil && mark&*r.Mask != r.Mark:
		case r.Goto > 0:
			if there {
				least = r.Goto
			}
		default:
			tables = append(tables, r.Table)
			if met == 0 || r.Table > behindBase {
				met = seen
			}
		}
	}
	return tables, met
}

// Whatever tables there are, a mark finds the one of its number, and one that has none
// the main table alone. Every rule goes on to a later one.
func TestTheTreeFindsEachTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(1, desired.MaxTable), 0, 40, rapid.ID).Draw(t, "numbers")
		rules := treeOf(netlink.FAMILY_V4, numbers)
		for at, r := range rules {
			if r.Goto > 0 && r.Goto <= at {
				t.Fatalf("rule %d goes to %d", at, r.Goto)
			}
			if at != r.Priority || at >= 32766 {
				t.Fatalf("rule %d has the preference %d", at, r.Priority)
			}
		}
		if len(numbers) == 0 {
			if len(rules) > 0 {
				t.Fatalf("%d rules without tables", len(rules))
			}
			return
		}
		others := rapid.SliceOfN(rapid.IntRange(0, desired.MaxTable), 5, 5).Draw(t, "others")
		for _, n := range slices.Concat(numbers, others, []int{0}) {
			want := []int{unix.RT_TABLE_MAIN}
			if slices.Contains(numbers, n) {
				want = []int{beforeBase + n, unix.RT_TABLE_MAIN, behindBase + n, unix.RT_TABLE_MAIN}
			}
			if got, _ := walk(rules, TableMark(n)); !slices.Equal(got, want) {
				t.Fatalf("mark of %d: %v, want %v", n, got, want)
			}
			// A gateway's number may have the bits of a table's.
			if got, _ := walk(rules, TableMark(n)|1); !slices.Equal(got, []int{unix.RT_TABLE_MAIN}) {
				t.Fatalf("a mark that is not that of %d: %v", n, got)
			}
		}
	})
}

// A packet of one of 200 tables meets a dozen rules, and one without a mark two.
func TestTheTreeIsShort(t *testing.T) {
	var numbers []int
	for n := 1; n <= 200; n++ {
		numbers = append(numbers, n)
	}
	rules := treeOf(netlink.FAMILY_V4, numbers)
	most, sum := 0, 0
	for _, n := range numbers {
		_, met := walk(rules, TableMark(n))
		most, sum = max(most, met), sum+met
	}
	_, one := walk(treeOf(netlink.FAMILY_V4, numbers[:1]), TableMark(1))
	_, none := walk(rules, 0)
	t.Logf("%d rules; %d met at the most, %.1f on average; with one table %d, without a mark %d", len(rules), most, float64(sum)/200, one, none)
	if most > 12 || one > 5 || none > 2 {
		t.Errorf("%d rules are met, and %d without a mark", most, none)
	}
}
