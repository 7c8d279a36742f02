// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

func TestInternetGateways(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	g := c.ok("ec2 create-internet-gateway --tag-specifications ResourceType=internet-gateway,Tags=[{Key=Name,Value=out}]").at("InternetGateway.InternetGatewayId")
	c.ok("ec2 attach-internet-gateway --internet-gateway-id %s --vpc-id %s", g, v)
	c.refused("Resource.AlreadyAssociated", "ec2 attach-internet-gateway --internet-gateway-id %s --vpc-id %s", g, v)
	c.refused("DependencyViolation", "ec2 delete-internet-gateway --internet-gateway-id %s", g)
	c.ok("ec2 describe-internet-gateways --filters Name=tag:Name,Values=out").is("InternetGateways.0.Attachments.0.State", "available")
	e := c.ok("ec2 create-egress-only-internet-gateway --vpc-id %s", v).at("EgressOnlyInternetGateway.EgressOnlyInternetGatewayId")
	c.ok("ec2 describe-egress-only-internet-gateways --egress-only-internet-gateway-ids %s", e).is("EgressOnlyInternetGateways.0.Attachments.0.State", "attached")
	c.refused("DependencyViolation", "ec2 delete-vpc --vpc-id %s", v)
	c.ok("ec2 delete-egress-only-internet-gateway --egress-only-internet-gateway-id %s", e).is("ReturnCode", "true")
	c.ok("ec2 detach-internet-gateway --internet-gateway-id %s --vpc-id %s", g, v)
	c.refused("Gateway.NotAttached", "ec2 detach-internet-gateway --internet-gateway-id %s --vpc-id %s", g, v)
	c.ok("ec2 delete-internet-gateway --internet-gateway-id %s", g)
	c.ok("ec2 delete-vpc --vpc-id %s", v)
}

func TestElasticAddresses(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	s := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", v).at("Subnet.SubnetId")
	g := c.ok("ec2 create-internet-gateway").at("InternetGateway.InternetGatewayId")
	ni := c.ok("ec2 create-network-interface --subnet-id %s", s).at("NetworkInterface.NetworkInterfaceId")
	allocated := c.ok("ec2 allocate-address --domain vpc")
	id, addr := allocated.at("AllocationId"), allocated.at("PublicIp")
	c.refused("Gateway.NotAttached", "ec2 associate-address --allocation-id %s --network-interface-id %s", id, ni)
	c.ok("ec2 attach-internet-gateway --internet-gateway-id %s --vpc-id %s", g, v)
	a := c.ok("ec2 associate-address --allocation-id %s --network-interface-id %s", id, ni).at("AssociationId")
	c.ok("ec2 describe-addresses --public-ips %s", addr).is("Addresses.0.AssociationId", a)
	c.ok("ec2 describe-network-interfaces --network-interface-ids %s", ni).is("NetworkInterfaces.0.Association.PublicIp", addr)
	c.ok("ec2 describe-addresses-attribute --allocation-ids %s --attribute domain-name", id).has("Addresses", 0)
	c.refused("InvalidIPAddress.InUse", "ec2 release-address --allocation-id %s", id)
	c.refused("DependencyViolation", "ec2 detach-internet-gateway --internet-gateway-id %s --vpc-id %s", g, v)
	c.ok("ec2 disassociate-address --association-id %s", a)
	c.refused("InvalidAssociationID.NotFound", "ec2 disassociate-address --association-id %s", a)
	c.ok("ec2 release-address --allocation-id %s", id)
	c.refused("InvalidAllocationID.NotFound", "ec2 describe-addresses --allocation-ids %s", id)
}
