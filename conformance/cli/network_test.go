// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

func TestIdentityAndRegions(t *testing.T) {
	t.Parallel()
	c := newTerminal(t, server.Admin)
	who := c.ok("sts get-caller-identity")
	who.is("Account", harness.FirstAccount)
	c.ok("ec2 describe-regions").has("Regions", 2)
	c.ok("ec2 describe-availability-zones --zone-names us-east-1a").is("AvailabilityZones.0.State", "available")
	vpc := c.ok("ec2 describe-vpcs --filters Name=is-default,Values=true").at("Vpcs.0.VpcId")
	c.ok("ec2 describe-account-attributes --attribute-names default-vpc").is("AccountAttributes.0.AttributeValues.0.AttributeValue", vpc)
	c.refused("AuthFailure", "--region ap-southeast-2 ec2 describe-vpcs")
}

func TestDefaultVPC(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	c.refused("DefaultVpcAlreadyExists", "ec2 create-default-vpc")
	vpc := c.ok("ec2 describe-vpcs").at("Vpcs.0.VpcId")
	subnets := c.ok("ec2 describe-subnets --filters Name=default-for-az,Values=true")
	subnets.has("Subnets", 3)
	for i := range 3 {
		c.ok("ec2 delete-subnet --subnet-id %s", subnets.at(fmt.Sprintf("Subnets.%d.SubnetId", i)))
	}
	c.ok("ec2 modify-vpc-tenancy --vpc-id %s --instance-tenancy default", vpc).is("ReturnValue", "true")
	c.ok("ec2 create-security-group --group-name web --description test")
	c.ok("ec2 authorize-security-group-ingress --group-name web --protocol tcp --port 80 --source-group default")
	c.ok("ec2 delete-security-group --group-name web")
	c.ok("ec2 delete-vpc --vpc-id %s", vpc)
	c.refused("DefaultVpcDoesNotExist", "ec2 create-default-subnet --availability-zone us-east-1a")
	c.ok("ec2 create-default-vpc").is("Vpc.CidrBlock", "172.31.0.0/16")
	c.refused("DefaultSubnetAlreadyExistsInAvailabilityZone", "ec2 create-default-subnet --availability-zone us-east-1a")
	first := c.ok("ec2 describe-subnets --filters Name=availability-zone,Values=us-east-1a").at("Subnets.0.SubnetId")
	c.ok("ec2 delete-subnet --subnet-id %s", first)
	c.ok("ec2 create-default-subnet --availability-zone us-east-1a").is("Subnet.CidrBlock", "172.31.0.0/20")
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	made := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16 --amazon-provided-ipv6-cidr-block --tag-specifications ResourceType=vpc,Tags=[{Key=Name,Value=first}]")
	v := made.at("Vpc.VpcId")
	c.wait("vpc-available --vpc-ids %s", v)
	got := c.ok("ec2 describe-vpcs --filters Name=tag:Name,Values=f*")
	got.is("Vpcs.0.VpcId", v)
	got.is("Vpcs.0.State", "available")
	block := strings.TrimSuffix(got.at("Vpcs.0.Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock"), "56") + "64"
	c.ok("ec2 modify-vpc-attribute --vpc-id %s --enable-dns-hostnames", v)
	c.ok("ec2 describe-vpc-attribute --vpc-id %s --attribute enableDnsHostnames", v).is("EnableDnsHostnames.Value", "true")
	more := c.ok("ec2 associate-vpc-cidr-block --vpc-id %s --cidr-block 10.1.0.0/16", v).at("CidrBlockAssociation.AssociationId")
	c.ok("ec2 disassociate-vpc-cidr-block --association-id %s", more).is("CidrBlockAssociation.AssociationId", more)
	inVPC := "--filters Name=vpc-id,Values=" + v
	c.ok("ec2 describe-route-tables %s", inVPC).is("RouteTables.0.Associations.0.Main", "true")
	c.ok("ec2 describe-network-acls %s", inVPC).is("NetworkAcls.0.IsDefault", "true")
	networkACLs(c, v)
	c.ok("ec2 describe-dhcp-options").has("DhcpOptions", 1)
	options := c.ok("ec2 create-dhcp-options --dhcp-configurations Key=domain-name-servers,Values=10.0.0.53,AmazonProvidedDNS Key=domain-name,Values=corp.example.com").at("DhcpOptions.DhcpOptionsId")
	c.ok("ec2 associate-dhcp-options --dhcp-options-id %s --vpc-id %s", options, v)
	c.ok("ec2 describe-vpcs --vpc-ids %s", v).is("Vpcs.0.DhcpOptionsId", options)
	c.refused("DependencyViolation", "ec2 delete-dhcp-options --dhcp-options-id %s", options)
	c.ok("ec2 associate-dhcp-options --dhcp-options-id default --vpc-id %s", v)
	c.ok("ec2 describe-vpcs --vpc-ids %s", v).is("Vpcs.0.DhcpOptionsId", "default")
	c.ok("ec2 delete-dhcp-options --dhcp-options-id %s", options)
	c.ok("ec2 describe-internet-gateways").has("InternetGateways", 0)
	c.ok("ec2 describe-prefix-lists")
	c.ok("ec2 create-tags --resources %s --tags Key=team,Value=web", v)
	c.ok("ec2 describe-tags --filters Name=resource-id,Values=%s Name=key,Values=team", v).is("Tags.0.Value", "web")
	c.ok("ec2 delete-tags --resources %s --tags Key=team", v)
	c.ok("ec2 describe-tags").has("Tags", 1)

	s := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24 --availability-zone us-east-1a", v).at("Subnet.SubnetId")
	c.wait("subnet-available --subnet-ids %s", s)
	associated := c.ok("ec2 associate-subnet-cidr-block --subnet-id %s --ipv6-cidr-block %s", s, block).at("Ipv6CidrBlockAssociation.AssociationId")
	c.ok("ec2 modify-subnet-attribute --subnet-id %s --map-public-ip-on-launch", s)
	c.ok("ec2 describe-subnets --subnet-ids %s", s).is("Subnets.0.MapPublicIpOnLaunch", "true")
	interfaces(c, s)
	c.ok("ec2 disassociate-subnet-cidr-block --association-id %s", associated)
	c.refused("DependencyViolation", "ec2 delete-vpc --vpc-id %s", v)
	c.ok("ec2 delete-subnet --subnet-id %s", s)
	c.ok("ec2 delete-vpc --vpc-id %s", v)
	c.refused("InvalidVpcID.NotFound", "ec2 describe-vpcs --vpc-ids %s", v)
}

