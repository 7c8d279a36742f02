// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
)

// handler is what the data plane does about the entries of one kind, in this order.
// What is nil is not done.
type handler struct {
	// raise makes an entry before the filter changes.
	raise func(ctx context.Context, c *change, e desired.Entry) error
	// vacate takes one away before the filter changes.
	vacate func(c *change, e desired.Entry) error
	// inTable says that entries live in the router's table, which does all of a call
	// in one transaction: that is when the filter changes.
	inTable bool
	// settle makes an entry when whoever had its addresses has lost them, and their
	// connections are cut.
	settle func(c *change, e desired.Entry) error
	// lower takes one away when connections are cut.
	lower func(c *change, e desired.Entry) error
	// elsewhere says that its realms are no routers; see elsewhere.
	elsewhere bool
}

// elsewhere carries out and reads back the entries of realms that are no routers, by
// their sorts.
var elsewhere = map[desired.RealmSort]struct {
	run  func(c *change, ctx context.Context, realm desired.Realm)
	dump func(h *Host, ctx context.Context, realm desired.Realm) ([]desired.Entry, error)
}{
	desired.NATs:      {(*change).runNAT, (*Host).dumpNAT},
	desired.Edges:     {(*change).runEdge, (*Host).dumpEdge},
	desired.Sandboxes: {(*change).runSandbox, (*Host).dumpSandbox},
}

// handlers are those of all kinds that the data plane carries out.
var handlers = withTable(map[desired.Kind]handler{
	desired.KindRouter: {
		raise: raising(func(ctx context.Context, c *change, r desired.Router) error { return c.makeRouter(ctx, r) }),
		lower: func(c *change, e desired.Entry) error { return c.removeRouter(string(e.Key().Realm)) },
	},
	desired.KindLink: {
		raise: raising(func(_ context.Context, c *change, l desired.Link) error { return c.withPeer(l.Peer, network.Connect) }),
		lower: func(c *change, e desired.Entry) error { return c.router.Disconnect(e.Key().ID) },
	},
	desired.KindRoute: {
		raise: raising(func(_ context.Context, c *change, r desired.Route) error { return c.router.Send(r.Prefix, r.Peer) }),
		lower: func(c *change, e desired.Entry) error {
			prefix, err := netip.ParsePrefix(e.Key().ID)
			if err != nil {
				return fmt.Errorf("delete %s: %w", e.Key(), err)
			}
			return c.router.Unsend(prefix)
		},
	},
	desired.KindTable: {
		raise: raising(func(_ context.Context, c *change, t desired.Table) error { return c.router.Lead(t) }),
		lower: func(c *change, e desired.Entry) error {
			number, err := strconv.Atoi(e.Key().ID)
			if err != nil {
				return fmt.Errorf("delete %s: %w", e.Key(), err)
			}
			return c.router.Unlead(number)
		},
	},
	desired.KindPeering: {
		raise: raising(func(_ context.Context, c *change, p desired.Peering) error { return c.router.Admit(p.Peer, true) }),
		lower: func(c *change, e desired.Entry) error { return c.router.Admit(e.Key().ID, false) },
	},
	desired.KindEdge: {
		raise: raising(func(ctx context.Context, c *change, e desired.Edge) error { return c.makeEdge(ctx, e) }),
		lower: func(c *change, _ desired.Entry) error { return c.host.removeEdge(c.router) },
	},
	desired.KindExit: {
		raise: raising(func(_ context.Context, c *change, x desired.Exit) error { return c.makeExit(x) }),
		lower: func(c *change, e desired.Entry) error { return c.removeExit(e.Key().ID) },
	},
	desired.KindIssued: {
		raise: raising(func(_ context.Context, c *change, i desired.Issued) error { return c.router.Issue(i.Prefix, i.VPC) }),
		lower: revoke,
	},
	desired.KindNameserver: {
		raise: raising(func(_ context.Context, c *change, n desired.Nameserver) error { return c.router.Serve(n.Addrs) }),
		lower: func(c *change, _ desired.Entry) error { return c.router.Serve(nil) },
	},
	desired.KindNAT:     {elsewhere: true},
	desired.KindSandbox: {elsewhere: true},
	desired.KindWorkload: {
		vacate: func(c *change, e desired.Entry) error { return c.router.Detach(e.Key().ID) },
		settle: typed(func(c *change, w desired.Workload) error { return c.router.Attach(w) }),
	},
})

// withTable adds the kinds of package nft. A kind that is there already lives in the
// table too.
func withTable(all map[desired.Kind]handler) map[desired.Kind]handler {
	for _, k := range nft.Kinds() {
		h := all[k]
		h.inTable = true
		all[k] = h
	}
	return all
}

// Kinds lists the kinds that the data plane carries out, in the order of making.
func Kinds() []desired.Kind {
	return slices.DeleteFunc(desired.Kinds(), func(k desired.Kind) bool {
		h := handlers[k]
		return !h.elsewhere && !h.inTable && (h.raise == nil && h.settle == nil || h.vacate == nil && h.lower == nil)
	})
}

// typed makes a function of a kind's own entries one of all entries.
func typed[E desired.Entry](do func(*change, E) error) func(*change, desired.Entry) error {
	return func(c *change, e desired.Entry) error {
		v, ok := e.(E)
		if !ok {
			return fmt.Errorf("carry out %s: not with a value of type %T", e.Key(), e)
		}
		return do(c, v)
	}
}

// raising is typed for what needs a context.
func raising[E desired.Entry](do func(context.Context, *change, E) error) func(context.Context, *change, desired.Entry) error {
	return func(ctx context.Context, c *change, e desired.Entry) error {
		return typed(func(c *change, v E) error { return do(ctx, c, v) })(c, e)
	}
}

// Errors of entries that nobody could carry out.
var (
	errNoKind  = errors.New("the data plane has no such kind")
	errNotHere = errors.New("it lives in another realm")
)

// known takes out of a list what cannot be done in a realm whatever there is, and
// notes why.
func (c *change) known(realm desired.Realm, verb string, entries []desired.Entry) []desired.Entry {
	return slices.DeleteFunc(entries, func(e desired.Entry) bool {
		var err error
		key := e.Key()
		if _, ok := handlers[key.Kind]; !ok {
			err = errNoKind
		} else if key.Realm != realm || key.Kind.Sort() != realm.Sort() {
			err = errNotHere
		} else {
			return false
		}
		c.failed[key] = fmt.Errorf("%s %s: %w", verb, key, err)
		return true
	})
}

// ofNetwork says whether an entry changes interfaces or routes.
func ofNetwork(e desired.Entry) bool {
	h := handlers[e.Key().Kind]
	return !h.inTable || h.raise != nil
}

// inTable gives those entries that live in the table.
func inTable(entries []desired.Entry) []desired.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e desired.Entry) bool { return !handlers[e.Key().Kind].inTable })
}
