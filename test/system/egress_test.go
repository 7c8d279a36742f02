// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// A connection through a NAT gateway ends for both ends when the gateway is deleted, also
// for the one outside; and one of a public address when that goes elsewhere.
func TestBothEndsLearnWhatEndsOutside(t *testing.T) {
	internet := postern.NewInternet(t)
	p := postern.Start(t, internet.Flags()...)
	v := p.VPC("10.0.0.0/16")
	public, private := v.Subnet(0, "10.0.0.0/24"), v.Subnet(0, "10.0.1.0/24")
	p.Route(v.RouteTable(public), "0.0.0.0/0", v.InternetGateway())
	group := v.OpenGroup()
	inside, published := private.Workload("10.0.1.10", group), public.Workload("10.0.0.10", group)
	nat, _, natAddress := public.NAT()
	p.Route(v.RouteTable(private), "0.0.0.0/0", nat)
	address := published.Publish()

	l, err := internet.Listen("tcp4", internet.Addr.String()+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open := func(from *postern.Workload, seen string) (client, server net.Conn) {
		t.Helper()
		p.Await("a connection outside", func() (bool, error) {
			client, err = from.Dial(t.Context(), "tcp4", l.Addr().String())
			return err == nil, nil
		})
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		if host, _, _ := net.SplitHostPort(server.RemoteAddr().String()); host != seen {
			t.Errorf("the server sees %s, want %s", host, seen)
		}
		t.Cleanup(func() { client.Close(); server.Close() })
		for _, one := range [][2]net.Conn{{client, server}, {server, client}} { // and the lane has it
			for range 3 {
				buffer := make([]byte, 1)
				one[0].Write(buffer)
				if _, err := one[1].Read(buffer); err != nil {
					t.Fatal(err)
				}
			}
		}
		return client, server
	}
	ended := func(what string, ends ...net.Conn) {
		t.Helper()
		for i, end := range ends {
			end.SetReadDeadline(time.Now().Add(testnet.Patience))
			if _, err := end.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: end %d reads %v, want a reset", what, i, err)
			}
		}
	}
	client, server := open(inside, natAddress.String())
	other, seen := open(published, address.String())
	postern.Call[ec2.DeleteNatGatewayOutput](p, ec2.Service, "DeleteNatGateway", &ec2.DeleteNatGatewayInput{NatGatewayId: &nat})
	ended("the NAT gateway is deleted", client, server)

	found := postern.Call[ec2.DescribeAddressesOutput](p, ec2.Service, "DescribeAddresses", &ec2.DescribeAddressesInput{PublicIps: []string{address.String()}})
	if err := p.Do(ec2.Service, "DisassociateAddress", &ec2.DisassociateAddressInput{AssociationId: found.Addresses[0].AssociationId}, nil); err != nil {
		t.Fatal(err)
	}
	ended("the public address is taken away", other, seen)
}

// An interface that gets another public address has that one at once: nothing is in error
// in between.
func TestAPublicAddressTakesThePlaceOfAnother(t *testing.T) {
	internet := postern.NewInternet(t)
	p := postern.Start(t, internet.Flags()...)
	v := p.VPC("10.0.0.0/16")
	public := v.Subnet(0, "10.0.0.0/24")
	p.Route(v.RouteTable(public), "0.0.0.0/0", v.InternetGateway())
	w := public.Workload("10.0.0.10", v.OpenGroup())
	l, err := internet.Listen("tcp4", internet.Addr.String()+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 4 {
		address := w.Publish().String()
		p.Await("a connection from "+address, func() (bool, error) {
			client, err := w.Dial(t.Context(), "tcp4", l.Addr().String())
			if err != nil {
				return false, nil
			}
			defer client.Close()
			server, err := l.Accept()
			if err != nil {
				return false, err
			}
			defer server.Close()
			host, _, err := net.SplitHostPort(server.RemoteAddr().String())
			return host == address, err
		})
	}
	if log := p.Log(); strings.Contains(log, "entries in error") {
		t.Errorf("the daemon logs\n%s", log)
	}
}
