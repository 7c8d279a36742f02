// SPDX-License-Identifier: Apache-2.0

package iface_test

import (
	"fmt"
	"slices"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func shownPrefixes(specs []shape.Ipv4PrefixSpecification) (all []string) {
	for _, s := range specs {
		all = append(all, *s.Ipv4Prefix)
	}
	return all
}

// delegate assigns prefixes by name.
func assignPrefixes(n *ec2test.Network, eni string, prefixes ...string) ([]string, error) {
	out, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: &eni, Ipv4Prefixes: prefixes})
	if err != nil {
		return nil, err
	}
	return shownPrefixes(out.AssignedIpv4Prefixes), nil
}

func claims(n *ec2test.Network) int {
	return state.AddressClaims.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region)
}

func TestPrefixesComeAndGo(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	made := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{
		SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10"), Ipv4Prefixes: []shape.Ipv4PrefixSpecificationRequest{{Ipv4Prefix: new("10.0.1.16/28")}},
	})
	id := *made.NetworkInterfaceId
	if got := shownPrefixes(made.Ipv4Prefixes); !slices.Equal(got, []string{"10.0.1.16/28"}) {
		t.Errorf("made with %v", got)
	}
	if got, err := assignPrefixes(n, id, "10.0.1.32/28", "10.0.1.224/28"); err != nil || !slices.Equal(got, []string{"10.0.1.32/28", "10.0.1.224/28"}) {
		t.Fatalf("assigned %v, %v", got, err)
	}
	counted, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4PrefixCount: new(int32(2))})
	if err != nil || len(counted.AssignedIpv4Prefixes) != 2 || len(counted.AssignedPrivateIpAddresses) != 0 {
		t.Fatalf("counted %+v, %v", counted, err)
	}
	got := n.DescribeInterface(t, id)
	if len(got.Ipv4Prefixes) != 5 || len(got.PrivateIpAddresses) != 1 {
		t.Errorf("the interface has %+v and %+v", got.Ipv4Prefixes, got.PrivateIpAddresses)
	}
	if claims(n) != 1+5*16 {
		t.Errorf("%d addresses are claimed, want those of five prefixes and one", claims(n))
	}
	_, err = n.API.UnassignPrivateIpAddresses(n.Ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4Prefixes: []string{"10.0.1.16/28", "10.0.1.224/28"}})
	if err != nil || len(n.DescribeInterface(t, id).Ipv4Prefixes) != 3 || claims(n) != 1+3*16 {
		t.Errorf("unassigned: %v; %d addresses are claimed", err, claims(n))
	}
	if _, err := n.API.DeleteNetworkInterface(n.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}); err != nil || claims(n) != 0 {
		t.Errorf("deleted: %v; %d addresses are claimed", err, claims(n))
	}
	if other := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, Ipv4PrefixCount: new(int32(1))}); len(other.Ipv4Prefixes) != 1 {
		t.Errorf("made with %+v", other.Ipv4Prefixes)
	}
}

// A prefix and a single address, or another prefix, exclude each other.
func TestPrefixesAndAddressesExcludeEachOther(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	a := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.40")}).NetworkInterfaceId
	b := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.60")}).NetworkInterfaceId
	if _, err := assignPrefixes(n, a, "10.0.1.16/28"); err != nil {
		t.Fatal(err)
	}
	delegate := func(id string, prefixes ...string) func() error {
		return func() error { _, err := assignPrefixes(n, id, prefixes...); return err }
	}
	n.Refused(t, "prefix of another", "InvalidIPAddress.InUse", delegate(b, "10.0.1.16/28"))
	n.Refused(t, "prefix of its own", "InvalidIPAddress.InUse", delegate(a, "10.0.1.16/28"))
	n.Refused(t, "prefix with an address of another", "InvalidIPAddress.InUse", delegate(a, "10.0.1.64/28", "10.0.1.48/28"))
	n.Refused(t, "prefix twice", "InvalidParameterValue", delegate(a, "10.0.1.64/28", "10.0.1.64/28"))
	for _, id := range []string{a, b} {
		n.Refused(t, "address of a prefix", "InvalidParameterValue", func() error { _, err := assignAddresses(n, id, false, "10.0.1.20"); return err })
		n.Refused(t, "address of a prefix, moved", "InvalidIPAddress.InUse", func() error { _, err := assignAddresses(n, id, true, "10.0.1.20"); return err })
	}
	n.Refused(t, "new interface in a prefix", "InvalidIPAddress.InUse", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.31")})
		return err
	})
	n.Attach(t, a)
	if _, err := n.API.UnassignPrivateIpAddresses(n.Ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &a, Ipv4Prefixes: []string{"10.0.1.16/28"}}); err != nil {
		t.Fatal(err)
	}
	n.Refused(t, "prefix that the host may have", "InvalidIPAddress.InUse", delegate(b, "10.0.1.16/28"))
	if _, err := assignPrefixes(n, a, "10.0.1.16/28"); err != nil {
		t.Errorf("the interface itself: %v", err)
	}
	n.Put(t, func(tx *table.Txn) {
		for c := range state.AddressClaimsBySubnet.Rows(tx, model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: subnet}) {
			if c.Released() {
				t.Errorf("%s is given up", c.Addr)
			}
		}
	})
}

