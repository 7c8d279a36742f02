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
	number number
	others *[]variant // of different texts; as a rule there are none
}

// variant is one value and the units that ask for it.
type variant struct {
	entry   desired.Entry
	holders set
}

// add makes a unit a holder of a value. Equal values are in memory once.
func (h *held) add(e desired.Entry, u number, sets *sets) {
	if h.entry == nil {
		h.entry = e
	}
	for v := range h.variants {
		if desired.SameRecord(v.entry, e, h.key.Kind) {
			v.holders = sets.with(v.holders, u)
			return
		}
	}
	if h.others == nil {
		h.others = &[]variant{}
	}
	*h.others = append(*h.others, variant{e, set(u)})
}

// variants yields all values.
func (h *held) variants(yield func(*variant) bool) {
	if h.entry == nil || !yield(&h.variant) || h.others == nil {
		return
	}
	for i := range *h.others {
		if !yield(&(*h.others)[i]) {
			return
		}
	}
}

// of gives the value that a unit holds.
func (h *held) of(u number, sets *sets) desired.Entry {
	for v := range h.variants {
		if h.others == nil || sets.has(v.holders, u) {
			return v.entry
		}
	}
	return nil
}

// remove makes a holder let go.
func (h *held) remove(u number, sets *sets) {
	var left []variant
	for v := range h.variants {
		if v.holders = sets.without(v.holders, u); v != &h.variant && !v.holders.empty() {
			left = append(left, *v)
		}
	}
	if h.holders.empty() {
		h.variant = variant{}
		if len(left) > 0 {
			h.variant, left = left[0], left[1:]
		}
	}
	if h.others = nil; len(left) > 0 {
		others := slices.Clip(left)
		h.others = &others
	}
}

// each calls yield with each unit that asks for the entry, whatever value.
func (h *held) each(sets *sets, yield func(number)) {
	for v := range h.variants {
		sets.each(v.holders, yield)
	}
}

// effective is the value that counts, nil when nobody asks for any.
func (h *held) effective() desired.Entry {
	if h.others == nil {
		return h.entry
	}
	least := h.entry
	for v := range h.variants {
		if desired.Record(v.entry) < desired.Record(least) {
			least = v.entry
		}
	}
	return least
}
