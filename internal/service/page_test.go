// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/access"
)

var lister = access.View{Caller: access.Caller{Account: "111122223333", Region: "us-east-1"}}

func self(s string) string { return s }

func TestPagesShowWhatStaysExactlyOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[a-c]{1,3}`)
		draw := func(name string) map[string]bool {
			set := make(map[string]bool)
			for _, k := range rapid.SliceOf(key).Draw(t, name) {
				set[k] = true
			}
			return set
		}
		stay, seen := draw("stay"), make(map[string]int)
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		for token := ""; ; {
			there := maps.Clone(stay)
			maps.Copy(there, draw("come and go"))
			p := NewPage(lister, "List", nil, &token, nil, limit)
			page, next, err := Paginate(p, slices.Values(slices.Sorted(maps.Keys(there))), self)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > limit {
				t.Fatalf("page of %d, limit %d", len(page), limit)
			}
			for _, k := range page {
				seen[k]++
			}
			if token = next; token == "" {
				break
			}
		}
		for k, n := range seen {
			if n > 1 {
				t.Fatalf("%q was shown %d times", k, n)
			}
		}
		for k := range stay {
			if seen[k] != 1 {
				t.Fatalf("%q was there all the time and was not shown", k)
			}
		}
	})
}

func TestLastPageHasNoToken(t *testing.T) {
	p := NewPage(lister, "List", nil, nil, new(int32(2)), 100)
	page, next, err := Paginate(p, slices.Values([]string{"a", "b"}), self)
	if err != nil || len(page) != 2 || next != "" {
		t.Errorf("got %v, %q, %v; want both items and no token", page, next, err)
	}
}

func TestForeignTokensAreRefused(t *testing.T) {
	items := slices.Values([]string{"a", "b", "c"})
	_, token, err := Paginate(NewPage(lister, "List", "all", nil, nil, 1), items, self)
	if err != nil || token == "" {
		t.Fatalf("got token %q, %v", token, err)
	}
	other := lister
	other.Account = "444455556666"
	for name, p := range map[string]Page{
		"other caller":     NewPage(other, "List", "all", &token, nil, 1),
		"other operation":  NewPage(lister, "Show", "all", &token, nil, 1),
		"other parameters": NewPage(lister, "List", "some", &token, nil, 1),
		"changed":          NewPage(lister, "List", "all", new(token+"AA"), nil, 1),
		"short":            NewPage(lister, "List", "all", new("AA"), nil, 1),
		"not base64":       NewPage(lister, "List", "all", new("!"), nil, 1),
	} {
		if _, _, err := Paginate(p, items, self); !errors.Is(err, ErrPageToken) {
			t.Errorf("%s: got %v, want %v", name, err, ErrPageToken)
		}
	}
}
