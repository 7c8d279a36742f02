// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

func TestRouteTables(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	s := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", v).at("Subnet.SubnetId")
	ni := c.ok("ec2 create-network-interface --subnet-id %s", s).at("NetworkInterface.NetworkInterfaceId")
	r := c.ok("ec2 create-route-table --vpc-id %s", v).at("RouteTable.RouteTableId")
	next := c.ok("ec2 create-route-table --vpc-id %s", v).at("RouteTable.RouteTableId")
	c.ok("ec2 create-route --route-table-id %s --destination-cidr-block 0.0.0.0/0 --network-interface-id %s", r, ni).is("Return", "true")
	c.refused("RouteAlreadyExists", "ec2 create-route --route-table-id %s --destination-cidr-block 0.0.0.0/0 --network-interface-id %s", r, ni)
	c.ok("ec2 replace-route --route-table-id %s --destination-cidr-block 10.0.0.0/16 --network-interface-id %s", r, ni)
	c.ok("ec2 replace-route --route-table-id %s --destination-cidr-block 10.0.0.0/16 --local-target", r)
	a := c.ok("ec2 associate-route-table --route-table-id %s --subnet-id %s", r, s).at("AssociationId")
	c.refused("DependencyViolation", "ec2 delete-route-table --route-table-id %s", r)
	a = c.ok("ec2 replace-route-table-association --association-id %s --route-table-id %s", a, next).at("NewAssociationId")
	c.ok("ec2 describe-route-tables --filters Name=association.route-table-association-id,Values=%s", a).is("RouteTables.0.RouteTableId", next)
	c.ok("ec2 disassociate-route-table --association-id %s", a)
	c.alwaysRefused("InvalidGatewayID.NotFound", "ec2 enable-vgw-route-propagation --route-table-id %s --gateway-id vgw-0123456789abcdef0", r)
	c.alwaysRefused("InvalidGatewayID.NotFound", "ec2 disable-vgw-route-propagation --route-table-id %s --gateway-id vgw-0123456789abcdef0", r)
	c.ok("ec2 delete-route --route-table-id %s --destination-cidr-block 0.0.0.0/0", r)
	c.refused("InvalidRoute.NotFound", "ec2 delete-route --route-table-id %s --destination-cidr-block 0.0.0.0/0", r)
	c.ok("ec2 delete-route-table --route-table-id %s", r)
	c.ok("ec2 reset-network-interface-attribute --network-interface-id %s --source-dest-check true", ni)
}

func TestManagedPrefixLists(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	made := c.ok("ec2 create-managed-prefix-list --prefix-list-name office --address-family IPv4 --max-entries 5 --entries Cidr=192.0.2.0/24,Description=first")
	made.is("PrefixList.State", "create-in-progress")
	id := made.at("PrefixList.PrefixListId")
	c.ok("ec2 modify-managed-prefix-list --prefix-list-id %s --current-version 1 --add-entries Cidr=198.51.100.0/24", id).is("PrefixList.Version", "2")
	c.refused("PrefixListVersionMismatch", "ec2 modify-managed-prefix-list --prefix-list-id %s --current-version 1 --remove-entries Cidr=198.51.100.0/24", id)
	c.ok("ec2 restore-managed-prefix-list-version --prefix-list-id %s --current-version 2 --previous-version 1", id).is("PrefixList.Version", "3")
	c.ok("ec2 get-managed-prefix-list-entries --prefix-list-id %s", id).has("Entries", 1)
	c.ok("ec2 get-managed-prefix-list-associations --prefix-list-id %s", id).has("PrefixListAssociations", 0)
	c.ok("ec2 describe-managed-prefix-lists --prefix-list-ids %s", id).is("PrefixLists.0.State", "restore-complete")
	c.ok("ec2 delete-managed-prefix-list --prefix-list-id %s", id).is("PrefixList.State", "delete-in-progress")
	c.refused("InvalidPrefixListID.NotFound", "ec2 describe-managed-prefix-lists --prefix-list-ids %s", id)
}
