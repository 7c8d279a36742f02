// SPDX-License-Identifier: Apache-2.0

package iface_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// six is a subnet with a /64, and the prefixes and addresses in it.
type six struct {
	*ec2test.Network
	place, block string
}

func newSix(t *testing.T) six {
	t.Helper()
	n := ec2test.NewNetwork(t)
	return six{n, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1), strings.TrimSuffix(n.Block6(t, n.Net, 1), "::/64")}
}

func (s six) prefix(place string) string { return s.block + ":" + place + "::/80" }

func (s six) assign(id string, in shape.AssignIpv6AddressesInput) ([]string, error) {
	in.NetworkInterfaceId = &id
	out, err := s.API.AssignIpv6Addresses(s.Ctx, &in)
	if err != nil {
		return nil, err
	}
	return append(out.AssignedIpv6Addresses, out.AssignedIpv6Prefixes...), nil
}

// delegate assigns prefixes by name.
func (s six) delegate(id string, places ...string) ([]string, error) {
	var prefixes []string
	for _, p := range places {
		prefixes = append(prefixes, s.prefix(p))
	}
	return s.assign(id, shape.AssignIpv6AddressesInput{Ipv6Prefixes: prefixes})
}

func (s six) unassign(id string, prefixes ...string) ([]string, error) {
	out, err := s.API.UnassignIpv6Addresses(s.Ctx, &shape.UnassignIpv6AddressesInput{NetworkInterfaceId: &id, Ipv6Prefixes: prefixes})
	if err != nil {
		return nil, err
	}
	return out.UnassignedIpv6Prefixes, nil
}

func (s six) shown(t *testing.T, id string) (all []string) {
	t.Helper()
	for _, p := range s.DescribeInterface(t, id).Ipv6Prefixes {
		all = append(all, *p.Ipv6Prefix)
	}
	return all
}

func TestIPv6PrefixesComeAndGo(t *testing.T) {
	s := newSix(t)
	first := s.prefix("2")
	made := s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{
		SubnetId: &s.place, Ipv6Prefixes: []shape.Ipv6PrefixSpecificationRequest{{Ipv6Prefix: &first}},
	})
	id := *made.NetworkInterfaceId
	if len(made.Ipv6Prefixes) != 1 || *made.Ipv6Prefixes[0].Ipv6Prefix != first || len(made.Ipv6Addresses) != 0 {
		t.Errorf("made with %+v and %+v", made.Ipv6Prefixes, made.Ipv6Addresses)
	}
	named, err := s.delegate(id, "3", "fffe")
	if err != nil || !slices.Equal(named, []string{s.prefix("3"), s.prefix("fffe")}) {
		t.Fatalf("assigned %v, %v", named, err)
	}
	counted, err := s.assign(id, shape.AssignIpv6AddressesInput{Ipv6PrefixCount: new(int32(2))})
	if err != nil || len(counted) != 2 || counted[0] == counted[1] {
		t.Fatalf("counted %v, %v", counted, err)
	}
	if got := s.shown(t, id); !slices.Equal(got, slices.Concat([]string{first}, named, counted)) {
		t.Errorf("the interface has %v", got)
	}
	for _, text := range counted {
		p := netip.MustParsePrefix(text)
		if p.Bits() != 80 || p != p.Masked() || !netip.MustParsePrefix(s.block+"::/64").Contains(p.Addr()) {
			t.Errorf("%s is chosen", text)
		}
	}
	if claims(s.Network) != 1+5 {
		t.Errorf("%d claims, want those of five prefixes and an IPv4 address", claims(s.Network))
	}
	gone, err := s.unassign(id, first, counted[0])
	if err != nil || !slices.Equal(gone, []string{first, counted[0]}) || len(s.shown(t, id)) != 3 || claims(s.Network) != 1+3 {
		t.Errorf("unassigned %v, %v; %d claims are left", gone, err, claims(s.Network))
	}
	if _, err := s.API.DeleteNetworkInterface(s.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}); err != nil || claims(s.Network) != 0 {
		t.Errorf("deleted: %v; %d claims are left", err, claims(s.Network))
	}
	native := s.AddSubnet(t, s.Net, "b", "", 2)
	other := s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &native, Ipv6PrefixCount: new(int32(3))})
	if len(other.Ipv6Prefixes) != 3 || len(other.Ipv6Addresses) != 1 {
		t.Errorf("made with %+v and %+v", other.Ipv6Prefixes, other.Ipv6Addresses)
	}
}

