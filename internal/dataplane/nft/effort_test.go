// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"runtime"
	"testing"
)

// effortOfOne is more than a change of one endpoint allocates (6 KB), and much less than
// rendering the rules of a router does.
const effortOfOne = 32 << 10

// TestChangeDoesNotRenderRules has endpoints come and go one at a time. Which rules a
// router needs is the same all the time, and must not be found out again by making them.
func TestChangeDoesNotRenderRules(t *testing.T) {
	table, _ := newTable(t)
	if failed := table.Apply(t.Context(), many(1), nil); failed != nil {
		t.Fatal(failed)
	}
	const changes = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range changes {
		if failed := table.Apply(t.Context(), one(i+1), nil); failed != nil {
			t.Fatal(failed)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / changes; each > effortOfOne {
		t.Errorf("a change of one endpoint allocates %d bytes, more than %d: are the rules rendered for it?", each, effortOfOne)
	} else {
		t.Logf("a change of one endpoint allocates %d bytes", each)
	}
}
