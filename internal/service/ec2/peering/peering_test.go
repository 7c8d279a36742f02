// SPDX-License-Identifier: Apache-2.0

package peering_test

import (
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// world is two accounts: one with VPCs 10.0.0.0/16, 10.1.0.0/16 and 10.2.0.0/16, and another
// one with 10.3.0.0/16.
type world struct {
	*ec2test.Network
	other      *ec2test.Network
	a, b, c, d string
}

func newWorld(t *testing.T) *world {
	w := &world{Network: ec2test.NewNetwork(t)}
	w.other = w.OfOther(t)
	w.a = *w.Net.VpcId
	w.b, w.c, w.d = *w.VPC(t, "10.1.0.0/16").VpcId, *w.VPC(t, "10.2.0.0/16").VpcId, *w.other.VPC(t, "10.3.0.0/16").VpcId
	return w
}

func ask(n *ec2test.Network, in shape.CreateVpcPeeringConnectionInput) (string, error) {
	out, err := n.API.CreateVpcPeeringConnection(n.Ctx, &in)
	if err != nil {
		return "", err
	}
	return *out.VpcPeeringConnection.VpcPeeringConnectionId, nil
}

func between(a, b string) shape.CreateVpcPeeringConnectionInput {
	return shape.CreateVpcPeeringConnectionInput{VpcId: &a, PeerVpcId: &b}
}

func across(a, b string) shape.CreateVpcPeeringConnectionInput {
	in := between(a, b)
	in.PeerOwnerId = new(servicetest.OtherAccount)
	return in
}

// mustAsk asks, and gives the id.
func mustAsk(t *testing.T, n *ec2test.Network, in shape.CreateVpcPeeringConnectionInput) string {
	t.Helper()
	id, err := ask(n, in)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func accept(n *ec2test.Network, id string) error {
	return ec2test.Failure(n.API.AcceptVpcPeeringConnection(n.Ctx, &shape.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))
}

func reject(n *ec2test.Network, id string) error {
	return ec2test.Failure(n.API.RejectVpcPeeringConnection(n.Ctx, &shape.RejectVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))
}

func remove(n *ec2test.Network, id string) error {
	return ec2test.Failure(n.API.DeleteVpcPeeringConnection(n.Ctx, &shape.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))
}

// describe gives a connection, as an account sees it; nil when it does not.
func describe(t *testing.T, n *ec2test.Network, id string, filters ...shape.Filter) *shape.VpcPeeringConnection {
	t.Helper()
	out, err := n.API.DescribeVpcPeeringConnections(n.Ctx, &shape.DescribeVpcPeeringConnectionsInput{Filters: append(filters, ec2test.Filter("vpc-peering-connection-id", id)...)})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.VpcPeeringConnections) == 0 {
		return nil
	}
	return &out.VpcPeeringConnections[0]
}

func expect(t *testing.T, n *ec2test.Network, id, code, message string) {
	t.Helper()
	p := describe(t, n, id, ec2test.Filter("status-code", code)...)
	if p == nil || *p.Status.Code != code || !strings.Contains(*p.Status.Message, message) {
		t.Errorf("%s is %v, want %s: %s", id, describe(t, n, id), code, message)
	}
}

// What is wrong with the own side is an error, and what is wrong with the other one makes the
// connection fail, which only who asked is shown.
func TestARequestIsRefusedOrFails(t *testing.T) {
	w := newWorld(t)
	region := between(w.a, w.b)
	region.PeerRegion = new(servicetest.OtherRegion)
	for name, c := range map[string]struct {
		in   shape.CreateVpcPeeringConnectionInput
		code string
	}{
		"with itself":          {between(w.a, w.a), "InvalidParameterValue"},
		"of no VPC":            {between("vpc-12345678", w.b), "InvalidVpcID.NotFound"},
		"of another account's": {between(w.d, w.b), "InvalidVpcID.NotFound"},
		"without a peer":       {shape.CreateVpcPeeringConnectionInput{VpcId: &w.a}, "MissingParameter"},
		"of another region":    {region, "UnsupportedOperation"},
	} {
		w.Refused(t, name, c.code, func() error { return ec2test.Failure(ask(w.Network, c.in)) })
	}
	const why = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
	overlapping := *w.VPC(t, "10.0.128.0/17").VpcId
	for name, in := range map[string]shape.CreateVpcPeeringConnectionInput{
		"no such VPC": between(w.a, "vpc-12345678"), "an account that has no such VPC": between(w.a, w.d), "no account": {VpcId: &w.a, PeerVpcId: &w.d, PeerOwnerId: new("999999999999")},
		"addresses in common": between(w.a, overlapping), "addresses in common with another account's": across(w.a, *w.other.Net.VpcId),
	} {
		id := mustAsk(t, w.Network, in)
		if expect(t, w.Network, id, "failed", why); describe(t, w.other, id) != nil {
			t.Errorf("%s: the other account is shown it", name)
		}
		w.Refused(t, name+" deleted", "InvalidStateTransition", func() error { return remove(w.Network, id) })
	}
}

// The owner of the other VPC answers a request, once, and nobody else.
func TestTheOtherOwnerAnswers(t *testing.T) {
	w := newWorld(t)
	in := across(w.a, w.d)
	in.TagSpecifications = []shape.TagSpecification{{ResourceType: new("vpc-peering-connection"), Tags: []shape.Tag{{Key: new("Name"), Value: new("mine")}}}}
	id := mustAsk(t, w.Network, in)
	for _, n := range []*ec2test.Network{w.Network, w.other} {
		expect(t, n, id, "pending-acceptance", "Pending Acceptance by "+servicetest.OtherAccount)
	}
	mine, theirs := describe(t, w.Network, id), describe(t, w.other, id)
	if len(mine.Tags) != 1 || len(theirs.Tags) != 0 || mine.ExpirationTime == nil {
		t.Errorf("the requester sees %v, the accepter %v", mine, theirs)
	}
	if mine.AccepterVpcInfo.CidrBlock != nil || *theirs.AccepterVpcInfo.CidrBlock != "10.3.0.0/16" || *theirs.RequesterVpcInfo.CidrBlock != "10.0.0.0/16" {
		t.Errorf("blocks: %v, %v", mine.AccepterVpcInfo, theirs.RequesterVpcInfo)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "twice", Code: "VpcPeeringConnectionAlreadyExists", Call: func() error { return ec2test.Failure(ask(w.Network, across(w.a, w.d))) }},
		{Name: "accepted by who asked", Code: "OperationNotPermitted", Call: func() error { return accept(w.Network, id) }},
		{Name: "rejected by who asked", Code: "OperationNotPermitted", Call: func() error { return reject(w.Network, id) }},
		{Name: "deleted by who is asked", Code: "InvalidStateTransition", Call: func() error { return remove(w.other, id) }},
		{Name: "no connection", Code: "InvalidVpcPeeringConnectionID.NotFound", Call: func() error { return accept(w.Network, "pcx-12345678") }},
	})
	if err := accept(w.other, id); err != nil {
		t.Fatal(err)
	}
	expect(t, w.Network, id, "active", "Active")
	expect(t, w.other, id, "active", "Active")
	if got := describe(t, w.Network, id, ec2test.Filter("accepter-vpc-info.cidr-block", "10.3.0.0/16")...); got == nil || *got.AccepterVpcInfo.CidrBlock != "10.3.0.0/16" {
		t.Errorf("found by the accepter's block: %v", got)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "accepted twice", Code: "InvalidStateTransition", Call: func() error { return accept(w.other, id) }},
		{Name: "rejected when accepted", Code: "InvalidStateTransition", Call: func() error { return reject(w.other, id) }},
		{Name: "asked for when it is there", Code: "VpcPeeringConnectionAlreadyExists", Call: func() error { return ec2test.Failure(ask(w.Network, across(w.a, w.d))) }},
		{Name: "VPC deleted", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(w.other.API.DeleteVpc(w.other.Ctx, &shape.DeleteVpcInput{VpcId: &w.d}))
		}},
	})
	if err := remove(w.other, id); err != nil {
		t.Fatal(err)
	}
	expect(t, w.Network, id, "deleted", "Deleted by "+servicetest.OtherAccount)
	w.Refused(t, "deleted twice", "InvalidStateTransition", func() error { return remove(w.Network, id) })
	second := mustAsk(t, w.Network, across(w.a, w.d))
	if err := reject(w.other, second); err != nil {
		t.Fatal(err)
	}
	expect(t, w.Network, second, "rejected", "Rejected by "+servicetest.OtherAccount)
	third := mustAsk(t, w.Network, across(w.a, w.d))
	if err := remove(w.Network, third); err != nil {
		t.Fatal(err)
	}
	expect(t, w.other, third, "deleted", "Deleted by "+servicetest.Account)
}

