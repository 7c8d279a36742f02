// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// held is what units ask for under one key. They agree on the value as long as
// the tables are consistent; while they do not, each value is kept with those
// who ask for it, and the choice between them is at least always the same.
type held struct {
	key desired.Key
	variant
	others []variant // of different texts; as a rule there are none
}

// variant is one value and the units that ask for it.
type variant struct {
	entry   desired.Entry
	holders unitSet
}

// add makes a unit a holder of a value. Equal values are in memory once.
func (h *held) add(e desired.Entry, u *unit) {
	text := desired.Record(e)
	if h.entry == nil {
		h.entry = e
	}
	for v := range h.variants {
		if desired.Record(v.entry) == text {
			v.holders.add(u)
			return
		}
	}
	v := variant{entry: e}
	v.holders.add(u)
	h.others = append(h.others, v)
}

// variants yields all values.
func (h *held) variants(yield func(*variant) bool) {
	if h.entry == nil || !yield(&h.variant) {
		return
	}
	for i := range h.others {
		if !yield(&h.others[i]) {
			return
		}
	}
}

// of gives the value that a unit holds.
func (h *held) of(u *unit) desired.Entry {
	for v := range h.variants {
		if len(h.others) == 0 || v.holders.has(u) {
			return v.entry
		}
	}
	return nil
}

// remove makes a holder let go.
func (h *held) remove(u *unit) {
	for v := range h.variants {
		v.holders.remove(u)
	}
	h.others = slices.DeleteFunc(h.others, func(v variant) bool { return v.holders.empty() })
	if !h.holders.empty() {
		return
	}
	h.variant = variant{}
	if len(h.others) > 0 {
		h.variant, h.others = h.others[0], h.others[1:]
	}
}

// each calls yield with each unit that asks for the entry, whatever value.
func (h *held) each(yield func(*unit)) {
	for v := range h.variants {
		v.holders.each(yield)
	}
}

// effective is the value that counts, nil when nobody asks for any.
func (h *held) effective() desired.Entry {
	least := h.entry
	for _, v := range h.others {
		if desired.Record(v.entry) < desired.Record(least) {
			least = v.entry
		}
	}
	return least
}
