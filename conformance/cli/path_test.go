// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// network makes a VPC with one subnet.
func (c *terminal) network() (vpc, subnet string) {
	c.t.Helper()
	vpc = c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	return vpc, c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24 --availability-zone us-east-1a", vpc).at("Subnet.SubnetId")
}

// resource is how the commands of VPC Lattice take an IP address. It is in no
// subnet, so that no gateway has it for itself.
const resource = "--resource-configuration-definition ipResource={ipAddress=10.0.200.10} --port-ranges 5432"

// TestPath goes the whole way, from two VPCs with the same CIDR to an endpoint
// that is available, and back.
func TestPath(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	provider, behind := c.network()
	consumer, before := c.network()
	gateway := c.ok("vpc-lattice create-resource-gateway --name databases --vpc-identifier %s --subnet-ids %s --ipv4-addresses-per-eni 1 --tags team=data", provider, behind)
	g, arn := gateway.at("id"), gateway.at("arn")
	c.await("status", "ACTIVE", "vpc-lattice get-resource-gateway --resource-gateway-identifier %s", g)
	group := c.ok("ec2 create-security-group --vpc-id %s --group-name gateway --description gateway", provider).at("GroupId")
	c.ok("vpc-lattice update-resource-gateway --resource-gateway-identifier %s --security-group-ids %s", g, group).is("securityGroupIds.0", group)
	c.ok("vpc-lattice list-resource-gateways").is("items.0.name", "databases")
	c.ok("vpc-lattice tag-resource --resource-arn %s --tags stage=test", arn)
	c.ok("vpc-lattice untag-resource --resource-arn %s --tag-keys team", arn)
	c.ok("vpc-lattice list-tags-for-resource --resource-arn %s", arn).is("tags", `{"stage":"test"}`)

	configuration := c.ok("vpc-lattice create-resource-configuration --name database --type SINGLE --resource-gateway-identifier %s %s", g, resource)
	r := configuration.at("id")
	c.await("status", "ACTIVE", "vpc-lattice get-resource-configuration --resource-configuration-identifier %s", r)
	c.ok("vpc-lattice update-resource-configuration --resource-configuration-identifier %s --port-ranges 5432 6000-6010", r).is("portRanges.1", "6000-6010")
	c.ok("vpc-lattice list-resource-configurations --resource-gateway-identifier %s", g).is("items.0.id", r)

	e := c.ok("ec2 create-vpc-endpoint --vpc-endpoint-type Resource --vpc-id %s --subnet-ids %s --resource-configuration-arn %s", consumer, before, configuration.at("arn")).at("VpcEndpoint.VpcEndpointId")
	c.wait("vpc-endpoint-available --vpc-endpoint-ids %s", e)
	c.ok("ec2 describe-vpc-endpoints --vpc-endpoint-ids %s", e).is("VpcEndpoints.0.ResourceConfigurationArn", configuration.at("arn"))
	c.await("VpcEndpointAssociations.0.AssociatedResourceAccessibility", "Accessible", "ec2 describe-vpc-endpoint-associations --vpc-endpoint-ids %s", e)
	c.await("Name", e+"."+r+".4232ccc.vpc-lattice-rsc.us-east-1.postern.internal", "ec2 describe-vpc-endpoint-associations --query VpcEndpointAssociations[0].{Name:DnsEntry.DnsName}")
	other := c.ok("ec2 create-security-group --vpc-id %s --group-name endpoint --description endpoint", consumer).at("GroupId")
	c.ok("ec2 modify-vpc-endpoint --vpc-endpoint-id %s --add-security-group-ids %s", e, other).is("Return", "true")
	association := c.ok("vpc-lattice list-resource-endpoint-associations --resource-configuration-identifier %s", r).at("items.0.id")
	c.refused("ConflictException", "vpc-lattice delete-resource-configuration --resource-configuration-identifier %s", r)
	c.refused("ConflictException", "vpc-lattice delete-resource-gateway --resource-gateway-identifier %s", g)

	c.ok("vpc-lattice delete-resource-endpoint-association --resource-endpoint-association-identifier %s", association).is("vpcEndpointId", e)
	c.ok("ec2 delete-vpc-endpoints --vpc-endpoint-ids %s", e).has("Unsuccessful", 0)
	c.awaitGone("InvalidVpcEndpointId.NotFound", "ec2 describe-vpc-endpoints --vpc-endpoint-ids %s", e)
	c.ok("vpc-lattice delete-resource-configuration --resource-configuration-identifier %s", r)
	c.awaitGone("ResourceNotFoundException", "vpc-lattice get-resource-configuration --resource-configuration-identifier %s", r)
	c.ok("vpc-lattice delete-resource-gateway --resource-gateway-identifier %s", g)
	c.awaitGone("ResourceNotFoundException", "vpc-lattice get-resource-gateway --resource-gateway-identifier %s", g)
	c.ok("ec2 delete-subnet --subnet-id %s", behind)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v, s := c.network()
	c.refused("InvalidVpc.Range", "ec2 create-vpc --cidr-block 10.0.0.0/8")
	c.refused("InvalidSubnet.Conflict", "ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/25", v)
	c.refused("DryRunOperation", "ec2 delete-subnet --subnet-id %s --dry-run", s)
	c.refused("ResourceNotFoundException", "vpc-lattice get-resource-gateway --resource-gateway-identifier rgw-00000000000000000")
	c.refused("ValidationException", "vpc-lattice create-resource-gateway --name Bad --vpc-identifier %s --subnet-ids %s", v, s)
	c.refused("InvalidVpcID.NotFound", "ec2 delete-vpc --vpc-id vpc-00000000000000000")
	small := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.2.0/28", v).at("Subnet.SubnetId")
	c.refused("InsufficientFreeAddressesInSubnet", "ec2 create-network-interface --subnet-id %s --secondary-private-ip-address-count 12", small)
	c.ok("ec2 describe-subnets --filters Name=vpc-id,Values=%s", v).has("Subnets", 2)
	c.ok("ec2 describe-network-interfaces").has("NetworkInterfaces", 0)
	wrong := newTerminal(t, harness.Key{ID: server.Admin.ID, Secret: "wrong"})
	wrong.refused("SignatureDoesNotMatch", "ec2 describe-vpcs")
	wrong.refused("InvalidSignatureException", "vpc-lattice list-resource-gateways")
}

// TestOwnModels uses the AWS CLI as it is installed. One that is older than
// resource gateways is used for what it knows.
func TestOwnModels(t *testing.T) {
	t.Parallel()
	key := server.NewAccount(t)
	c := newUntaught(t, key)
	c.ok("sts get-caller-identity").is("Account", key.Account)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	c.wait("vpc-available --vpc-ids %s", v)
	c.ok("ec2 describe-vpcs --filters Name=vpc-id,Values=%s", v).is("Vpcs.0.State", "available")
	s := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", v).at("Subnet.SubnetId")
	if r := c.run("vpc-lattice list-resource-gateways"); r.Status != 0 && strings.Contains(r.Stderr, "nvalid choice") {
		t.Logf("%s does not know resource gateways by itself; the other tests teach it", aws)
		return
	}
	g := c.ok("vpc-lattice create-resource-gateway --name databases --vpc-identifier %s --subnet-ids %s", v, s).at("id")
	c.ok("vpc-lattice create-resource-configuration --name database --type SINGLE --resource-gateway-identifier %s %s", g, resource).is("resourceGatewayId", g)
	c.ok("vpc-lattice list-resource-configurations").has("items", 1)
}
