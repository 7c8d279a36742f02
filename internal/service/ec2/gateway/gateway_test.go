// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

func tags(kind string) []shape.TagSpecification {
	return []shape.TagSpecification{{ResourceType: &kind, Tags: []shape.Tag{{Key: new("Name"), Value: new("out")}}}}
}

// gatewayOf makes an internet gateway, attached if a VPC is given.
func gatewayOf(t *testing.T, n *ec2test.Network, vpc *string) *string {
	t.Helper()
	out, err := n.API.CreateInternetGateway(n.Ctx, &shape.CreateInternetGatewayInput{TagSpecifications: tags("internet-gateway")})
	if err != nil {
		t.Fatal(err)
	}
	id := out.InternetGateway.InternetGatewayId
	if vpc != nil {
		if err := attach(n, id, vpc); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func attach(n *ec2test.Network, id, vpc *string) error {
	return ec2test.Failure(n.API.AttachInternetGateway(n.Ctx, &shape.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: vpc}))
}

func detach(n *ec2test.Network, id, vpc *string) error {
	return ec2test.Failure(n.API.DetachInternetGateway(n.Ctx, &shape.DetachInternetGatewayInput{InternetGatewayId: id, VpcId: vpc}))
}

func remove(n *ec2test.Network, id *string) error {
	return ec2test.Failure(n.API.DeleteInternetGateway(n.Ctx, &shape.DeleteInternetGatewayInput{InternetGatewayId: id}))
}

// A gateway is attached to one VPC, which has no other; it is found by what it has, and
// goes when the VPC has let go of it.
func TestAVPCHasOneInternetGateway(t *testing.T) {
	n := ec2test.NewNetwork(t)
	other := n.AddVPC(t)
	id, second := gatewayOf(t, n, n.Net.VpcId), gatewayOf(t, n, nil)
	n.RefusedAll(t, []ec2test.Refusal{
		{Name: "attached twice", Code: "Resource.AlreadyAssociated", Call: func() error { return attach(n, id, n.Net.VpcId) }},
		{Name: "attached to another", Code: "Resource.AlreadyAssociated", Call: func() error { return attach(n, id, other.VpcId) }},
		{Name: "second of a VPC", Code: "InvalidParameterValue", Call: func() error { return attach(n, second, n.Net.VpcId) }},
		{Name: "no VPC", Code: "InvalidVpcID.NotFound", Call: func() error { return attach(n, second, new("vpc-12345678")) }},
		{Name: "no gateway", Code: "InvalidInternetGatewayID.NotFound", Call: func() error { return attach(n, new("igw-12345678"), other.VpcId) }},
		{Name: "not attached", Code: "Gateway.NotAttached", Call: func() error { return detach(n, second, other.VpcId) }},
		{Name: "detached from a VPC that is gone", Code: "Gateway.NotAttached", Call: func() error { return detach(n, second, new("vpc-12345678")) }},
		{Name: "attached elsewhere", Code: "Gateway.NotAttached", Call: func() error { return detach(n, id, other.VpcId) }},
		{Name: "deleted while attached", Code: "DependencyViolation", Call: func() error { return remove(n, id) }},
		{Name: "VPC deleted", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(n.API.DeleteVpc(n.Ctx, &shape.DeleteVpcInput{VpcId: n.Net.VpcId}))
		}},
	})
	stranger := n.OfOther(t)
	stranger.Refused(t, "of another account", "InvalidInternetGatewayID.NotFound", func() error { return attach(stranger, second, stranger.Net.VpcId) })
	n.Refused(t, "VPC of another account", "InvalidVpcID.NotFound", func() error { return attach(n, second, stranger.Net.VpcId) })
	for _, f := range [][]shape.Filter{
		ec2test.Filter("attachment.vpc-id", *n.Net.VpcId), ec2test.Filter("attachment.state", "available"), ec2test.Filter("internet-gateway-id", *id),
	} {
		got, err := n.API.DescribeInternetGateways(n.Ctx, &shape.DescribeInternetGatewaysInput{Filters: f})
		if err != nil || len(got.InternetGateways) != 1 {
			t.Fatalf("by %s: %v, %v", *f[0].Name, got, err)
		}
		want := shape.InternetGateway{
			InternetGatewayId: id, OwnerId: n.Net.OwnerId, Tags: tags("")[0].Tags,
			Attachments: []shape.InternetGatewayAttachment{{State: new("available"), VpcId: n.Net.VpcId}},
		}
		if diff := cmp.Diff(want, got.InternetGateways[0]); diff != "" {
			t.Error(diff)
		}
	}
	got, err := n.API.DescribeInternetGateways(n.Ctx, &shape.DescribeInternetGatewaysInput{Filters: ec2test.Filter("tag:Name", "out")})
	if err != nil || len(got.InternetGateways) != 2 {
		t.Errorf("by tag: %v, %v", got, err)
	}
	for _, err := range []error{detach(n, id, n.Net.VpcId), attach(n, second, n.Net.VpcId), attach(n, id, other.VpcId), detach(n, id, other.VpcId), remove(n, id)} {
		if err != nil {
			t.Error(err)
		}
	}
}

