// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
)

// nat is the namespace of a NAT gateway that is open. It is a flow.Router, whose peer
// in all directions is the router of its VPC.
type nat struct {
	*crossed
	vpc string
}

// Peer implements flow.Router.
func (n nat) Peer(netip.Addr) (flow.Router, error) {
	peer, err := n.host.routers.Open(n.vpc)
	if errors.Is(err, ErrNoRouter) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &crossed{host: n.host, router: peer}, nil
}

// openedNAT is the namespace of a NAT gateway for as long as a call lasts.
type openedNAT struct {
	host   *Host
	id     string
	router *network.Router
	table  *nft.Table
	have   desired.NAT // what its rules say that it is
	loaded bool        // they say something
}

// openNAT opens the namespace of a NAT gateway, or makes it. The caller releases it.
func (h *Host) openNAT(ctx context.Context, realm desired.Realm, open func(name string) (*network.Router, error)) (n *openedNAT, err error) {
	n = &openedNAT{host: h, id: realm.Name()}
	if n.router, err = open(network.NameOf(realm)); err != nil {
		return n, err
	}
	if n.table, err = h.table(n.router); err == nil {
		var said []string
		said, err = n.table.Saying(ctx)
		n.have, n.loaded = nft.ParseNAT(n.id, said)
	}
	if err != nil {
		n.router.Release()
	}
	return n, err
}

// runNAT does what is to be done with the namespace of a NAT gateway.
func (c *change) runNAT(ctx context.Context, realm desired.Realm) {
	if err := c.doNAT(ctx, realm); err != nil {
		c.fail(c.put, err)
		c.fail(c.del, err)
	}
}

func (c *change) doNAT(ctx context.Context, realm desired.Realm) error {
	open := c.host.routers.Open
	if len(c.put) > 0 {
		open = c.host.routers.Make
	}
	n, err := c.host.openNAT(ctx, realm, open)
	if errors.Is(err, ErrNoRouter) {
		c.host.forget(network.NameOf(realm))
		return nil
	}
	if err != nil {
		return err
	}
	defer n.router.Release()
	if len(c.del) > 0 {
		return n.remove(ctx)
	}
	for _, e := range c.put {
		want, ok := e.(desired.NAT)
		if !ok {
			return fmt.Errorf("carry out %s: not with a value of type %T", e.Key(), e)
		}
		if err := n.configure(ctx, want); err != nil {
			return err
		}
	}
	return n.settle(ctx)
}

// rules are those of a gateway here.
func (n *openedNAT) rules(of desired.NAT) (nft.Fixed, error) {
	return nft.NewNAT(of, n.host.ports, n.host.shares.Client)
}

// configure makes the namespace what is wanted. Its rules are there before anything is
// forwarded, and nobody leaves from an address any more when the connections of the
// address are cut.
func (n *openedNAT) configure(ctx context.Context, want desired.NAT) error {
	rules, err := n.rules(want)
	if err == nil {
		err = n.router.Up()
	}
	if err != nil {
		return fmt.Errorf("make nat gateway %s: %w", n.id, err)
	}
	whole, err := n.table.Has(ctx, rules)
	if err == nil && !whole {
		err = n.table.Replace(ctx, rules)
	}
	if err == nil {
		err = n.router.Start()
	}
	if err != nil {
		return fmt.Errorf("make nat gateway %s: %w", n.id, err)
	}
	n.have, n.loaded = want, true
	n.host.setSettled(n.router, false)
	return n.host.recheck(n.router)
}

// settle cuts what leaves from addresses that the gateway has not, if it is not known
// that there is nothing.
func (n *openedNAT) settle(ctx context.Context) error {
	if !n.loaded || n.host.isSettled(n.router) {
		return nil
	}
	all := slices.Concat(n.have.Addresses, n.have.Draining)
	if err := n.cut(ctx, func(f flow.Flow) bool { return !slices.Contains(all, f.Known.Addr()) }); err != nil {
		return err
	}
	n.host.setSettled(n.router, true)
	return nil
}

