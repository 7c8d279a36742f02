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

// Dump reads what the router of a VPC has, as entries in the order of making.
// What is damaged is missing from them or has another text than when it is
// whole. A VPC without a router has no entries, and that is not an error.
func (h *Host) Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	vpc := string(realm)
	defer h.lock(vpc)()
	if other, ok := elsewhere[realm.Sort()]; ok {
		return other.dump(h, ctx, realm)
	}
	r, err := h.routers.Open(vpc)
	if errors.Is(err, ErrNoRouter) {
		h.forget(vpc)
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
	filter, err := table.Dump(ctx, vpc)
	if err != nil {
		return nil, fmt.Errorf("read filter of %s: %w", vpc, err)
	}
	if err := h.bypass(ctx, r, table); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	net, err := h.routers.Dump(r)
	if err != nil {
		return nil, err
	}
	entries := append([]desired.Entry{routerEntry(vpc, net, filter)}, withNameserver(vpc, filter.Entries, net.Nameservers)...)
	entries = withAdmitted(vpc, entries, net.Admitted)
	entries = appendAll(entries, net.Links)
	entries = appendAll(entries, net.Routes)
	entries = appendAll(entries, net.Workloads)
	entries = appendAll(entries, net.Tables)
	desired.Sort(entries)
	return entries, nil
}

// routerEntry puts a router together from both parts. The filter knows which of
// the router's prefixes are transit sources.
func routerEntry(vpc string, net network.Content, filter nft.Content) desired.Entry {
	r := desired.Router{VPC: vpc, Gateways: net.Gateways, Source4: filter.Source4, Source6: filter.Source6}
	whole := filter.Intact && net.Running
	r.Networks = net.Sinks
	for _, source := range []netip.Prefix{r.Source4, r.Source6} {
		if !source.IsValid() {
			continue
		}
		whole = whole && slices.Contains(r.Networks, source)
		r.Networks = slices.DeleteFunc(r.Networks, func(p netip.Prefix) bool { return p == source })
	}
	if !whole {
		return nft.Damaged{Entry: r}
	}
	return r
}

// withNameserver compares where the resolver is according to the filter with the
// addresses that the router has for it.
func withNameserver(vpc string, entries []desired.Entry, addrs []netip.Addr) []desired.Entry {
	have := desired.Nameserver{VPC: vpc, Addrs: addrs}
	i := slices.IndexFunc(entries, func(e desired.Entry) bool { return e.Key().Kind == desired.KindNameserver })
	switch {
	case i < 0 && len(addrs) > 0:
		return append(entries, nft.Damaged{Entry: have})
	case i >= 0 && !desired.SameState(entries[i], have, desired.KindNameserver):
		entries[i] = nft.Damaged{Entry: entries[i]}
	}
	return entries
}

// withAdmitted compares the peers according to the filter with those whose addresses may
// come over their links.
func withAdmitted(vpc string, entries []desired.Entry, admitted []string) []desired.Entry {
	admitted = slices.Clone(admitted)
	for i, e := range entries {
		if key := e.Key(); key.Kind == desired.KindPeering {
			before := len(admitted)
			if admitted = slices.DeleteFunc(admitted, func(peer string) bool { return peer == key.ID }); len(admitted) == before {
				entries[i] = nft.Damaged{Entry: e}
			}
		}
	}
	for _, peer := range admitted {
		entries = append(entries, nft.Damaged{Entry: desired.Peering{VPC: vpc, Peer: peer}})
	}
	return entries
}

func appendAll[E desired.Entry](to []desired.Entry, list []E) []desired.Entry {
	for _, e := range list {
		to = append(to, e)
	}
	return to
}
