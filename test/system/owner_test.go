// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// detach takes an interface out of its namespace and waits until it is free.
func detach(p *postern.Postern, eni string) {
	p.T.Helper()
	postern.Call[shape.DetachNetworkInterfaceOutput](p, shape.Service, "DetachNetworkInterface", &shape.DetachNetworkInterfaceInput{NetworkInterfaceId: &eni})
	awaitDetached(p, eni)
}

func awaitDetached(p *postern.Postern, eni string) {
	p.T.Helper()
	p.Await(eni+" to be detached", func() (bool, error) {
		err := p.Do(shape.Service, "GetAttachment", &shape.GetAttachmentInput{NetworkInterfaceId: &eni}, new(shape.GetAttachmentOutput))
		return err != nil && postern.Code(err) == "ResourceNotFoundException", nil
	})
}

// assign gives an interface an address, once it is free.
func assign(p *postern.Postern, eni string, move bool, a netip.Addr) {
	p.T.Helper()
	p.Await(a.String()+" to be free", func() (bool, error) {
		var err error
		if a.Is4() {
			err = p.Do(ec2.Service, "AssignPrivateIpAddresses", &ec2.AssignPrivateIpAddressesInput{
				NetworkInterfaceId: &eni, PrivateIpAddresses: []string{a.String()}, AllowReassignment: &move,
			}, new(ec2.AssignPrivateIpAddressesOutput))
		} else {
			err = p.Do(ec2.Service, "AssignIpv6Addresses", &ec2.AssignIpv6AddressesInput{NetworkInterfaceId: &eni, Ipv6Addresses: []string{a.String()}}, new(ec2.AssignIpv6AddressesOutput))
		}
		return err == nil, nil
	})
}

func unassign(p *postern.Postern, eni string, a netip.Addr) {
	p.T.Helper()
	if a.Is4() {
		postern.Call[ec2.UnassignPrivateIpAddressesOutput](p, ec2.Service, "UnassignPrivateIpAddresses",
			&ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &eni, PrivateIpAddresses: []string{a.String()}})
		return
	}
	postern.Call[ec2.UnassignIpv6AddressesOutput](p, ec2.Service, "UnassignIpv6Addresses",
		&ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: &eni, Ipv6Addresses: []string{a.String()}})
}

// tracked says how many TCP connections a VPC's router tracks that have the
// address and port at any end.
func tracked(p *postern.Postern, vpc string, at netip.AddrPort) (n int) {
	p.T.Helper()
	ns, err := network.OpenNamespace(network.NamespaceName(p.Mark(), vpc))
	if err != nil {
		p.T.Fatal(err)
	}
	defer ns.Close()
	family := netlink.InetFamily(unix.AF_INET)
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	is := func(ip net.IP, port uint16) bool {
		a, _ := netip.AddrFromSlice(ip)
		return port == at.Port() && (a.Unmap() == at.Addr() || !at.Addr().IsValid())
	}
	err = network.Inside(ns, func() error {
		list, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
		for _, f := range list {
			if f.Forward.Protocol == unix.IPPROTO_TCP && (is(f.Forward.SrcIP, f.Forward.SrcPort) || is(f.Reverse.SrcIP, f.Reverse.SrcPort)) {
				n++
			}
		}
		return err
	})
	if err != nil {
		p.T.Fatal(err)
	}
	return n
}

// An interface is detached and deleted with a connection open. The next one with
// its address, whose group admits nothing, cannot speak in that connection.
func TestTheNextInterfaceHasNoPartInOldSessions(t *testing.T) {
	s := newPair(t)
	l, err := s.server.Listen("tcp", ":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := s.gateway.Configuration(s.server.IP, "7000")
	e := s.consumer.Endpoint(c, []*postern.Subnet{s.clients}, s.openClient)
	nothing := s.consumer.Group("nothing", nil, nil)
	own := s.consumer.Subnet(0, "10.0.3.0/24") // where nothing takes addresses
	victim := own.Workload("10.0.3.20", s.openClient)
	here, there := both(t, victim, l, e.Address())
	from := here.LocalAddr().(*net.TCPAddr).AddrPort()
	detach(s.Postern, victim.ENI)
	postern.Call[ec2.DeleteNetworkInterfaceOutput](s.Postern, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &victim.ENI})
	attacker := own.Workload("10.0.3.20", nothing)
	if n := tracked(s.Postern, s.consumer.ID, from); n > 0 {
		t.Errorf("the consumer's router still tracks %d connections of %s", n, from)
	}
	for range 3 {
		for _, flags := range []byte{testnet.SYN, testnet.ACK, testnet.PSH | testnet.ACK} {
			segment := testnet.Segment{From: from, To: netip.AddrPortFrom(e.Address(), 7000), Flags: flags, Sequence: 1, Data: "forged"}
			if err := attacker.Send(segment); err != nil {
				t.Fatal(err)
			}
		}
	}
	expectReset(t, "the server", there)
	if n := tracked(s.Postern, s.consumer.ID, from); n > 0 {
		t.Errorf("the next interface got %d connections tracked", n)
	}
}

