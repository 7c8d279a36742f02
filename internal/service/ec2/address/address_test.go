// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// outside is a VPC with an internet gateway and an interface with two addresses.
type outside struct {
	*ec2test.Network
	subnet  string
	eni     *shape.NetworkInterface
	private []string
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	n := &outside{Network: ec2test.NewNetwork(t)}
	g, err := n.API.CreateInternetGateway(n.Ctx, &shape.CreateInternetGatewayInput{})
	if err != nil {
		t.Fatal(err)
	}
	n.must(t, ec2test.Failure(n.API.AttachInternetGateway(n.Ctx, &shape.AttachInternetGatewayInput{InternetGatewayId: g.InternetGateway.InternetGatewayId, VpcId: n.Net.VpcId})))
	n.subnet = n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	n.eni, n.private = n.addInterface(t)
	return n
}

func (n *outside) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (n *outside) addInterface(t *testing.T) (*shape.NetworkInterface, []string) {
	t.Helper()
	ni := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &n.subnet, SecondaryPrivateIpAddressCount: new(int32(1))})
	return ni, []string{*ni.PrivateIpAddresses[0].PrivateIpAddress, *ni.PrivateIpAddresses[1].PrivateIpAddress}
}

func (n *outside) allocate(t *testing.T) *shape.AllocateAddressOutput {
	t.Helper()
	out, err := n.API.AllocateAddress(n.Ctx, &shape.AllocateAddressInput{Domain: new("vpc")})
	n.must(t, err)
	return out
}

func (n *outside) associate(in shape.AssociateAddressInput) (string, error) {
	out, err := n.API.AssociateAddress(n.Ctx, &in)
	if err != nil {
		return "", err
	}
	return *out.AssociationId, nil
}

// at says which public address each private one of the interface has.
func (n *outside) at(t *testing.T, id string) map[string]string {
	t.Helper()
	has := map[string]string{}
	for _, p := range n.DescribeInterface(t, id).PrivateIpAddresses {
		if p.Association != nil {
			has[*p.PrivateIpAddress] = *p.Association.PublicIp
		}
	}
	return has
}

func (n *outside) wants(t *testing.T, id string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, n.at(t, id)); diff != "" {
		t.Errorf("public addresses (-want +got):\n%s", diff)
	}
}

// An elastic address goes to an address of an interface and on to another one, and both
// descriptions show it.
func TestElasticAddressGoesWhereItIsSent(t *testing.T) {
	n := newOutside(t)
	e, eni := n.allocate(t), *n.eni.NetworkInterfaceId
	first, err := n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: &eni})
	n.must(t, err)
	n.wants(t, eni, map[string]string{n.private[0]: *e.PublicIp})
	if again, err := n.associate(shape.AssociateAddressInput{PublicIp: e.PublicIp, NetworkInterfaceId: &eni}); err != nil || again != first {
		t.Errorf("the same again: %s, %v, want %s", again, err, first)
	}
	second, err := n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: &eni, PrivateIpAddress: &n.private[1]})
	n.must(t, err)
	n.wants(t, eni, map[string]string{n.private[1]: *e.PublicIp})
	got, err := n.API.DescribeAddresses(n.Ctx, &shape.DescribeAddressesInput{PublicIps: []string{*e.PublicIp}, Filters: ec2test.Filter("association-id", second)})
	n.must(t, err)
	want := []shape.Address{{
		AllocationId: e.AllocationId, PublicIp: e.PublicIp, Domain: new("vpc"), PublicIpv4Pool: new("amazon"), NetworkBorderGroup: new("us-east-1"),
		AssociationId: &second, NetworkInterfaceId: &eni, NetworkInterfaceOwnerId: n.Net.OwnerId, PrivateIpAddress: &n.private[1], Tags: []shape.Tag{},
	}}
	if diff := cmp.Diff(want, got.Addresses); diff != "" {
		t.Error(diff)
	}
	n.must(t, ec2test.Failure(n.API.DisassociateAddress(n.Ctx, &shape.DisassociateAddressInput{AssociationId: &second})))
	n.wants(t, eni, map[string]string{})
	n.must(t, ec2test.Failure(n.API.ReleaseAddress(n.Ctx, &shape.ReleaseAddressInput{AllocationId: e.AllocationId})))
	n.Refused(t, "released", "InvalidAllocationID.NotFound", func() error {
		return ec2test.Failure(n.API.DescribeAddresses(n.Ctx, &shape.DescribeAddressesInput{AllocationIds: []string{*e.AllocationId}}))
	})
}