// Prefixes that are chosen avoid what is taken, and run out.
func TestPrefixesRunOut(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	id := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.100")}).NetworkInterfaceId
	count := func(id string, many int32) error {
		_, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4PrefixCount: &many})
		return err
	}
	n.Refused(t, "one too many", "InsufficientCidrBlocks", func() error { return count(id, 14) })
	if err := count(id, 13); err != nil { // all but the first, the last, and that of the address
		t.Fatal(err)
	}
	n.Refused(t, "one more", "InsufficientCidrBlocks", func() error { return count(id, 1) })
	for zone, block := range map[string]string{"b": "10.0.2.0/28", "c": "10.0.3.0/27"} {
		small := n.AddSubnet(t, n.Net, zone, block, -1)
		in := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &small}).NetworkInterfaceId
		n.Refused(t, block, "InsufficientCidrBlocks", func() error { return count(in, 1) })
	}
}

// What is chosen for a new interface avoids what is named for it.
func TestANewInterfaceHasWhatIsNamedFirst(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	var all []shape.Ipv4PrefixSpecificationRequest
	for i := 1; i < 15; i++ {
		all = append(all, shape.Ipv4PrefixSpecificationRequest{Ipv4Prefix: new(fmt.Sprintf("10.0.1.%d/28", 16*i))})
	}
	if made := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, Ipv4Prefixes: all}); len(made.Ipv4Prefixes) != 14 {
		t.Errorf("made with %+v", made.Ipv4Prefixes)
	}
	other := n.AddSubnet(t, n.Net, "b", "10.0.2.0/26", -1)
	made := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &other, PrivateIpAddress: new("10.0.2.20"), Ipv4PrefixCount: new(int32(1))})
	if got := shownPrefixes(made.Ipv4Prefixes); !slices.Equal(got, []string{"10.0.2.32/28"}) {
		t.Errorf("made with %v", got)
	}
}

func TestBadPrefixRequestsAreRefused(t *testing.T) {
	n := ec2test.NewNetwork(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1)
	id := *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: new("10.0.1.10")}).NetworkInterfaceId
	one := []string{"10.0.1.16/28"}
	for _, c := range []struct {
		name, code string
		in         shape.AssignPrivateIpAddressesInput
	}{
		{"no prefix", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.16"}}},
		{"IPv6", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"2001:db8::/80"}}},
		{"longer", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.16/29"}}},
		{"shorter", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.32/27"}}},
		{"not aligned", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.17/28"}}},
		{"elsewhere", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.2.16/28"}}},
		{"first", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.0/28"}}},
		{"last", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.1.240/28"}}},
		{"both", "InvalidParameterCombination", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: one, Ipv4PrefixCount: new(int32(1))}},
		{"with addresses", "InvalidParameterCombination", shape.AssignPrivateIpAddressesInput{Ipv4Prefixes: one, PrivateIpAddresses: []string{"10.0.1.50"}}},
		{"with a count", "InvalidParameterCombination", shape.AssignPrivateIpAddressesInput{Ipv4PrefixCount: new(int32(1)), SecondaryPrivateIpAddressCount: new(int32(1))}},
		{"negative", "InvalidParameterValue", shape.AssignPrivateIpAddressesInput{Ipv4PrefixCount: new(int32(-1))}},
		{"too many", "PrivateIpAddressLimitExceeded", shape.AssignPrivateIpAddressesInput{Ipv4PrefixCount: new(int32(51))}},
		{"none", "MissingParameter", shape.AssignPrivateIpAddressesInput{Ipv4PrefixCount: new(int32(0))}},
	} {
		c.in.NetworkInterfaceId = &id
		n.Refused(t, c.name, c.code, func() error { _, err := n.API.AssignPrivateIpAddresses(n.Ctx, &c.in); return err })
	}
	for name, prefix := range map[string]string{"prefix of nobody": "10.0.1.64/28", "single address": "10.0.1.10/32", "around the address": "10.0.1.0/28"} {
		n.Refused(t, name, "InvalidParameterValue", func() error {
			_, err := n.API.UnassignPrivateIpAddresses(n.Ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4Prefixes: []string{prefix}})
			return err
		})
	}
	n.Refused(t, "new with addresses", "InvalidParameterCombination", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{
			SubnetId: &subnet, Ipv4PrefixCount: new(int32(1)), SecondaryPrivateIpAddressCount: new(int32(1)),
		})
		return err
	})
}
