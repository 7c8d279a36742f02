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

// Apply brings the router of a VPC closer to what is desired: it makes what put
// names in the order of making, then takes away what del names in the other
// order, and cuts the connections that lived by it. The result names the
// entries that could not be done and why; nil says that all are done. Repeating
// a call changes nothing, and deleting what is absent is not an error.
//
// The first call for a router also cuts what an earlier process would have cut,
// had it not ended: a call without entries does only that.
//
// An address goes from one workload to another in this order: the first one
// loses it, its connections are cut, the second one gets it.
//
// Of an entry of del only the key counts. An entry of a kind that the data plane does
// not have, or of another realm, is an error, be it put or deleted. A Link is applied with the router of
// its VPC field; its peer's router must be there.
func (h *Host) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	vpc := string(realm)
	defer h.lock(vpc)()
	c := change{host: h, failed: map[desired.Key]error{}}
	c.put, c.del = c.known(realm, "put", slices.Clone(put)), c.known(realm, "delete", plain(del))
	desired.Sort(c.put)
	desired.Sort(c.del)
	slices.Reverse(c.del)
	if realm.Sort() == desired.Routers {
		c.run(ctx, vpc)
	} else if other, ok := elsewhere[realm.Sort()]; ok {
		other.run(&c, ctx, realm)
	}
	if len(c.failed) == 0 {
		return nil
	}
	return c.failed
}

// plain takes away what Dump adds to damaged entries.
func plain(entries []desired.Entry) []desired.Entry {
	list := slices.Clone(entries)
	for i, e := range list {
		if d, ok := e.(nft.Damaged); ok {
			list[i] = d.Entry
		}
	}
	return list
}

// change is one call of Apply.
type change struct {
	host     *Host
	router   *network.Router
	table    *nft.Table
	put, del []desired.Entry
	failed   map[desired.Key]error
	// peers are those of the router before the change.
	peers peers
}

func (c *change) run(ctx context.Context, vpc string) {
	if err := c.open(vpc); err != nil {
		c.fail(c.put, err)
		if !errors.Is(err, ErrNoRouter) {
			c.fail(c.del, err)
		}
		return
	}
	defer c.router.Release()
	defer c.reroute(ctx)
	if i := slices.IndexFunc(c.del, isRoot); i >= 0 {
		if err := handlers[c.del[i].Key().Kind].lower(c, c.del[i]); err != nil {
			c.fail(c.del, err)
		}
		return
	}
	err := c.host.bypass(ctx, c.router, c.table)
	if err == nil {
		err = c.settle(ctx)
	}
	if err != nil {
		c.fail(c.put, err)
		c.fail(c.del, err)
		return
	}
	for _, e := range c.put {
		if raise := handlers[e.Key().Kind].raise; raise != nil {
			c.note(e, raise(ctx, c, e))
		}
	}
	if !c.clear(ctx) {
		return
	}
	for _, e := range c.put {
		if settle := handlers[e.Key().Kind].settle; settle != nil {
			c.note(e, settle(c, e))
		}
	}
	for _, e := range c.del {
		if lower := handlers[e.Key().Kind].lower; lower != nil {
			c.note(e, lower(c, e))
		}
	}
}

// note notes why an entry could not be done, if there is a reason.
func (c *change) note(e desired.Entry, err error) {
	if err != nil {
		c.failed[e.Key()] = err
	}
}

func isRoot(e desired.Entry) bool { return e.Key().Kind.Root() }

func (c *change) removeRouter(vpc string) error {
	err := c.host.routers.Remove(vpc)
	c.host.forget(vpc)
	return err
}

