// SPDX-License-Identifier: Apache-2.0

package model

import (
	"maps"
	"net/netip"
	"slices"
)

// SecurityGroup is a stateful filter that network interfaces are put into.
type SecurityGroup struct {
	Meta
	VPC string `json:"vpc"`
	// Network is the account that the VPC is of, when that is another one: it shares a
	// subnet of it.
	Network     string              `json:"network,omitempty"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Rules       []SecurityGroupRule `json:"rules,omitempty"`
}

// SecurityGroupRule admits traffic. Exactly one of CIDR, Group and
// PrefixList is set.
type SecurityGroupRule struct {
	ID     string `json:"id"`
	Egress bool   `json:"egress,omitempty"`
	// Protocol is "tcp", "udp", "icmp", "icmpv6", a protocol number, or "-1".
	Protocol string `json:"protocol"`
	// From and To are ports, or ICMP type and code; -1 is any.
	From int          `json:"from"`
	To   int          `json:"to"`
	CIDR netip.Prefix `json:"cidr,omitzero"`
	// Group is the id of a group of the same VPC, or of the one on the other side of Peering.
	Group string `json:"group,omitempty"`
	// GroupAccount is the account of Group, when that is another one than this group's.
	GroupAccount string `json:"groupAccount,omitempty"`
	// Peering is the id of the peering connection that Group is reached by, of the account of
	// the VPC; empty when it is a group of the same VPC.
	Peering string `json:"peering,omitempty"`
	// PrefixList is the id of a list of blocks.
	PrefixList  string            `json:"prefixList,omitempty"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Same reports whether two rules admit the same traffic in the same direction,
// whatever their ids, descriptions and tags, and by which peering connection.
func (r SecurityGroupRule) Same(o SecurityGroupRule) bool {
	return r.Egress == o.Egress && r.Protocol == o.Protocol && r.From == o.From &&
		r.To == o.To && r.CIDR == o.CIDR && r.Group == o.Group && r.GroupAccount == o.GroupAccount && r.PrefixList == o.PrefixList
}

// VPCRef names the VPC that the group is of, whosever it is.
func (g *SecurityGroup) VPCRef() Ref { return g.in(g.Network, g.VPC) }

// Peer names the group that a rule of this one refers to, whosever it is.
func (g *SecurityGroup) Peer(r SecurityGroupRule) Ref { return g.in(r.GroupAccount, r.Group) }

// Clone copies the row so that the copy can be changed.
func (g *SecurityGroup) Clone() *SecurityGroup {
	c := *g
	c.Meta = g.Meta.clone()
	c.Rules = slices.Clone(g.Rules)
	for i := range c.Rules {
		c.Rules[i].Tags = maps.Clone(c.Rules[i].Tags)
	}
	return &c
}
