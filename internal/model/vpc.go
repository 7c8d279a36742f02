// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
	"time"
)

// CIDRAssociation is one CIDR block of a VPC or subnet.
type CIDRAssociation struct {
	ID     string       `json:"id"`
	Prefix netip.Prefix `json:"prefix"`
	// Pool is where an IPv6 block of a VPC comes from, in the words of its
	// request; "Amazon" for one that was chosen here.
	Pool string `json:"pool,omitempty"`
}

// AmazonPool is the pool of blocks that are chosen here.
const AmazonPool = "Amazon"

// FormerBlock is a block that was taken away. It binds nothing; EC2 goes on
// showing it for a while, which clients wait for.
type FormerBlock struct {
	CIDRAssociation
	GoneAt time.Time `json:"goneAt"`
}

// How long a former block is shown, and how many of one resource at most.
const (
	formerLife = time.Hour
	formerMost = 32
)

// Former gives those of the blocks that are shown at a time still.
func Former(blocks []FormerBlock, now time.Time) []FormerBlock {
	for len(blocks) > 0 && now.Sub(blocks[0].GoneAt) >= formerLife {
		blocks = blocks[1:]
	}
	return blocks
}

// FormerUntil is when the first of the blocks is not shown any more; the zero time when
// there are none.
func FormerUntil(blocks []FormerBlock) time.Time {
	if len(blocks) == 0 {
		return time.Time{}
	}
	return blocks[0].GoneAt.Add(formerLife)
}

// addFormer adds a block and leaves out what is not shown any more.
func addFormer(blocks []FormerBlock, gone CIDRAssociation, now time.Time) []FormerBlock {
	kept := append(slices.Clone(Former(blocks, now)), FormerBlock{gone, now})
	return kept[max(0, len(kept)-formerMost):]
}

// VPC is an isolated network.
type VPC struct {
	Meta
	// CIDRs are the IPv4 blocks, the primary one first.
	CIDRs []CIDRAssociation `json:"cidrs"`
	// CIDRs6 are the IPv6 blocks.
	CIDRs6 []CIDRAssociation `json:"cidrs6,omitempty"`
	// FormerCIDRs are the blocks of both families that were taken away lately,
	// in the order in which they were.
	FormerCIDRs []FormerBlock `json:"formerCidrs,omitempty"`
	// DHCPOptions is empty when the VPC has none.
	DHCPOptions  string `json:"dhcpOptions"`
	Default      bool   `json:"default,omitempty"`
	Tenancy      string `json:"tenancy"`
	DNSSupport   bool   `json:"dnsSupport"`
	DNSHostnames bool   `json:"dnsHostnames"`
	UsageMetrics bool   `json:"usageMetrics,omitempty"`
	MainTable    string `json:"mainTable"`
	DefaultACL   string `json:"defaultAcl"`
	DefaultGroup string `json:"defaultGroup"`
	TransitIndex int    `json:"transitIndex"`
}

// Clone copies the row so that the copy can be changed.
func (v *VPC) Clone() *VPC {
	c := *v
	c.Meta = v.Meta.clone()
	c.CIDRs = slices.Clone(v.CIDRs)
	c.CIDRs6 = slices.Clone(v.CIDRs6)
	c.FormerCIDRs = slices.Clone(v.FormerCIDRs)
	return &c
}

// Drop takes a block away from the caller's copy of the row.
func (v *VPC) Drop(gone CIDRAssociation, now time.Time) {
	is := func(b CIDRAssociation) bool { return b.ID == gone.ID }
	v.CIDRs, v.CIDRs6 = slices.DeleteFunc(v.CIDRs, is), slices.DeleteFunc(v.CIDRs6, is)
	v.FormerCIDRs = addFormer(v.FormerCIDRs, gone, now)
}

// Networks gives all CIDR blocks of the VPC, IPv4 first.
func (v *VPC) Networks() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range slices.Concat(v.CIDRs, v.CIDRs6) {
		all = append(all, a.Prefix)
	}
	return all
}

