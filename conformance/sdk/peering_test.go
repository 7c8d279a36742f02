// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestPeeringAcrossAccounts is the life of a connection between VPCs of two accounts: asked
// for, accepted, led to by routes, with options and a group of the peer in a rule, deleted by
// the other side.
func TestPeeringAcrossAccounts(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	other := newAccount(t)
	own, theirs := c.vpc("10.0.0.0/16"), other.vpc("10.1.0.0/16")
	ask := &ec2.CreateVpcPeeringConnectionInput{
		VpcId: &own, PeerVpcId: &theirs, PeerOwnerId: &other.key.Account,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpcPeeringConnection, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}},
	}
	made := must(c.ec2.CreateVpcPeeringConnection(c.ctx, ask))(c).VpcPeeringConnection
	matches(t, "id", made.VpcPeeringConnectionId, "pcx-[0-9a-f]{17}")
	equal(t, "state at first", made.Status.Code, types.VpcPeeringConnectionStateReasonCodeInitiatingRequest)
	id := *made.VpcPeeringConnectionId
	one := &ec2.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{id}}
	if err := ec2.NewVpcPeeringConnectionExistsWaiter(other.ec2).Wait(other.ctx, one, patience); err != nil {
		t.Fatal(err)
	}
	equal(t, "state", must(other.ec2.DescribeVpcPeeringConnections(other.ctx, one))(other).VpcPeeringConnections[0].Status.Code, types.VpcPeeringConnectionStateReasonCodePendingAcceptance)
	refused(t, failure(c.ec2.AcceptVpcPeeringConnection(c.ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: &id})), "OperationNotPermitted")
	accepted := must(other.ec2.AcceptVpcPeeringConnection(other.ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))(other).VpcPeeringConnection
	equal(t, "state", accepted.Status.Code, types.VpcPeeringConnectionStateReasonCodeActive)
	equal(t, "blocks", accepted.RequesterVpcInfo.CidrBlockSet, []types.CidrBlock{{CidrBlock: new("10.0.0.0/16")}})
	allow := &types.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(true)}
	must(other.ec2.ModifyVpcPeeringConnectionOptions(other.ctx, &ec2.ModifyVpcPeeringConnectionOptionsInput{VpcPeeringConnectionId: &id, AccepterPeeringConnectionOptions: allow}))(other)
	seen := must(c.ec2.DescribeVpcPeeringConnections(c.ctx, one))(c).VpcPeeringConnections[0]
	equal(t, "option", seen.AccepterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc, new(true))
	equal(t, "tags", seen.Tags, []types.Tag{{Key: new("a"), Value: new("b")}})

	tables := must(c.ec2.DescribeRouteTables(c.ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{{Name: new("vpc-id"), Values: []string{own}}}}))(c)
	rtb := tables.RouteTables[0].RouteTableId
	must(c.ec2.CreateRoute(c.ctx, &ec2.CreateRouteInput{RouteTableId: rtb, DestinationCidrBlock: new("10.1.0.0/16"), VpcPeeringConnectionId: &id}))(c)
	group, far := c.group(own, "web"), other.group(theirs, "clients")
	rule := must(c.ec2.AuthorizeSecurityGroupIngress(c.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []types.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(80)), ToPort: new(int32(80)), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &far, UserId: &other.key.Account}},
	}}}))(c).SecurityGroupRules[0]
	equal(t, "connection of the rule", rule.ReferencedGroupInfo.VpcPeeringConnectionId, &id)
	references := must(other.ec2.DescribeSecurityGroupReferences(other.ctx, &ec2.DescribeSecurityGroupReferencesInput{GroupId: []string{far}}))(other)
	equal(t, "VPC that refers", references.SecurityGroupReferenceSet[0].ReferencingVpcId, &own)

	must(other.ec2.DeleteVpcPeeringConnection(other.ctx, &ec2.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))(other)
	if err := ec2.NewVpcPeeringConnectionDeletedWaiter(c.ec2).Wait(c.ctx, one, patience); err != nil {
		t.Fatal(err)
	}
	stale := must(c.ec2.DescribeStaleSecurityGroups(c.ctx, &ec2.DescribeStaleSecurityGroupsInput{VpcId: &own}))(c)
	equal(t, "stale group", stale.StaleSecurityGroupSet[0].GroupId, &group)
	second := must(c.ec2.CreateVpcPeeringConnection(c.ctx, ask))(c).VpcPeeringConnection.VpcPeeringConnectionId
	must(other.ec2.RejectVpcPeeringConnection(other.ctx, &ec2.RejectVpcPeeringConnectionInput{VpcPeeringConnectionId: second}))(other)
}

// TestPeeringOfOverlappingVPCsFails, and is no error.
func TestPeeringOfOverlappingVPCsFails(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	a, b := c.vpc("10.0.0.0/16"), c.vpc("10.0.0.0/20")
	id := must(c.ec2.CreateVpcPeeringConnection(c.ctx, &ec2.CreateVpcPeeringConnectionInput{VpcId: &a, PeerVpcId: &b}))(c).VpcPeeringConnection.VpcPeeringConnectionId
	failed := must(c.ec2.DescribeVpcPeeringConnections(c.ctx, &ec2.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{*id}}))(c).VpcPeeringConnections[0]
	equal(t, "state", failed.Status.Code, types.VpcPeeringConnectionStateReasonCodeFailed)
	equal(t, "message", failed.Status.Message, new("Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"))
}
