// SPDX-License-Identifier: Apache-2.0

package ec2test

import (
	"net/netip"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// Network is a world with a VPC that has a block of each family.
type Network struct {
	*World
	// Net is the VPC.
	Net *shape.Vpc
}

// NewNetwork makes a network whose state is in memory.
func NewNetwork(t *testing.T) *Network {
	t.Helper()
	return newNetwork(t, servicetest.New(t))
}

// NewNetworkOn is NewNetwork with the store, which stays the caller's to close.
func NewNetworkOn(t *testing.T, s store.Store) *Network {
	t.Helper()
	return newNetwork(t, servicetest.NewOn(t, s))
}

func newNetwork(t *testing.T, w *servicetest.World) *Network {
	n := &Network{World: newWorld(t, w)}
	n.Net = n.AddVPC(t)
	return n
}

// OfOther makes a network of another account in the same environment.
func (n *Network) OfOther(t *testing.T) *Network {
	t.Helper()
	other := &Network{World: &World{World: n.World.World, API: n.API, Ctx: servicetest.As(t, servicetest.OtherAccount, servicetest.Region)}}
	other.Net = other.AddVPC(t)
	return other
}

// AddVPC makes a VPC 10.0.0.0/16 that has an IPv6 block from the pool.
func (n *Network) AddVPC(t *testing.T) *shape.Vpc {
	t.Helper()
	out, err := n.API.CreateVpc(n.Ctx, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Vpc
}

// AddSubnet makes a subnet in a zone: with the IPv4 block, if any, and the n-th
// IPv6 block of the VPC, if n is not negative.
func (n *Network) AddSubnet(t *testing.T, vpc *shape.Vpc, zone, v4 string, v6 int) string {
	t.Helper()
	in := &shape.CreateSubnetInput{VpcId: vpc.VpcId, AvailabilityZone: new("us-east-1" + zone)}
	if v4 != "" {
		in.CidrBlock = new(v4)
	} else {
		in.Ipv6Native = new(true)
	}
	if v6 >= 0 {
		in.Ipv6CidrBlock = new(n.Block6(t, vpc, v6))
	}
	out, err := n.API.CreateSubnet(n.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Subnet.SubnetId
}

// Block6 gives the i-th IPv6 block of a VPC for a subnet.
func (n *Network) Block6(t *testing.T, vpc *shape.Vpc, i int) string {
	t.Helper()
	a := netip.MustParsePrefix(*vpc.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock).Addr().As16()
	a[7] |= byte(i)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64).String()
}

// AddGroup makes a security group and gives its id.
func (n *Network) AddGroup(t *testing.T, vpc *shape.Vpc, name string) string {
	t.Helper()
	out, err := n.API.CreateSecurityGroup(n.Ctx, &shape.CreateSecurityGroupInput{VpcId: vpc.VpcId, GroupName: new(name), Description: new("test")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.GroupId
}

// CreateInterface makes a network interface.
func (n *Network) CreateInterface(t *testing.T, in *shape.CreateNetworkInterfaceInput) *shape.NetworkInterface {
	t.Helper()
	out, err := n.API.CreateNetworkInterface(n.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.NetworkInterface
}

// Acknowledge writes what the data plane says about something.
func (n *Network) Acknowledge(t *testing.T, id string, s model.StatusState, reason string) {
	t.Helper()
	n.Put(t, func(tx *table.Txn) {
		state.Statuses.Put(tx, &model.Status{Account: servicetest.Account, Region: servicetest.Region, ID: id, State: s, Reason: reason})
	})
}

// Attach writes the attachment of an interface, as the service postern would.
func (n *Network) Attach(t *testing.T, id string) *model.Attachment {
	t.Helper()
	row := &model.Attachment{
		Account: servicetest.Account, Region: servicetest.Region, Interface: id, ID: n.NewID("eni-attach"), Host: "host", NamespaceName: "ns",
	}
	n.Put(t, func(tx *table.Txn) { state.Attachments.Put(tx, row) })
	return row
}

// DescribeInterface describes one network interface.
func (n *Network) DescribeInterface(t *testing.T, id string) shape.NetworkInterface {
	t.Helper()
	out, err := n.API.DescribeNetworkInterfaces(n.Ctx, &shape.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return out.NetworkInterfaces[0]
}