// Subnet is a range of a VPC's addresses in one availability zone.
type Subnet struct {
	Meta
	VPC    string `json:"vpc"`
	Zone   string `json:"zone"`
	ZoneID string `json:"zoneId"`
	// CIDR is invalid for a subnet that has IPv6 only.
	CIDR  netip.Prefix    `json:"cidr,omitzero"`
	CIDR6 CIDRAssociation `json:"cidr6,omitzero"`
	// FormerCIDRs are the IPv6 blocks that were taken away lately, in the order
	// in which they were.
	FormerCIDRs []FormerBlock `json:"formerCidrs,omitempty"`

	DefaultForZone   bool   `json:"defaultForZone,omitempty"`
	MapPublicIP      bool   `json:"mapPublicIp,omitempty"`
	AssignIPv6       bool   `json:"assignIpv6,omitempty"`
	DNS64            bool   `json:"dns64,omitempty"`
	IPv6Native       bool   `json:"ipv6Native,omitempty"`
	HostnameType     string `json:"hostnameType,omitempty"`
	ResourceNameA    bool   `json:"resourceNameA,omitempty"`
	ResourceNameAAAA bool   `json:"resourceNameAaaa,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (s *Subnet) Clone() *Subnet {
	c := *s
	c.Meta = s.Meta.clone()
	c.FormerCIDRs = slices.Clone(s.FormerCIDRs)
	return &c
}

// Drop6 takes the IPv6 block away from the caller's copy of the row, with the
// attributes that need one.
func (s *Subnet) Drop6(now time.Time) {
	s.FormerCIDRs = addFormer(s.FormerCIDRs, s.CIDR6, now)
	s.CIDR6, s.AssignIPv6, s.ResourceNameAAAA = CIDRAssociation{}, false, false
}

// Router gives the address of the VPC's router in the subnet: the first one
// after the network address, as AWS reserves it
// (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
func (s *Subnet) Router() netip.Addr {
	if !s.CIDR.IsValid() {
		return netip.Addr{}
	}
	return s.CIDR.Masked().Addr().Next()
}

// AddressClaim holds one IPv4 or IPv6 address of a subnet, or an IPv6 prefix, for a
// network interface. The claim's existence is what makes allocation safe between
// transactions that run at the same time.
type AddressClaim struct {
	Account string     `json:"account"`
	Region  string     `json:"region"`
	Subnet  string     `json:"subnet"`
	Addr    netip.Addr `json:"addr"`
	// Bits is the length of the prefix that Addr begins when all of it is claimed;
	// zero for Addr alone.
	Bits      int    `json:"bits,omitempty"`
	Interface string `json:"interface"`
	// Holder is the account of Interface, when that is another one than the subnet's.
	Holder string `json:"holder,omitempty"`
	// ReleasedAt is set when the interface has given the address up and the data
	// plane may still have it: nobody else gets it before the claim is gone.
	ReleasedAt time.Time `json:"releasedAt,omitzero"`
}

// Released reports whether the interface has given the address up.
func (a *AddressClaim) Released() bool { return !a.ReleasedAt.IsZero() }

// Ref names the claim.
func (a *AddressClaim) Ref() Ref {
	return Ref{Account: a.Account, Region: a.Region, ID: AddressClaimID(a.Subnet, a.Addr)}
}

// SubnetRef names the subnet.
func (a *AddressClaim) SubnetRef() Ref {
	return Ref{Account: a.Account, Region: a.Region, ID: a.Subnet}
}

// InterfaceRef names the interface, whosever it is.
func (a *AddressClaim) InterfaceRef() Ref {
	ref := Ref{Account: a.Account, Region: a.Region, ID: a.Interface}
	if a.Holder != "" {
		ref.Account = a.Holder
	}
	return ref
}

// Clone copies the row so that the copy can be changed.
func (a *AddressClaim) Clone() *AddressClaim { c := *a; return &c }

// AddressClaimID is the row id of the claim on addr in a subnet.
func AddressClaimID(subnet string, addr netip.Addr) string {
	return subnet + "/" + addr.String()
}

// DHCPOptions tell workloads their resolvers and domain, and other things that Postern
// only keeps.
type DHCPOptions struct {
	Meta
	DomainName string `json:"domainName,omitempty"`
	// DomainNameServers are addresses, or AmazonDNS for the VPC's own resolver.
	DomainNameServers []string `json:"domainNameServers,omitempty"`
	// Custom says that a user made them: they are not those that a new VPC has.
	Custom             bool     `json:"custom,omitempty"`
	NTPServers         []string `json:"ntpServers,omitempty"`
	NetBIOSNameServers []string `json:"netbiosNameServers,omitempty"`
	NetBIOSNodeType    string   `json:"netbiosNodeType,omitempty"`
	IPv6Lease          string   `json:"ipv6Lease,omitempty"`
}

// AmazonDNS stands for the VPC's own resolver among domain name servers.
const AmazonDNS = "AmazonProvidedDNS"

// NoDHCPOptions stands in place of an id where a VPC has no DHCP options, or is to have
// none.
const NoDHCPOptions = "default"

// Clone copies the row so that the copy can be changed.
func (d *DHCPOptions) Clone() *DHCPOptions {
	c := *d
	c.Meta = d.Meta.clone()
	c.DomainNameServers = slices.Clone(d.DomainNameServers)
	c.NTPServers = slices.Clone(d.NTPServers)
	c.NetBIOSNameServers = slices.Clone(d.NetBIOSNameServers)
	return &c
}
