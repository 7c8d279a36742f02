// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestPrivateNATGateways makes one, changes its addresses, and waits for its end.
func TestPrivateNATGateways(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	vpc, subnet := c.network()
	made := c.ok("ec2 create-nat-gateway --subnet-id %s --connectivity-type private --private-ip-address 10.0.1.10 --tag-specifications ResourceType=natgateway,Tags=[{Key=Name,Value=way}]", subnet)
	id := made.at("NatGateway.NatGatewayId")
	made.is("NatGateway.State", "pending")
	const one = "ec2 describe-nat-gateways --nat-gateway-ids %s"
	c.await("NatGateways.0.State", "available", one, id)
	c.wait("nat-gateway-available --nat-gateway-ids %s", id)
	c.ok("ec2 describe-nat-gateways --filter Name=vpc-id,Values=%s Name=tag:Name,Values=way Name=state,Values=available", vpc).has("NatGateways", 1)
	c.ok("ec2 assign-private-nat-gateway-address --nat-gateway-id %s --private-ip-address-count 1", id)
	c.await("NatGateways.0.NatGatewayAddresses.1.Status", "succeeded", one, id)
	second := c.ok(one, id).at("NatGateways.0.NatGatewayAddresses.1.PrivateIp")
	c.ok("ec2 unassign-private-nat-gateway-address --nat-gateway-id %s --private-ip-addresses %s --max-drain-duration-seconds 60", id, second).
		is("NatGatewayAddresses.0.Status", "unassigning")
	c.refused("UnsupportedOperation", "ec2 create-nat-gateway --vpc-id %s --availability-mode regional", vpc)
	c.ok("ec2 delete-nat-gateway --nat-gateway-id %s", id).is("NatGatewayId", id)
	c.await("NatGateways.0.State", "deleted", one, id)
	c.wait("nat-gateway-deleted --nat-gateway-ids %s", id)
	c.ok("ec2 delete-subnet --subnet-id %s", subnet)
	c.ok("ec2 delete-vpc --vpc-id %s", vpc)
}

// TestPublicNATGateways makes one with elastic addresses, which it gives back.
func TestPublicNATGateways(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	vpc, subnet := c.network()
	first := c.ok("ec2 allocate-address --domain vpc").at("AllocationId")
	second := c.ok("ec2 allocate-address --domain vpc").at("AllocationId")
	igw := c.ok("ec2 create-internet-gateway").at("InternetGateway.InternetGatewayId")
	c.ok("ec2 attach-internet-gateway --internet-gateway-id %s --vpc-id %s", igw, vpc)
	id := c.ok("ec2 create-nat-gateway --subnet-id %s --allocation-id %s", subnet, first).at("NatGateway.NatGatewayId")
	const one = "ec2 describe-nat-gateways --nat-gateway-ids %s"
	c.await("NatGateways.0.State", "available", one, id)
	c.ok("ec2 associate-nat-gateway-address --nat-gateway-id %s --allocation-ids %s", id, second).is("NatGatewayAddresses.0.Status", "associating")
	c.await("NatGateways.0.NatGatewayAddresses.1.Status", "succeeded", one, id)
	association := c.ok(one, id).at("NatGateways.0.NatGatewayAddresses.1.AssociationId")
	c.ok("ec2 disassociate-nat-gateway-address --nat-gateway-id %s --association-ids %s", id, association).is("NatGatewayAddresses.0.Status", "disassociating")
	c.ok("ec2 delete-nat-gateway --nat-gateway-id %s", id)
	c.await("NatGateways.0.State", "deleted", one, id)
	c.ok("ec2 release-address --allocation-id %s", first)
	c.ok("ec2 release-address --allocation-id %s", second)
	c.ok("ec2 detach-internet-gateway --internet-gateway-id %s --vpc-id %s", igw, vpc)
}
