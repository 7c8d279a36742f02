// SPDX-License-Identifier: Apache-2.0

// Package flow cuts live connections in a router, so that both ends notice.
//
// Deleting a connection from the kernel's connection tracking stops it: its
// next packet is invalid, and the router's rules answer it with a reset. An
// idle connection has no next packet. So each end is also sent a bare
// acknowledgement with an arbitrary sequence number, as if from its peer; TCP
// answers such a segment with its true numbers (RFC 9293 §3.10.7.4), and that
// answer is what meets the reset.
//
// The router must already refuse new packets of the connection when Cut is
// called, or the connection would be tracked again.
package flow

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// Match selects flows by their original tuple, before any translation. An
// unset field matches everything; a Match with neither selects nothing.
type Match struct {
	// Source is where the connection came from.
	Source netip.Prefix
	// Dest is what it was opened to.
	Dest netip.Addr
}

// Cut ends the flows of the namespace nsFD that any of the matches selects, in
// one walk over the table of connections, and returns how many they were. Of
// TCP connections both ends see a reset. Flows that end by themselves meanwhile
// are not counted.
//
// When they are gone from connection tracking, and before their ends are woken,
// gone is called, if it is not nil: whatever else remembers connections must
// not carry the answers past the rules.
func Cut(ctx context.Context, nsFD int, matches []Match, gone func() error) (int, error) {
	if len(matches) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	conn, err := nfnl.Dial(nsFD)
	if err != nil {
		return 0, fmt.Errorf("connect to connection tracking: %w", err)
	}
	defer conn.Close()
	flows, err := find(conn, newSelection(matches))
	if err != nil {
		return 0, fmt.Errorf("list connections: %w", err)
	}
	cut, err := remove(conn, flows)
	if err != nil {
		return len(cut), fmt.Errorf("delete connections: %w", err)
	}
	if gone != nil {
		if err := gone(); err != nil {
			return len(cut), err
		}
	}
	if err := nudge(ctx, nsFD, cut); err != nil {
		return len(cut), fmt.Errorf("wake the ends of %d connections: %w", len(cut), err)
	}
	return len(cut), nil
}

// selection finds matches by destination, so that a walk costs the same for
// many matches as for one.
type selection struct {
	byDest  map[netip.Addr][]netip.Prefix // an invalid prefix is any source
	sources []netip.Prefix                // of matches without a destination
}

func newSelection(matches []Match) selection {
	s := selection{byDest: map[netip.Addr][]netip.Prefix{}}
	for _, m := range matches {
		switch {
		case m.Dest.IsValid():
			s.byDest[m.Dest] = append(s.byDest[m.Dest], m.Source)
		case m.Source.IsValid():
			s.sources = append(s.sources, m.Source)
		}
	}
	return s
}

func (s selection) has(source, dest netip.Addr) bool {
	for _, p := range s.byDest[dest] {
		if !p.IsValid() || p.Contains(source) {
			return true
		}
	}
	for _, p := range s.sources {
		if p.Contains(source) {
			return true
		}
	}
	return false
}

// only returns the destination that all matches have, if there is one that the
// kernel can select by: its comparison of IPv6 addresses is the wrong way round
// (seen on Linux 6.18).
func (s selection) only() (netip.Addr, bool) {
	if len(s.byDest) == 1 && len(s.sources) == 0 {
		for dest := range s.byDest {
			return dest, dest.Is4()
		}
	}
	return netip.Addr{}, false
}

// find walks the table of connections once.
func find(conn *nfnl.Conn, wanted selection) ([]tracked, error) {
	var b nfnl.Builder
	if dest, only := wanted.only(); only {
		appendGetByDest(&b, dest)
	} else {
		b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageGet, 0, unix.AF_UNSPEC)
	}
	var flows []tracked
	err := conn.Dump(&b, func() { flows = nil }, func(family uint8, attributes []byte) {
		original, ok := parseTuple(nfnl.Attribute(attributes, attrOriginal))
		if ok && wanted.has(original.source.Addr(), original.dest.Addr()) {
			flows = append(flows, parseTracked(family, original, attributes))
		}
	})
	return flows, err
}

// remove deletes flows from the table and returns those that were there.
func remove(conn *nfnl.Conn, flows []tracked) ([]tracked, error) {
	var b nfnl.Builder
	for _, f := range flows {
		f.appendDelete(&b)
	}
	failures, err := conn.Each(&b)
	if err != nil {
		return nil, err
	}
	gone := map[int]bool{}
	var errs error
	for _, failure := range failures {
		gone[failure.Index] = true
		if !errors.Is(failure.Err, unix.ENOENT) {
			errs = failure.Err
		}
	}
	var cut []tracked
	for i, f := range flows {
		if !gone[i] {
			cut = append(cut, f)
		}
	}
	return cut, errs
}