// A second elastic address takes the place of the first, unless the request forbids it;
// so does one that another interface has.
func TestReassociationCanBeForbidden(t *testing.T) {
	n := newOutside(t)
	e, f, eni := n.allocate(t), n.allocate(t), n.eni.NetworkInterfaceId
	_, err := n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: eni})
	n.must(t, err)
	other, _ := n.addInterface(t)
	n.RefusedAll(t, []ec2test.Refusal{
		{Name: "another address", Code: "Resource.AlreadyAssociated", Call: func() error {
			_, err := n.associate(shape.AssociateAddressInput{AllocationId: f.AllocationId, NetworkInterfaceId: eni, AllowReassociation: new(false)})
			return err
		}},
		{Name: "another interface", Code: "Resource.AlreadyAssociated", Call: func() error {
			_, err := n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: other.NetworkInterfaceId, AllowReassociation: new(false)})
			return err
		}},
		{Name: "released", Code: "InvalidIPAddress.InUse", Call: func() error {
			return ec2test.Failure(n.API.ReleaseAddress(n.Ctx, &shape.ReleaseAddressInput{AllocationId: e.AllocationId}))
		}},
	})
	_, err = n.associate(shape.AssociateAddressInput{AllocationId: f.AllocationId, NetworkInterfaceId: eni})
	n.must(t, err)
	n.wants(t, *eni, map[string]string{n.private[0]: *f.PublicIp})
	n.must(t, ec2test.Failure(n.API.ReleaseAddress(n.Ctx, &shape.ReleaseAddressInput{AllocationId: e.AllocationId})))
}

// What is no address, no interface of the caller's, or has no way to the outside, is
// refused and changes nothing.
func TestAssociationsAreChecked(t *testing.T) {
	n := newOutside(t)
	e, eni := n.allocate(t), n.eni.NetworkInterfaceId
	inside := n.AddSubnet(t, n.AddVPC(t), "a", "10.0.1.0/24", -1)
	without := n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &inside})
	stranger := n.OfOther(t)
	foreign := stranger.AddSubnet(t, stranger.Net, "a", "10.0.1.0/24", -1)
	theirs := stranger.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &foreign})
	refused := func(name, code string, in shape.AssociateAddressInput) ec2test.Refusal {
		return ec2test.Refusal{Name: name, Code: code, Call: func() error { _, err := n.associate(in); return err }}
	}
	n.RefusedAll(t, []ec2test.Refusal{
		refused("nothing", "MissingParameter", shape.AssociateAddressInput{AllocationId: e.AllocationId}),
		refused("no address", "MissingParameter", shape.AssociateAddressInput{NetworkInterfaceId: eni}),
		refused("both addresses", "InvalidParameterCombination", shape.AssociateAddressInput{AllocationId: e.AllocationId, PublicIp: e.PublicIp, NetworkInterfaceId: eni}),
		refused("instance", "InvalidInstanceID.NotFound", shape.AssociateAddressInput{AllocationId: e.AllocationId, InstanceId: new("i-12345678")}),
		refused("unknown allocation", "InvalidAllocationID.NotFound", shape.AssociateAddressInput{AllocationId: new("eipalloc-12345678"), NetworkInterfaceId: eni}),
		refused("unknown address", "InvalidAddress.NotFound", shape.AssociateAddressInput{PublicIp: new("192.0.2.1"), NetworkInterfaceId: eni}),
		refused("unknown interface", "InvalidNetworkInterfaceID.NotFound", shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: new("eni-12345678")}),
		refused("another account's interface", "InvalidNetworkInterfaceID.NotFound", shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: theirs.NetworkInterfaceId}),
		refused("address that it has not", "InvalidParameterValue", shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: eni, PrivateIpAddress: new("10.0.1.250")}),
		refused("no address at all", "InvalidParameterValue", shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: eni, PrivateIpAddress: new("ten")}),
		refused("no internet gateway", "Gateway.NotAttached", shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: without.NetworkInterfaceId}),
		{Name: "unknown association", Code: "InvalidAssociationID.NotFound", Call: func() error {
			return ec2test.Failure(n.API.DisassociateAddress(n.Ctx, &shape.DisassociateAddressInput{AssociationId: new("eipassoc-12345678")}))
		}},
		{Name: "no association", Code: "InvalidAssociationID.NotFound", Call: func() error {
			return ec2test.Failure(n.API.DisassociateAddress(n.Ctx, &shape.DisassociateAddressInput{PublicIp: e.PublicIp}))
		}},
		{Name: "nothing to disassociate", Code: "MissingParameter", Call: func() error {
			return ec2test.Failure(n.API.DisassociateAddress(n.Ctx, &shape.DisassociateAddressInput{}))
		}},
	})
}

