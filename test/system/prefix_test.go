// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// prefixFamily is what differs between the prefixes of IPv4 and IPv6.
type prefixFamily struct {
	prefix, inside   string
	holders          []string // the IPv4 addresses of the workloads that have it
	assign, unassign func(p *postern.Postern, eni, prefix string) error
	own              func(*postern.Workload) netip.Addr
	endpoint         func(*postern.Endpoint) netip.Addr
}

func prefixes4() prefixFamily {
	return prefixFamily{
		prefix: "10.0.3.64/28", inside: "10.0.3.70", holders: []string{"10.0.3.31", "10.0.3.32"},
		assign: func(p *postern.Postern, eni, prefix string) error {
			return p.Do(ec2.Service, "AssignPrivateIpAddresses", &ec2.AssignPrivateIpAddressesInput{
				NetworkInterfaceId: &eni, Ipv4Prefixes: []string{prefix},
			}, new(ec2.AssignPrivateIpAddressesOutput))
		},
		unassign: func(p *postern.Postern, eni, prefix string) error {
			return p.Do(ec2.Service, "UnassignPrivateIpAddresses", &ec2.UnassignPrivateIpAddressesInput{
				NetworkInterfaceId: &eni, Ipv4Prefixes: []string{prefix},
			}, new(ec2.UnassignPrivateIpAddressesOutput))
		},
		own:      func(w *postern.Workload) netip.Addr { return w.IP },
		endpoint: (*postern.Endpoint).Address,
	}
}

func prefixes6(s *postern.Subnet) prefixFamily {
	bytes := s.Block6.Addr().As16()
	bytes[9] = 2
	prefix := netip.PrefixFrom(netip.AddrFrom16(bytes), 80)
	bytes[15] = 0x70
	return prefixFamily{
		prefix: prefix.String(), inside: netip.AddrFrom16(bytes).String(), holders: []string{"10.0.3.41", "10.0.3.42"},
		assign: func(p *postern.Postern, eni, prefix string) error {
			return p.Do(ec2.Service, "AssignIpv6Addresses", &ec2.AssignIpv6AddressesInput{
				NetworkInterfaceId: &eni, Ipv6Prefixes: []string{prefix},
			}, new(ec2.AssignIpv6AddressesOutput))
		},
		unassign: func(p *postern.Postern, eni, prefix string) error {
			return p.Do(ec2.Service, "UnassignIpv6Addresses", &ec2.UnassignIpv6AddressesInput{
				NetworkInterfaceId: &eni, Ipv6Prefixes: []string{prefix},
			}, new(ec2.UnassignIpv6AddressesOutput))
		},
		own:      func(w *postern.Workload) netip.Addr { return w.IP6 },
		endpoint: (*postern.Endpoint).Address6,
	}
}

// A prefix is given to a workload that runs, which offers a resource at an
// address of it, as containers on it would. When the prefix is taken away, the
// connections to it end, and the next workload gets it once it is free.
func TestAResourceIsInAWorkloadsPrefix(t *testing.T) {
	needPrograms(t, "ip")
	s := newPair(t)
	own := s.provider.Subnet(0, "10.0.3.0/24") // where nothing takes addresses
	for _, f := range []prefixFamily{prefixes4(), prefixes6(own)} {
		isInAWorkloadsPrefix(t, s, own, f)
	}
}

func isInAWorkloadsPrefix(t *testing.T, s *pair, own *postern.Subnet, f prefixFamily) {
	inside := netip.MustParseAddr(f.inside)
	e := s.consumer.Endpoint(s.gateway.Configuration(inside, "5432"), []*postern.Subnet{s.clients}, s.openClient)
	for _, ip := range f.holders {
		holder := own.Workload(ip, s.openServer)
		s.Await("the prefix to be free", func() (bool, error) { return f.assign(s.Postern, holder.ENI, f.prefix) == nil, nil })
		inNamespace(t, holder.NS.Name, "ip addr add "+netip.PrefixFrom(inside, inside.BitLen()).String()+" dev lo")
		holder.Serve(5432)
		s.Await(holder.ENI+" to answer in its prefix", func() (bool, error) { return answers(s.client, at(f.endpoint(e))), nil })
		conn, direct := dial(t, s.client, at(f.endpoint(e))), dial(t, s.server, at(inside))
		other := dial(t, s.server, at(f.own(holder)))
		if err := testnet.Echo(conn, "hello"); err != nil {
			t.Error(err)
		}
		if err := f.unassign(s.Postern, holder.ENI, f.prefix); err != nil {
			t.Fatal(err)
		}
		expectReset(t, "connection through the endpoint", conn)
		expectReset(t, "connection within the VPC", direct)
		if err := testnet.Echo(other, "still here"); err != nil {
			t.Errorf("a connection of another address: %v", err)
		}
	}
}
