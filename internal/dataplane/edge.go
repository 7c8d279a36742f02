// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
)

// runEdge is run for the edge of an uplink, which has no connections to cut.
func (c *change) runEdge(ctx context.Context, realm desired.Realm) {
	id := network.NameOf(realm)
	var err error
	if slices.ContainsFunc(c.put, isRoot) {
		c.router, err = c.host.routers.Make(id)
	} else {
		c.router, err = c.host.routers.Open(id)
	}
	if err != nil {
		c.fail(c.put, err)
		if !errors.Is(err, ErrNoRouter) {
			c.fail(c.del, err)
		}
		return
	}
	defer c.router.Release()
	if c.table, err = c.host.table(c.router); err != nil {
		c.fail(c.put, err)
		c.fail(c.del, err)
		return
	}
	if slices.ContainsFunc(c.del, isRoot) {
		if err := c.host.removeEdge(c.router); err != nil {
			c.fail(c.del, err)
		}
		return
	}
	defer c.passAnew()
	for _, e := range c.put {
		if raise := handlers[e.Key().Kind].raise; raise != nil {
			c.note(e, raise(ctx, c, e))
		}
	}
	for _, e := range c.del {
		if lower := handlers[e.Key().Kind].lower; lower != nil {
			c.note(e, lower(c, e))
		}
	}
}

// passAnew makes the express lane look again at what passes the edge: whatever was put
// or deleted may have been about it.
func (c *change) passAnew() {
	if err := c.host.recheck(c.router); err != nil {
		c.fail(c.put, err)
		c.fail(c.del, err)
	}
}

// makeEdge makes the edge of an uplink, or what is missing of it. It forwards by its
// rules, so these come first. When there is nothing to lead out by, all else is there.
func (c *change) makeEdge(ctx context.Context, e desired.Edge) error {
	rules, err := nft.EdgeRules(e, network.UplinkDevice)
	if err != nil {
		return fmt.Errorf("make rules of uplink %s: %w", e.Name, err)
	}
	whole, err := c.table.Has(ctx, rules)
	if err == nil && !whole {
		err = c.table.Replace(ctx, rules)
	}
	if err != nil {
		return fmt.Errorf("load rules of uplink %s: %w", e.Name, err)
	}
	return c.router.ConfigureEdge(e)
}

// makeExit joins a router with the edge, and leads its tables there.
func (c *change) makeExit(x desired.Exit) error {
	router, err := c.host.routers.Open(x.VPC)
	if err != nil {
		return err
	}
	defer router.Release()
	if err := network.ConnectExit(router, c.router); err != nil {
		return err
	}
	return errors.Join(router.Follow(desired.Outside), c.host.recheck(router))
}

func (c *change) removeExit(vpc string) error {
	router, err := c.host.routers.Open(vpc)
	if errors.Is(err, ErrNoRouter) {
		return c.router.DisconnectExit(vpc, nil)
	}
	if err != nil {
		return err
	}
	defer router.Release()
	return errors.Join(c.router.DisconnectExit(vpc, router), c.host.recheck(router))
}

// removeEdge takes an edge away, and before it what routers had for it.
func (h *Host) removeEdge(edge *network.Router) error {
	vpcs, err := edge.Entries()
	for _, vpc := range vpcs {
		c := change{host: h, router: edge}
		err = errors.Join(err, c.removeExit(vpc))
	}
	if err != nil {
		return err
	}
	err = h.routers.Remove(edge.VPC)
	h.forget(edge.VPC)
	return err
}

func revoke(c *change, e desired.Entry) error {
	prefix, err := netip.ParsePrefix(e.Key().ID)
	if err != nil {
		return fmt.Errorf("delete %s: %w", e.Key(), err)
	}
	return c.router.Revoke(prefix)
}

// dumpEdge reads an edge back. What it should be is written in its rules.
func (h *Host) dumpEdge(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	r, err := h.routers.Open(network.NameOf(realm))
	if errors.Is(err, ErrNoRouter) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Release()
	table, err := h.table(r)
	if err != nil {
		return nil, err
	}
	said, err := table.Saying(ctx)
	if err != nil {
		return nil, fmt.Errorf("read rules of uplink %s: %w", realm.Name(), err)
	}
	edge, whole := nft.ParseEdge(realm.Name(), said)
	if whole {
		rules, err := nft.EdgeRules(edge, network.UplinkDevice)
		if err == nil {
			whole, err = table.Has(ctx, rules)
		}
		if err != nil {
			return nil, err
		}
	}
	content, err := h.routers.DumpEdge(r, edge)
	if err != nil {
		return nil, err
	}
	var entries []desired.Entry
	if whole && content.Uplink {
		entries = append(entries, edge)
	} else {
		entries = append(entries, nft.Damaged{Entry: edge})
	}
	entries = appendAll(entries, content.Exits)
	entries = appendAll(entries, content.Issued)
	desired.Sort(entries)
	return entries, nil
}