// While two VPCs are peered neither gets a block of the other's; what has come to overlap
// before a request is accepted makes it fail.
func TestPeersNeverOverlap(t *testing.T) {
	w := newWorld(t)
	id, waiting := mustAsk(t, w.Network, between(w.a, w.b)), mustAsk(t, w.Network, between(w.a, w.c))
	if err := accept(w.Network, id); err != nil {
		t.Fatal(err)
	}
	add := func(vpc, cidr string) error {
		return ec2test.Failure(w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: &vpc, CidrBlock: &cidr}))
	}
	w.Refused(t, "a block of the peer", "InvalidVpc.Range", func() error { return add(w.a, "10.1.128.0/20") })
	w.Refused(t, "around the peer's", "InvalidVpc.Range", func() error { return add(w.b, "10.0.0.0/16") })
	if err := add(w.a, "10.2.0.0/20"); err != nil { // of one that is not peered yet
		t.Fatal(err)
	}
	if err := accept(w.Network, waiting); err != nil {
		t.Fatal(err)
	}
	expect(t, w.Network, waiting, "failed", "overlapping CIDR range")
}

// As many requests wait, and as many connections are active, as there may be.
func TestPeeringConnectionsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.Env.Quotas.PeeringRequestsPerVPC, w.Env.Quotas.PeeringConnectionsPerVPC = 1, 1
	id := mustAsk(t, w.Network, between(w.a, w.b))
	w.Refused(t, "a second request", "OutstandingVpcPeeringConnectionLimitExceeded", func() error { return ec2test.Failure(ask(w.Network, between(w.a, w.c))) })
	if err := accept(w.Network, id); err != nil {
		t.Fatal(err)
	}
	second := mustAsk(t, w.Network, between(w.c, w.a))
	w.Refused(t, "a second active one", "ActiveVpcPeeringConnectionPerVpcLimitExceeded", func() error { return accept(w.Network, second) })
}