// cut ends connections of the gateway, and what they are in the router of its VPC, and
// beyond.
func (n *openedNAT) cut(ctx context.Context, ends func(flow.Flow) bool) error {
	count, err := flow.CutWhere(ctx, nat{&crossed{host: n.host, router: n.router}, n.have.VPC}, ends, n.host.cutIn)
	if err != nil {
		return fmt.Errorf("cut connections of nat gateway %s: %w", n.id, err)
	}
	if count > 0 {
		n.host.log.Info("connections cut", "nat", n.id, "connections", count)
	}
	return nil
}

// remove cuts all connections and takes the namespace away.
func (n *openedNAT) remove(ctx context.Context) error {
	if err := n.cut(ctx, func(flow.Flow) bool { return true }); err != nil {
		return err
	}
	name := n.router.VPC
	err := n.host.routers.Remove(name)
	n.host.forget(name)
	return err
}

// dumpNAT reads a NAT gateway back.
func (h *Host) dumpNAT(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	n, err := h.openNAT(ctx, realm, h.routers.Open)
	if errors.Is(err, ErrNoRouter) {
		h.forget(network.NameOf(realm))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer n.router.Release()
	whole, err := n.router.Whole()
	if err != nil {
		return nil, err
	}
	if n.loaded && whole {
		rules, err := n.rules(n.have)
		if err == nil {
			whole, err = n.table.Has(ctx, rules)
		}
		if err != nil {
			return nil, err
		}
	}
	if !n.loaded || !whole {
		return []desired.Entry{nft.Damaged{Entry: n.have}}, nil
	}
	return []desired.Entry{n.have}, nil
}

// NATUse is what a NAT gateway has, and what it has done since it was made.
type NATUse struct {
	// ID is the gateway's, VPC is whose router it is at.
	ID, VPC string
	nft.NATUse
	// Traffic is all that has come to it, from within and from outside.
	express.Traffic
	// Express is about how many connections the express lane carries, Carried what it
	// has carried through the gateway.
	Express int64
	Carried express.Traffic
}

// NATs asks each NAT gateway what it has, as long as the context lasts.
func (h *Host) NATs(ctx context.Context) (list []NATUse, err error) {
	err = h.eachNAT(ctx, func(r *network.Router, table *nft.Table, n desired.NAT) error {
		u, err := h.natUse(ctx, r, table, n)
		if err == nil {
			list = append(list, u)
		}
		return err
	})
	return list, err
}

// natsOf gives the addresses of a VPC's NAT gateways, and whose they are.
func (h *Host) natsOf(ctx context.Context, vpc string) (map[netip.Addr]string, error) {
	found := map[netip.Addr]string{}
	err := h.eachNAT(ctx, func(_ *network.Router, _ *nft.Table, n desired.NAT) error {
		for _, a := range slices.Concat(n.Addresses, n.Draining) {
			if n.VPC == vpc {
				found[a] = n.ID
			}
		}
		return nil
	})
	return found, err
}

// eachNAT opens the NAT gateways one after the other, with what their rules say.
func (h *Host) eachNAT(ctx context.Context, do func(*network.Router, *nft.Table, desired.NAT) error) error {
	realms, err := h.routers.Realms()
	if err != nil {
		return err
	}
	for _, realm := range realms {
		if realm.Sort() != desired.NATs {
			continue
		}
		if err := h.withNAT(ctx, realm, do); err != nil && !errors.Is(err, ErrNoRouter) { // it has gone just now
			return fmt.Errorf("look at the use of %s: %w", realm.Name(), err)
		}
	}
	return nil
}

func (h *Host) withNAT(ctx context.Context, realm desired.Realm, do func(*network.Router, *nft.Table, desired.NAT) error) error {
	r, table, err := h.opened(network.NameOf(realm))
	if err != nil {
		return err
	}
	defer r.Release()
	defer table.Close()
	said, err := table.Saying(ctx)
	if err != nil {
		return err
	}
	n, _ := nft.ParseNAT(realm.Name(), said)
	return do(r, table, n)
}

func (h *Host) natUse(ctx context.Context, r *network.Router, table *nft.Table, n desired.NAT) (u NATUse, err error) {
	u.ID, u.VPC = n.ID, n.VPC
	if u.NATUse, err = table.NATUse(ctx); err != nil {
		return NATUse{}, err
	}
	if u.Packets, u.Bytes, err = r.Received(); err != nil {
		return NATUse{}, err
	}
	lane, err := h.laneUse(r)
	u.Express, u.Carried = int64(lane.Connections), lane.Traffic
	return u, err
}