// clear takes away what is to go and changes the filter, and then cuts the
// connections that have lost their right. When that cannot be done it returns
// false: nobody must be given an address or a target yet.
func (c *change) clear(ctx context.Context) bool {
	ended, err := c.vacate()
	for _, e := range c.del {
		if vacate := handlers[e.Key().Kind].vacate; vacate != nil && err == nil {
			err = vacate(c, e)
		}
	}
	var onward map[netip.Addr]netip.Addr
	if err == nil {
		onward, err = c.table.Onward(ctx)
	}
	if err == nil {
		c.peers, err = c.table.Peers(ctx)
	}
	turning, err := c.turning(ctx, err)
	if err == nil {
		c.filter(ctx)
		if err = c.host.bypass(ctx, c.router, c.table); err != nil {
			c.fail(c.put, err)
		}
		ended = append(ended, c.turned(onward)...)
		for _, e := range c.del {
			if c.failed[e.Key()] == nil {
				ended = append(ended, desired.Ends(e)...)
			}
		}
		for _, e := range turning {
			if c.failed[e.Key()] == nil {
				ended = append(ended, desired.Turns(e)...)
			}
		}
		err = c.cut(ctx, ended)
	}
	if err == nil {
		return true
	}
	c.host.setSettled(c.router, false)
	c.fail(c.del, err)
	c.fail(slices.DeleteFunc(slices.Clone(c.put), func(e desired.Entry) bool { return e.Key().Kind != desired.KindWorkload && len(desired.Turns(e)) == 0 }), err)
	return false
}

// turning gives the entries that end connections by coming in the place of others. A
// public address that has its place already ends none; a target ends only what has no
// right to be there. The error is one that there was before.
func (c *change) turning(ctx context.Context, before error) ([]desired.Entry, error) {
	ends := slices.DeleteFunc(slices.Clone(c.put), func(e desired.Entry) bool { return len(desired.Turns(e)) == 0 })
	if before != nil || len(ends) == 0 {
		return nil, before
	}
	there, err := c.table.Placed(ctx, ends)
	return slices.DeleteFunc(ends, func(e desired.Entry) bool { return e.Key().Kind == desired.KindPublic && there[e.Key()] }), err
}

// reroute makes the express lane look again in the router when its interfaces or
// routes have changed. Of a link that comes or goes it learns in both.
func (c *change) reroute(ctx context.Context) {
	var err error
	gone := slices.ContainsFunc(c.del, isRoot) // and its table with it
	if !gone && (slices.ContainsFunc(c.put, steers) || slices.ContainsFunc(c.del, steers)) {
		err = c.host.steer(ctx, c.router, c.table)
	} else if !slices.ContainsFunc(c.put, ofNetwork) && !slices.ContainsFunc(c.del, ofNetwork) {
		return
	}
	if err == nil {
		err = c.host.recheck(c.router)
	}
	if err != nil {
		c.fail(c.put, err)
		c.fail(c.del, err)
	}
}

// open opens the router, or makes it when it is to be made.
func (c *change) open(vpc string) (err error) {
	if slices.ContainsFunc(c.put, isRoot) {
		c.router, err = c.host.routers.Make(vpc)
	} else {
		c.router, err = c.host.routers.Open(vpc)
	}
	if err != nil {
		return err
	}
	if c.table, err = c.host.table(c.router); err != nil {
		c.router.Release()
	}
	return err
}

// makeRouter loads the filter before anything is forwarded.
func (c *change) makeRouter(ctx context.Context, want desired.Router) error {
	if err := c.router.Configure(want); err != nil {
		return err
	}
	have, err := c.table.Dump(ctx, want.VPC)
	if err != nil || !have.Intact || have.Source4 != want.Source4 || have.Source6 != want.Source6 {
		if err := c.table.Load(ctx, want); err != nil {
			return fmt.Errorf("load filter of %s: %w", want.VPC, err)
		}
	}
	return c.router.Start()
}

func (c *change) withPeer(peer string, do func(a, b *network.Router) error) error {
	other, err := c.host.routers.Open(peer)
	if err != nil {
		return err
	}
	defer other.Release()
	return do(c.router, other)
}

// filter does the entries that live in the table, all at once.
func (c *change) filter(ctx context.Context) {
	put, del := inTable(c.put), inTable(c.del)
	if len(put)+len(del) == 0 {
		return
	}
	for key, err := range c.table.Apply(ctx, put, del) {
		c.failed[key] = err
	}
}

func (c *change) fail(entries []desired.Entry, err error) {
	for _, e := range entries {
		c.failed[e.Key()] = err
	}
}