func interfaces(c *terminal, subnet string) {
	c.t.Helper()
	ni := c.ok("ec2 create-network-interface --subnet-id %s --private-ip-address 10.0.1.10 --description test", subnet).at("NetworkInterface.NetworkInterfaceId")
	c.wait("network-interface-available --network-interface-ids %s", ni)
	c.ok("ec2 describe-network-interfaces --network-interface-ids %s", ni).is("NetworkInterfaces.0.PrivateIpAddress", "10.0.1.10")
	c.ok("ec2 assign-private-ip-addresses --network-interface-id %s --private-ip-addresses 10.0.1.20", ni).is("AssignedPrivateIpAddresses.0.PrivateIpAddress", "10.0.1.20")
	c.ok("ec2 unassign-private-ip-addresses --network-interface-id %s --private-ip-addresses 10.0.1.20", ni)
	address := c.ok("ec2 assign-ipv6-addresses --network-interface-id %s --ipv6-address-count 1", ni).at("AssignedIpv6Addresses.0")
	c.ok("ec2 unassign-ipv6-addresses --network-interface-id %s --ipv6-addresses %s", ni, address).is("UnassignedIpv6Addresses.0", address)
	c.ok("ec2 modify-network-interface-attribute --network-interface-id %s --no-source-dest-check", ni)
	c.ok("ec2 describe-network-interface-attribute --network-interface-id %s --attribute sourceDestCheck", ni).is("SourceDestCheck.Value", "false")
	c.ok("ec2 delete-network-interface --network-interface-id %s", ni)
}

