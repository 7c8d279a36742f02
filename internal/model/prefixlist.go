// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
)

// PrefixList is a list of blocks that a customer manages, with its versions.
type PrefixList struct {
	Meta
	Name string `json:"name"`
	// IPv6 says of which family all blocks are.
	IPv6       bool `json:"ipv6,omitempty"`
	MaxEntries int  `json:"maxEntries"`
	// Last is what was done with the list last; empty for its creation.
	Last PrefixListChange `json:"last,omitempty"`
	// Version counts from one on.
	Version int64         `json:"version"`
	Entries []PrefixEntry `json:"entries,omitempty"`
	// Earlier are the versions before, the oldest one first.
	Earlier []PrefixVersion `json:"earlier,omitempty"`
}

// PrefixListChange says how a prefix list came to be what it is.
type PrefixListChange string

// The changes of prefix lists, in the words of EC2's states.
const (
	PrefixListModified PrefixListChange = "modify"
	PrefixListRestored PrefixListChange = "restore"
)

// PrefixEntry is a block of a prefix list.
type PrefixEntry struct {
	CIDR        netip.Prefix `json:"cidr"`
	Description string       `json:"description,omitempty"`
}

// PrefixVersion is what a prefix list was.
type PrefixVersion struct {
	Version int64         `json:"version"`
	Entries []PrefixEntry `json:"entries,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (p *PrefixList) Clone() *PrefixList {
	c := *p
	c.Meta = p.Meta.clone()
	c.Entries = slices.Clone(p.Entries)
	c.Earlier = slices.Clone(p.Earlier)
	for i := range c.Earlier {
		c.Earlier[i].Entries = slices.Clone(c.Earlier[i].Entries)
	}
	return &c
}

// maxEarlier bounds the entries of all earlier versions of a list: a row is one value of
// the store.
const maxEarlier = 5000

// Become gives the list other entries, as a version of its own. Of many versions the
// oldest ones are forgotten.
func (p *PrefixList) Become(entries []PrefixEntry, how PrefixListChange) {
	p.Earlier = append(p.Earlier, PrefixVersion{Version: p.Version, Entries: p.Entries})
	p.Entries, p.Last = entries, how
	p.Version++
	kept := 0
	for i := range p.Earlier {
		kept += len(p.Earlier[i].Entries) + 1
	}
	for kept > maxEarlier && len(p.Earlier) > 1 {
		kept -= len(p.Earlier[0].Entries) + 1
		p.Earlier = p.Earlier[1:]
	}
}

// At gives the entries of a version that is known still.
func (p *PrefixList) At(version int64) ([]PrefixEntry, bool) {
	if version == p.Version {
		return p.Entries, true
	}
	for _, e := range p.Earlier {
		if e.Version == version {
			return e.Entries, true
		}
	}
	return nil, false
}

// AWSPrefixList is a list of blocks that AWS manages
// (https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html).
type AWSPrefixList struct {
	ID, Name string
	Blocks   []netip.Prefix
}

// AWSPrefixLists gives the lists of a region, in ascending order of their ids, which are
// made from the names. The blocks of VPC Lattice are AWS's. Those of S3 and DynamoDB are
// of the networks for documentation (RFC 5737): AWS's own differ from region to region,
// and are where AWS has them. What is registered as such a service is at ServiceAddr.
func AWSPrefixLists(region string) []AWSPrefixList {
	lists := []AWSPrefixList{
		{Name: "com.amazonaws." + region + ".s3", Blocks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		{Name: "com.amazonaws." + region + ".dynamodb", Blocks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
		{Name: "com.amazonaws." + region + ".vpc-lattice", Blocks: []netip.Prefix{netip.MustParsePrefix("169.254.171.0/24")}},
		{Name: "com.amazonaws." + region + ".ipv6.vpc-lattice", Blocks: []netip.Prefix{netip.MustParsePrefix("fd00:ec2:80::/64")}},
	}
	for i := range lists {
		sum := sha256.Sum256([]byte(lists[i].Name))
		lists[i].ID = "pl-" + hex.EncodeToString(sum[:4])
	}
	slices.SortFunc(lists, func(x, y AWSPrefixList) int { return cmp.Compare(x.ID, y.ID) })
	return lists
}

// GatewayListOf finds the list of a service to which endpoints of type Gateway can lead, by the
// service's name: those of S3 and DynamoDB.
func GatewayListOf(region, name string) (AWSPrefixList, bool) {
	if name != "com.amazonaws."+region+".s3" && name != "com.amazonaws."+region+".dynamodb" {
		return AWSPrefixList{}, false
	}
	for _, l := range AWSPrefixLists(region) {
		if l.Name == name {
			return l, true
		}
	}
	return AWSPrefixList{}, false
}

// ServiceAddr is the address of the list at which its service is: the first one. The others
// are nowhere.
func (l AWSPrefixList) ServiceAddr() netip.Addr { return l.Blocks[0].Addr().Next() }

// AWSPrefixListOf finds the list of a region with an id.
func AWSPrefixListOf(region, id string) (AWSPrefixList, bool) {
	if len(id) != len("pl-00000000") { // customers' have longer ids
		return AWSPrefixList{}, false
	}
	for _, l := range AWSPrefixLists(region) {
		if l.ID == id {
			return l, true
		}
	}
	return AWSPrefixList{}, false
}
