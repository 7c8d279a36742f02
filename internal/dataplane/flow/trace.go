// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"context"
	"fmt"
	"net/netip"
)

// maxSteps bounds how far a connection is followed from where it was found, in each
// direction. It is more than a way can have, however many ways there are.
const maxSteps = 16

// trace finds the flows that are wanted in a router, and what belongs to them in
// the routers before and behind it.
func trace(ctx context.Context, r Router, wanted wanted) (legs, error) {
	near, err := find(r, wanted)
	if err != nil {
		return nil, err
	}
	all := legs{near}
	for i := 0; i < len(all); i++ {
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if all[i].step == maxSteps {
			continue
		}
		next, err := all[i].follow()
		for _, leg := range next {
			leg.step = all[i].step + 1
		}
		all = append(all, next...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// crossing is what flows of one router look like in a peer. Both maps lead from
// a tuple there to the flow here.
type crossing struct {
	router Router
	// opened are flows that go on there: their original tuple.
	opened map[tuple]*tracked
	// answered are flows that come from there: their reply tuple.
	answered map[tuple]*tracked
}

func (c *crossing) has(original, reply tuple) bool {
	return c.opened[original] != nil || c.answered[reply] != nil
}

// follow finds what belongs to the flows of a leg in the routers next to it, but
// for the one where they were found first.
func (l *leg) follow() (next legs, err error) {
	c := crossings{from: l.router, byAddr: map[netip.Addr]*crossing{}}
	for _, f := range l.flows {
		if p := c.over(f.original.source.Addr()); p != nil && !f.before {
			p.answered[f.original.back()] = f
		}
		if p := c.over(f.reply.source.Addr()); p != nil && !f.behind {
			p.opened[f.reply.back()] = f
		}
	}
	for i, p := range c.all {
		var there *leg
		if c.err == nil {
			there, c.err = find(p.router, p)
		}
		if c.err != nil {
			for _, rest := range c.all[i:] {
				rest.router.Release()
			}
			break
		}
		p.join(there.flows)
		next = append(next, there)
	}
	return next, c.err
}

// join notes which flows have been found on the other side.
func (c *crossing) join(there []*tracked) {
	for _, f := range there {
		if here := c.opened[f.original]; here != nil {
			here.behind, f.before = true, true
		}
		if here := c.answered[f.reply]; here != nil {
			here.before, f.behind = true, true
		}
	}
}

// crossings are those of one router, by the addresses that lead there. It asks
// for each address once.
type crossings struct {
	from   Router
	byAddr map[netip.Addr]*crossing
	all    []*crossing
	err    error // the first one
}

// over gives the crossing to where an address is; nil when there is none.
func (c *crossings) over(a netip.Addr) *crossing {
	if p, asked := c.byAddr[a]; asked {
		return p
	}
	c.byAddr[a] = nil
	peer, err := c.from.Peer(a)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("find the router behind %s: %w", a, err)
	}
	if err != nil || peer == nil {
		return nil
	}
	for _, p := range c.all {
		if p.router.Name() == peer.Name() {
			peer.Release()
			c.byAddr[a] = p
			return p
		}
	}
	p := &crossing{peer, map[tuple]*tracked{}, map[tuple]*tracked{}}
	c.all = append(c.all, p)
	c.byAddr[a] = p
	return p
}
