// SPDX-License-Identifier: Apache-2.0

// Package flow cuts live connections in routers, so that both ends notice.
//
// Deleting a connection from the kernel's connection tracking stops it: its
// next packet is invalid, and the router's rules answer it with a reset. An
// idle connection has no next packet. So each end is also sent a bare
// acknowledgement with an arbitrary sequence number, as if from its peer; TCP
// answers such a segment with its true numbers (RFC 9293 §3.10.7.4), and that
// answer is what meets the reset.
//
// A connection between two VPCs is tracked in each router on its way. It is cut
// in all of them, by the addresses and ports under which it travels between
// them, and each end is woken by the router next to it.
//
// The router must already refuse new packets of the connection when Cut is
// called, or the connection would be tracked again.
package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
)

// Router is a router in which connections are tracked.
type Router interface {
	// FD is the descriptor of its network namespace.
	FD() int
	// Peer gives the router that packets to an address are handed to; nil when
	// they are not, or when it is not on this host. The caller calls Release.
	Peer(a netip.Addr) (Router, error)
	// Name is the same for the same router, and for no other one.
	Name() string
	// Release gives up what Peer gave.
	Release()
}

// Flow is a tracked connection by the addresses of both its directions. Without
// translation Answerer is Asked and Known is Opener.
type Flow struct {
	// Opener has opened the connection, to Asked.
	Opener, Asked netip.AddrPort
	// Answerer is where its packets end up, and Known is as whom they come there.
	Answerer, Known netip.AddrPort
}

// Match selects flows, as descriptions of entries do.
type Match = desired.Connections

// Cut ends the flows of a router that any of the matches selects, there and in
// the routers that they go on to or come from, in one walk over the table of
// connections of each, and returns how many they were. Of TCP connections both
// ends see a reset. Flows that end by themselves meanwhile are not counted.
//
// When they are gone from connection tracking, and before their ends are woken,
// gone is called for each router that they crossed, if it is not nil: whatever else
// remembers connections must not carry the answers past the rules.
func Cut(ctx context.Context, r Router, matches []Match, gone func(Router) error) (int, error) {
	if len(matches) == 0 {
		return 0, nil
	}
	return cut(ctx, r, newSelection(matches), gone)
}

// CutWhere is Cut for the flows that are chosen by looking at each.
func CutWhere(ctx context.Context, r Router, ends func(Flow) bool, gone func(Router) error) (int, error) {
	return cut(ctx, r, choice(ends), gone)
}

func cut(ctx context.Context, r Router, wanted wanted, gone func(Router) error) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ways, err := trace(ctx, r, wanted)
	defer ways.close()
	if err != nil {
		return 0, err
	}
	// The router itself comes last: what it still has is found again, should
	// the process end in between.
	for i := len(ways) - 1; i >= 0; i-- {
		if err := ways[i].remove(ctx); err != nil {
			return 0, fmt.Errorf("delete connections: %w", err)
		}
	}
	n := len(ways[0].flows)
	for _, w := range ways {
		if gone == nil {
			break
		}
		if err := gone(w.router); err != nil {
			return n, err
		}
	}
	for _, w := range ways {
		if err := nudge(ctx, w.router.FD(), w.flows); err != nil {
			return n, fmt.Errorf("wake the ends of %d connections: %w", len(w.flows), err)
		}
	}
	return n, nil
}

// leg is the part of the ways of flows that is in one router.
type leg struct {
	router Router
	conn   *nfnl.Conn
	flows  []*tracked
	step   int // from the router where they were found first
}

type legs []*leg

func (l legs) close() {
	for i, each := range l {
		each.conn.Close()
		if i > 0 { // the first one is the caller's
			each.router.Release()
		}
	}
}

// find walks the router's table of connections once.
func find(r Router, wanted wanted) (*leg, error) {
	conn, err := nfnl.Dial(r.FD())
	if err != nil {
		return nil, fmt.Errorf("connect to connection tracking: %w", err)
	}
	l := &leg{router: r, conn: conn}
	if none(conn) {
		return l, nil
	}
	var b nfnl.Builder
	if dest, only := wanted.only(); only {
		appendGetByDest(&b, dest)
	} else {
		b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageGet, 0, unix.AF_UNSPEC)
	}
	err = conn.Dump(&b, func() { l.flows = nil }, func(family uint8, attributes []byte) {
		original, ok := parseTuple(nfnl.Attribute(attributes, attrOriginal))
		reply, both := parseTuple(nfnl.Attribute(attributes, attrReply))
		if ok && both && wanted.has(original, reply) {
			l.flows = append(l.flows, parseTracked(family, original, reply, attributes))
		}
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("list connections: %w", err)
	}
	return l, nil
}

// none reports whether the router tracks nothing at all, which is quickly said. A
// walk goes through all of the kernel's table, which is one for all namespaces.
func none(conn *nfnl.Conn) bool {
	var b nfnl.Builder
	b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageGetStats, 0, unix.AF_UNSPEC)
	entries := uint32(1)
	err := conn.Get(&b, func(_ uint8, attributes []byte) {
		if count := nfnl.Attribute(attributes, attrStatsEntries); len(count) == 4 {
			entries = binary.BigEndian.Uint32(count)
		}
	})
	return err == nil && entries == 0
}

// batch is how many flows are deleted between looks at the context.
const batch = 8192

// remove deletes the flows from the table and keeps those that were there.
func (l *leg) remove(ctx context.Context) error {
	var cut []*tracked
	for flows := l.flows; len(flows) > 0; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := flows[:min(batch, len(flows))]
		flows = flows[len(now):]
		gone, err := removeAll(l.conn, now)
		if err != nil {
			return err
		}
		for i, f := range now {
			if !gone[i] {
				cut = append(cut, f)
			}
		}
	}
	l.flows = cut
	return nil
}

// removeAll deletes flows and says which ones were gone before.
func removeAll(conn *nfnl.Conn, flows []*tracked) (gone map[int]bool, err error) {
	var b nfnl.Builder
	for _, f := range flows {
		f.appendDelete(&b)
	}
	failures, err := conn.Each(&b)
	gone = map[int]bool{}
	for _, failure := range failures {
		gone[failure.Index] = true
		if !errors.Is(failure.Err, unix.ENOENT) {
			err = failure.Err
		}
	}
	return gone, err
}

// Alone is a router without peers, by the descriptor of its namespace.
type Alone int

// FD implements Router.
func (a Alone) FD() int { return int(a) }

// Name implements Router.
func (a Alone) Name() string { return "alone" }

// Peer implements Router: there is none.
func (a Alone) Peer(netip.Addr) (Router, error) { return nil, nil }

// Release implements Router.
func (a Alone) Release() {}
