// SPDX-License-Identifier: Apache-2.0

package system

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// TestRulesFollowTheirPrefixLists admits clients by a prefix list: who is added to it gets
// an answer, who is taken out of it none.
func TestRulesFollowTheirPrefixLists(t *testing.T) {
	p := postern.Start(t)
	v := p.VPC("10.0.0.0/16")
	s := v.Subnet(0, "10.0.1.0/24")
	list := postern.Call[ec2.CreateManagedPrefixListOutput](p, ec2.Service, "CreateManagedPrefixList", &ec2.CreateManagedPrefixListInput{
		PrefixListName: new("clients"), AddressFamily: new("IPv4"), MaxEntries: new(int32(5)), Entries: []ec2.AddPrefixListEntry{{Cidr: new("10.0.1.10/32")}},
	}).PrefixList.PrefixListId
	listed := v.Group("listed", []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), PrefixListIds: []ec2.PrefixListId{{PrefixListId: list}},
	}}, postern.Open)
	open := v.OpenGroup()
	server, first, second := s.Workload("10.0.1.20", listed), s.Workload("10.0.1.10", open), s.Workload("10.0.1.11", open)
	server.Serve(5432)
	p.Await("an answer to who is in the list", func() (bool, error) { return answers(first, at(server.IP)), nil })
	if answers(second, at(server.IP)) {
		t.Error("who is not in the list has an answer")
	}
	postern.Call[ec2.ModifyManagedPrefixListOutput](p, ec2.Service, "ModifyManagedPrefixList", &ec2.ModifyManagedPrefixListInput{
		PrefixListId: list, CurrentVersion: new(int64(1)),
		AddEntries: []ec2.AddPrefixListEntry{{Cidr: new("10.0.1.11/32")}}, RemoveEntries: []ec2.RemovePrefixListEntry{{Cidr: new("10.0.1.10/32")}},
	})
	p.Await("an answer to who was added", func() (bool, error) { return answers(second, at(server.IP)), nil })
	p.Await("none to who was removed", func() (bool, error) { return !answers(first, at(server.IP)), nil })
	p.Verify()
}
