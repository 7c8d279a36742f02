// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/state"
)

// addGroup makes a group behind a provider's gateway, with children at these addresses, and
// gives the ARNs.
func addGroup(t *testing.T, n *ec2test.Network, p ec2test.Provider, addresses ...string) (group string, children []string) {
	t.Helper()
	create := func(in *lattice.CreateResourceConfigurationInput) string {
		t.Helper()
		out, err := n.Lattice().CreateResourceConfiguration(n.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return *out.Arn
	}
	group = create(&lattice.CreateResourceConfigurationInput{Name: new("group"), Type: new("GROUP"), ResourceGatewayIdentifier: &p.Gateway})
	for i, address := range addresses {
		children = append(children, create(childOf(group, fmt.Sprint("child-", i), address)))
	}
	return group, children
}

func childOf(group, name, address string) *lattice.CreateResourceConfigurationInput {
	return &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new("CHILD"), ResourceConfigurationGroupIdentifier: &group,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: &address}},
	}
}

// associations gives the groups of an endpoint's associations by their resources.
func associations(t *testing.T, n *ec2test.Network, in *shape.DescribeVpcEndpointAssociationsInput) map[string]string {
	t.Helper()
	out, err := n.API.DescribeVpcEndpointAssociations(n.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range out.VpcEndpointAssociations {
		got[*a.AssociatedResourceArn] = *a.ResourceConfigurationGroupArn
	}
	return got
}

// An endpoint for a group has an association with each child, also with one that comes
// later, each with an address of its own on each interface.
func TestAnEndpointForAGroupIsAssociatedWithEachChild(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "theirs", "IPV4", "10.0.1.77")
	group, children := addGroup(t, n, p, "10.0.1.10", "10.0.1.11")
	subnets := []string{n.AddSubnet(t, n.Net, "a", "10.0.3.0/24", -1), n.AddSubnet(t, n.Net, "b", "10.0.4.0/24", -1)}
	e := n.AddEndpoint(t, n.EndpointInput(ec2test.Provider{Configuration: group}, subnets...))
	_, err := n.Lattice().CreateResourceConfiguration(n.Ctx, childOf(group, "later", "10.0.1.12"))
	if err != nil {
		t.Fatal(err)
	}
	all := associations(t, n, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{*e.VpcEndpointId}})
	if len(all) != 3 || all[children[0]] != group || all[children[1]] != group {
		t.Errorf("associations are %v", all)
	}
	filtered := associations(t, n, &shape.DescribeVpcEndpointAssociationsInput{Filters: []shape.Filter{{Name: new("resource-configuration-group-arn"), Values: []string{group}}}})
	if diff := cmp.Diff(all, filtered); diff != "" {
		t.Errorf("by the group (-all +filtered):\n%s", diff)
	}
	owners := map[string]bool{}
	for a := range state.EndpointAssociations.All(n.DB.Snapshot()) {
		if len(a.Addresses) != len(subnets) || a.Lack != "" {
			t.Errorf("%s has the addresses %v: %s", a.ID, a.Addresses, a.Lack)
		}
		for _, own := range a.Addresses {
			owners[own.Addr.String()] = true
		}
	}
	if len(owners) != 6 {
		t.Errorf("%d addresses, want one for each child and subnet", len(owners))
	}
}

// What cannot lead to all of a group's children is refused, and changes nothing.
func TestBadEndpointsForGroupsAreRefused(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "theirs", "DUALSTACK", "10.0.1.77")
	block6 := strings.TrimSuffix(n.Block6(t, p.VPC, 1), "::/64")
	group, children := addGroup(t, n, p, "10.0.1.10", block6+"::77")
	several := "10.0.1."
	narrow := n.AddSubnet(t, n.Net, "a", "10.0.3.0/28", 0)
	wide := n.AddSubnet(t, n.Net, "b", "10.0.4.0/24", 1)
	endpoint := func(arn, family string, subnets ...string) *shape.CreateVpcEndpointInput {
		in := n.EndpointInput(ec2test.Provider{Configuration: arn}, subnets...)
		in.IpAddressType = &family
		return in
	}
	refused := func(name, code, says string, in *shape.CreateVpcEndpointInput) {
		t.Helper()
		before := n.DB.Snapshot().Revision()
		_, err := n.API.CreateVpcEndpoint(n.Ctx, in)
		if !fault.Is(err, code) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s that says %q", name, err, code, says)
		}
		if after := n.DB.Snapshot().Revision(); after != before {
			t.Errorf("%s: it changed something", name)
		}
	}
	refused("a child", "InvalidParameter", "is of type CHILD", endpoint(children[0], "dualstack", wide))
	refused("IPv4 alone", "InvalidParameter", "has an IPv6 address", endpoint(group, "ipv4", wide))
	for i := range 10 {
		if _, err := n.Lattice().CreateResourceConfiguration(n.Ctx, childOf(group, fmt.Sprint("more-", i), fmt.Sprint(several, 20+i))); err != nil {
			t.Fatal(err)
		}
	}
	refused("too few addresses", "InsufficientFreeAddressesInSubnet", narrow, endpoint(group, "dualstack", wide, narrow))
	e := n.AddEndpoint(t, endpoint(group, "dualstack", wide))
	if got := associations(t, n, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{*e.VpcEndpointId}}); len(got) != 12 {
		t.Errorf("%d associations, want 12", len(got))
	}
}

// Several more children than one transaction takes are there when the answer is, and all
// associations end with the endpoint.
func TestAnEndpointForAFullGroup(t *testing.T) {
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "theirs", "IPV4", "10.0.1.77")
	group, _ := addGroup(t, n, p)
	for i := range 60 {
		if _, err := n.Lattice().CreateResourceConfiguration(n.Ctx, childOf(group, fmt.Sprint("child-", i), fmt.Sprint("10.0.1.", 100+i))); err != nil {
			t.Fatal(err)
		}
	}
	subnets := []string{n.AddSubnet(t, n.Net, "a", "10.0.3.0/24", -1), n.AddSubnet(t, n.Net, "b", "10.0.4.0/24", -1)}
	e := n.AddEndpoint(t, n.EndpointInput(ec2test.Provider{Configuration: group}, subnets...))
	got := associations(t, n, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{*e.VpcEndpointId}})
	if len(got) != 60 {
		t.Errorf("%d associations, want 60", len(got))
	}
}