func TestSecurityGroups(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	g := c.ok("ec2 create-security-group --vpc-id %s --group-name web --description web", v).at("GroupId")
	// The short options of the AWS CLI and the long form are two ways to the same.
	rule := c.ok("ec2 authorize-security-group-ingress --group-id %s --protocol tcp --port 80 --cidr 10.0.0.0/8", g).at("SecurityGroupRules.0.SecurityGroupRuleId")
	c.ok("ec2 authorize-security-group-ingress --group-id %s --ip-permissions IpProtocol=tcp,FromPort=443,ToPort=443,UserIdGroupPairs=[{GroupId=%s}]", g, g)
	c.refused("InvalidPermission.Duplicate", "ec2 authorize-security-group-ingress --group-id %s --protocol tcp --port 80 --cidr 10.0.0.0/8", g)
	c.ok("ec2 modify-security-group-rules --group-id %s --security-group-rules SecurityGroupRuleId=%s,SecurityGroupRule={IpProtocol=tcp,FromPort=81,ToPort=82,CidrIpv4=10.1.0.0/16}", g, rule)
	c.ok("ec2 describe-security-group-rules --security-group-rule-ids %s", rule).is("SecurityGroupRules.0.ToPort", "82")
	c.ok("ec2 update-security-group-rule-descriptions-ingress --group-id %s --security-group-rule-descriptions SecurityGroupRuleId=%s,Description=web", g, rule)
	c.ok("ec2 revoke-security-group-egress --group-id %s --protocol all --cidr 0.0.0.0/0", g)
	c.ok("ec2 authorize-security-group-egress --group-id %s --protocol udp --port 53 --cidr 10.0.0.2/32", g)
	c.ok("ec2 update-security-group-rule-descriptions-egress --group-id %s --ip-permissions IpProtocol=udp,FromPort=53,ToPort=53,IpRanges=[{CidrIp=10.0.0.2/32,Description=names}]", g)
	got := c.ok("ec2 describe-security-groups --group-ids %s", g)
	got.is("SecurityGroups.0.IpPermissionsEgress.0.IpRanges.0.Description", "names")
	got.has("SecurityGroups.0.IpPermissions", 2)
	c.ok("ec2 revoke-security-group-ingress --group-id %s --security-group-rule-ids %s", g, rule)
	c.refused("InvalidPermission.NotFound", "ec2 revoke-security-group-egress --group-id %s --ip-permissions IpProtocol=-1,Ipv6Ranges=[{CidrIpv6=::/0}]", g)
	c.ok("ec2 delete-security-group --group-id %s", g)
	c.refused("InvalidGroup.NotFound", "ec2 describe-security-groups --group-ids %s", g)
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	for range 2 { // and there is the default VPC
		c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16")
	}
	first := c.ok("ec2 describe-vpcs --max-items 2")
	first.has("Vpcs", 2)
	second := c.ok("ec2 describe-vpcs --max-items 2 --starting-token %s", first.at("NextToken"))
	second.has("Vpcs", 1)
	c.ok("ec2 describe-vpcs --page-size 5").has("Vpcs", 3)
	c.ok("ec2 describe-vpcs --no-paginate --max-results 5").has("Vpcs", 3)
}

// networkACLs makes an ACL, changes its rules, and has a subnet use it for a while.
func networkACLs(c *terminal, v string) {
	subnet := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.200.0/24", v).at("Subnet.SubnetId")
	acl := c.ok("ec2 create-network-acl --vpc-id %s --tag-specifications ResourceType=network-acl,Tags=[{Key=Name,Value=inner}]", v).at("NetworkAcl.NetworkAclId")
	c.ok("ec2 create-network-acl-entry --network-acl-id %s --ingress --rule-number 100 --protocol tcp --port-range From=80,To=443 --cidr-block 0.0.0.0/0 --rule-action allow", acl)
	c.ok("ec2 create-network-acl-entry --network-acl-id %s --egress --rule-number 100 --protocol icmp --icmp-type-code Type=8,Code=-1 --ipv6-cidr-block ::/0 --rule-action deny", acl)
	c.refused("NetworkAclEntryAlreadyExists", "ec2 create-network-acl-entry --network-acl-id %s --ingress --rule-number 100 --protocol all --cidr-block 0.0.0.0/0 --rule-action allow", acl)
	got := c.ok("ec2 describe-network-acls --filters Name=tag:Name,Values=inner Name=entry.protocol,Values=6")
	got.is("NetworkAcls.0.NetworkAclId", acl)
	got.is("NetworkAcls.0.Entries.0.IcmpTypeCode.Type", "8")
	c.ok("ec2 replace-network-acl-entry --network-acl-id %s --ingress --rule-number 100 --protocol udp --port-range From=53,To=53 --cidr-block 10.0.0.0/8 --rule-action allow", acl)
	c.ok("ec2 delete-network-acl-entry --network-acl-id %s --egress --rule-number 100", acl)
	bySubnet := "ec2 describe-network-acls --filters Name=association.subnet-id,Values=" + subnet
	first := c.ok("%s", bySubnet)
	association := first.at("NetworkAcls.0.Associations.0.NetworkAclAssociationId")
	association = c.ok("ec2 replace-network-acl-association --association-id %s --network-acl-id %s", association, acl).at("NewAssociationId")
	c.ok("%s", bySubnet).is("NetworkAcls.0.NetworkAclId", acl)
	c.refused("DependencyViolation", "ec2 delete-network-acl --network-acl-id %s", acl)
	c.ok("ec2 replace-network-acl-association --association-id %s --network-acl-id %s", association, first.at("NetworkAcls.0.NetworkAclId"))
	c.ok("ec2 delete-network-acl --network-acl-id %s", acl)
	c.ok("ec2 delete-subnet --subnet-id %s", subnet)
}
