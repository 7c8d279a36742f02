// SPDX-License-Identifier: Apache-2.0

package iface_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// assign asks for addresses by name and gives those of the reply.
func assignAddresses(n *ec2test.Network, eni string, move bool, addresses ...string) ([]string, error) {
	out, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: &eni, PrivateIpAddresses: addresses, AllowReassignment: &move,
	})
	if err != nil {
		return nil, err
	}
	var got []string
	for _, a := range out.AssignedPrivateIpAddresses {
		got = append(got, *a.PrivateIpAddress)
	}
	return got, nil
}

func shownAddresses(t *testing.T, n *ec2test.Network, eni string) (all []string) {
	t.Helper()
	for _, a := range n.DescribeInterface(t, eni).PrivateIpAddresses {
		all = append(all, *a.PrivateIpAddress)
	}
	return all
}

// An address moves to the interface that asks for it with leave to move it, as
// often as it is asked; a primary address stays, and so does an endpoint's.
func TestAnAddressMovesToAnotherInterface(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	a := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")}).NetworkInterfaceId
	b := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.11")}).NetworkInterfaceId
	n.Attach(t, a)
	n.Attach(t, b)
	if _, err := assignAddresses(n, a, false, "10.0.1.20", "10.0.1.21"); err != nil {
		t.Fatal(err)
	}
	n.Refused(t, "without leave", "InvalidParameterValue", func() error {
		_, err := assignAddresses(n, b, false, "10.0.1.20", "10.0.1.30", "10.0.1.21")
		if err == nil || !strings.Contains(err.Error(), "[10.0.1.20, 10.0.1.21] assigned, but move is not allowed.") {
			t.Errorf("without leave: %v", err)
		}
		return err
	})
	n.Refused(t, "primary address", "InvalidParameterValue", func() error { _, err := assignAddresses(n, b, true, "10.0.1.20", "10.0.1.10"); return err })
	for range 2 {
		got, err := assignAddresses(n, b, true, "10.0.1.20")
		if err != nil || !slices.Equal(got, []string{"10.0.1.20"}) {
			t.Fatalf("assigned %v, %v", got, err)
		}
	}
	if got := shownAddresses(t, n, a); !slices.Equal(got, []string{"10.0.1.10", "10.0.1.21"}) {
		t.Errorf("the first interface has %v", got)
	}
	if got := shownAddresses(t, n, b); !slices.Equal(got, []string{"10.0.1.11", "10.0.1.20"}) {
		t.Errorf("the second interface has %v", got)
	}
	n.Put(t, func(tx *table.Txn) {
		row, _ := state.NetworkInterfaces.Get(tx, servicetest.Account, servicetest.Region, a)
		row = row.Clone()
		row.Type = model.InterfaceEndpoint
		state.NetworkInterfaces.Put(tx, row)
	})
	n.Refused(t, "endpoint's address", "InvalidIPAddress.InUse", func() error { _, err := assignAddresses(n, b, true, "10.0.1.21"); return err })
}

// An address that an attached interface gives up is nobody else's while the host
// may still have it. The interface itself may take it back, and another one may
// have it moved.
func TestAnAddressGivenUpIsKeptUntilTheHostHasLetGo(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	a := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")}).NetworkInterfaceId
	b := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.11")}).NetworkInterfaceId
	n.Attach(t, a)
	if _, err := assignAddresses(n, a, false, "10.0.1.20"); err != nil {
		t.Fatal(err)
	}
	unassign := func() {
		t.Helper()
		_, err := n.API.UnassignPrivateIpAddresses(n.Ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &a, PrivateIpAddresses: []string{"10.0.1.20"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	unassign()
	n.Refused(t, "another interface", "InvalidParameterValue", func() error { _, err := assignAddresses(n, b, false, "10.0.1.20"); return err })
	n.Refused(t, "a new interface", "InvalidIPAddress.InUse", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.20")})
		return err
	})
	if _, err := assignAddresses(n, a, false, "10.0.1.20"); err != nil {
		t.Errorf("the interface itself: %v", err)
	}
	unassign()
	if _, err := assignAddresses(n, b, true, "10.0.1.20"); err != nil {
		t.Errorf("moved: %v", err)
	}
	c, ok := state.AddressClaims.Get(n.DB.Snapshot(), servicetest.Account, servicetest.Region, model.AddressClaimID(subnet, netip.MustParseAddr("10.0.1.20")))
	if !ok || c.Released() || c.Interface != b {
		t.Errorf("the claim is %+v", c)
	}
}
