// SPDX-License-Identifier: Apache-2.0

package iface_test

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// A database's interface is seen as RDS's, and changes with the database only.
func TestADatabasesInterfaceIsManagedByRDS(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "b", "10.0.1.0/24", 1)
	group := n.AddGroup(t, n.Net, "db")
	own := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, Groups: []string{group}, Description: new("RDSNetworkInterface")})
	id := own.NetworkInterfaceId
	n.Put(t, func(tx *table.Txn) {
		ni, _ := state.NetworkInterfaces.Get(tx, servicetest.Account, servicetest.Region, *id)
		ni = ni.Clone()
		ni.Type, ni.Owner = model.InterfaceDatabase, "db-ABCDEFGHIJKLMNOPQRSTUVWX01"
		state.NetworkInterfaces.Put(tx, ni)
	})
	got := n.DescribeInterface(t, *id)
	if *got.InterfaceType != "interface" || !*got.RequesterManaged || *got.RequesterId != "amazon-rds" || *got.Status != "in-use" ||
		*got.Attachment.InstanceOwnerId != "amazon-rds" || *got.Attachment.Status != "attached" || *got.Attachment.DeleteOnTermination || *got.Description != "RDSNetworkInterface" {
		t.Errorf("got %+v, attached as %+v", got, got.Attachment)
	}
	out, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{Filters: []shape.Filter{{Name: new("requester-id"), Values: []string{"amazon-rds"}}}})
	if err != nil || len(out.NetworkInterfaces) != 1 {
		t.Errorf("asked for by its requester there is %+v, %v", out, err)
	}
	n.RefusedAll(t, []ec2test.Refusal{
		{Name: "delete it", Code: "OperationNotPermitted", Call: func() error {
			return ec2test.Failure(n.API.DeleteNetworkInterface(n.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: id}))
		}},
		{Name: "give it an address", Code: "OperationNotPermitted", Call: func() error {
			return ec2test.Failure(n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: new(int32(1))}))
		}},
		{Name: "change its groups", Code: "OperationNotPermitted", Call: func() error {
			return ec2test.Failure(n.API.ModifyNetworkInterfaceAttribute(n.Ctx, &shape.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Groups: []string{group}}))
		}},
		{Name: "delete its subnet", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(n.API.DeleteSubnet(n.Ctx, &shape.DeleteSubnetInput{SubnetId: &subnet}))
		}},
		{Name: "delete its group", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(n.API.DeleteSecurityGroup(n.Ctx, &shape.DeleteSecurityGroupInput{GroupId: &group}))
		}},
		{Name: "delete its VPC", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(n.API.DeleteVpc(n.Ctx, &shape.DeleteVpcInput{VpcId: n.Net.VpcId}))
		}},
	})
}
