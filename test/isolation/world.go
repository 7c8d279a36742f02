// SPDX-License-Identifier: Apache-2.0

// Package isolation checks with real packets that networks reach exactly what
// was allowed to them: it makes a random world of VPCs with the same addresses,
// asks a small oracle about every pair of a workload and an address, and tries
// each by TCP connects and by stray packets.
package isolation

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/test/postern"
)

// servedPorts are those on which every workload answers; triedPorts those that
// are tried.
var (
	servedPorts = []uint16{5432, 8005, 9000}
	triedPorts  = []uint16{5432, 8005, 8010, 9000, 22, managedPort}
)

// World is what was made, as the oracle sees it.
type World struct {
	VPCs      []*VPC
	Workloads []*Interface // those that are attached
	Names     []*Name
	// Outside is what plays the internet; nil when nothing is outside.
	Outside *Interface
	// NATs are the public addresses of NAT gateways.
	NATs []netip.Addr
	// Database is one that exists without Postern; nil when there is none.
	Database *Database
	// Tried are the addresses that every workload tries.
	Tried []netip.Addr

	rounds  int    // of strays
	changes uint64 // of network ACLs
}

// VPC is a network. At finds its interfaces by address.
type VPC struct {
	*postern.VPC
	Subnets []*postern.Subnet
	Groups  []*Group
	At      map[netip.Addr]*Interface
	// Tables are the route tables of subnets that do not use the main one.
	Tables map[*postern.Subnet][]Lead
	// ACLs are the network ACLs of subnets; without one all packets pass. Made are those
	// of the VPC that may be used.
	ACLs map[*postern.Subnet]*ACL
	Made []*ACL
	// Provides is a gateway of the VPC.
	Provides *postern.Gateway
	// Peers are those that the VPC is peered with, and Routes are where its main table leads
	// by them: to which VPC, and by which. connections are the ids.
	Peers       []*VPC
	Routes      map[*VPC]*VPC
	connections map[*VPC]string
}

type direction bool

const (
	in  direction = false
	out direction = true
)

// Group is a security group.
type Group struct {
	ID    string
	Rules []Rule
}

// Rule admits a protocol and ports from or to a prefix or a group.
type Rule struct {
	Direction direction
	Protocol  string // tcp, udp, icmp, icmpv6 or -1
	From, To  uint16
	CIDR      netip.Prefix
	Group     *Group
}

// Interface is whatever has addresses in a VPC: a workload, an interface that
// nothing has, one of an endpoint, or a resource gateway as a whole.
type Interface struct {
	Name      string
	VPC       *VPC
	Zone      string
	Addresses []netip.Addr
	Groups    []*Group
	// Attached says that a workload has it: Workload.
	Attached bool
	Workload *postern.Workload
	// Endpoint is what an endpoint's interface leads to.
	Endpoint *Resource
	// Subnet is that of a workload, and Public its public address, if it has one.
	Subnet *postern.Subnet
	Public netip.Addr
	// Silent says that it is there and answers nobody.
	Silent bool
	// Server says that it is a database server that Postern runs.
	Server bool
}

// Resource is a resource configuration with its gateway.
type Resource struct {
	IP      netip.Addr
	Ports   [][2]uint16
	Gateway *Interface
	// Sources are the gateway's addresses by zone.
	Sources map[string][]netip.Prefix
	// Subnets are those of the gateway.
	Subnets []*postern.Subnet
	// Domain is its custom domain, which some other resources have too.
	Domain string
	// Nowhere says that it leads to nobody at the moment.
	Nowhere bool
	made    *postern.Configuration
}

// source is what the other side sees of a workload that sends to an address.
func (i *Interface) source(to netip.Addr) []netip.Prefix {
	for _, a := range i.Addresses {
		if a.Is4() == to.Is4() {
			return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		}
	}
	return nil
}

// leaves gives the subnets from which the gateway may send for endpoints in a zone: that
// of its interface there, or, when there is none, each.
func (r *Resource) leaves(zone string) []*postern.Subnet {
	for _, s := range r.Subnets {
		if s.Zone == zone {
			return []*postern.Subnet{s}
		}
	}
	return r.Subnets
}

// senders are all that send: workloads, and the outside if there is one.
func (w *World) senders() []*Interface {
	if w.Outside == nil {
		return w.Workloads
	}
	return append(slices.Clone(w.Workloads), w.Outside)
}

func (r *Resource) has(port uint16) bool {
	return slices.ContainsFunc(r.Ports, func(p [2]uint16) bool { return p[0] <= port && port <= p[1] })
}

// sources are the gateway's addresses of the resource's family in a subnet.
func (r *Resource) sources(s *postern.Subnet) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(r.Sources[s.Zone]), func(p netip.Prefix) bool { return p.Addr().Is4() != r.IP.Is4() })
}
