// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
)

// RouteTable says where a VPC's router sends the packets of the subnets that use it. The
// routes to the VPC's own blocks, which every table has, are no part of the row.
type RouteTable struct {
	Meta
	VPC  string `json:"vpc"`
	Main bool   `json:"main,omitempty"`
	// MainAssociation is the id of the main association.
	MainAssociation string `json:"mainAssociation,omitempty"`
	// Number tells the tables of a VPC apart that have routes, from one on; zero when
	// there never was one.
	Number int     `json:"number,omitempty"`
	Routes []Route `json:"routes,omitempty"`
}

// MaxRouteTableNumber is the largest number of a route table.
const MaxRouteTableNumber = 4095

// Clone copies the row so that the copy can be changed.
func (r *RouteTable) Clone() *RouteTable {
	c := *r
	c.Meta = r.Meta.clone()
	c.Routes = slices.Clone(r.Routes)
	return &c
}

// Route leads to a destination, which is either a block or a prefix list.
type Route struct {
	Dest       netip.Prefix `json:"dest,omitzero"`
	PrefixList string       `json:"prefixList,omitempty"`
	// Target is the id of what the route leads to: an internet gateway, a NAT gateway, an
	// egress-only internet gateway or a network interface. It may be gone. A local route
	// is here only when it leads elsewhere.
	Target string `json:"target"`
}

// RouteTableAssociation has a subnet use a route table of its VPC, or the packets that
// come in by an internet gateway. Subnets without one use the main table.
type RouteTableAssociation struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	ID      string `json:"id"`
	Table   string `json:"table"`
	// Subnet or Gateway is whose packets use the table.
	Subnet  string `json:"subnet,omitempty"`
	Gateway string `json:"gateway,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (a *RouteTableAssociation) Clone() *RouteTableAssociation { c := *a; return &c }

// Sibling names a resource of the same account and region.
func (a *RouteTableAssociation) Sibling(id string) Ref { return Ref{a.Account, a.Region, id} }

// unroutable is where no route of a table leads: what a router or its host uses itself
// (https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html has the
// link-local addresses and fd00:ec2::/32).
var unroutable = []netip.Prefix{
	Transit4, Transit6,
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("ff00::/8"),
}

// Unroutable gives the range in which all of a destination lies that no route may have;
// false when there is none.
func Unroutable(dest netip.Prefix) (netip.Prefix, bool) {
	for _, p := range unroutable {
		if p.Bits() <= dest.Bits() && p.Contains(dest.Addr()) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
