// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/posternhq/postern/internal/desired"

// held is what units ask for under one key. They agree on the value as long as
// the tables are consistent; while they do not, each value is kept with those
// who ask for it, and the choice between them is at least always the same.
type held struct {
	variants map[string]*variant
}

// variant is one value, by its text, and the units that ask for it.
type variant struct {
	entry   desired.Entry
	holders map[unitID]struct{}
}

func (h *held) add(e desired.Entry, id unitID) {
	if h.variants == nil {
		h.variants = map[string]*variant{}
	}
	v := h.variants[e.String()]
	if v == nil {
		v = &variant{entry: e, holders: map[unitID]struct{}{}}
		h.variants[e.String()] = v
	}
	v.holders[id] = struct{}{}
}

func (h *held) remove(e desired.Entry, id unitID) {
	v := h.variants[e.String()]
	if v == nil {
		return
	}
	if delete(v.holders, id); len(v.holders) == 0 {
		delete(h.variants, e.String())
	}
}

// effective is the value that counts, nil when nobody asks for any.
func (h *held) effective() desired.Entry {
	var chosen string
	for text := range h.variants {
		if chosen == "" || text < chosen {
			chosen = text
		}
	}
	if chosen == "" {
		return nil
	}
	return h.variants[chosen].entry
}
