// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
)

// held is what units ask for under one key. They agree on the value as long as
// the tables are consistent; while they do not, each value is kept with those
// who ask for it, and the choice between them is at least always the same.
type held struct {
	variants []variant // of different texts; as a rule there is one
}

// variant is one value and the units that ask for it. Most values have one
// holder, and a map for each of those would be most of the memory of a plan.
type variant struct {
	entry desired.Entry
	one   *unit
	more  map[*unit]struct{}
}

// find gives the place of a value, or -1.
func (h *held) find(e desired.Entry) int {
	text := e.String()
	return slices.IndexFunc(h.variants, func(v variant) bool { return v.entry.String() == text })
}

// add makes a unit a holder of a value, and gives the value as it is kept.
func (h *held) add(e desired.Entry, u *unit) desired.Entry {
	i := h.find(e)
	if i < 0 {
		h.variants = append(h.variants, variant{entry: e, one: u})
		return e
	}
	v := &h.variants[i]
	switch {
	case v.one == u:
	case v.one == nil:
		v.one = u
		delete(v.more, u)
	case v.more == nil:
		v.more = map[*unit]struct{}{u: {}}
	default:
		v.more[u] = struct{}{}
	}
	return v.entry
}

func (h *held) remove(e desired.Entry, u *unit) {
	i := h.find(e)
	if i < 0 {
		return
	}
	v := &h.variants[i]
	if v.one == u {
		v.one = nil
	} else {
		delete(v.more, u)
	}
	if v.one == nil && len(v.more) == 0 {
		h.variants = slices.Delete(h.variants, i, i+1)
	}
}

// holders calls yield with each unit that asks for the entry, whatever value.
func (h *held) holders(yield func(*unit)) {
	for _, v := range h.variants {
		if v.one != nil {
			yield(v.one)
		}
		for u := range v.more {
			yield(u)
		}
	}
}

// effective is the value that counts, nil when nobody asks for any.
func (h *held) effective() desired.Entry {
	switch len(h.variants) {
	case 0:
		return nil
	case 1:
		return h.variants[0].entry
	}
	least := slices.MinFunc(h.variants, func(a, b variant) int { return strings.Compare(a.entry.String(), b.entry.String()) })
	return least.entry
}