// Each side sets its own options, of an active connection.
func TestEachSideHasItsOptions(t *testing.T) {
	w := newWorld(t)
	id := mustAsk(t, w.Network, across(w.a, w.d))
	allow := &shape.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(true)}
	modify := func(n *ec2test.Network, requester, accepter *shape.PeeringConnectionOptionsRequest) error {
		return ec2test.Failure(n.API.ModifyVpcPeeringConnectionOptions(n.Ctx, &shape.ModifyVpcPeeringConnectionOptionsInput{
			VpcPeeringConnectionId: &id, RequesterPeeringConnectionOptions: requester, AccepterPeeringConnectionOptions: accepter,
		}))
	}
	w.Refused(t, "not active", "OperationNotPermitted", func() error { return modify(w.Network, allow, nil) })
	if err := accept(w.other, id); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "the other side's", Code: "OperationNotPermitted", Call: func() error { return modify(w.Network, nil, allow) }},
		{Name: "none", Code: "MissingParameter", Call: func() error { return modify(w.Network, nil, nil) }},
		{Name: "of ClassicLink", Code: "UnsupportedOperation", Call: func() error {
			return modify(w.Network, &shape.PeeringConnectionOptionsRequest{AllowEgressFromLocalClassicLinkToRemoteVpc: new(true)}, nil)
		}},
	})
	if err := modify(w.Network, allow, nil); err != nil {
		t.Fatal(err)
	}
	p := describe(t, w.other, id)
	if !*p.RequesterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc || *p.AccepterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc {
		t.Errorf("options: %v, %v", p.RequesterVpcInfo.PeeringOptions, p.AccepterVpcInfo.PeeringOptions)
	}
}

// A route leads by a connection of its own VPC, and nowhere while that is not active.
func TestRoutesLeadByPeeringConnections(t *testing.T) {
	w := newWorld(t)
	id, foreign := mustAsk(t, w.Network, between(w.a, w.b)), mustAsk(t, w.Network, between(w.b, w.c))
	tables, err := w.API.DescribeRouteTables(w.Ctx, &shape.DescribeRouteTablesInput{Filters: ec2test.Filter("vpc-id", w.a)})
	if err != nil {
		t.Fatal(err)
	}
	rtb := tables.RouteTables[0].RouteTableId
	route := func(connection string) error {
		return ec2test.Failure(w.API.CreateRoute(w.Ctx, &shape.CreateRouteInput{RouteTableId: rtb, DestinationCidrBlock: new("10.1.0.0/16"), VpcPeeringConnectionId: &connection}))
	}
	w.Refused(t, "of other VPCs", "InvalidParameterValue", func() error { return route(foreign) })
	w.Refused(t, "of none", "InvalidVpcPeeringConnectionID.NotFound", func() error { return route("pcx-12345678") })
	if err := route(id); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		t.Helper()
		out, err := w.API.DescribeRouteTables(w.Ctx, &shape.DescribeRouteTablesInput{Filters: ec2test.Filter("route.vpc-peering-connection-id", id)})
		if err != nil || len(out.RouteTables) != 1 {
			t.Fatal(out, err)
		}
		for _, r := range out.RouteTables[0].Routes {
			if r.VpcPeeringConnectionId != nil {
				return *r.State
			}
		}
		return "no route"
	}
	for _, step := range []struct {
		do   func(*ec2test.Network, string) error
		want string
	}{{func(*ec2test.Network, string) error { return nil }, "blackhole"}, {accept, "active"}, {remove, "blackhole"}} {
		if err := step.do(w.Network, id); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != step.want {
			t.Errorf("the route is %s, want %s", got, step.want)
		}
	}
	w.Refused(t, "of one that is gone", "InvalidVpcPeeringConnectionID.NotFound", func() error {
		return ec2test.Failure(w.API.ReplaceRoute(w.Ctx, &shape.ReplaceRouteInput{RouteTableId: rtb, DestinationCidrBlock: new("10.1.0.0/16"), VpcPeeringConnectionId: &id}))
	})
}