// A VPC in which something has a public address keeps its gateway.
func TestMappedAddressesHoldTheInternetGateway(t *testing.T) {
	n := ec2test.NewNetwork(t)
	id := gatewayOf(t, n, n.Net.VpcId)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	ni := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet})
	e, err := n.API.AllocateAddress(n.Ctx, &shape.AllocateAddressInput{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.API.AssociateAddress(n.Ctx, &shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: ni.NetworkInterfaceId})
	if err != nil {
		t.Fatal(err)
	}
	n.Refused(t, "mapped", "DependencyViolation", func() error { return detach(n, id, n.Net.VpcId) })
	if err := ec2test.Failure(n.API.DisassociateAddress(n.Ctx, &shape.DisassociateAddressInput{AssociationId: a.AssociationId})); err != nil {
		t.Fatal(err)
	}
	if err := detach(n, id, n.Net.VpcId); err != nil {
		t.Error(err)
	}
}

// An egress-only gateway is its VPC's from the beginning, the only one; what is asked for
// twice is made once.
func TestEgressOnlyGatewayIsOfItsVPC(t *testing.T) {
	n := ec2test.NewNetwork(t)
	in := &shape.CreateEgressOnlyInternetGatewayInput{VpcId: n.Net.VpcId, ClientToken: new("once"), TagSpecifications: tags("egress-only-internet-gateway")}
	made, err := n.API.CreateEgressOnlyInternetGateway(n.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := n.API.CreateEgressOnlyInternetGateway(n.Ctx, in)
	if diff := cmp.Diff(made, again); err != nil || diff != "" {
		t.Errorf("again: %v, %s", err, diff)
	}
	g := made.EgressOnlyInternetGateway
	if a := g.Attachments[0]; *a.State != "attached" || *a.VpcId != *n.Net.VpcId || *made.ClientToken != "once" {
		t.Errorf("got %v", g)
	}
	remove := func(id string) error {
		return ec2test.Failure(n.API.DeleteEgressOnlyInternetGateway(n.Ctx, &shape.DeleteEgressOnlyInternetGatewayInput{EgressOnlyInternetGatewayId: &id}))
	}
	n.RefusedAll(t, []ec2test.Refusal{
		{Name: "second", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(n.API.CreateEgressOnlyInternetGateway(n.Ctx, &shape.CreateEgressOnlyInternetGatewayInput{VpcId: n.Net.VpcId}))
		}},
		{Name: "token of another request", Code: "IdempotentParameterMismatch", Call: func() error {
			return ec2test.Failure(n.API.CreateEgressOnlyInternetGateway(n.Ctx, &shape.CreateEgressOnlyInternetGatewayInput{VpcId: n.Net.VpcId, ClientToken: new("once")}))
		}},
		{Name: "no VPC", Code: "InvalidVpcID.NotFound", Call: func() error {
			return ec2test.Failure(n.API.CreateEgressOnlyInternetGateway(n.Ctx, &shape.CreateEgressOnlyInternetGatewayInput{VpcId: new("vpc-12345678")}))
		}},
		{Name: "no gateway", Code: "InvalidGatewayID.NotFound", Call: func() error { return remove("eigw-12345678") }},
		{Name: "VPC deleted", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(n.API.DeleteVpc(n.Ctx, &shape.DeleteVpcInput{VpcId: n.Net.VpcId}))
		}},
	})
	describe := func(in shape.DescribeEgressOnlyInternetGatewaysInput) int {
		t.Helper()
		out, err := n.API.DescribeEgressOnlyInternetGateways(n.Ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		return len(out.EgressOnlyInternetGateways)
	}
	if describe(shape.DescribeEgressOnlyInternetGatewaysInput{Filters: ec2test.Filter("tag:Name", "out")}) != 1 ||
		describe(shape.DescribeEgressOnlyInternetGatewaysInput{EgressOnlyInternetGatewayIds: []string{"eigw-12345678"}}) != 0 {
		t.Error("it is not found by its tag, or by what it is not")
	}
	if err := remove(*g.EgressOnlyInternetGatewayId); err != nil || describe(shape.DescribeEgressOnlyInternetGatewaysInput{}) != 0 {
		t.Errorf("got %v", err)
	}
}
