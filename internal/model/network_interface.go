// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
	"time"
)

// InterfaceType says what a network interface is for.
type InterfaceType string

// The interface types, in the words of EC2.
const (
	InterfaceWorkload InterfaceType = "interface"
	InterfaceEndpoint InterfaceType = "vpc_endpoint"
	// InterfaceGateway marks a resource gateway's interface. EC2 shows it as
	// "interface": no value of its own is published for it.
	InterfaceGateway InterfaceType = "resource_gateway"
	// InterfaceNAT marks a NAT gateway's.
	InterfaceNAT InterfaceType = "nat_gateway"
	// InterfaceDatabase marks a database instance's, which EC2 shows as "interface" too.
	InterfaceDatabase InterfaceType = "database"
	// InterfaceBalancer marks a network load balancer's.
	InterfaceBalancer InterfaceType = "network_load_balancer"
)

// PrefixBits4 and PrefixBits6 are the lengths of the prefixes that an interface
// can have (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html).
const (
	PrefixBits4 = 28
	PrefixBits6 = 80
)

// PrefixOf gives the prefix that an address lies in when an interface has it by
// a prefix.
func PrefixOf(a netip.Addr) netip.Prefix {
	bits := PrefixBits6
	if a.Is4() {
		bits = PrefixBits4
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// NetworkInterface is an ENI: addresses in a subnet, and the groups that filter
// them.
type NetworkInterface struct {
	Meta
	VPC    string `json:"vpc"`
	Subnet string `json:"subnet"`
	// Network is the account that the VPC and the subnet are of, when that is another
	// one: it shares the subnet.
	Network     string        `json:"network,omitempty"`
	Zone        string        `json:"zone"`
	ZoneID      string        `json:"zoneId"`
	Type        InterfaceType `json:"type"`
	Description string        `json:"description,omitempty"`
	MAC         string        `json:"mac"`
	Groups      []string      `json:"groups,omitempty"`
	// Addresses are the IPv4 addresses, the primary one first.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Addresses6 are the IPv6 addresses, the primary one first.
	Addresses6 []netip.Addr `json:"addresses6,omitempty"`
	// Prefixes4 and Prefixes6 are the prefixes of a workload's interface, of the
	// lengths PrefixBits4 and PrefixBits6.
	Prefixes4 []netip.Prefix `json:"prefixes4,omitempty"`
	Prefixes6 []netip.Prefix `json:"prefixes6,omitempty"`
	// Prefix6 is the IPv6 prefix of a resource gateway's interface.
	Prefix6 netip.Prefix `json:"prefix6,omitzero"`
	// Public is the public address that the primary one has for as long as the interface
	// is attached; elastic addresses are rows of their own.
	Public netip.Addr `json:"public,omitzero"`
	// AssociatePublic says whether it gets one when it is attached: it does above zero and
	// does not below; zero leaves that to the subnet.
	AssociatePublic int `json:"associatePublic,omitempty"`
	// Owner is the endpoint, resource gateway, NAT gateway, database instance or load balancer
	// that the interface belongs to; empty for a workload's.
	Owner           string `json:"owner,omitempty"`
	SourceDestCheck bool   `json:"sourceDestCheck"`
}

// Clone copies the row so that the copy can be changed.
func (n *NetworkInterface) Clone() *NetworkInterface {
	c := *n
	c.Meta = n.Meta.clone()
	c.Groups = slices.Clone(n.Groups)
	c.Addresses = slices.Clone(n.Addresses)
	c.Addresses6 = slices.Clone(n.Addresses6)
	c.Prefixes4 = slices.Clone(n.Prefixes4)
	c.Prefixes6 = slices.Clone(n.Prefixes6)
	return &c
}

// VPCRef names the VPC that the interface is in, whosever it is.
func (n *NetworkInterface) VPCRef() Ref { return n.in(n.Network, n.VPC) }

// SubnetRef names the subnet that the interface is in, whosever it is.
func (n *NetworkInterface) SubnetRef() Ref { return n.in(n.Network, n.Subnet) }

// ClaimRef names the claim on an address of the subnet that the interface is in.
func (n *NetworkInterface) ClaimRef(addr netip.Addr) Ref {
	return n.in(n.Network, AddressClaimID(n.Subnet, addr))
}

// All gives the interface's IPv4 and IPv6 addresses, primary ones first.
func (n *NetworkInterface) All() []netip.Addr {
	return slices.Concat(n.Addresses, n.Addresses6)
}

// Delegated gives each address of the interface's IPv4 prefixes.
func (n *NetworkInterface) Delegated() []netip.Addr {
	var all []netip.Addr
	for _, p := range n.Prefixes4 {
		all = append(all, AddressesOf(p)...)
	}
	return all
}

// AddressesOf gives each address of a prefix, which should be a small one.
func AddressesOf(p netip.Prefix) []netip.Addr {
	var all []netip.Addr
	for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
		all = append(all, a)
	}
	return all
}

// Attachment puts a workload's network interface into a network namespace. Its
// id is the interface's.
type Attachment struct {
	Account   string `json:"account"`
	Region    string `json:"region"`
	Interface string `json:"interface"`
	// ID is the attachment's own identifier, eni-attach-….
	ID   string `json:"id"`
	Host string `json:"host"`
	// NamespaceName or PID names the namespace, Inode and Identity pin it.
	NamespaceName string    `json:"namespaceName,omitempty"`
	PID           int       `json:"pid,omitempty"`
	Inode         uint64    `json:"inode,omitempty"`
	Identity      uint64    `json:"identity,omitempty"`
	Device        string    `json:"device"`
	CreatedAt     time.Time `json:"createdAt"`
	// DeleteOnTermination removes the interface with its attachment when the
	// process named by PID has ended.
	DeleteOnTermination bool `json:"deleteOnTermination,omitempty"`
	// DeletedAt is set when detaching was asked for.
	DeletedAt time.Time `json:"deletedAt,omitzero"`
	// Generation rises when detaching is asked for; see Meta.
	Generation int64 `json:"generation,omitempty"`
}

// Meta tells what LifecycleOf needs of an attachment. The status of an attachment
// has the interface's id.
func (a *Attachment) Meta() *Meta {
	return &Meta{Account: a.Account, Region: a.Region, ID: a.Interface, DeletedAt: a.DeletedAt, Generation: a.Generation}
}

// Delete notes that detaching was asked for.
func (a *Attachment) Delete(now time.Time) {
	a.DeletedAt = now
	a.Generation++
}

// Clone copies the row so that the copy can be changed.
func (a *Attachment) Clone() *Attachment { c := *a; return &c }
