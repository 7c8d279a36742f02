// SPDX-License-Identifier: Apache-2.0

package iface_test

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

// TestSourceDestChecksAreSwitched takes the check of an interface off and resets it.
func TestSourceDestChecksAreSwitched(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	id := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterfaceId
	is := func(want bool) {
		t.Helper()
		out, err := n.API.DescribeNetworkInterfaceAttribute(n.Ctx, &shape.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Attribute: new(shape.NetworkInterfaceAttributeSourceDestCheck)})
		if err != nil || *out.SourceDestCheck.Value != want {
			t.Errorf("got %v, %v, want %v", out, err, want)
		}
		if got := *n.DescribeInterface(t, *id).SourceDestCheck; got != want {
			t.Errorf("described with %v, want %v", got, want)
		}
	}
	is(true)
	if err := ec2test.Failure(n.API.ModifyNetworkInterfaceAttribute(n.Ctx, &shape.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: id, SourceDestCheck: &shape.AttributeBooleanValue{Value: new(false)}})); err != nil {
		t.Fatal(err)
	}
	is(false)
	n.Refused(t, "reset nothing", "MissingParameter", func() error {
		return ec2test.Failure(n.API.ResetNetworkInterfaceAttribute(n.Ctx, &shape.ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: id}))
	})
	if err := ec2test.Failure(n.API.ResetNetworkInterfaceAttribute(n.Ctx, &shape.ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: id, SourceDestCheck: new("")})); err != nil {
		t.Fatal(err)
	}
	is(true)
}
