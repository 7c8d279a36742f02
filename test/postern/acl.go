// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"net/netip"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

// ACLEntry is a rule of a network ACL.
type ACLEntry struct {
	Number int
	Egress bool
	Allow  bool
	// Protocol is tcp, udp, icmp, icmpv6 or -1.
	Protocol string
	// From and To are ports; of ICMP From is a type, -1 for all, and codes are any.
	From, To int
	CIDR     netip.Prefix
}

// ACL makes a network ACL with these rules.
func (v *VPC) ACL(entries ...ACLEntry) (id string) {
	v.p.T.Helper()
	id = *Call[ec2.CreateNetworkAclOutput](v.p, ec2.Service, "CreateNetworkAcl", &ec2.CreateNetworkAclInput{VpcId: &v.ID}).NetworkAcl.NetworkAclId
	for _, e := range entries {
		v.p.Enter(id, e)
	}
	return id
}

// DefaultACL is the network ACL of subnets that use no other.
func (v *VPC) DefaultACL() (id string) {
	v.p.T.Helper()
	found := Call[ec2.DescribeNetworkAclsOutput](v.p, ec2.Service, "DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{Filters: []ec2.Filter{
		{Name: new("vpc-id"), Values: []string{v.ID}}, {Name: new("default"), Values: []string{"true"}},
	}})
	return *found.NetworkAcls[0].NetworkAclId
}

// Filter has a network ACL filter the subnet.
func (s *Subnet) Filter(acl string) {
	p := s.VPC.p
	p.T.Helper()
	found := Call[ec2.DescribeNetworkAclsOutput](p, ec2.Service, "DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{
		Filters: []ec2.Filter{{Name: new("association.subnet-id"), Values: []string{s.ID}}},
	})
	for _, a := range found.NetworkAcls[0].Associations {
		if *a.SubnetId == s.ID {
			Call[ec2.ReplaceNetworkAclAssociationOutput](p, ec2.Service, "ReplaceNetworkAclAssociation",
				&ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: &acl})
		}
	}
}

// Enter adds a rule to a network ACL.
func (p *Postern) Enter(acl string, e ACLEntry) {
	p.T.Helper()
	in := e.input(acl)
	Call[ec2.CreateNetworkAclEntryOutput](p, ec2.Service, "CreateNetworkAclEntry", &in)
}

// ReplaceEntry replaces the rule of a network ACL that has the number.
func (p *Postern) ReplaceEntry(acl string, e ACLEntry) {
	p.T.Helper()
	in := ec2.ReplaceNetworkAclEntryInput(e.input(acl))
	Call[ec2.ReplaceNetworkAclEntryOutput](p, ec2.Service, "ReplaceNetworkAclEntry", &in)
}

// DeleteEntry takes a rule out of a network ACL.
func (p *Postern) DeleteEntry(acl string, number int, egress bool) {
	p.T.Helper()
	Call[ec2.DeleteNetworkAclEntryOutput](p, ec2.Service, "DeleteNetworkAclEntry",
		&ec2.DeleteNetworkAclEntryInput{NetworkAclId: &acl, RuleNumber: new(int32(number)), Egress: &egress})
}

func (e ACLEntry) input(acl string) ec2.CreateNetworkAclEntryInput {
	in := ec2.CreateNetworkAclEntryInput{
		NetworkAclId: &acl, RuleNumber: new(int32(e.Number)), Egress: &e.Egress, Protocol: &e.Protocol, RuleAction: new(ec2.RuleActionDeny),
	}
	if e.Allow {
		in.RuleAction = new(ec2.RuleActionAllow)
	}
	if e.CIDR.Addr().Is4() {
		in.CidrBlock = new(e.CIDR.String())
	} else {
		in.Ipv6CidrBlock = new(e.CIDR.String())
	}
	switch e.Protocol {
	case "tcp", "udp":
		in.PortRange = &ec2.PortRange{From: new(int32(e.From)), To: new(int32(e.To))}
	case "icmp", "icmpv6":
		in.IcmpTypeCode = &ec2.IcmpTypeCode{Type: new(int32(e.From)), Code: new(int32(-1))}
	}
	return in
}
