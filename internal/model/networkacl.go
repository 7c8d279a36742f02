// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
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

// The numbers that rules can have
// (https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html).
const (
	MinACLNumber, MaxACLNumber = 1, 32766
)

// AllProtocols is the protocol of an entry that matches any.
const AllProtocols = -1

// The blocks that are all addresses of a family.
var (
	Everywhere4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	Everywhere6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// EntriesIn gives the entries of the ACL of a VPC, outgoing ones first, in the order of
// their numbers.
func (n *NetworkACL) EntriesIn(v *VPC) []ACLEntry {
	entries := slices.Clone(n.Entries)
	if n.Default && !n.Changed {
		entries = nil
		for _, egress := range []bool{true, false} {
			entries = append(entries, everything(100, egress, Everywhere4))
			if len(v.CIDRs6) > 0 {
				entries = append(entries, everything(101, egress, Everywhere6))
			}
		}
	}
	slices.SortFunc(entries, func(a, b ACLEntry) int {
		if a.Egress != b.Egress {
			return map[bool]int{true: -1, false: 1}[a.Egress]
		}
		return cmp.Compare(a.Number, b.Number)
	})
	return entries
}

// everything is an entry of an unchanged default ACL
// (https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html).
func everything(number int, egress bool, block netip.Prefix) ACLEntry {
	return ACLEntry{Number: number, Egress: egress, Allow: true, Protocol: AllProtocols, CIDR: block, From: -1, To: -1}
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
