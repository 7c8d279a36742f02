// SPDX-License-Identifier: Apache-2.0

package system

import (
	"slices"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// fillOutside gives the consumer's VPC a gateway of either kind, and makes one that is
// attached to nothing; its client has an elastic address, and nobody has another.
func (f *form) fillOutside(s *pair) {
	p := s.Postern
	create := func() *string {
		return postern.Call[ec2.CreateInternetGatewayOutput](p, ec2.Service, "CreateInternetGateway", &ec2.CreateInternetGatewayInput{}).InternetGateway.InternetGatewayId
	}
	postern.Call[ec2.AttachInternetGatewayOutput](p, ec2.Service, "AttachInternetGateway", &ec2.AttachInternetGatewayInput{InternetGatewayId: create(), VpcId: &s.consumer.ID})
	create()
	allocate := func() *string {
		return postern.Call[ec2.AllocateAddressOutput](p, ec2.Service, "AllocateAddress", &ec2.AllocateAddressInput{}).AllocationId
	}
	postern.Call[ec2.AssociateAddressOutput](p, ec2.Service, "AssociateAddress", &ec2.AssociateAddressInput{AllocationId: allocate(), NetworkInterfaceId: &s.client.ENI})
	allocate()
	postern.Call[ec2.CreateEgressOnlyInternetGatewayOutput](p, ec2.Service, "CreateEgressOnlyInternetGateway", &ec2.CreateEgressOnlyInternetGatewayInput{VpcId: &s.consumer.ID})
	postern.Call[ec2.CreateNatGatewayOutput](p, ec2.Service, "CreateNatGateway", &ec2.CreateNatGatewayInput{SubnetId: &s.clients.ID, ConnectivityType: new(ec2.ConnectivityTypePrivate)})
	p.Await("the NAT gateway", func() (bool, error) { return *natGateways(p)[0].State == ec2.NatGatewayStateAvailable, nil })
}

// natGateways are those that have not been deleted.
func natGateways(p *postern.Postern) []ec2.NatGateway {
	p.T.Helper()
	all := postern.Call[ec2.DescribeNatGatewaysOutput](p, ec2.Service, "DescribeNatGateways", &ec2.DescribeNatGatewaysInput{}).NatGateways
	return slices.DeleteFunc(all, func(g ec2.NatGateway) bool { return *g.State == ec2.NatGatewayStateDeleted })
}

// deleteOutside releases all elastic addresses, and deletes all gateways to the outside.
func deleteOutside(p *postern.Postern) {
	for _, g := range natGateways(p) {
		postern.Call[ec2.DeleteNatGatewayOutput](p, ec2.Service, "DeleteNatGateway", &ec2.DeleteNatGatewayInput{NatGatewayId: g.NatGatewayId})
	}
	p.Await("NAT gateways to go", func() (bool, error) { return len(natGateways(p)) == 0, nil })
	for _, e := range postern.Call[ec2.DescribeAddressesOutput](p, ec2.Service, "DescribeAddresses", &ec2.DescribeAddressesInput{}).Addresses {
		if e.AssociationId != nil {
			postern.Call[ec2.DisassociateAddressOutput](p, ec2.Service, "DisassociateAddress", &ec2.DisassociateAddressInput{AssociationId: e.AssociationId})
		}
		postern.Call[ec2.ReleaseAddressOutput](p, ec2.Service, "ReleaseAddress", &ec2.ReleaseAddressInput{AllocationId: e.AllocationId})
	}
	for _, g := range postern.Call[ec2.DescribeInternetGatewaysOutput](p, ec2.Service, "DescribeInternetGateways", &ec2.DescribeInternetGatewaysInput{}).InternetGateways {
		for _, a := range g.Attachments {
			postern.Call[ec2.DetachInternetGatewayOutput](p, ec2.Service, "DetachInternetGateway", &ec2.DetachInternetGatewayInput{InternetGatewayId: g.InternetGatewayId, VpcId: a.VpcId})
		}
		postern.Call[ec2.DeleteInternetGatewayOutput](p, ec2.Service, "DeleteInternetGateway", &ec2.DeleteInternetGatewayInput{InternetGatewayId: g.InternetGatewayId})
	}
	for _, g := range postern.Call[ec2.DescribeEgressOnlyInternetGatewaysOutput](p, ec2.Service, "DescribeEgressOnlyInternetGateways", &ec2.DescribeEgressOnlyInternetGatewaysInput{}).EgressOnlyInternetGateways {
		postern.Call[ec2.DeleteEgressOnlyInternetGatewayOutput](p, ec2.Service, "DeleteEgressOnlyInternetGateway", &ec2.DeleteEgressOnlyInternetGatewayInput{EgressOnlyInternetGatewayId: g.EgressOnlyInternetGatewayId})
	}
}
