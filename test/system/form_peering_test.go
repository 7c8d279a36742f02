// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// fillPeerings peers two VPCs of their own, with an option, a route and a group of the peer in
// a rule, and asks another account for a connection that fails.
func fillPeerings(s *pair, account string) {
	p := s.Postern
	a, b := p.VPC("10.40.0.0/16"), p.VPC("10.41.0.0/16")
	ask := func(in ec2.CreateVpcPeeringConnectionInput) *string {
		in.VpcId = &a.ID
		return postern.Call[ec2.CreateVpcPeeringConnectionOutput](p, ec2.Service, "CreateVpcPeeringConnection", &in).VpcPeeringConnection.VpcPeeringConnectionId
	}
	id := ask(ec2.CreateVpcPeeringConnectionInput{PeerVpcId: &b.ID})
	postern.Call[ec2.AcceptVpcPeeringConnectionOutput](p, ec2.Service, "AcceptVpcPeeringConnection", &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id})
	postern.Call[ec2.ModifyVpcPeeringConnectionOptionsOutput](p, ec2.Service, "ModifyVpcPeeringConnectionOptions", &ec2.ModifyVpcPeeringConnectionOptionsInput{
		VpcPeeringConnectionId: id, AccepterPeeringConnectionOptions: &ec2.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(true)},
	})
	table := postern.Call[ec2.CreateRouteTableOutput](p, ec2.Service, "CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: &a.ID}).RouteTable.RouteTableId
	postern.Call[ec2.CreateRouteOutput](p, ec2.Service, "CreateRoute", &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: new("10.41.0.0/16"), VpcPeeringConnectionId: id})
	clients := a.Group("clients", nil, nil)
	b.Group("servers", []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(443)), UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: &clients}},
	}}, nil)
	ask(ec2.CreateVpcPeeringConnectionInput{PeerVpcId: new("vpc-12345678"), PeerOwnerId: &account})
}
