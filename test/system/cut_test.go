// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// both opens a connection to a listener behind an address and returns both ends.
func both(t *testing.T, from *postern.Workload, l net.Listener, to netip.Addr) (here, there net.Conn) {
	t.Helper()
	here, err := from.Dial(t.Context(), "tcp", hostPort(to, l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close() })
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	return here, there
}

// busy keeps one end sending until it cannot; the error comes on the channel.
func busy(conn net.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := conn.Write(make([]byte, 1024)); err != nil {
				ended <- err
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return ended
}

// expectReset wants the connection to end with a reset.
func expectReset(t *testing.T, name string, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	var err error
	for err == nil { // what was on its way comes first
		_, err = conn.Read(make([]byte, 64<<10))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: %v, want a reset", name, err)
	}
}

// Whatever takes the way away cuts its live connections, busy and idle, at both
// ends.
func TestRemovalCutsLiveConnections(t *testing.T) {
	s := newPair(t)
	l, err := s.server.Listen("tcp", ":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	removals := map[string]func(*postern.Configuration, *postern.Endpoint){
		"endpoint": func(_ *postern.Configuration, e *postern.Endpoint) { e.Delete() },
		"association": func(c *postern.Configuration, _ *postern.Endpoint) {
			items := postern.Call[lattice.ListResourceEndpointAssociationsOutput](s.Postern, lattice.Service, "ListResourceEndpointAssociations",
				&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &c.ID}).Items
			postern.Call[lattice.DeleteResourceEndpointAssociationOutput](s.Postern, lattice.Service, "DeleteResourceEndpointAssociation",
				&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: items[0].Id})
		},
	}
	for name, remove := range removals {
		for family, resource := range map[string]netip.Addr{"IPv4": s.server.IP, "IPv6": s.server.IP6} {
			t.Run(name+" "+family, func(t *testing.T) {
				c := s.gateway.Configuration(resource, "7000")
				e := s.consumer.Endpoint(c, []*postern.Subnet{s.clients}, s.openClient)
				address := e.Address()
				if family == "IPv6" {
					address = e.Address6()
				}
				idleHere, idleThere := both(t, s.client, l, address)
				busyHere, busyThere := both(t, s.client, l, address)
				ended := busy(busyHere)
				remove(c, e)
				expectReset(t, "idle client", idleHere)
				expectReset(t, "idle server", idleThere)
				expectReset(t, "busy server", busyThere)
				select {
				case <-ended:
				case <-time.After(testnet.Patience):
					t.Error("busy client: still sends")
				}
				expectRefusal(t, s.client, hostPort(address, 7000))
			})
		}
	}
	expectAnswer(t, s.client, at(s.endpoint.Address())) // another endpoint of the same gateway
}

// A change of a security group counts for new connections as soon as the call
// has been answered; connections that are there live on.
func TestSecurityGroupsCountAtOnce(t *testing.T) {
	s := newPair(t)
	address := at(s.endpoint.Address())
	conn := dial(t, s.client, address)
	for name, side := range map[string]struct {
		group   string
		in, out []ec2.IpPermission
	}{
		"client's and endpoint's": {s.openClient, postern.Open, nil},
		"client's, outbound":      {s.openClient, nil, postern.Open},
		"server's, inbound":       {s.openServer, postern.Open, nil},
		"gateway's, outbound":     {s.openServer, nil, postern.Open},
	} {
		t.Run(name, func(t *testing.T) {
			s.Revoke(side.group, side.in, side.out)
			s.Await("the group to close", func() (bool, error) { return !answers(s.client, address), nil })
			expectSilence(t, s.client, address)
			if err := testnet.Echo(conn, "still here"); err != nil {
				t.Errorf("the connection that was there: %v", err)
			}
			s.Authorize(side.group, side.in, side.out)
			s.Await("the group to open", func() (bool, error) { return answers(s.client, address), nil })
		})
	}
	t.Run("rule of a group", func(t *testing.T) {
		members := s.consumer.Group("members", nil, postern.Open)
		byGroup := []ec2.IpPermission{{IpProtocol: new("tcp"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: &members}}}}
		admitting := s.consumer.Group("admitting", byGroup, nil)
		e := s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, admitting)
		expectSilence(t, s.client, at(e.Address()))
		postern.Call[ec2.ModifyNetworkInterfaceAttributeOutput](s.Postern, ec2.Service, "ModifyNetworkInterfaceAttribute",
			&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &s.client.ENI, Groups: []string{members}})
		s.Await("the member to be admitted", func() (bool, error) { return answers(s.client, at(e.Address())), nil })
	})
}

// An update of a resource configuration counts for new connections as soon as
// the configuration is active again.
func TestUpdatesOfConfigurationsCount(t *testing.T) {
	s := newPair(t)
	other := s.servers.Workload("", s.openServer)
	other.Serve(5433)
	update := func(in *lattice.UpdateResourceConfigurationInput) {
		t.Helper()
		in.ResourceConfigurationIdentifier = &s.resource.ID
		out := postern.Call[lattice.UpdateResourceConfigurationOutput](s.Postern, lattice.Service, "UpdateResourceConfiguration", in)
		if *out.Status != lattice.ResourceConfigurationStatusUpdateInProgress {
			t.Errorf("the reply says %s", *out.Status)
		}
		s.resource.Await()
	}
	counts := func(port int, want error) {
		t.Helper()
		if _, err := ask(s.client, hostPort(s.endpoint.Address(), port)); !errors.Is(err, want) {
			t.Errorf("port %d answers with %v, want %v", port, err, want)
		}
	}
	update(&lattice.UpdateResourceConfigurationInput{PortRanges: []string{"5433"}})
	counts(5432, syscall.ECONNREFUSED)
	expectAnswer(t, s.client, hostPort(s.endpoint.Address(), 5433))
	update(&lattice.UpdateResourceConfigurationInput{PortRanges: []string{"1-65535"}})
	counts(5432, nil)
	update(&lattice.UpdateResourceConfigurationInput{
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(other.IP.String())}},
	})
	counts(5432, syscall.ECONNREFUSED) // the other server does not listen there
	expectAnswer(t, s.client, hostPort(s.endpoint.Address(), 5433))
}

func TestRefusalsAreFast(t *testing.T) {
	s := newPair(t)
	expectRefusal(t, s.client, hostPort(s.endpoint.Address(), 5433))
	expectRefusal(t, s.client, hostPort(s.endpoint.Address6(), 5432)) // nothing is behind it
	expectRefusal(t, s.client, "10.0.1.3:5432")                       // reserved: nothing ever has it
	expectRefusal(t, s.client, "240.0.0.1:5432")
	for _, nobody := range []string{s.servers.Unused().String(), "10.0.99.1", "192.168.7.7"} { // in the subnet, in the VPC, elsewhere
		c := s.gateway.Configuration(netip.MustParseAddr(nobody), "5432")
		e := s.consumer.Endpoint(c, []*postern.Subnet{s.clients}, s.openClient)
		expectRefusal(t, s.client, at(e.Address()))
	}
	closed := s.gateway.Configuration(s.server.IP, "5999") // nobody listens
	e := s.consumer.Endpoint(closed, []*postern.Subnet{s.clients}, s.openClient)
	expectRefusal(t, s.client, hostPort(e.Address(), 5999))
	if r := s.Command("detach", s.server.ENI); r.Status != 0 {
		t.Error(r.Stderr)
	}
	expectRefusal(t, s.client, at(s.endpoint.Address())) // the server has gone
}