// The pool is everybody's: an address is one account's, an account has five, one that was
// given back is nobody's before the data plane has let go of it, and the errors say what
// gives more.
func TestPublicPoolIsShared(t *testing.T) {
	n := newOutside(t)
	stranger := n.OfOther(t)
	allocate := func(n *ec2test.Network, in shape.AllocateAddressInput) (*shape.AllocateAddressOutput, error) {
		return n.API.AllocateAddress(n.Ctx, &in)
	}
	refused := func(name, code string, in shape.AllocateAddressInput) ec2test.Refusal {
		return ec2test.Refusal{Name: name, Code: code, Call: func() error { return ec2test.Failure(allocate(n.Network, in)) }}
	}
	named, err := allocate(stranger, shape.AllocateAddressInput{Address: new("198.51.100.8"), PublicIpv4Pool: new("amazon"), NetworkBorderGroup: new("us-east-1")})
	n.must(t, err)
	n.RefusedAll(t, []ec2test.Refusal{
		refused("another account's", "InvalidIPAddress.InUse", shape.AllocateAddressInput{Address: named.PublicIp}),
		refused("not of the pool", "InvalidAddress.NotFound", shape.AllocateAddressInput{Address: new("192.0.2.1")}),
		refused("left out of the pool", "InvalidAddress.NotFound", shape.AllocateAddressInput{Address: new("203.0.113.0")}),
		refused("no address", "InvalidParameterValue", shape.AllocateAddressInput{Address: new("2001:db8::1")}),
		refused("EC2-Classic", "InvalidParameterValue", shape.AllocateAddressInput{Domain: new("standard")}),
		refused("pool", "InvalidPublicIpv4PoolID.NotFound", shape.AllocateAddressInput{PublicIpv4Pool: new("ipv4pool-ec2-012345")}),
		refused("border group", "InvalidParameterValue", shape.AllocateAddressInput{NetworkBorderGroup: new("us-east-1-wl1")}),
		refused("outpost", "UnsupportedOperation", shape.AllocateAddressInput{CustomerOwnedIpv4Pool: new("x")}),
	})
	seen := map[string]bool{*named.PublicIp: true}
	var last *shape.AllocateAddressOutput
	for range 5 {
		last = n.allocate(t)
		if seen[*last.PublicIp] || *last.PublicIp == "203.0.113.0" {
			t.Errorf("%s is given twice, or is not of the pool", *last.PublicIp)
		}
		seen[*last.PublicIp] = true
	}
	n.RefusedAll(t, []ec2test.Refusal{refused("six", "AddressLimitExceeded", shape.AllocateAddressInput{})})
	n.must(t, ec2test.Failure(n.API.ReleaseAddress(n.Ctx, &shape.ReleaseAddressInput{AllocationId: last.AllocationId})))
	n.RefusedAll(t, []ec2test.Refusal{refused("not free yet", "InvalidIPAddress.InUse", shape.AllocateAddressInput{Address: last.PublicIp})})
	for range 4 {
		_, err := allocate(stranger, shape.AllocateAddressInput{})
		n.must(t, err)
	}
	n.allocate(t)
	n.Quotas.AddressesPerRegion = 100
	stranger.RefusedAll(t, []ec2test.Refusal{{Name: "all taken", Code: "InsufficientAddressCapacity", Call: func() error {
		err := ec2test.Failure(allocate(stranger, shape.AllocateAddressInput{}))
		if err != nil && !strings.Contains(err.Error(), "--public-pool") {
			t.Errorf("%v does not say what gives more", err)
		}
		return err
	}}})
	n.Outside.Pool = nil
	n.RefusedAll(t, []ec2test.Refusal{refused("no pool", "InsufficientAddressCapacity", shape.AllocateAddressInput{})})
}

// A private address that goes takes its elastic address along to where it goes, or leaves
// it to nobody.
func TestElasticAddressesFollowPrivateOnes(t *testing.T) {
	n := newOutside(t)
	e, eni := n.allocate(t), n.eni.NetworkInterfaceId
	_, err := n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: eni, PrivateIpAddress: &n.private[1]})
	n.must(t, err)
	other, _ := n.addInterface(t)
	_, err = n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: other.NetworkInterfaceId, PrivateIpAddresses: []string{n.private[1]}, AllowReassignment: new(true),
	})
	n.must(t, err)
	n.wants(t, *eni, map[string]string{})
	n.wants(t, *other.NetworkInterfaceId, map[string]string{n.private[1]: *e.PublicIp})
	_, err = n.API.UnassignPrivateIpAddresses(n.Ctx, &shape.UnassignPrivateIpAddressesInput{NetworkInterfaceId: other.NetworkInterfaceId, PrivateIpAddresses: []string{n.private[1]}})
	n.must(t, err)
	has := func() string {
		t.Helper()
		out, err := n.API.DescribeAddresses(n.Ctx, &shape.DescribeAddressesInput{AllocationIds: []string{*e.AllocationId}})
		n.must(t, err)
		if a := out.Addresses[0]; a.NetworkInterfaceId != nil || a.PrivateIpAddress != nil || a.AssociationId != nil {
			return "something has it"
		}
		return ""
	}
	if got := has(); got != "" {
		t.Error(got)
	}
	_, err = n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: eni})
	n.must(t, err)
	n.must(t, ec2test.Failure(n.API.DeleteNetworkInterface(n.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni})))
	if got := has(); got != "" {
		t.Error(got)
	}
}

