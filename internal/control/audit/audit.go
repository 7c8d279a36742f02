// SPDX-License-Identifier: Apache-2.0

// Package audit says what is wrong in a state: rows that refer to others which do
// not exist, claims that nobody has, things without a claim, and what a kernel has
// too much or too little. It changes nothing. With all of it in order a finding
// means a mistake in this program, or that somebody else has been at the store.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Finding is something that is wrong.
type Finding struct {
	// Object names the row or entry, Problem what is wrong with it.
	Object, Problem string
}

// String is one line for people.
func (f Finding) String() string { return f.Object + ": " + f.Problem }

// auditor collects findings in one state.
type auditor struct {
	tx    *table.Txn
	found []Finding
}

// Rows looks through all rows of a state that is no Update's.
func Rows(tx *table.Txn) []Finding {
	a := &auditor{tx: tx}
	for row := range tx.SetAside() {
		a.wrong(row.Key.String(), "it is set aside: %v", row.Reason)
	}
	a.references()
	a.interfaces()
	a.addressClaims()
	a.publicClaims()
	a.routeTables()
	a.networkACLs()
	a.ways()
	a.transitClaims()
	a.zones()
	a.natGateways()
	a.loadBalancers()
	a.endpointServices()
	a.peerings()
	a.databases()
	a.statuses()
	return a.found
}

func (a *auditor) wrong(object, format string, args ...any) {
	a.found = append(a.found, Finding{object, fmt.Sprintf(format, args...)})
}

// name names a row as the tables do.
func name[T table.Row](t *table.Table[T], row T) string {
	account, region, id := row.RowKey()
	return table.Key{Kind: t.Kind(), Account: account, Region: region, ID: id}.String()
}

// references wants every row to exist that another one names.
func (a *auditor) references() {
	for _, r := range state.Relations() {
		for row, ref := range r.Dangling(a.tx) {
			account, region, id := row.RowKey()
			a.wrong(table.Key{Kind: r.From, Account: account, Region: region, ID: id}.String(),
				"it refers to %s %s, which does not exist", strings.Join(r.To, " or "), ref.ID)
		}
	}
}

// interfaces wants network interfaces to have an owner that has them too, and a
// claim on each of their addresses.
func (a *auditor) interfaces() {
	for ni := range state.NetworkInterfaces.All(a.tx) {
		object := name(state.NetworkInterfaces, ni)
		if owned, exists := a.owns(ni); exists && !owned {
			a.wrong(object, "it belongs to %s, which does not have it", ni.Owner)
		}
		for _, claim := range claimed(ni) {
			id := claim.ID
			c, ok := state.AddressClaims.Get(a.tx, claim.Account, claim.Region, id)
			switch {
			case !ok:
				a.wrong(object, "nothing claims its address %s", id)
			case c.InterfaceRef() != ni.Ref():
				a.wrong(object, "its address %s is claimed by %s", id, c.Interface)
			case c.Released():
				a.wrong(object, "its address %s is claimed as given up", id)
			}
		}
	}
}

// owns reports whether the owner of an interface has it, and exists. A workload's
// has none.
func (a *auditor) owns(ni *model.NetworkInterface) (owned, exists bool) {
	if ni.Owner == "" {
		return true, true
	}
	if e, ok := state.VPCEndpoints.Get(a.tx, ni.Account, ni.Region, ni.Owner); ok {
		return slices.Contains(e.Interfaces, ni.ID) || slices.Contains(e.Leaving, ni.ID), true
	}
	if g, ok := state.ResourceGateways.Get(a.tx, ni.Account, ni.Region, ni.Owner); ok {
		return slices.Contains(g.Interfaces, ni.ID), true
	}
	if g, ok := state.NATGateways.Get(a.tx, ni.Account, ni.Region, ni.Owner); ok {
		return g.Interface == ni.ID && !g.Gone(), true
	}
	if b, ok := state.LoadBalancers.Get(a.tx, ni.Account, ni.Region, ni.Owner); ok {
		return slices.Contains(b.Interfaces, ni.ID), true
	}
	if i, ok := state.DBInstances.Get(a.tx, ni.Account, ni.Region, ni.Owner); ok {
		return i.Interface == ni.ID, true
	}
	return false, false
}

