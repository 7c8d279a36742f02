// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// associate gives an endpoint a further association, to another configuration, with
// addresses of its own on the interface that the endpoint has.
func associate(tx *table.Txn, endpoint, configuration, id string, addresses ...netip.Addr) {
	var ni *model.NetworkInterface
	for row := range state.NetworkInterfacesByOwner.Rows(tx, model.Ref{Account: "111122223333", Region: "us-east-1", ID: endpoint}) {
		ni = row.Clone()
	}
	a := &model.EndpointAssociation{
		Meta:           model.Meta{Account: ni.Account, Region: ni.Region, ID: "rea-" + id, CreatedAt: time.Now()},
		EndpointSideID: "vpce-rsc-asc-" + id,
		Endpoint:       model.Ref{Account: ni.Account, Region: ni.Region, ID: endpoint},
		Configuration:  model.Ref{Account: ni.Account, Region: ni.Region, ID: configuration},
	}
	for _, addr := range addresses {
		if addr.Is4() {
			ni.Addresses = append(ni.Addresses, addr)
		} else {
			ni.Addresses6 = append(ni.Addresses6, addr)
		}
		a.Addresses = append(a.Addresses, model.InterfaceAddress{Interface: ni.ID, Addr: addr})
		state.AddressClaims.Put(tx, &model.AddressClaim{Account: ni.Account, Region: ni.Region, Subnet: ni.Subnet, Addr: addr, Interface: ni.ID})
	}
	state.NetworkInterfaces.Put(tx, ni)
	state.EndpointAssociations.Put(tx, a)
}

// Three configurations are reached by addresses of one interface of one endpoint.
// One is removed: its connections are cut and its address is free for somebody else,
// and the others, and the connections through them, stay as they are.
func TestAssociationsOfOneEndpointAreIndependent(t *testing.T) {
	s := newPair(t)
	web, admin := s.gateway.Configuration(s.server.IP, "5433"), s.gateway.Configuration(s.server.IP6, "5432")
	webAt, adminAt := s.clients.Unused(), s.clients.Address6(0x202)
	s.Stop()
	rewrite(t, s.Data, func(tx *table.Txn) {
		associate(tx, s.endpoint.ID, web.ID, "00000000000000001", webAt)
		associate(tx, s.endpoint.ID, admin.ID, "00000000000000002", adminAt)
	})
	s.Up()
	awaitSettled(t, s.Postern)
	sources := s.gateway.Sources()[s.servers.Zone]
	expectSource(t, s.client, s.endpoint.Address(), sources)
	expectSource(t, s.client, adminAt, sources)
	expectAnswer(t, s.client, hostPort(webAt, 5433))
	expectRefusal(t, s.client, hostPort(webAt, 5432)) // a port of the others only
	expectRefusal(t, s.client, hostPort(s.endpoint.Address(), 5433))
	expectAccessible(t, s, "Accessible", "Accessible", "Accessible")

	removed := dial(t, s.client, hostPort(webAt, 5433))
	kept := map[string]net.Conn{
		"first": dial(t, s.client, at(s.endpoint.Address())), "IPv6": dial(t, s.client, at(adminAt)),
	}
	items := postern.Call[lattice.ListResourceEndpointAssociationsOutput](s.Postern, lattice.Service, "ListResourceEndpointAssociations",
		&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &web.ID}).Items
	postern.Call[lattice.DeleteResourceEndpointAssociationOutput](s.Postern, lattice.Service, "DeleteResourceEndpointAssociation",
		&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: items[0].Id})
	expectReset(t, "client of what was removed", removed)
	expectRefusal(t, s.client, hostPort(webAt, 5433))
	for name, conn := range kept {
		if err := testnet.Echo(conn, "still here"); err != nil {
			t.Errorf("connection through the %s association: %v", name, err)
		}
	}
	s.Await("the address to be free", func() (bool, error) {
		err := s.Do(ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{
			SubnetId: &s.clients.ID, PrivateIpAddress: new(webAt.String()), Groups: []string{s.openClient},
		}, &ec2.CreateNetworkInterfaceOutput{})
		if postern.Code(err) == "InvalidIPAddress.InUse" {
			return false, nil
		}
		return err == nil, err
	})
	expectAccessible(t, s, "Accessible", "Accessible")
	expectSource(t, s.client, s.endpoint.Address(), sources)
	expectSource(t, s.client, adminAt, sources)

	// By the other side: the endpoint goes, with all that it has left.
	s.endpoint.Delete()
	s.Await("the endpoint to be gone", func() (bool, error) {
		var out ec2.DescribeVpcEndpointsOutput
		err := s.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{}, &out)
		return len(out.VpcEndpoints) == 0, err
	})
	expectRefusal(t, s.client, hostPort(adminAt, 5432))
}

// expectAccessible wants the endpoint's associations to be in these states.
func expectAccessible(t *testing.T, s *pair, want ...string) {
	t.Helper()
	s.Await("associations to be told", func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := s.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{s.endpoint.ID}}, &out)
		var got []string
		for _, a := range out.VpcEndpointAssociations {
			got = append(got, *a.AssociatedResourceAccessibility)
		}
		return slices.Equal(got, want), err
	})
}