// What is launched in a subnet that gives public addresses has one, which an elastic
// address takes the place of; the interface can be told otherwise.
func TestPublicAddressOfAnInterface(t *testing.T) {
	n := newOutside(t)
	n.must(t, ec2test.Failure(n.API.ModifySubnetAttribute(n.Ctx, &shape.ModifySubnetAttributeInput{SubnetId: &n.subnet, MapPublicIpOnLaunch: &shape.AttributeBooleanValue{Value: new(true)}})))
	n.must(t, ec2test.Failure(n.API.ModifyVpcAttribute(n.Ctx, &shape.ModifyVpcAttributeInput{VpcId: n.Net.VpcId, EnableDnsHostnames: &shape.AttributeBooleanValue{Value: new(true)}})))
	eni := *n.eni.NetworkInterfaceId
	launch := func() {
		t.Helper()
		n.Put(t, func(tx *table.Txn) {
			ni, _ := state.NetworkInterfaces.Get(tx, *n.Net.OwnerId, "us-east-1", eni)
			if _, err := n.API.Launch(tx, ni); err != nil {
				t.Error(err)
			}
		})
		n.Attach(t, eni)
	}
	n.wants(t, eni, map[string]string{})
	launch()
	got := n.DescribeInterface(t, eni)
	if got.Association == nil || *got.Association.IpOwnerId != "amazon" || got.Association.AllocationId != nil {
		t.Fatalf("got association %v", got.Association)
	}
	want := "ec2-" + strings.ReplaceAll(*got.Association.PublicIp, ".", "-") + ".compute-1.amazonaws.com"
	if *got.PublicDnsName != want || *got.Association.PublicDnsName != want {
		t.Errorf("its name is %v, want %s", *got.PublicDnsName, want)
	}
	for name, value := range map[string]string{
		"association.public-ip": *got.Association.PublicIp, "addresses.association.public-ip": *got.Association.PublicIp,
		"association.ip-owner-id": "amazon", "association.public-dns-name": want,
	} {
		out, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{Filters: ec2test.Filter(name, value)})
		if err != nil || len(out.NetworkInterfaces) != 1 {
			t.Errorf("by %s: %v, %v", name, out, err)
		}
	}
	e := n.allocate(t)
	_, err := n.associate(shape.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: &eni})
	n.must(t, err)
	n.wants(t, eni, map[string]string{n.private[0]: *e.PublicIp})
	n.must(t, ec2test.Failure(n.API.DisassociateAddress(n.Ctx, &shape.DisassociateAddressInput{PublicIp: e.PublicIp})))
	n.wants(t, eni, map[string]string{})
	set := func(on bool) {
		t.Helper()
		n.must(t, ec2test.Failure(n.API.ModifyNetworkInterfaceAttribute(n.Ctx, &shape.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, AssociatePublicIpAddress: &on})))
	}
	set(true)
	if len(n.at(t, eni)) != 1 {
		t.Error("an attached interface that is to have a public address has none")
	}
	set(false)
	n.wants(t, eni, map[string]string{})
	launch()
	n.wants(t, eni, map[string]string{})
}

// No address has attributes.
func TestAddressesHaveNoAttributes(t *testing.T) {
	n := newOutside(t)
	e := n.allocate(t)
	out, err := n.API.DescribeAddressesAttribute(n.Ctx, &shape.DescribeAddressesAttributeInput{AllocationIds: []string{*e.AllocationId}, Attribute: new("domain-name")})
	if err != nil || len(out.Addresses) != 0 {
		t.Errorf("got %v, %v", out, err)
	}
	n.Refused(t, "unknown", "InvalidAllocationID.NotFound", func() error {
		return ec2test.Failure(n.API.DescribeAddressesAttribute(n.Ctx, &shape.DescribeAddressesAttributeInput{AllocationIds: []string{"eipalloc-12345678"}}))
	})
}
