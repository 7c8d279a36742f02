// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// wanted chooses flows by the tuples of both directions.
type wanted interface {
	has(original, reply tuple) bool
	// only returns the destination that all of them have, if there is one that
	// the kernel can select by.
	only() (netip.Addr, bool)
}

// choice chooses by looking at each flow.
type choice func(Flow) bool

func (c choice) has(original, reply tuple) bool {
	return c(Flow{Opener: original.source, Asked: original.dest, Answerer: reply.source, Known: reply.dest})
}

func (c choice) only() (netip.Addr, bool) { return netip.Addr{}, false }

// selection finds matches by address, so that a walk costs the same for many
// matches as for one.
type selection struct {
	byDest  map[netip.Addr][]asked
	parties map[netip.Addr]bool
	wide    map[netip.Prefix]bool // parties that are more than one address
	lengths []int                 // of these, each once
	sources []netip.Prefix        // of matches without a destination
}

// asked are flows to a destination: from where, if that is valid, and the target that
// keeps some of them, if there is one.
type asked struct {
	source netip.Prefix
	unless *desired.Target
}

func (a asked) has(original, reply tuple) bool {
	return (!a.source.IsValid() || a.source.Contains(original.source.Addr())) && (a.unless == nil || !a.unless.Keeps(original.dest.Port(), reply.source))
}

func newSelection(matches []Match) selection {
	s := selection{byDest: map[netip.Addr][]asked{}, parties: map[netip.Addr]bool{}, wide: map[netip.Prefix]bool{}}
	for _, m := range matches {
		switch {
		case m.Party.IsValid() && m.Party.IsSingleIP():
			s.parties[m.Party.Addr()] = true
		case m.Party.IsValid():
			s.wide[m.Party.Masked()] = true
			if !slices.Contains(s.lengths, m.Party.Bits()) {
				s.lengths = append(s.lengths, m.Party.Bits())
			}
		case m.Dest.IsValid():
			s.byDest[m.Dest] = append(s.byDest[m.Dest], asked{m.Source, m.Unless})
		case m.Source.IsValid():
			s.sources = append(s.sources, m.Source)
		}
	}
	return s
}

func (s selection) has(original, reply tuple) bool {
	source := original.source.Addr()
	for _, a := range s.byDest[original.dest.Addr()] {
		if a.has(original, reply) {
			return true
		}
	}
	for _, p := range s.sources {
		if p.Contains(source) {
			return true
		}
	}
	for _, a := range [...]netip.Addr{source, original.dest.Addr(), reply.source.Addr(), reply.dest.Addr()} {
		if s.parties[a] {
			return true
		}
		for _, bits := range s.lengths {
			if p, err := a.Prefix(bits); err == nil && s.wide[p] {
				return true
			}
		}
	}
	return false
}

// only: the kernel's comparison of IPv6 addresses is the wrong way round (seen on
// Linux 6.18).
func (s selection) only() (netip.Addr, bool) {
	if len(s.byDest) == 1 && len(s.sources)+len(s.parties)+len(s.wide) == 0 {
		for dest := range s.byDest {
			return dest, dest.Is4()
		}
	}
	return netip.Addr{}, false
}

// only looks at the flows that go on to the peer. When some come from there, all
// are walked over.
func (c *crossing) only() (netip.Addr, bool) {
	if len(c.answered) > 0 {
		return netip.Addr{}, false
	}
	var dest netip.Addr
	for t := range c.opened {
		if dest.IsValid() && dest != t.dest.Addr() {
			return netip.Addr{}, false
		}
		dest = t.dest.Addr()
	}
	return dest, dest.Is4()
}
