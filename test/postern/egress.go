// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/testnet"
)

// PublicPool is what an Internet's Postern has for public addresses.
var PublicPool = netip.MustParsePrefix("198.51.100.0/26")

// Internet is a network namespace that plays what is outside of all VPCs.
type Internet struct {
	*testnet.NS
	Addr, Addr6 netip.Addr
	// Private is an address that resource configurations can name, for which the edge is
	// told to let it pass.
	Private netip.Addr
}

// NewInternet makes one that goes with the test.
func NewInternet(t testing.TB) *Internet {
	t.Helper()
	i := &Internet{NS: testnet.New(t), Addr: netip.MustParseAddr("203.0.113.10"), Addr6: netip.MustParseAddr("2001:db8:ffff::10"), Private: netip.MustParseAddr("172.20.0.10")}
	for _, a := range []netip.Addr{i.Addr, i.Addr6, i.Private} {
		if err := i.Give(a); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// Flags are those of `postern up` for it to be the outside.
func (i *Internet) Flags() []string {
	return []string{"--uplink", "internet=netns:" + i.Name, "--public-pool", PublicPool.String(), "--uplink-allow", netip.PrefixFrom(i.Private, 24).Masked().String()}
}

// InternetGateway makes an internet gateway and attaches it to the VPC.
func (v *VPC) InternetGateway() (id string) {
	v.p.T.Helper()
	made := Call[ec2.CreateInternetGatewayOutput](v.p, ec2.Service, "CreateInternetGateway", &ec2.CreateInternetGatewayInput{})
	id = *made.InternetGateway.InternetGatewayId
	if err := v.p.Do(ec2.Service, "AttachInternetGateway", &ec2.AttachInternetGatewayInput{InternetGatewayId: &id, VpcId: &v.ID}, nil); err != nil {
		v.p.T.Fatal(err)
	}
	return id
}

// EgressOnlyGateway makes an egress-only internet gateway of the VPC.
func (v *VPC) EgressOnlyGateway() (id string) {
	v.p.T.Helper()
	made := Call[ec2.CreateEgressOnlyInternetGatewayOutput](v.p, ec2.Service, "CreateEgressOnlyInternetGateway", &ec2.CreateEgressOnlyInternetGatewayInput{VpcId: &v.ID})
	return *made.EgressOnlyInternetGateway.EgressOnlyInternetGatewayId
}

// RouteTable makes a route table of the VPC for these subnets.
func (v *VPC) RouteTable(subnets ...*Subnet) (id string) {
	v.p.T.Helper()
	made := Call[ec2.CreateRouteTableOutput](v.p, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &v.ID})
	id = *made.RouteTable.RouteTableId
	for _, s := range subnets {
		Call[ec2.AssociateRouteTableOutput](v.p, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: &id, SubnetId: &s.ID})
	}
	return id
}

// Route adds a route to a gateway of any kind, or to a network interface, by the target's
// id.
func (p *Postern) Route(table, dest, target string) {
	p.T.Helper()
	in := &ec2.CreateRouteInput{RouteTableId: &table}
	if netip.MustParsePrefix(dest).Addr().Is4() {
		in.DestinationCidrBlock = &dest
	} else {
		in.DestinationIpv6CidrBlock = &dest
	}
	switch target[:4] {
	case "igw-":
		in.GatewayId = &target
	case "eigw":
		in.EgressOnlyInternetGatewayId = &target
	case "nat-":
		in.NatGatewayId = &target
	case "eni-":
		in.NetworkInterfaceId = &target
	default:
		p.T.Fatalf("no route to a target like %s", target)
	}
	Call[ec2.CreateRouteOutput](p, ec2.Service, "CreateRoute", in)
}

// Allocate takes an address of the public pool.
func (p *Postern) Allocate() (id string, addr netip.Addr) {
	p.T.Helper()
	made := Call[ec2.AllocateAddressOutput](p, ec2.Service, "AllocateAddress", &ec2.AllocateAddressInput{Domain: new(ec2.DomainTypeVpc)})
	return *made.AllocationId, netip.MustParseAddr(*made.PublicIp)
}

// Publish gives the workload a public address of its own.
func (w *Workload) Publish() netip.Addr {
	p := w.Subnet.VPC.p
	p.T.Helper()
	id, addr := p.Allocate()
	Call[ec2.AssociateAddressOutput](p, ec2.Service, "AssociateAddress", &ec2.AssociateAddressInput{AllocationId: &id, NetworkInterfaceId: &w.ENI})
	return addr
}

// NAT makes a public NAT gateway in the subnet and waits until it is available.
// It tells the gateway's address in the subnet and outside.
func (s *Subnet) NAT() (id string, private, public netip.Addr) {
	p := s.VPC.p
	p.T.Helper()
	allocation, public := p.Allocate()
	made := Call[ec2.CreateNatGatewayOutput](p, ec2.Service, "CreateNatGateway", &ec2.CreateNatGatewayInput{SubnetId: &s.ID, AllocationId: &allocation})
	id = *made.NatGateway.NatGatewayId
	p.Await("NAT gateway "+id, func() (bool, error) {
		var out ec2.DescribeNatGatewaysOutput
		err := p.Do(ec2.Service, "DescribeNatGateways", &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}, &out)
		if err != nil || *out.NatGateways[0].State != ec2.NatGatewayStateAvailable {
			return false, err
		}
		private, err = netip.ParseAddr(*out.NatGateways[0].NatGatewayAddresses[0].PrivateIp)
		return err == nil, err
	})
	return id, private, public
}
