// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// An ACL is made, its rules are changed, a subnet uses it and the default one again, and
// it is deleted.
func TestNetworkACLs(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	vpc := *must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.9.0.0/16")}))(c).Vpc.VpcId
	subnet := *must(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.9.1.0/24")}))(c).Subnet.SubnetId
	acl := must(c.ec2.CreateNetworkAcl(c.ctx, &ec2.CreateNetworkAclInput{VpcId: &vpc}))(c).NetworkAcl.NetworkAclId
	must(c.ec2.CreateNetworkAclEntry(c.ctx, &ec2.CreateNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: new(int32(100)), Egress: new(false), Protocol: new("6"), RuleAction: ec2types.RuleActionAllow,
		CidrBlock: new("10.9.2.7/24"), PortRange: &ec2types.PortRange{From: new(int32(80)), To: new(int32(443))},
	}))(c)
	must(c.ec2.ReplaceNetworkAclEntry(c.ctx, &ec2.ReplaceNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: new(int32(100)), Egress: new(false), Protocol: new("1"), RuleAction: ec2types.RuleActionDeny,
		CidrBlock: new("10.9.2.7/24"), IcmpTypeCode: &ec2types.IcmpTypeCode{Type: new(int32(8)), Code: new(int32(-1))},
	}))(c)
	find := func() ec2types.NetworkAcl {
		found := must(c.ec2.DescribeNetworkAcls(c.ctx, &ec2.DescribeNetworkAclsInput{Filters: []ec2types.Filter{{Name: new("association.subnet-id"), Values: []string{subnet}}}}))(c).NetworkAcls
		equal(t, "ACLs of the subnet", len(found), 1)
		return found[0]
	}
	first := find()
	equal(t, "default", *first.IsDefault, true)
	second := must(c.ec2.ReplaceNetworkAclAssociation(c.ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: first.Associations[0].NetworkAclAssociationId, NetworkAclId: acl}))(c).NewAssociationId
	got := find()
	equal(t, "association", *got.Associations[0].NetworkAclAssociationId, *second)
	equal(t, "block", *got.Entries[1].CidrBlock, "10.9.2.0/24")
	equal(t, "type", *got.Entries[1].IcmpTypeCode.Type, 8)
	must(c.ec2.DeleteNetworkAclEntry(c.ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: new(int32(100)), Egress: new(false)}))(c)
	equal(t, "rules that are left", len(find().Entries), 2)
	must(c.ec2.ReplaceNetworkAclAssociation(c.ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: second, NetworkAclId: first.NetworkAclId}))(c)
	must(c.ec2.DeleteNetworkAcl(c.ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: acl}))(c)
	must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))(c)
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &vpc}))(c)
}
