// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
)

// crossed is a router as package flow sees it.
type crossed struct {
	host   *Host
	router *network.Router
	// standing is read when it is asked for.
	standing *network.Standing
	// peers are those that the VPC is peered with and their blocks, or was before they were
	// taken away; nil when they are to be read.
	peers peers
}

// peers are VPCs, and the blocks that each has.
type peers map[string][]netip.Prefix

// has gives the peer that has an address; "" when there is none. With several it is any.
func (p peers) has(a netip.Addr) string {
	for vpc, blocks := range p {
		if slices.ContainsFunc(blocks, func(b netip.Prefix) bool { return b.Contains(a) }) {
			return vpc
		}
	}
	return ""
}

// FD implements flow.Router.
func (c *crossed) FD() int { return c.router.FD() }

// Name implements flow.Router.
func (c *crossed) Name() string { return c.router.VPC }

// Release implements flow.Router.
func (c *crossed) Release() { c.router.Release() }

// Peer implements flow.Router.
func (c *crossed) Peer(a netip.Addr) (flow.Router, error) {
	vpc, err := c.hop(a)
	if err != nil || vpc == "" {
		return nil, err
	}
	peer, err := c.host.routers.Open(vpc)
	if errors.Is(err, ErrNoRouter) {
		return nil, nil // and nothing tracked there
	}
	if err != nil {
		return nil, err
	}
	return &crossed{host: c.host, router: peer}, nil
}

// hop names the VPC whose router packets to an address are handed to: that of a transit
// target or source, or a peer. It is "" for all others.
func (c *crossed) hop(a netip.Addr) (string, error) {
	if !transit(a) {
		if c.peers == nil {
			table, err := c.host.table(c.router)
			if err != nil {
				return "", err
			}
			if c.peers, err = table.Peers(context.Background()); err != nil {
				return "", fmt.Errorf("read peers of %s: %w", c.router.VPC, err)
			}
		}
		return c.peers.has(a), nil
	}
	if c.standing == nil {
		s, err := c.router.Standing()
		if err != nil {
			return "", err
		}
		c.standing = &s
	}
	vpc, _ := c.standing.Hop(a)
	return vpc, nil
}

// cutIn is called for each router in which connections were cut.
func (h *Host) cutIn(r flow.Router) error {
	return h.recheck(r.(interface{ in() *network.Router }).in())
}

func (c *crossed) in() *network.Router { return c.router }

// settle cuts what an earlier process, or a cut that failed, has left, the first
// time that a router is used and after each failure. Only then can an address
// be given to somebody else.
func (c *change) settle(ctx context.Context) error {
	if c.host.isSettled(c.router) {
		return nil
	}
	standing, err := c.router.Standing()
	if err != nil {
		return err
	}
	filter, err := c.table.Content(ctx, c.router.VPC)
	if err != nil {
		return fmt.Errorf("read filter of %s: %w", c.router.VPC, err)
	}
	// Without this program's rules nothing is known of endpoints and targets.
	if filter.Intact {
		f := founded(standing, filter.Entries)
		n, err := flow.CutWhere(ctx, &crossed{host: c.host, router: c.router, standing: &standing}, f.lacks, c.host.cutIn)
		if err != nil {
			return fmt.Errorf("cut connections that were left in %s: %w", c.router.VPC, err)
		}
		c.told(n)
	}
	c.host.setSettled(c.router, true)
	return nil
}

// vacate takes away every address and prefix that changes hands. It returns the
// connections that end with that.
func (c *change) vacate() ([]flow.Match, error) {
	put, del := workloads(c.put), workloads(c.del)
	if len(put)+len(del) == 0 {
		return nil, nil
	}
	standing, err := c.router.Standing()
	if err != nil {
		return nil, err
	}
	var ended []flow.Match
	for _, m := range moves(standing.Holders, put, del) {
		ended = append(ended, flow.Match{Party: m.prefix})
		if m.from.ENI == "" {
			continue
		}
		if err := c.router.Vacate(m.from); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// turned gives the connections that went on through an endpoint which is gone now,
// or to which their target does not lead any more; onward is where targets led
// before.
func (c *change) turned(onward map[netip.Addr]netip.Addr) (ended []flow.Match) {
	note := func(target netip.Addr) { ended = append(ended, flow.Match{Dest: target}) }
	for _, e := range c.put {
		t, ok := e.(desired.Target)
		if door, led := onward[t.Addr]; ok && led && !(t.Onward && t.Dest == door) {
			note(t.Addr)
		}
	}
	for _, e := range c.del {
		gone, ok := e.(desired.Endpoint)
		for target, door := range onward {
			if ok && door == gone.Addr {
				note(target)
			}
		}
	}
	return ended
}

func workloads(entries []desired.Entry) (list []desired.Workload) {
	for _, e := range entries {
		if w, ok := e.(desired.Workload); ok {
			list = append(list, w)
		}
	}
	return list
}

// cut ends connections in this router and in those that they cross.
func (c *change) cut(ctx context.Context, ended []flow.Match) error {
	if len(ended) == 0 {
		return nil
	}
	n, err := flow.Cut(ctx, &crossed{host: c.host, router: c.router, peers: c.peers}, ended, c.host.cutIn)
	if err != nil {
		c.host.setSettled(c.router, false)
		return fmt.Errorf("cut connections in %s: %w", c.router.VPC, err)
	}
	c.told(n)
	return nil
}

func (c *change) told(n int) {
	if n > 0 {
		c.host.log.Info("connections cut", "vpc", c.router.VPC, "connections", n)
	}
}

// isSettled reports whether all connections of a router are known to have a right
// to be there.
func (h *Host) isSettled(r *network.Router) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settled[r.VPC] == r.Inode()
}

func (h *Host) setSettled(r *network.Router, settled bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if settled {
		h.settled[r.VPC] = r.Inode()
	} else {
		delete(h.settled, r.VPC)
	}
}
