// SPDX-License-Identifier: Apache-2.0

package roles

import (
	"fmt"
	"slices"
	"testing"
)

// TestListenersAreToldOfChanges: of what is known at first, of each change before whoever
// says it goes on, of nothing that is as it was, and of the end.
func TestListenersAreToldOfChanges(t *testing.T) {
	b := NewBoard()
	b.Set(Roles{Database: "one", Writer: "a"})
	var told []string
	b.Listen(func(r Roles) {
		if now, ok := b.Of(r.Database); !ok || !now.Equal(r) {
			t.Errorf("told %v, and the board says %v", r, now)
		}
		told = append(told, fmt.Sprint(r.Database, r.Writer, r.Readers))
	})
	readers := []string{"c", "b"}
	b.Set(Roles{Database: "one", Writer: "a", Readers: readers})
	readers[0] = "x" // which the board has no part in
	b.Set(Roles{Database: "one", Writer: "a", Readers: []string{"b", "c"}})
	b.Set(Roles{Database: "two"})
	b.Drop("one")
	want := []string{"onea[]", "onea[b c]", "two[]", "one[]"}
	if !slices.Equal(told, want) {
		t.Errorf("told were %q, want %q", told, want)
	}
	if _, ok := b.Of("one"); ok {
		t.Error("the board knows a database that it was to forget")
	}
}