// A prefix and a single address, or another prefix, exclude each other, also one
// of a resource gateway.
func TestIPv6PrefixesAndAddressesExcludeEachOther(t *testing.T) {
	s := newSix(t)
	inside := func(place string) []string { return []string{s.block + ":" + place + "::5"} }
	a := *s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &s.place, Ipv6Addresses: []shape.InstanceIpv6Address{{Ipv6Address: &inside("7")[0]}}}).NetworkInterfaceId
	b := *s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &s.place}).NetworkInterfaceId
	if _, err := s.delegate(a, "2"); err != nil {
		t.Fatal(err)
	}
	gateway := s.gatewayPrefix(t)
	delegate := func(id string, places ...string) func() error {
		return func() error { _, err := s.delegate(id, places...); return err }
	}
	s.Refused(t, "prefix of another", "InvalidIPAddress.InUse", delegate(b, "2"))
	s.Refused(t, "prefix of its own", "InvalidIPAddress.InUse", delegate(a, "2"))
	s.Refused(t, "prefix with an address of another", "InvalidIPAddress.InUse", delegate(b, "3", "7"))
	s.Refused(t, "prefix with an address of its own", "InvalidIPAddress.InUse", delegate(a, "3", "7"))
	s.Refused(t, "prefix twice", "InvalidParameterValue", delegate(a, "3", "3"))
	s.Refused(t, "prefix of a gateway", "InvalidIPAddress.InUse", func() error {
		_, err := s.assign(a, shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{gateway}})
		return err
	})
	for _, address := range []string{s.block + ":2::", s.block + ":2::5", s.block + ":2:ffff:ffff:ffff"} {
		for _, id := range []string{a, b} {
			s.Refused(t, "address of a prefix", "InvalidIPAddress.InUse", func() error {
				_, err := s.assign(id, shape.AssignIpv6AddressesInput{Ipv6Addresses: []string{address}})
				return err
			})
		}
	}
	s.Attach(t, a)
	if _, err := s.unassign(a, s.prefix("2")); err != nil {
		t.Fatal(err)
	}
	s.Refused(t, "prefix that the host may have", "InvalidIPAddress.InUse", delegate(b, "2"))
	s.Refused(t, "address that the host may have", "InvalidIPAddress.InUse", func() error {
		_, err := s.assign(b, shape.AssignIpv6AddressesInput{Ipv6Addresses: inside("2")})
		return err
	})
	if _, err := s.delegate(a, "2"); err != nil {
		t.Errorf("the interface itself: %v", err)
	}
	s.Put(t, func(tx *table.Txn) {
		for c := range state.AddressClaimsBySubnet.Rows(tx, model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: s.place}) {
			if c.Released() {
				t.Errorf("%s is given up", c.Addr)
			}
		}
	})
	free := *s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &s.place}).NetworkInterfaceId
	if _, err := s.delegate(free, "9"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.unassign(free, s.prefix("9")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.assign(b, shape.AssignIpv6AddressesInput{Ipv6Addresses: inside("9")}); err != nil {
		t.Errorf("an address of a prefix that nobody has any more: %v", err)
	}
}

// gatewayPrefix makes a resource gateway in the subnet and tells its prefix.
func (s six) gatewayPrefix(t *testing.T) string {
	t.Helper()
	g, err := s.Lattice().CreateResourceGateway(s.Ctx, &lattice.CreateResourceGatewayInput{
		Name: new("gateway"), VpcIdentifier: s.Net.VpcId, IpAddressType: new("IPV6"), SubnetIds: []string{s.place},
	})
	if err != nil {
		t.Fatal(err)
	}
	for ni := range state.NetworkInterfacesByOwner.Rows(s.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *g.Id}) {
		return ni.Prefix6.String()
	}
	t.Fatal("the gateway has no interface")
	return ""
}

