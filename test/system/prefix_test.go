// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/testnet"
	"github.com/posternhq/postern/test/postern"
)

// A prefix is given to a workload that runs, which offers a resource at an
// address of it, as containers on it would. When the prefix is taken away, the
// connections to it end, and the next workload gets it once it is free.
func TestAResourceIsInAWorkloadsPrefix(t *testing.T) {
	needPrograms(t, "ip")
	s := newPair(t)
	own := s.provider.Subnet(0, "10.0.3.0/24") // where nothing takes addresses
	const prefix = "10.0.3.64/28"
	inside := netip.MustParseAddr("10.0.3.70")
	e := s.consumer.Endpoint(s.gateway.Configuration(inside, "5432"), []*postern.Subnet{s.clients}, s.openClient)
	for _, ip := range []string{"10.0.3.31", "10.0.3.32"} {
		holder := own.Workload(ip, s.openServer)
		s.Await(20*time.Second, "the prefix to be free", func() (bool, error) {
			err := s.Do(ec2.Service, "AssignPrivateIpAddresses", &ec2.AssignPrivateIpAddressesInput{
				NetworkInterfaceId: &holder.ENI, Ipv4Prefixes: []string{prefix},
			}, new(ec2.AssignPrivateIpAddressesOutput))
			return err == nil, nil
		})
		inNamespace(t, holder.NS.Name, "ip addr add "+inside.String()+"/32 dev lo")
		holder.Serve(5432)
		s.Await(20*time.Second, holder.ENI+" to answer in its prefix", func() (bool, error) { return answers(s.client, at(e.Address())), nil })
		conn, direct := dial(t, s.client, at(e.Address())), dial(t, s.server, at(inside))
		other := dial(t, s.server, at(holder.IP))
		if err := testnet.Echo(conn, "hello"); err != nil {
			t.Error(err)
		}
		postern.Call[ec2.UnassignPrivateIpAddressesOutput](s.Postern, ec2.Service, "UnassignPrivateIpAddresses",
			&ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &holder.ENI, Ipv4Prefixes: []string{prefix}})
		deadline := time.Now().Add(5 * time.Second)
		expectReset(t, "connection through the endpoint", conn, deadline)
		expectReset(t, "connection within the VPC", direct, deadline)
		if err := testnet.Echo(other, "still here"); err != nil {
			t.Errorf("a connection of another address: %v", err)
		}
	}
}
