// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// uplinkRef is the place of the unit of an uplink, which is no row.
func uplinkRef(name string) model.Ref { return model.Ref{ID: name} }

// deriveUplink asks for the edge of the host's uplink: a VPC has a way there, or this unit
// would not be.
func (r *reading) deriveUplink(ref model.Ref) derived {
	u := r.plan.outside.Uplink
	if u.Name != ref.ID {
		return derived{}
	}
	return derived{entries: []desired.Entry{desired.Edge{
		Name: u.Name, Device: u.Device, Addresses: slices.Clone(u.Addresses), Via: slices.Clone(u.Via), Pool: slices.Clone(r.plan.outside.Pool),
		Denied: slices.Clone(u.Denied), Allowed: slices.Clone(u.Allowed),
	}}, value: u.Name}
}

// wayOut is how a VPC reaches the outside; the zero value is that it does not yet.
type wayOut struct {
	uplink, vpc string
	// public says that it has an internet gateway, by which public addresses work.
	public bool
}

// deriveExit asks for the way of a VPC to the outside, when it has a gateway of either
// kind, somebody who could go, and the host an uplink. It has the VPC's IPv6 blocks, and in
// to those subnets that have a route back by the internet gateway.
func (r *reading) deriveExit(ref model.Ref) derived {
	uplink := r.plan.outside.Uplink
	var gateways []string
	for g := range state.InternetGatewaysByVPC.Rows(r.tx, ref) {
		gateways = append(gateways, g.ID)
	}
	if !uplink.There() || len(gateways) == 0 && state.EgressOnlyGatewaysByVPC.Count(r.tx, ref) == 0 {
		return derived{}
	}
	waiting := derived{value: wayOut{}} // with a value it is derived again when there is more
	if some, _ := valueOf[bool](r, unitPeopled, ref); !some {
		return waiting
	}
	router, ok := valueOf[network](r, unitVPC, ref)
	if !ok {
		return waiting
	}
	r.value(idOf(unitUplink, uplinkRef(uplink.Name)))
	d := derived{
		entries: []desired.Entry{desired.Exit{Uplink: uplink.Name, VPC: router.id}},
		value:   wayOut{uplink.Name, router.id, len(gateways) > 0},
	}
	vpc, _ := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	for _, block := range vpc.CIDRs6 {
		if block.Pool == model.AmazonPool { // others may be another VPC's too
			d.entries = append(d.entries, desired.Issued{Uplink: uplink.Name, Prefix: block.Prefix, VPC: router.id})
		}
	}
	for s := range state.SubnetsByVPC.Rows(r.tx, ref) {
		if p := s.CIDR6.Prefix; p.IsValid() && r.answers6(vpc, s, gateways) {
			d.entries = append(d.entries, desired.Opened{VPC: router.id, Prefix: p})
		}
	}
	return d
}

// answers6 reports whether what lives in a subnet can answer by one of the gateways to who
// connects by IPv6: its table has a route there.
func (r *reading) answers6(vpc *model.VPC, s *model.Subnet, gateways []string) bool {
	used := vpc.MainTable
	for a := range state.RouteTableAssociationsBySubnet.Rows(r.tx, s.Ref()) {
		used = a.Table
	}
	t, ok := state.RouteTables.Get(r.tx, s.Account, s.Region, used)
	return ok && slices.ContainsFunc(t.Routes, func(route model.Route) bool {
		if !slices.Contains(gateways, route.Target) {
			return false
		}
		if route.PrefixList == "" {
			return route.Dest.Addr().Is6()
		}
		list, _ := state.ListOf(r.tx, t.Sibling(route.PrefixList))
		return slices.ContainsFunc(list.Blocks, func(p netip.Prefix) bool { return p.Addr().Is6() })
	})
}

// derivePublic asks for the translation of a public address that somebody has, where there
// is an internet gateway. The claim is a subject also while nobody has the address: it
// remembers what its address still has in a router.
func (r *reading) derivePublic(ref model.Ref) derived {
	c, ok := state.PublicClaims.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{newStanding(SubjectPublic, ref, stamp(c.ReleasedAt), c.Released())}}
	if c.Released() {
		return d
	}
	ni, private := r.holder(c)
	if ni == nil || r.leaving(ni) {
		return d
	}
	out, ok := valueOf[wayOut](r, unitExit, ni.VPCRef())
	if !ok || !out.public {
		return d
	}
	d.entries = []desired.Entry{
		desired.Public{VPC: out.vpc, Addr: c.Addr, Private: private},
		desired.Issued{Uplink: out.uplink, Prefix: netip.PrefixFrom(c.Addr, c.Addr.BitLen()), VPC: out.vpc},
	}
	return d
}

// holder gives the interface that has a public address, and the address of it that is
// translated; nil for none.
func (r *reading) holder(c *model.PublicClaim) (*model.NetworkInterface, netip.Addr) {
	own := c.Owner
	private := func(ni *model.NetworkInterface) netip.Addr {
		if ni.Public == c.Addr && len(ni.Addresses) > 0 {
			return ni.Addresses[0]
		}
		return netip.Addr{}
	}
	if e, ok := state.ElasticAddresses.Get(r.tx, own.Account, own.Region, own.ID); ok && e.Addr == c.Addr {
		own = e.Sibling(e.Interface)
		private = func(*model.NetworkInterface) netip.Addr { return e.Private }
	}
	ni, ok := state.NetworkInterfaces.Get(r.tx, own.Account, own.Region, own.ID)
	if !ok || !slices.Contains(ni.Addresses, private(ni)) {
		return nil, netip.Addr{}
	}
	return ni, private(ni)
}
