// SPDX-License-Identifier: Apache-2.0

package system

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

func defaultVPCs(p *postern.Postern) int {
	p.T.Helper()
	return len(postern.Call[ec2.DescribeVpcsOutput](p, ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{
		Filters: []ec2.Filter{{Name: new("is-default"), Values: []string{"true"}}},
	}).Vpcs)
}

// A folder from before there were default VPCs is one of a Postern that leaves
// them out.
func TestDefaultVPCIsLeftOutOrComesAtTheNextStart(t *testing.T) {
	p := postern.Start(t, "--default-vpc=false")
	if n := defaultVPCs(p); n != 0 {
		t.Errorf("%d default VPCs with --default-vpc=false", n)
	}
	p.Stop()
	again := postern.StartOn(t, p.Data)
	if n := defaultVPCs(again); n != 1 {
		t.Errorf("%d default VPCs after a start without the flag, want 1", n)
	}
}

func TestGatewayOfIPv6InASubnetOfBothFamilies(t *testing.T) {
	s := newPair(t)
	gateway := s.provider.Gateway("six", []*postern.Subnet{s.servers}, []string{s.openServer}, func(in *lattice.CreateResourceGatewayInput) {
		in.IpAddressType, in.Ipv4AddressesPerEni = new(lattice.ResourceGatewayIpAddressTypeIpv6), nil
	})
	e := s.consumer.Endpoint(gateway.Configuration(s.server.IP6, "5432"), []*postern.Subnet{s.clients}, s.openClient)
	expectSource(t, s.client, e.Address6(), gateway.Sources()[s.servers.Zone])
}