// A floating address goes from one machine to another as keepalived, pacemaker
// and Patroni have it: connections to the former holder end, new ones come to the
// new holder at once, and it goes back again.
func TestAFloatingAddressMoves(t *testing.T) {
	s := newPair(t)
	own := s.provider.Subnet(0, "10.0.3.0/24") // where nothing takes addresses
	float := netip.MustParseAddr("10.0.3.77")
	first, second := own.Workload("10.0.3.31", s.openServer), own.Workload("10.0.3.32", s.openServer)
	first.Serve(5432)
	second.Serve(5432)
	assign(s.Postern, first.ENI, false, float)
	c := s.gateway.Configuration(float, "5432")
	e := s.consumer.Endpoint(c, []*postern.Subnet{s.clients}, s.openClient)
	for _, to := range []*postern.Workload{second, first} {
		conn, inside := dial(t, s.client, at(e.Address())), dial(t, s.server, at(float))
		other := dial(t, s.client, at(s.endpoint.Address()))
		postern.Call[ec2.AssignPrivateIpAddressesOutput](s.Postern, ec2.Service, "AssignPrivateIpAddresses",
			&ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &to.ENI, PrivateIpAddresses: []string{float.String()}, AllowReassignment: new(true)})
		expectReset(t, "connection through the endpoint", conn)
		expectReset(t, "connection within the VPC", inside)
		s.Await("the new holder to answer", func() (bool, error) { return answers(s.client, at(e.Address())), nil })
		if err := testnet.Echo(other, "still here"); err != nil {
			t.Errorf("a connection of another address: %v", err)
		}
		var has []string
		for _, ni := range s.Interfaces("network-interface-id", to.ENI) {
			for _, a := range ni.PrivateIpAddresses {
				has = append(has, *a.PrivateIpAddress)
			}
		}
		if !slices.Contains(has, float.String()) {
			t.Errorf("the new holder has %v", has)
		}
	}
}

// Two endpoints of a VPC lead to one configuration. When one is deleted, its
// connections are gone from the provider's router too, although no end answers;
// those of the other one go on.
func TestAnEndpointsConnectionsAreGoneBesideItsSibling(t *testing.T) {
	s := newPair(t)
	sibling := s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
	far := s.consumer.Subnet(0, "10.0.3.0/24").Workload("10.0.3.10", s.openClient)
	goes, lives := dial(t, far, at(s.endpoint.Address())), dial(t, s.client, at(sibling.Address()))
	port := func(conn net.Conn) uint16 { return conn.LocalAddr().(*net.TCPAddr).AddrPort().Port() }
	for port(lives) == port(goes) { // by which they are told apart
		lives = dial(t, s.client, at(sibling.Address()))
	}
	from := netip.AddrPortFrom(netip.Addr{}, port(goes))
	deaf(t, far.NS, fmt.Sprintf("tcp sport %d", from.Port()))
	deaf(t, s.server.NS, fmt.Sprintf("tcp dport %d", from.Port()))
	routers := map[string]string{"consumer": s.consumer.ID, "provider": s.provider.ID}
	for name, vpc := range routers {
		if n := tracked(s.Postern, vpc, from); n == 0 {
			t.Fatalf("the %s's router tracks no connection from port %d", name, from.Port())
		}
	}
	s.endpoint.Delete()
	s.Await("the endpoint to be gone", func() (bool, error) {
		err := s.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint.ID}}, new(ec2.DescribeVpcEndpointsOutput))
		return err != nil, nil
	})
	for name, vpc := range routers {
		if n := tracked(s.Postern, vpc, from); n > 0 {
			t.Errorf("the %s's router still tracks %d connections from port %d", name, n, from.Port())
		}
	}
	if err := testnet.Echo(lives, "still here"); err != nil {
		t.Errorf("a connection through the sibling: %v", err)
	}
}

// deaf lets nothing of some packets out of a namespace.
func deaf(t *testing.T, ns *testnet.NS, packets string) {
	t.Helper()
	text := "table inet deaf {\nchain out {\ntype filter hook output priority 0\n" + packets + " drop\n}\n}"
	if out, err := exec.Command("ip", "netns", "exec", ns.Name, "nft", text).CombinedOutput(); err != nil {
		t.Fatalf("nft %s: %v: %s", text, err, out)
	}
}