// claimed names the claims that an interface must have.
func claimed(ni *model.NetworkInterface) (all []model.Ref) {
	addresses := append(ni.All(), ni.Delegated()...)
	for _, p := range append(slices.Clone(ni.Prefixes6), ni.Prefix6) {
		if p.IsValid() {
			addresses = append(addresses, p.Addr())
		}
	}
	for _, addr := range addresses {
		all = append(all, ni.ClaimRef(addr))
	}
	return all
}

// addressClaims wants somebody to have, or to have given up, each address that is
// claimed.
func (a *auditor) addressClaims() {
	for c := range state.AddressClaims.All(a.tx) {
		object := name(state.AddressClaims, c)
		has := c.InterfaceRef()
		ni, ok := state.NetworkInterfaces.Get(a.tx, has.Account, has.Region, has.ID)
		if ok && !c.Released() && !slices.Contains(claimed(ni), c.Ref()) {
			a.wrong(object, "it is a claim of %s, which does not have the address", c.Interface)
		}
	}
}

// ways wants the targets of configurations and load balancers to be on hosts that exist, and the
// addresses of associations to be theirs.
func (a *auditor) ways() {
	hosts := map[int]bool{}
	for h := range state.Hosts.All(a.tx) {
		hosts[h.Index] = true
	}
	onHosts := func(object string, targets []model.TransitTarget) {
		for _, t := range targets {
			if !hosts[t.Host] {
				a.wrong(object, "it has a target on host %d, which does not exist", t.Host)
			}
		}
	}
	for r := range state.ResourceConfigurations.All(a.tx) {
		onHosts(name(state.ResourceConfigurations, r), r.Targets)
	}
	for b := range state.LoadBalancers.All(a.tx) {
		onHosts(name(state.LoadBalancers, b), b.Targets)
	}
	for e := range state.VPCEndpoints.All(a.tx) {
		onHosts(name(state.VPCEndpoints, e), e.Targets)
	}
	for s := range state.EndpointAssociations.All(a.tx) {
		a.ownAddresses(name(state.EndpointAssociations, s), s)
	}
}

// ownAddresses wants an association's own addresses to be had by interfaces of its
// endpoint, and by no other association.
func (a *auditor) ownAddresses(object string, s *model.EndpointAssociation) {
	for _, own := range s.Addresses {
		ref := s.Interface(own)
		ni, ok := state.NetworkInterfaces.Get(a.tx, ref.Account, ref.Region, ref.ID)
		switch {
		case !ok || ni.Owner != s.Endpoint.ID:
			a.wrong(object, "it has address %s of %s, which is no interface of its endpoint", own.Addr, own.Interface)
		case !slices.Contains(ni.All(), own.Addr):
			a.wrong(object, "it has address %s of %s, which does not have it", own.Addr, own.Interface)
		case state.EndpointAssociationsByAddress.Count(a.tx, state.Address{Interface: ref, Addr: own.Addr}) > 1:
			a.wrong(object, "its address %s of %s is another association's too", own.Addr, own.Interface)
		}
	}
}

// transitClaims wants places in the transit realm to be claimed by those who have
// them, and by nobody else.
func (a *auditor) transitClaims() {
	had := map[string]model.Ref{}
	have := func(object, space string, index int, owner model.Ref) {
		id := model.TransitClaimID(space, index)
		if other, taken := had[id]; taken {
			a.wrong(object, "its place %s in the transit realm is that of %s too", id, other.ID)
		}
		had[id] = owner
		c, ok := state.TransitClaims.Get(a.tx, "", "", id)
		switch {
		case !ok:
			a.wrong(object, "nothing claims its place %s in the transit realm", id)
		case c.Owner != owner:
			a.wrong(object, "its place %s in the transit realm is claimed by %s", id, c.Owner.ID)
		}
	}
	for v := range state.VPCs.All(a.tx) {
		have(name(state.VPCs, v), model.SpaceSource, v.TransitIndex, v.Ref())
	}
	for r := range state.ResourceConfigurations.All(a.tx) {
		for _, t := range r.Targets {
			have(name(state.ResourceConfigurations, r), model.SpaceTarget, t.Index, r.Ref())
		}
	}
	for b := range state.LoadBalancers.All(a.tx) {
		for _, t := range b.Targets {
			have(name(state.LoadBalancers, b), model.SpaceTarget, t.Index, b.Ref())
		}
	}
	for e := range state.VPCEndpoints.All(a.tx) {
		for _, t := range e.Targets {
			have(name(state.VPCEndpoints, e), model.SpaceTarget, t.Index, e.Ref())
		}
	}
	blocks := map[model.Ref]int{}
	for c := range state.TransitClaims.All(a.tx) {
		if c.Space == model.SpacePool6 {
			blocks[c.Owner]++
		} else if _, _, id := c.RowKey(); had[id].IsZero() {
			a.wrong(name(state.TransitClaims, c), "it is a claim of %s, which does not have the place or does not exist", c.Owner.ID)
		}
	}
	a.pool6(blocks)
}

