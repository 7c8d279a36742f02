// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestPeering peers VPCs of two accounts, leads routes there and ends it.
func TestPeering(t *testing.T) {
	t.Parallel()
	key, otherKey := server.NewAccount(t), server.NewAccount(t)
	c, other := newTerminal(t, key), newTerminal(t, otherKey)
	own := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	theirs := other.ok("ec2 create-vpc --cidr-block 10.1.0.0/16").at("Vpc.VpcId")
	const create = "ec2 create-vpc-peering-connection --vpc-id %s --peer-vpc-id %s --peer-owner-id %s"
	made := c.ok(create, own, theirs, otherKey.Account)
	made.is("VpcPeeringConnection.Status.Code", "initiating-request")
	id := made.at("VpcPeeringConnection.VpcPeeringConnectionId")
	c.refused("OperationNotPermitted", "ec2 accept-vpc-peering-connection --vpc-peering-connection-id %s", id)
	c.refused("VpcPeeringConnectionAlreadyExists", create, own, theirs, otherKey.Account)
	other.ok("ec2 describe-vpc-peering-connections --vpc-peering-connection-ids %s", id).is("VpcPeeringConnections.0.Status.Code", "pending-acceptance")
	other.ok("ec2 accept-vpc-peering-connection --vpc-peering-connection-id %s", id).is("VpcPeeringConnection.Status.Code", "active")
	c.ok("ec2 modify-vpc-peering-connection-options --vpc-peering-connection-id %s --requester-peering-connection-options AllowDnsResolutionFromRemoteVpc=true", id).
		is("RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc", "true")
	c.refused("OperationNotPermitted", "ec2 modify-vpc-peering-connection-options --vpc-peering-connection-id %s --accepter-peering-connection-options AllowDnsResolutionFromRemoteVpc=true", id)
	rtb := c.ok("ec2 describe-route-tables --filters Name=vpc-id,Values=%s", own).at("RouteTables.0.RouteTableId")
	c.ok("ec2 create-route --route-table-id %s --destination-cidr-block 10.1.0.0/16 --vpc-peering-connection-id %s", rtb, id)
	c.ok("ec2 describe-vpc-peering-connections --filters Name=accepter-vpc-info.vpc-id,Values=%s Name=status-code,Values=active", theirs).has("VpcPeeringConnections", 1)
	c.refused("InvalidVpc.Range", "ec2 associate-vpc-cidr-block --vpc-id %s --cidr-block 10.1.128.0/20", own)
	c.ok("ec2 delete-vpc-peering-connection --vpc-peering-connection-id %s", id).is("Return", "true")
	c.ok("ec2 describe-vpc-peering-connections --vpc-peering-connection-ids %s", id).is("VpcPeeringConnections.0.Status.Code", "deleted")
	c.ok("ec2 describe-route-tables --route-table-ids %s --filters Name=route.state,Values=blackhole", rtb).has("RouteTables", 1)
	second := c.ok(create, own, theirs, otherKey.Account).at("VpcPeeringConnection.VpcPeeringConnectionId")
	other.ok("ec2 reject-vpc-peering-connection --vpc-peering-connection-id %s", second).is("Return", "true")
	c.ok("ec2 describe-vpc-peering-connections --vpc-peering-connection-ids %s", second).is("VpcPeeringConnections.0.Status.Code", "rejected")
}
