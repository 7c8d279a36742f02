// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// fillACLs makes a network ACL that lets pass what the connections of the pair need, has
// the clients' subnet use it, and changes the default one of the provider.
func fillACLs(s *pair) {
	p := s.Postern
	acl := postern.Call[ec2.CreateNetworkAclOutput](p, ec2.Service, "CreateNetworkAcl", &ec2.CreateNetworkAclInput{VpcId: &s.consumer.ID}).NetworkAcl.NetworkAclId
	add := func(acl *string, number int32, egress bool, change func(*ec2.CreateNetworkAclEntryInput)) {
		in := &ec2.CreateNetworkAclEntryInput{
			NetworkAclId: acl, RuleNumber: &number, Egress: &egress, Protocol: new("-1"), RuleAction: new("allow"), CidrBlock: new("0.0.0.0/0"),
		}
		change(in)
		postern.Call[ec2.CreateNetworkAclEntryOutput](p, ec2.Service, "CreateNetworkAclEntry", in)
	}
	for _, egress := range []bool{false, true} {
		add(acl, 100, egress, func(in *ec2.CreateNetworkAclEntryInput) {
			in.Protocol, in.PortRange = new("6"), &ec2.PortRange{From: new(int32(0)), To: new(int32(65535))}
		})
		add(acl, 200, egress, func(in *ec2.CreateNetworkAclEntryInput) { in.CidrBlock, in.Ipv6CidrBlock = nil, new("::/0") })
	}
	find := func(name, value string) ec2.NetworkAcl {
		filters := []ec2.Filter{{Name: &name, Values: []string{value}}}
		return postern.Call[ec2.DescribeNetworkAclsOutput](p, ec2.Service, "DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{Filters: filters}).NetworkAcls[0]
	}
	for _, a := range find("association.subnet-id", s.clients.ID).Associations {
		if *a.SubnetId == s.clients.ID {
			postern.Call[ec2.ReplaceNetworkAclAssociationOutput](p, ec2.Service, "ReplaceNetworkAclAssociation", &ec2.ReplaceNetworkAclAssociationInput{
				AssociationId: a.NetworkAclAssociationId, NetworkAclId: acl,
			})
		}
	}
	add(find("vpc-id", s.provider.ID).NetworkAclId, 50, false, func(in *ec2.CreateNetworkAclEntryInput) {
		in.RuleAction, in.CidrBlock, in.Protocol = new("deny"), new("192.0.2.0/24"), new("47")
	})
}

// deleteACLs deletes the network ACLs that a filter takes, but for default ones.
func deleteACLs(p *postern.Postern, filter []ec2.Filter) {
	for _, n := range postern.Call[ec2.DescribeNetworkAclsOutput](p, ec2.Service, "DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{Filters: filter}).NetworkAcls {
		if !*n.IsDefault {
			postern.Call[ec2.DeleteNetworkAclOutput](p, ec2.Service, "DeleteNetworkAcl", &ec2.DeleteNetworkAclInput{NetworkAclId: n.NetworkAclId})
		}
	}
}