// pool6 wants as many places of the IPv6 pool to be claimed by each VPC as it has
// blocks of it. Which place a block has depends on the pool that there was.
func (a *auditor) pool6(claims map[model.Ref]int) {
	for v := range state.VPCs.All(a.tx) {
		has := 0
		for _, b := range v.CIDRs6 {
			if b.Pool == model.AmazonPool {
				has++
			}
		}
		if n := claims[v.Ref()]; n != has {
			a.wrong(name(state.VPCs, v), "it has %d blocks of the IPv6 pool, and claims %d", has, n)
		}
		delete(claims, v.Ref())
	}
	for owner, n := range claims {
		a.wrong("transit-claim "+model.SpacePool6, "%d places are claimed by %s, which does not exist", n, owner.ID)
	}
}

// statuses wants states to be of something.
func (a *auditor) statuses() {
	for s := range state.Statuses.All(a.tx) {
		if !exists(a, s, state.VPCs) && !exists(a, s, state.Subnets) && !exists(a, s, state.SecurityGroups) &&
			!exists(a, s, state.NetworkInterfaces) && !exists(a, s, state.ResourceGateways) && !exists(a, s, state.ResourceConfigurations) &&
			!exists(a, s, state.AddressClaims) && !exists(a, s, state.PublicClaims) && !exists(a, s, state.VPCEndpoints) && !exists(a, s, state.EndpointAssociations) &&
			!exists(a, s, state.DBClusters) && !exists(a, s, state.DBInstances) && !exists(a, s, state.DBSnapshots) &&
			!exists(a, s, state.NATGateways) && !exists(a, s, state.LoadBalancers) && !exists(a, s, state.HostedZones) && !exists(a, s, state.ZoneChanges) {
			a.wrong(name(state.Statuses, s), "it is the state of something that does not exist")
		}
	}
}

// exists reports whether a row exists that has another one's key.
func exists[T table.Row](a *auditor, of table.Row, t *table.Table[T]) bool {
	account, region, id := of.RowKey()
	_, ok := t.Get(a.tx, account, region, id)
	return ok
}

// Desired derives from nothing what a host should look like. The changes are all
// rows of the state; domains and outside are as in plan.New.
func Desired(tx *table.Txn, rows []table.Change, host model.Host, domains plan.Domains, outside model.Outside) []desired.Entry {
	return plan.New(host, domains, outside).Change(tx, rows).Put
}

// Kernel compares what is wanted of a host with what is there. In the place of a name or
// a part of a database that is followed there must be a target, whatever addresses that has.
func Kernel(wanted, there []desired.Entry) []Finding {
	has := make(map[desired.Key]desired.Entry, len(there))
	for _, e := range there {
		has[e.Key()] = e
	}
	var found []Finding
	for _, want := range wanted {
		key := want.Key()
		followed, follows := want.(interface{ Carries(desired.Entry) bool })
		if follows {
			key.Kind = desired.KindTarget
		}
		e, ok := has[key]
		delete(has, key)
		switch {
		case ok && follows && followed.Carries(e):
		case !ok:
			found = append(found, Finding{want.Key().String(), "it is wanted, and the kernel does not have it"})
		case !desired.SameState(e, want, key.Kind):
			found = append(found, Finding{want.Key().String(), fmt.Sprintf("the kernel has %q, wanted is %q", e, want)})
		}
	}
	for k := range has {
		found = append(found, Finding{k.String(), "the kernel has it, and nobody wants it"})
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Compare(a.Object, b.Object) })
	return found
}
