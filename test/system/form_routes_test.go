// SPDX-License-Identifier: Apache-2.0

package system

import (
	"slices"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// fillRoutes makes a prefix list with two versions, and a route table of the consumer's
// clients that leads to it and to a block by an interface. What clients reach is not
// changed by it.
func (f *form) fillRoutes(s *pair) {
	p := s.Postern
	list := postern.Call[ec2.CreateManagedPrefixListOutput](p, ec2.Service, "CreateManagedPrefixList", &ec2.CreateManagedPrefixListInput{
		PrefixListName: new("list"), AddressFamily: new("IPv4"), MaxEntries: new(int32(5)),
		Entries: []ec2.AddPrefixListEntry{{Cidr: new("192.0.2.0/24"), Description: new("first")}},
	}).PrefixList.PrefixListId
	postern.Call[ec2.ModifyManagedPrefixListOutput](p, ec2.Service, "ModifyManagedPrefixList", &ec2.ModifyManagedPrefixListInput{
		PrefixListId: list, CurrentVersion: new(int64(1)), AddEntries: []ec2.AddPrefixListEntry{{Cidr: new("203.0.113.0/24")}},
	})
	table := postern.Call[ec2.CreateRouteTableOutput](p, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &s.consumer.ID}).RouteTable.RouteTableId
	for _, route := range []ec2.CreateRouteInput{{DestinationPrefixListId: list}, {DestinationCidrBlock: new("198.51.100.0/24")}} {
		route.RouteTableId, route.NetworkInterfaceId = table, &s.client.ENI
		postern.Call[ec2.CreateRouteOutput](p, ec2.Service, "CreateRoute", &route)
	}
	postern.Call[ec2.AssociateRouteTableOutput](p, ec2.Service, "AssociateRouteTable", &ec2.AssociateRouteTableInput{RouteTableId: table, SubnetId: &s.clients.ID})
}

// deleteTables deletes the route tables that a filter takes, but for main ones.
func deleteTables(p *postern.Postern, filter []ec2.Filter) {
	for _, r := range postern.Call[ec2.DescribeRouteTablesOutput](p, ec2.Service, "DescribeRouteTables", &ec2.DescribeRouteTablesInput{Filters: filter}).RouteTables {
		if !slices.ContainsFunc(r.Associations, func(a ec2.RouteTableAssociation) bool { return *a.Main }) {
			postern.Call[ec2.DeleteRouteTableOutput](p, ec2.Service, "DeleteRouteTable", &ec2.DeleteRouteTableInput{RouteTableId: r.RouteTableId})
		}
	}
}