func TestBadIPv6PrefixRequestsAreRefused(t *testing.T) {
	s := newSix(t)
	id := *s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &s.place}).NetworkInterfaceId
	one := []string{s.prefix("2")}
	many := make([]string, 51)
	for i := range many {
		many[i] = s.prefix(fmt.Sprintf("%x", i+1))
	}
	for _, c := range []struct {
		name, code string
		in         shape.AssignIpv6AddressesInput
	}{
		{"no prefix", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{s.block + ":2::"}}},
		{"IPv4", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{"10.0.1.16/28"}}},
		{"longer", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{s.block + ":2::/96"}}},
		{"shorter", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{s.block + "::/64"}}},
		{"not aligned", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{s.block + ":2::1/80"}}},
		{"elsewhere", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{"2001:db8:ffff:ffff:2::/80"}}},
		{"first", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{s.block + "::/80"}}},
		{"last", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6Prefixes: []string{s.prefix("ffff")}}},
		{"both", "InvalidParameterCombination", shape.AssignIpv6AddressesInput{Ipv6Prefixes: one, Ipv6PrefixCount: new(int32(1))}},
		{"with addresses", "InvalidParameterCombination", shape.AssignIpv6AddressesInput{Ipv6Prefixes: one, Ipv6Addresses: []string{s.block + "::5"}}},
		{"with a count", "InvalidParameterCombination", shape.AssignIpv6AddressesInput{Ipv6PrefixCount: new(int32(1)), Ipv6AddressCount: new(int32(1))}},
		{"negative", "InvalidParameterValue", shape.AssignIpv6AddressesInput{Ipv6PrefixCount: new(int32(-1))}},
		{"too many", "PrivateIpAddressLimitExceeded", shape.AssignIpv6AddressesInput{Ipv6Prefixes: many}},
		{"none", "MissingParameter", shape.AssignIpv6AddressesInput{Ipv6PrefixCount: new(int32(0))}},
	} {
		s.Refused(t, c.name, c.code, func() error { _, err := s.assign(id, c.in); return err })
	}
	for name, prefix := range map[string]string{"prefix of nobody": s.prefix("2"), "single address": s.block + ":2::/128", "IPv4": "10.0.1.16/28"} {
		s.Refused(t, name, "InvalidParameterValue", func() error { _, err := s.unassign(id, prefix); return err })
	}
	only4 := s.AddSubnet(t, s.Net, "b", "10.0.2.0/24", -1)
	for name, c := range map[string]struct {
		code string
		in   shape.CreateNetworkInterfaceInput
	}{
		"without a block": {"InvalidParameterValue", shape.CreateNetworkInterfaceInput{SubnetId: &only4, Ipv6PrefixCount: new(int32(1))}},
		"with a count":    {"InvalidParameterCombination", shape.CreateNetworkInterfaceInput{SubnetId: &s.place, Ipv6PrefixCount: new(int32(1)), Ipv6AddressCount: new(int32(1))}},
		"with addresses": {"InvalidParameterCombination", shape.CreateNetworkInterfaceInput{
			SubnetId: &s.place, Ipv6PrefixCount: new(int32(1)), Ipv6Addresses: []shape.InstanceIpv6Address{{Ipv6Address: new(s.block + "::5")}},
		}},
		"both": {"InvalidParameterCombination", shape.CreateNetworkInterfaceInput{
			SubnetId: &s.place, Ipv6PrefixCount: new(int32(1)), Ipv6Prefixes: []shape.Ipv6PrefixSpecificationRequest{{Ipv6Prefix: &one[0]}},
		}},
	} {
		s.Refused(t, "new "+name, c.code, func() error { _, err := s.API.CreateNetworkInterface(s.Ctx, &c.in); return err })
	}
}

// A prefix that is chosen is nobody's, and no address is chosen in a prefix.
func TestWhatIsChosenAvoidsIPv6Prefixes(t *testing.T) {
	s := newSix(t)
	chosen := map[string]bool{}
	for range 60 {
		made := s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &s.place, Ipv6PrefixCount: new(int32(20))})
		for _, p := range made.Ipv6Prefixes {
			if chosen[*p.Ipv6Prefix] {
				t.Fatalf("%s is chosen twice", *p.Ipv6Prefix)
			}
			chosen[*p.Ipv6Prefix] = true
		}
	}
	for range 20 {
		made := s.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &s.place, Ipv6AddressCount: new(int32(20))})
		for _, a := range made.Ipv6Addresses {
			if p := model.PrefixOf(netip.MustParseAddr(*a.Ipv6Address)); chosen[p.String()] {
				t.Fatalf("%s is chosen in a prefix", *a.Ipv6Address)
			}
		}
	}
}