// Rules name groups of peers, by their ids and accounts; they keep nobody from deleting the
// group, and are stale when it or the connection is gone.
func TestRulesNameGroupsOfPeers(t *testing.T) {
	w := newWorld(t)
	own, theirs := w.Group(t, w.a, "own"), w.other.Group(t, w.d, "theirs")
	name := func(pair shape.UserIdGroupPair) ([]shape.SecurityGroupRule, error) {
		p := ec2test.Permission(80, 80)
		p.UserIdGroupPairs = []shape.UserIdGroupPair{pair}
		return w.Ingress(own, p)
	}
	pair := shape.UserIdGroupPair{GroupId: &theirs, UserId: new(servicetest.OtherAccount)}
	w.Refused(t, "without a connection", "InvalidGroup.NotFound", func() error { return ec2test.Failure(name(pair)) })
	id := mustAsk(t, w.Network, across(w.a, w.d))
	w.Refused(t, "before it is active", "InvalidGroup.NotFound", func() error { return ec2test.Failure(name(pair)) })
	if err := accept(w.other, id); err != nil {
		t.Fatal(err)
	}
	wrong := pair
	wrong.VpcPeeringConnectionId = new("pcx-12345678")
	w.Refused(t, "by another connection", "InvalidGroup.NotFound", func() error { return ec2test.Failure(name(wrong)) })
	rules, err := name(pair)
	if err != nil {
		t.Fatal(err)
	}
	if info := rules[0].ReferencedGroupInfo; *info.VpcPeeringConnectionId != id || *info.PeeringStatus != "active" || *info.VpcId != w.d || *info.UserId != servicetest.OtherAccount {
		t.Errorf("the rule names %v", info)
	}
	w.Refused(t, "twice", "InvalidPermission.Duplicate", func() error { return ec2test.Failure(name(pair)) })
	references, err := w.other.API.DescribeSecurityGroupReferences(w.other.Ctx, &shape.DescribeSecurityGroupReferencesInput{GroupId: []string{theirs}})
	if err != nil || len(references.SecurityGroupReferenceSet) != 1 || *references.SecurityGroupReferenceSet[0].ReferencingVpcId != w.a {
		t.Errorf("references: %v, %v", references, err)
	}
	stale := func() int {
		t.Helper()
		out, err := w.API.DescribeStaleSecurityGroups(w.Ctx, &shape.DescribeStaleSecurityGroupsInput{VpcId: &w.a})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.StaleSecurityGroupSet)
	}
	if n := stale(); n != 0 {
		t.Errorf("%d groups are stale at first", n)
	}
	if _, err := w.other.API.DeleteSecurityGroup(w.other.Ctx, &shape.DeleteSecurityGroupInput{GroupId: &theirs}); err != nil {
		t.Errorf("a peer's rule keeps a group: %v", err)
	}
	if n := stale(); n != 1 {
		t.Errorf("%d groups are stale when the peer's is gone, want 1", n)
	}
	if err := remove(w.Network, id); err != nil {
		t.Fatal(err)
	}
	revoke := ec2test.Permission(80, 80)
	revoke.UserIdGroupPairs = []shape.UserIdGroupPair{pair}
	if _, err := w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &own, IpPermissions: []shape.IpPermission{revoke}}); err != nil {
		t.Errorf("the stale rule is not revoked: %v", err)
	}
	if n := stale(); n != 0 {
		t.Errorf("%d groups are stale at last", n)
	}
}

// A request of somebody else is no reason to keep a VPC; it can only fail then.
func TestAStrangersRequestKeepsNoVPC(t *testing.T) {
	w := newWorld(t)
	id := mustAsk(t, w.Network, across(w.a, w.d))
	w.Refused(t, "of who asks", "DependencyViolation", func() error {
		return ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: &w.a}))
	})
	if _, err := w.other.API.DeleteVpc(w.other.Ctx, &shape.DeleteVpcInput{VpcId: &w.d}); err != nil {
		t.Fatal(err)
	}
	if err := accept(w.other, id); err != nil {
		t.Fatal(err)
	}
	expect(t, w.Network, id, "failed", "incorrect VPC-ID")
}
