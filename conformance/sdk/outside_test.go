// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestInternetGateways(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	made := must(c.ec2.CreateInternetGateway(c.ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: []types.TagSpecification{
		{ResourceType: types.ResourceTypeInternetGateway, Tags: []types.Tag{{Key: new("Name"), Value: new("out")}}},
	}}))(c).InternetGateway
	id := made.InternetGatewayId
	matches(t, "id", id, "igw-[0-9a-f]{17}")
	must(c.ec2.AttachInternetGateway(c.ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: &v}))(c)
	found := must(c.ec2.DescribeInternetGateways(c.ctx, &ec2.DescribeInternetGatewaysInput{Filters: []types.Filter{{Name: new("attachment.vpc-id"), Values: []string{v}}}}))(c).InternetGateways
	equal(t, "gateways of the VPC", len(found), 1)
	equal(t, "state", string(found[0].Attachments[0].State), "available")
	equal(t, "tag", *found[0].Tags[0].Value, "out")
	refuse(c, []refusal{
		{"attached twice", "Resource.AlreadyAssociated", func() error {
			return failure(c.ec2.AttachInternetGateway(c.ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: &v}))
		}},
		{"deleted while attached", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteInternetGateway(c.ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: id}))
		}},
	})
	egress := must(c.ec2.CreateEgressOnlyInternetGateway(c.ctx, &ec2.CreateEgressOnlyInternetGatewayInput{VpcId: &v}))(c).EgressOnlyInternetGateway
	matches(t, "egress-only id", egress.EgressOnlyInternetGatewayId, "eigw-[0-9a-f]{17}")
	listed := must(c.ec2.DescribeEgressOnlyInternetGateways(c.ctx, &ec2.DescribeEgressOnlyInternetGatewaysInput{EgressOnlyInternetGatewayIds: []string{*egress.EgressOnlyInternetGatewayId}}))(c)
	equal(t, "egress-only state", listed.EgressOnlyInternetGateways[0].Attachments[0].State, types.AttachmentStatusAttached)
	removed := must(c.ec2.DeleteEgressOnlyInternetGateway(c.ctx, &ec2.DeleteEgressOnlyInternetGatewayInput{EgressOnlyInternetGatewayId: egress.EgressOnlyInternetGatewayId}))(c)
	equal(t, "return code", *removed.ReturnCode, true)
	must(c.ec2.DetachInternetGateway(c.ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: id, VpcId: &v}))(c)
	must(c.ec2.DeleteInternetGateway(c.ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: id}))(c)
}

func TestElasticAddresses(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/24", "a")
	g := must(c.ec2.CreateInternetGateway(c.ctx, &ec2.CreateInternetGatewayInput{}))(c).InternetGateway.InternetGatewayId
	must(c.ec2.AttachInternetGateway(c.ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: g, VpcId: &v}))(c)
	ni := must(c.ec2.CreateNetworkInterface(c.ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: &s}))(c).NetworkInterface
	e := must(c.ec2.AllocateAddress(c.ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}))(c)
	matches(t, "allocation", e.AllocationId, "eipalloc-[0-9a-f]{17}")
	matches(t, "address", e.PublicIp, `203\.0\.113\.[0-9]+`)
	a := must(c.ec2.AssociateAddress(c.ctx, &ec2.AssociateAddressInput{AllocationId: e.AllocationId, NetworkInterfaceId: ni.NetworkInterfaceId}))(c)
	matches(t, "association", a.AssociationId, "eipassoc-[0-9a-f]{17}")
	found := must(c.ec2.DescribeAddresses(c.ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{*e.AllocationId}}))(c).Addresses[0]
	equal(t, "private address", *found.PrivateIpAddress, *ni.PrivateIpAddress)
	shown := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: new("association.public-ip"), Values: []string{*e.PublicIp}}}}))(c)
	equal(t, "association of the interface", *shown.NetworkInterfaces[0].Association.AllocationId, *e.AllocationId)
	attributes := must(c.ec2.DescribeAddressesAttribute(c.ctx, &ec2.DescribeAddressesAttributeInput{AllocationIds: []string{*e.AllocationId}, Attribute: types.AddressAttributeNameDomainName}))(c)
	equal(t, "attributes", len(attributes.Addresses), 0)
	refuse(c, []refusal{
		{"released in use", "InvalidIPAddress.InUse", func() error {
			return failure(c.ec2.ReleaseAddress(c.ctx, &ec2.ReleaseAddressInput{AllocationId: e.AllocationId}))
		}},
		{"gateway of a mapped address", "DependencyViolation", func() error {
			return failure(c.ec2.DetachInternetGateway(c.ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: g, VpcId: &v}))
		}},
		{"an instance", "InvalidInstanceID.NotFound", func() error {
			return failure(c.ec2.AssociateAddress(c.ctx, &ec2.AssociateAddressInput{AllocationId: e.AllocationId, InstanceId: new("i-0123456789abcdef0")}))
		}},
		{"of another pool", "InvalidAddress.NotFound", func() error {
			return failure(c.ec2.AllocateAddress(c.ctx, &ec2.AllocateAddressInput{Address: new("192.0.2.1")}))
		}},
	})
	must(c.ec2.DisassociateAddress(c.ctx, &ec2.DisassociateAddressInput{AssociationId: a.AssociationId}))(c)
	must(c.ec2.ReleaseAddress(c.ctx, &ec2.ReleaseAddressInput{AllocationId: e.AllocationId}))(c)
	must(c.ec2.DetachInternetGateway(c.ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: g, VpcId: &v}))(c)
}
