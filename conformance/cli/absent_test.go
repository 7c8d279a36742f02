// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestWhatCannotBeHere lists what nothing can be made of.
func TestWhatCannotBeHere(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	s := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", v).at("Subnet.SubnetId")
	g := c.ok("ec2 create-security-group --group-name web --description web --vpc-id %s", v).at("GroupId")
	for command, list := range map[string]string{
		"ec2 describe-addresses":                                                               "Addresses",
		"ec2 describe-carrier-gateways":                                                        "CarrierGateways",
		"ec2 describe-customer-gateways":                                                       "CustomerGateways",
		"ec2 describe-egress-only-internet-gateways":                                           "EgressOnlyInternetGateways",
		"ec2 describe-flow-logs":                                                               "FlowLogs",
		"ec2 describe-instances":                                                               "Reservations",
		"ec2 describe-nat-gateways":                                                            "NatGateways",
		"ec2 describe-security-group-references --group-id " + g:                               "SecurityGroupReferenceSet",
		"ec2 describe-security-group-vpc-associations":                                         "SecurityGroupVpcAssociations",
		"ec2 describe-stale-security-groups --vpc-id " + v:                                     "StaleSecurityGroupSet",
		"ec2 describe-transit-gateway-attachments":                                             "TransitGatewayAttachments",
		"ec2 describe-transit-gateway-vpc-attachments":                                         "TransitGatewayVpcAttachments",
		"ec2 describe-transit-gateways":                                                        "TransitGateways",
		"ec2 describe-vpn-connections":                                                         "VpnConnections",
		"ec2 describe-vpn-gateways":                                                            "VpnGateways",
		"ec2 get-subnet-cidr-reservations --subnet-id " + s:                                    "SubnetIpv4CidrReservations",
		"vpc-lattice list-access-log-subscriptions --resource-identifier sn-0123456789abcdef0": "items",
		"vpc-lattice list-domain-verifications":                                                "items",
		"vpc-lattice list-service-network-resource-associations":                               "items",
		"vpc-lattice list-service-network-service-associations":                                "items",
		"vpc-lattice list-service-network-vpc-associations":                                    "items",
		"vpc-lattice list-service-network-vpc-endpoint-associations --service-network-identifier sn-0123456789abcdef0": "items",
		"vpc-lattice list-service-networks": "items",
		"vpc-lattice list-services":         "items",
		"vpc-lattice list-target-groups":    "items",
	} {
		c.ok("%s", command).has(list, 0)
	}
	list := c.ok("ec2 describe-managed-prefix-lists --filters Name=prefix-list-name,Values=*.s3").at("PrefixLists.0.PrefixListId")
	c.ok("ec2 get-managed-prefix-list-entries --prefix-list-id %s", list).has("Entries", 1)
	c.refused("InvalidVpcId.Malformed", "ec2 describe-vpcs --vpc-ids foobar")
}
