// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
)

// PrefixList is a list of blocks that a customer manages, with its versions.
type PrefixList struct {
	Meta
	Name string `json:"name"`
	// IPv6 says of which family all blocks are.
	IPv6       bool `json:"ipv6,omitempty"`
	MaxEntries int  `json:"maxEntries"`
	// Version counts from one on.
	Version int64         `json:"version"`
	Entries []PrefixEntry `json:"entries,omitempty"`
	// Earlier are the versions before, the oldest one first.
	Earlier []PrefixVersion `json:"earlier,omitempty"`
}

// PrefixEntry is a block of a prefix list.
type PrefixEntry struct {
	CIDR        netip.Prefix `json:"cidr"`
	Description string       `json:"description,omitempty"`
}

// PrefixVersion is what a prefix list was.
type PrefixVersion struct {
	Version int64         `json:"version"`
	Entries []PrefixEntry `json:"entries,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (p *PrefixList) Clone() *PrefixList {
	c := *p
	c.Meta = p.Meta.clone()
	c.Entries = slices.Clone(p.Entries)
	c.Earlier = slices.Clone(p.Earlier)
	for i := range c.Earlier {
		c.Earlier[i].Entries = slices.Clone(c.Earlier[i].Entries)
	}
	return &c
}
