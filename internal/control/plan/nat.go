// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// ownDevice is the name of the one interface of a namespace of ours.
const ownDevice = "eth0"

// deriveNAT asks for the namespace of a NAT gateway, and for its interface there.
func (r *reading) deriveNAT(ref model.Ref) derived {
	g, ok := state.NATGateways.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || g.Gone() {
		return derived{}
	}
	eni := g.Sibling(g.Interface)
	d := derived{subjects: append(r.released(eni), standingOf(SubjectNAT, &g.Meta))}
	if g.Deleting() {
		return d
	}
	ni, ok := state.NetworkInterfaces.Get(r.tx, eni.Account, eni.Region, eni.ID)
	if !ok {
		return d
	}
	nat := desired.NAT{ID: g.ID, VPC: ni.VPC}
	for _, a := range g.Addresses {
		switch {
		case !slices.Contains(ni.Addresses, a.Private):
		case a.GivenUp():
			nat.Draining = append(nat.Draining, a.Private)
		default:
			nat.Addresses = append(nat.Addresses, a.Private)
		}
	}
	d.entries = append(r.plug(ni, func(w *desired.Workload) {
		w.Namespace, w.Device = desired.Namespace{Realm: desired.NATRealm(g.ID)}, ownDevice
	}), nat)
	return d
}

// admitsAll is the class of addresses that no security group filters, and what comes in
// the place of groups in the id of its unit.
const admitsAll = "everything"

// openClass admits all packets, both ways.
func openClass(vpc string) desired.Class {
	rules := func() (all []desired.Rule) {
		for _, p := range []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)} {
			all = append(all, anything(p))
		}
		return sortedRules(all)
	}
	return desired.Class{VPC: vpc, Name: admitsAll, In: rules(), Out: rules()}
}
