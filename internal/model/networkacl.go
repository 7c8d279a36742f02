// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
)

// NetworkACL filters the packets into and out of subnets, without a memory of
// connections.
type NetworkACL struct {
	Meta
	VPC     string `json:"vpc"`
	Default bool   `json:"default,omitempty"`
	// Changed says that Entries are all that there are. Those of a default one that was
	// never changed let everything pass, by the families that the VPC has, and are not
	// in the row.
	Changed bool       `json:"changed,omitempty"`
	Entries []ACLEntry `json:"entries,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (n *NetworkACL) Clone() *NetworkACL {
	c := *n
	c.Meta = n.Meta.clone()
	c.Entries = slices.Clone(n.Entries)
	return &c
}

// ACLEntry is a rule of a network ACL. The entries of a direction are asked in the order
// of their numbers; the first that matches decides, and without one the packet is
// dropped.
type ACLEntry struct {
	Number int  `json:"number"`
	Egress bool `json:"egress,omitempty"`
	Allow  bool `json:"allow,omitempty"`
	// Protocol is a number of the Internet Protocol, or -1 for all.
	Protocol int          `json:"protocol"`
	CIDR     netip.Prefix `json:"cidr"`
	// From and To are ports, or ICMP type and code; -1 is any.
	From int `json:"from"`
	To   int `json:"to"`
}

// NetworkACLAssociation has a subnet use a network ACL of its VPC. Subnets without one use
// the default one.
type NetworkACLAssociation struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	ID      string `json:"id"`
	ACL     string `json:"acl"`
	Subnet  string `json:"subnet"`
}

// Clone copies the row so that the copy can be changed.
func (a *NetworkACLAssociation) Clone() *NetworkACLAssociation { c := *a; return &c }

// Sibling names a resource of the same account and region.
func (a *NetworkACLAssociation) Sibling(id string) Ref { return Ref{a.Account, a.Region, id} }
