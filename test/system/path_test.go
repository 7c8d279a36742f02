// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// expectSource asks and wants the server to see one of these addresses.
func expectSource(t *testing.T, from *postern.Workload, to netip.Addr, sources []netip.Prefix) netip.Addr {
	t.Helper()
	saw := expectAnswer(t, from, at(to))
	if !within(saw, sources) {
		t.Errorf("through %v the server saw %v, want one of %v", to, saw, sources)
	}
	return saw
}

func TestIPv6EndToEnd(t *testing.T) {
	s := newPair(t)
	resource := s.gateway.Configuration(s.server.IP6, "5432")
	e := s.consumer.Endpoint(resource, []*postern.Subnet{s.clients}, s.openClient)
	expectSource(t, s.client, e.Address6(), s.gateway.Sources()[s.servers.Zone])
	expectRefusal(t, s.client, hostPort(e.Address6(), 5433))
	expectRefusal(t, s.client, hostPort(e.Address(), 5432)) // nothing is behind it
	e.Delete()
	s.Await("the endpoint to go", func() (bool, error) { return !answers(s.client, at(e.Address6())), nil })
	expectRefusal(t, s.client, at(e.Address6()))
}

// Each zone's endpoint interface leads through the gateway's interface of the
// same zone, and through some interface where the gateway is not.
func TestZonesKeepToThemselves(t *testing.T) {
	s := newPair(t)
	clients, servers := []*postern.Subnet{s.clients}, []*postern.Subnet{s.servers}
	for zone := 1; zone < 3; zone++ {
		cidr := fmt.Sprintf("10.0.%d.0/24", zone+1)
		clients = append(clients, s.consumer.Subnet(zone, cidr))
		if zone == 1 {
			servers = append(servers, s.provider.Subnet(zone, cidr))
		}
	}
	gateway := s.provider.Gateway("zones", servers, []string{s.openServer})
	e := s.consumer.Endpoint(gateway.Configuration(s.server.IP, "5432"), clients, s.openClient)
	sources := gateway.Sources()
	if len(e.Addresses) != 3 || len(sources) != 2 {
		t.Fatalf("endpoint has addresses %v and the gateway %v", e.Addresses, sources)
	}
	for zone, addresses := range e.Addresses {
		i := slices.IndexFunc(addresses, netip.Addr.Is4)
		want := sources[zone]
		if len(want) == 0 {
			want = slices.Concat(sources[postern.Zones[0]], sources[postern.Zones[1]])
		}
		expectSource(t, s.client, addresses[i], want)
	}
}

// Several gateways of a VPC lead to the same and to different resources, and
// several endpoints of a VPC to the same one; each keeps its own addresses.
func TestManyGatewaysAndEndpoints(t *testing.T) {
	s := newPair(t)
	second := s.servers.Workload("", s.openServer)
	second.Serve(5432)
	gateways := []*postern.Gateway{s.gateway, s.provider.Gateway("second", []*postern.Subnet{s.servers}, nil)}
	s.Authorize(defaultGroup(s), postern.Ports(5432, 5432), nil)
	for _, g := range gateways {
		sources := g.Sources()[s.servers.Zone]
		for _, server := range []*postern.Workload{s.server, second} {
			c := g.Configuration(server.IP, "5432")
			for range 2 {
				e := s.consumer.Endpoint(c, []*postern.Subnet{s.clients}, s.openClient)
				expectSource(t, s.client, e.Address(), sources)
			}
		}
	}
}

// defaultGroup is the default security group of the provider.
func defaultGroup(s *pair) string {
	s.t.Helper()
	filters := []ec2.Filter{{Name: new("vpc-id"), Values: []string{s.provider.ID}}, {Name: new("group-name"), Values: []string{"default"}}}
	return *postern.Call[ec2.DescribeSecurityGroupsOutput](s.Postern, ec2.Service, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{Filters: filters}).SecurityGroups[0].GroupId
}

// Many VPCs with the same addresses use one resource at the same time; every
// client has the same address as the server.
func TestManyVPCsWithTheSameAddresses(t *testing.T) {
	s := newPair(t)
	sources := s.gateway.Sources()[s.servers.Zone]
	type consumer struct {
		client  *postern.Workload
		address string
	}
	consumers := []consumer{{s.client, at(s.endpoint.Address())}}
	for range 7 {
		v := s.VPC("10.0.0.0/16")
		subnet, open := v.Subnet(0, "10.0.1.0/24"), v.OpenGroup()
		c := consumer{client: subnet.Workload("10.0.1.10", open)}
		c.address = at(v.Endpoint(s.resource, []*postern.Subnet{subnet}, open).Address())
		consumers = append(consumers, c)
	}
	var all errgroup.Group
	for _, c := range consumers {
		all.Go(func() error {
			for range 50 {
				saw, err := ask(c.client, c.address)
				if err != nil {
					return fmt.Errorf("from VPC %s: %w", c.client.Subnet.VPC.ID, err)
				}
				if !within(saw, sources) {
					return fmt.Errorf("from VPC %s: the server saw %v, want one of %v", c.client.Subnet.VPC.ID, saw, sources)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
}

// All addresses of a gateway are used, not the first one only.
func TestGatewaysUseTheirAddresses(t *testing.T) {
	s := newPair(t)
	const addresses = 4
	gateway := s.provider.Gateway("wide", []*postern.Subnet{s.servers}, []string{s.openServer}, func(in *lattice.CreateResourceGatewayInput) {
		in.IpAddressType, in.Ipv4AddressesPerEni = new(lattice.ResourceGatewayIpAddressTypeIpv4), new(int32(addresses))
	})
	sources := gateway.Sources()[s.servers.Zone]
	if len(sources) != addresses {
		t.Fatalf("the gateway has %v, want %d addresses", sources, addresses)
	}
	e := s.consumer.Endpoint(gateway.Configuration(s.server.IP, "5432"), []*postern.Subnet{s.clients}, s.openClient)
	seen := map[netip.Addr]bool{}
	clients := []*postern.Workload{s.client}
	own := s.consumer.Subnet(0, "10.0.7.0/24") // where nothing takes addresses
	for i := range 7 {
		clients = append(clients, own.Workload(fmt.Sprintf("10.0.7.%d", 10+i), s.openClient))
	}
	parts := map[byte]bool{} // what the low bits of the clients' addresses choose
	for _, c := range clients {
		seen[expectSource(t, c, e.Address(), sources)] = true
		parts[c.IP.As4()[3]%addresses] = true
	}
	if len(seen) != len(parts) || len(seen) < 2 {
		t.Errorf("the clients were seen from %v, want %d addresses", seen, len(parts))
	}
}

// An endpoint that says available works: the first connect succeeds.
func TestAvailableMeansAvailable(t *testing.T) {
	s := newPair(t)
	for i := range 50 {
		e := s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
		if _, err := ask(s.client, at(e.Address())); err != nil {
			t.Errorf("endpoint %d: %v", i, err)
		}
		e.Delete()
	}
}
