// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/ram"
)

// Share makes a resource share of a configuration with an account, and gives its ARN. The
// account has to accept.
func (c *Configuration) Share(account string) (arn string) {
	c.p.T.Helper()
	return *Call[ram.CreateResourceShareOutput](c.p, ram.Service, "CreateResourceShare", &ram.CreateResourceShareInput{
		Name: new("to-" + account), ResourceArns: []string{c.ARN}, Principals: []string{account},
	}).ResourceShare.ResourceShareArn
}

// Accept accepts the invitation to a share.
func (p *Postern) Accept(share string) {
	p.T.Helper()
	got := Call[ram.GetResourceShareInvitationsOutput](p, ram.Service, "GetResourceShareInvitations", &ram.GetResourceShareInvitationsInput{ResourceShareArns: []string{share}})
	for _, i := range got.ResourceShareInvitations {
		if *i.Status == ram.ResourceShareInvitationStatusPending {
			Call[ram.AcceptResourceShareInvitationOutput](p, ram.Service, "AcceptResourceShareInvitation",
				&ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn})
			return
		}
	}
	p.T.Fatalf("no invitation to %s can be accepted", share)
}

// Unshare deletes a share.
func (p *Postern) Unshare(share string) {
	p.T.Helper()
	Call[ram.DeleteResourceShareOutput](p, ram.Service, "DeleteResourceShare", &ram.DeleteResourceShareInput{ResourceShareArn: &share})
}

// Share makes a resource share of a subnet with an account of the organization, and gives its
// ARN. The account has it at once.
func (s *Subnet) Share(account string) (arn string) {
	p := s.VPC.p
	p.T.Helper()
	found := Call[ec2.DescribeSubnetsOutput](p, ec2.Service, "DescribeSubnets", &ec2.DescribeSubnetsInput{SubnetIds: []string{s.ID}})
	return *Call[ram.CreateResourceShareOutput](p, ram.Service, "CreateResourceShare", &ram.CreateResourceShareInput{
		Name: new("to-" + account), ResourceArns: []string{*found.Subnets[0].SubnetArn}, Principals: []string{account},
	}).ResourceShare.ResourceShareArn
}

// As is the subnet in calls of another account, which has a share of it.
func (s *Subnet) As(p *Postern) *Subnet {
	subnet, vpc := *s, *s.VPC
	vpc.p, subnet.VPC = p, &vpc
	return &subnet
}
