// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestRouteTables(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/24", "a")
	ni := must(c.ec2.CreateNetworkInterface(c.ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: &s}))(c).NetworkInterface.NetworkInterfaceId
	made := must(c.ec2.CreateRouteTable(c.ctx, &ec2.CreateRouteTableInput{VpcId: &v}))(c).RouteTable
	id := made.RouteTableId
	matches(t, "id", id, "rtb-[0-9a-f]{17}")
	equal(t, "local routes", made.Routes, []types.Route{{DestinationCidrBlock: new("10.0.0.0/16"), GatewayId: new("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive}})
	must(c.ec2.CreateRoute(c.ctx, &ec2.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: new("0.0.0.0/0"), NetworkInterfaceId: ni}))(c)
	must(c.ec2.ReplaceRoute(c.ctx, &ec2.ReplaceRouteInput{RouteTableId: id, DestinationCidrBlock: new("0.0.0.0/0"), NetworkInterfaceId: ni}))(c)
	associated := must(c.ec2.AssociateRouteTable(c.ctx, &ec2.AssociateRouteTableInput{RouteTableId: id, SubnetId: &s}))(c)
	next := must(c.ec2.CreateRouteTable(c.ctx, &ec2.CreateRouteTableInput{VpcId: &v}))(c).RouteTable.RouteTableId
	replaced := must(c.ec2.ReplaceRouteTableAssociation(c.ctx, &ec2.ReplaceRouteTableAssociationInput{AssociationId: associated.AssociationId, RouteTableId: next}))(c)
	found := must(c.ec2.DescribeRouteTables(c.ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{{Name: new("association.subnet-id"), Values: []string{s}}}}))(c).RouteTables
	equal(t, "table of the subnet", found[0].RouteTableId, *next)
	equal(t, "its association", found[0].Associations[0].RouteTableAssociationId, *replaced.NewAssociationId)
	refuse(c, []refusal{
		{"default route twice", "RouteAlreadyExists", func() error {
			return failure(c.ec2.CreateRoute(c.ctx, &ec2.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: new("0.0.0.0/0"), NetworkInterfaceId: ni}))
		}},
		{"a table in use", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteRouteTable(c.ctx, &ec2.DeleteRouteTableInput{RouteTableId: next}))
		}},
		{"a subnet twice", "Resource.AlreadyAssociated", func() error {
			return failure(c.ec2.AssociateRouteTable(c.ctx, &ec2.AssociateRouteTableInput{RouteTableId: id, SubnetId: &s}))
		}},
	})
	vgw := new("vgw-0123456789abcdef0")
	alwaysRefused(c, "ec2 EnableVgwRoutePropagation", refusal{"propagation on", "InvalidGatewayID.NotFound", func() error {
		return failure(c.ec2.EnableVgwRoutePropagation(c.ctx, &ec2.EnableVgwRoutePropagationInput{RouteTableId: id, GatewayId: vgw}))
	}})
	alwaysRefused(c, "ec2 DisableVgwRoutePropagation", refusal{"propagation off", "InvalidGatewayID.NotFound", func() error {
		return failure(c.ec2.DisableVgwRoutePropagation(c.ctx, &ec2.DisableVgwRoutePropagationInput{RouteTableId: id, GatewayId: vgw}))
	}})
	must(c.ec2.DisassociateRouteTable(c.ctx, &ec2.DisassociateRouteTableInput{AssociationId: replaced.NewAssociationId}))(c)
	must(c.ec2.DeleteRoute(c.ctx, &ec2.DeleteRouteInput{RouteTableId: id, DestinationCidrBlock: new("0.0.0.0/0")}))(c)
	for _, id := range []*string{id, next} {
		must(c.ec2.DeleteRouteTable(c.ctx, &ec2.DeleteRouteTableInput{RouteTableId: id}))(c)
	}
	must(c.ec2.ResetNetworkInterfaceAttribute(c.ctx, &ec2.ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: ni, SourceDestCheck: new("true")}))(c)
}

func TestManagedPrefixLists(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	made := must(c.ec2.CreateManagedPrefixList(c.ctx, &ec2.CreateManagedPrefixListInput{
		PrefixListName: new("office"), AddressFamily: new("IPv4"), MaxEntries: new(int32(5)), Entries: []types.AddPrefixListEntry{{Cidr: new("192.0.2.0/24")}},
	}))(c).PrefixList
	equal(t, "state", made.State, types.PrefixListStateCreateInProgress)
	id := made.PrefixListId
	group := c.group(c.vpc("10.0.0.0/16"), "web")
	must(c.ec2.AuthorizeSecurityGroupIngress(c.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []types.IpPermission{
		{IpProtocol: new("-1"), PrefixListIds: []types.PrefixListId{{PrefixListId: id}}},
	}}))(c)
	users := must(c.ec2.GetManagedPrefixListAssociations(c.ctx, &ec2.GetManagedPrefixListAssociationsInput{PrefixListId: id}))(c)
	equal(t, "user", users.PrefixListAssociations[0].ResourceId, group)
	modified := must(c.ec2.ModifyManagedPrefixList(c.ctx, &ec2.ModifyManagedPrefixListInput{
		PrefixListId: id, CurrentVersion: new(int64(1)), AddEntries: []types.AddPrefixListEntry{{Cidr: new("198.51.100.0/24")}},
	}))(c)
	equal(t, "version", modified.PrefixList.Version, int64(2))
	refuse(c, []refusal{
		{"an old version", "PrefixListVersionMismatch", func() error {
			return failure(c.ec2.ModifyManagedPrefixList(c.ctx, &ec2.ModifyManagedPrefixListInput{PrefixListId: id, CurrentVersion: new(int64(1)), AddEntries: []types.AddPrefixListEntry{{Cidr: new("198.51.100.0/24")}}}))
		}},
		{"a list in use", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteManagedPrefixList(c.ctx, &ec2.DeleteManagedPrefixListInput{PrefixListId: id}))
		}},
	})
	must(c.ec2.RestoreManagedPrefixListVersion(c.ctx, &ec2.RestoreManagedPrefixListVersionInput{PrefixListId: id, CurrentVersion: new(int64(2)), PreviousVersion: new(int64(1))}))(c)
	entries := must(c.ec2.GetManagedPrefixListEntries(c.ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: id}))(c).Entries
	equal(t, "entries", entries, []types.PrefixListEntry{{Cidr: new("192.0.2.0/24")}})
	must(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group}))(c)
	must(c.ec2.DeleteManagedPrefixList(c.ctx, &ec2.DeleteManagedPrefixListInput{PrefixListId: id}))(c)
}
