// SPDX-License-Identifier: Apache-2.0

package system

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// TestNetworkACLsHoldForPackets has a client in another subnet than its endpoint lose and
// get back the way to it by rules of network ACLs, also while Postern is down; who is in
// the endpoint's subnet does not notice.
func TestNetworkACLsHoldForPackets(t *testing.T) {
	s := newPair(t)
	other := s.consumer.Subnet(0, "10.0.2.0/24").Workload("10.0.2.10", s.openClient)
	endpoint := at(s.endpoint.Address())
	expectAnswer(t, other, endpoint)
	acl := postern.Call[ec2.DescribeNetworkAclsOutput](s.Postern, ec2.Service, "DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{
		Filters: []ec2.Filter{{Name: new("vpc-id"), Values: []string{s.consumer.ID}}},
	}).NetworkAcls[0].NetworkAclId
	expect := func(name string, want bool) {
		t.Helper()
		s.Await(name, func() (bool, error) { return answers(other, endpoint) == want, nil })
		expectAnswer(t, s.client, endpoint)
	}
	deny := &ec2.CreateNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: new(int32(10)), Egress: new(false), RuleAction: new("deny"), Protocol: new("6"),
		PortRange: &ec2.PortRange{From: new(int32(5432)), To: new(int32(5432))}, CidrBlock: new("10.0.2.0/24"),
	}
	postern.Call[ec2.CreateNetworkAclEntryOutput](s.Postern, ec2.Service, "CreateNetworkAclEntry", deny)
	expect("the rule to hold", false)
	s.Stop()
	if answers(other, endpoint) {
		t.Error("the rule does not hold while Postern is down")
	}
	s.Up()
	expect("the rule to hold after a restart", false)
	postern.Call[ec2.DeleteNetworkAclEntryOutput](s.Postern, ec2.Service, "DeleteNetworkAclEntry", &ec2.DeleteNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: deny.RuleNumber, Egress: deny.Egress,
	})
	expect("the rule to be gone", true)
}
