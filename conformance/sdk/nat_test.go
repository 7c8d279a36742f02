// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// soon is how long waiters wait at first, which is 15 s else.
const soon = 20 * time.Millisecond

// natGateway waits for a NAT gateway and gives it.
func (c *client) natGateway(id string) types.NatGateway {
	c.t.Helper()
	one := &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}
	return must(ec2.NewNatGatewayAvailableWaiter(c.ec2).WaitForOutput(c.ctx, one, patience, func(o *ec2.NatGatewayAvailableWaiterOptions) { o.MinDelay = soon }))(c).NatGateways[0]
}

// withoutNATGateway deletes a NAT gateway and waits until it is gone.
func (c *client) withoutNATGateway(id string) {
	c.t.Helper()
	must(c.ec2.DeleteNatGateway(c.ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &id}))(c)
	one := &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}
	gone := must(ec2.NewNatGatewayDeletedWaiter(c.ec2).WaitForOutput(c.ctx, one, patience, func(o *ec2.NatGatewayDeletedWaiterOptions) { o.MinDelay = soon }))(c).NatGateways[0]
	equal(c.t, "state", gone.State, types.NatGatewayStateDeleted)
	if gone.DeleteTime == nil {
		c.t.Error("a NAT gateway that is deleted does not say when")
	}
}

// TestPrivateNATGatewayLife makes a private NAT gateway, changes its addresses and deletes
// it, and what it was in.
func TestPrivateNATGatewayLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/24", "a")
	made := must(c.ec2.CreateNatGateway(c.ctx, &ec2.CreateNatGatewayInput{
		SubnetId: &s, ConnectivityType: types.ConnectivityTypePrivate, PrivateIpAddress: new("10.0.1.10"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeNatgateway, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}},
	}))(c).NatGateway
	matches(t, "id", made.NatGatewayId, "nat-[0-9a-f]{17}")
	id := *made.NatGatewayId
	g := c.natGateway(id)
	equal(t, "address", g.NatGatewayAddresses[0].PrivateIp, "10.0.1.10")
	equal(t, "status", g.NatGatewayAddresses[0].Status, types.NatGatewayAddressStatusSucceeded)
	equal(t, "tags", g.Tags, []types.Tag{{Key: new("a"), Value: new("b")}})
	must(c.ec2.AssignPrivateNatGatewayAddress(c.ctx, &ec2.AssignPrivateNatGatewayAddressInput{NatGatewayId: &id, PrivateIpAddresses: []string{"10.0.1.11"}}))(c)
	c.await("second address", func() (bool, error) {
		g := c.natGateway(id)
		return len(g.NatGatewayAddresses) == 2 && g.NatGatewayAddresses[1].Status == types.NatGatewayAddressStatusSucceeded, nil
	})
	must(c.ec2.UnassignPrivateNatGatewayAddress(c.ctx, &ec2.UnassignPrivateNatGatewayAddressInput{
		NatGatewayId: &id, PrivateIpAddresses: []string{"10.0.1.11"}, MaxDrainDurationSeconds: new(int32(1)),
	}))(c)
	c.await("one address", func() (bool, error) { return len(c.natGateway(id).NatGatewayAddresses) == 1, nil })
	c.await("the other one to be free", func() (bool, error) {
		out, err := c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{s}})
		return err == nil && *out.Subnets[0].AvailableIpAddressCount == 250, err
	})
	eni := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*g.NatGatewayAddresses[0].NetworkInterfaceId}}))(c).NetworkInterfaces[0]
	equal(t, "type of its interface", string(eni.InterfaceType), "nat_gateway")
	refuse(c, []refusal{
		{"its interface", "OperationNotPermitted", func() error {
			return failure(c.ec2.DeleteNetworkInterface(c.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId}))
		}},
		{"its subnet", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &s}))
		}},
		{"a regional one", "UnsupportedOperation", func() error {
			return failure(c.ec2.CreateNatGateway(c.ctx, &ec2.CreateNatGatewayInput{VpcId: &v, AvailabilityMode: types.AvailabilityModeRegional}))
		}},
	})
	c.withoutNATGateway(id)
	must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &s}))(c)
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &v}))(c)
}

// TestPublicNATGatewayLife does so with a public one and elastic addresses, which are free
// afterwards.
func TestPublicNATGatewayLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/24", "a")
	var allocations []string
	for range 2 {
		allocations = append(allocations, *must(c.ec2.AllocateAddress(c.ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}))(c).AllocationId)
	}
	in := func() *ec2.CreateNatGatewayInput { // in which the client puts a token
		return &ec2.CreateNatGatewayInput{SubnetId: &s, AllocationId: &allocations[0]}
	}
	early := *must(c.ec2.CreateNatGateway(c.ctx, in()))(c).NatGateway.NatGatewayId
	failed := must(c.ec2.DescribeNatGateways(c.ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{early}}))(c).NatGateways[0]
	equal(t, "state without an internet gateway", failed.State, types.NatGatewayStateFailed)
	equal(t, "failure", failed.FailureCode, "Gateway.NotAttached")
	igw := must(c.ec2.CreateInternetGateway(c.ctx, &ec2.CreateInternetGatewayInput{}))(c).InternetGateway.InternetGatewayId
	must(c.ec2.AttachInternetGateway(c.ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: igw, VpcId: &v}))(c)

	id := *must(c.ec2.CreateNatGateway(c.ctx, in()))(c).NatGateway.NatGatewayId
	g := c.natGateway(id)
	equal(t, "allocation", g.NatGatewayAddresses[0].AllocationId, allocations[0])
	must(c.ec2.AssociateNatGatewayAddress(c.ctx, &ec2.AssociateNatGatewayAddressInput{NatGatewayId: &id, AllocationIds: allocations[1:]}))(c)
	var second types.NatGatewayAddress
	c.await("second address", func() (bool, error) {
		second = c.natGateway(id).NatGatewayAddresses[1]
		return second.Status == types.NatGatewayAddressStatusSucceeded, nil
	})
	must(c.ec2.DisassociateNatGatewayAddress(c.ctx, &ec2.DisassociateNatGatewayAddressInput{
		NatGatewayId: &id, AssociationIds: []string{*second.AssociationId}, MaxDrainDurationSeconds: new(int32(1)),
	}))(c)
	c.await("one address", func() (bool, error) { return len(c.natGateway(id).NatGatewayAddresses) == 1, nil })
	must(c.ec2.ReleaseAddress(c.ctx, &ec2.ReleaseAddressInput{AllocationId: &allocations[1]}))(c)
	c.withoutNATGateway(id)
	free := must(c.ec2.DescribeAddresses(c.ctx, &ec2.DescribeAddressesInput{AllocationIds: allocations[:1]}))(c).Addresses[0]
	if free.AssociationId != nil {
		t.Errorf("the elastic address of a NAT gateway that is gone is associated: %v", *free.AssociationId)
	}
	must(c.ec2.ReleaseAddress(c.ctx, &ec2.ReleaseAddressInput{AllocationId: &allocations[0]}))(c)
	must(c.ec2.DetachInternetGateway(c.ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: igw, VpcId: &v}))(c)
}
