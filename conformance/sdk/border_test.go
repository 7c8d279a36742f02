// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"github.com/posternhq/postern/conformance/harness"
)

// stranger are all the ways in which a caller may try to touch what is not its
// own, be it of another account or in another region: to it, nothing is there.
func stranger(c *client, p pair, endpoint, group string) []refusal {
	return []refusal{
		{"describe VPC", "InvalidVpcID.NotFound", func() error {
			return failure(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{p.provider}}))
		}},
		{"delete VPC", "InvalidVpcID.NotFound", func() error { return failure(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &p.provider})) }},
		{"subnet in VPC", "InvalidVpcID.NotFound", func() error {
			return failure(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: &p.provider, CidrBlock: new("10.0.9.0/24")}))
		}},
		{"delete subnet", "InvalidSubnetID.NotFound", func() error {
			return failure(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &p.providerSubnet}))
		}},
		{"interface in subnet", "InvalidSubnetID.NotFound", func() error {
			return failure(c.ec2.CreateNetworkInterface(c.ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: &p.providerSubnet}))
		}},
		{"rule in group", "InvalidGroup.NotFound", func() error {
			return failure(c.ec2.AuthorizeSecurityGroupIngress(c.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []types.IpPermission{tcp(80, "0.0.0.0/0")}}))
		}},
		{"tag", "InvalidVpcID.NotFound", func() error {
			return failure(c.ec2.CreateTags(c.ctx, &ec2.CreateTagsInput{Resources: []string{p.provider}, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}))
		}},
		{"describe endpoint", "InvalidVpcEndpointId.NotFound", func() error {
			return failure(c.ec2.DescribeVpcEndpoints(c.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{endpoint}}))
		}},
		{"modify endpoint", "InvalidVpcEndpointId.NotFound", func() error {
			return failure(c.ec2.ModifyVpcEndpoint(c.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &endpoint, AddSecurityGroupIds: []string{group}}))
		}},
		{"get gateway", "ResourceNotFoundException", func() error {
			return failure(c.lattice.GetResourceGateway(c.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &p.gateway}))
		}},
		{"delete gateway", "ResourceNotFoundException", func() error {
			return failure(c.lattice.DeleteResourceGateway(c.ctx, &vpclattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &p.gateway}))
		}},
		{"gateway in VPC", "ResourceNotFoundException", func() error {
			return failure(c.lattice.CreateResourceGateway(c.ctx, &vpclattice.CreateResourceGatewayInput{Name: new("mine"), VpcIdentifier: &p.provider, SubnetIds: []string{p.providerSubnet}}))
		}},
		{"get configuration", "ResourceNotFoundException", func() error {
			return failure(c.lattice.GetResourceConfiguration(c.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &p.configuration}))
		}},
		{"configuration behind gateway", "ResourceNotFoundException", func() error {
			return failure(c.lattice.CreateResourceConfiguration(c.ctx, newConfiguration("mine", p.gateway, address(resource))))
		}},
	}
}

// byARN are the ways to touch what is not one's own by its ARN, which says whose it
// is. VPC Lattice denies them. EC2 finds nothing, and denies when it is only asked.
func byARN(c *client, p pair, gateway, vpc, subnet string) []refusal {
	dry := newEndpoint(vpc, p.arn, subnet)
	dry.DryRun = new(true)
	return []refusal{
		{"get gateway by ARN", "AccessDeniedException", func() error {
			return failure(c.lattice.GetResourceGateway(c.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &gateway}))
		}},
		{"update configuration by ARN", "AccessDeniedException", func() error {
			return failure(c.lattice.UpdateResourceConfiguration(c.ctx, &vpclattice.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: &p.arn, PortRanges: []string{"1"}}))
		}},
		{"delete gateway by ARN", "AccessDeniedException", func() error {
			return failure(c.lattice.DeleteResourceGateway(c.ctx, &vpclattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &gateway}))
		}},
		{"configuration behind gateway by ARN", "AccessDeniedException", func() error {
			return failure(c.lattice.CreateResourceConfiguration(c.ctx, newConfiguration("mine", gateway, address(resource))))
		}},
		{"configurations of gateway", "AccessDeniedException", func() error {
			return failure(c.lattice.ListResourceConfigurations(c.ctx, &vpclattice.ListResourceConfigurationsInput{ResourceGatewayIdentifier: &gateway}))
		}},
		{"endpoints of configuration", "AccessDeniedException", func() error {
			return failure(c.lattice.ListResourceEndpointAssociations(c.ctx, &vpclattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &p.arn}))
		}},
		{"tags", "AccessDeniedException", func() error {
			return failure(c.lattice.ListTagsForResource(c.ctx, &vpclattice.ListTagsForResourceInput{ResourceArn: &p.arn}))
		}},
		{"tag by ARN", "AccessDeniedException", func() error {
			return failure(c.lattice.TagResource(c.ctx, &vpclattice.TagResourceInput{ResourceArn: &gateway, Tags: map[string]string{"a": "b"}}))
		}},
		{"endpoint to configuration", "InvalidParameter", func() error { return failure(c.ec2.CreateVpcEndpoint(c.ctx, newEndpoint(vpc, p.arn, subnet))) }},
		{"dry run of an endpoint to configuration", "UnauthorizedOperation", func() error { return failure(c.ec2.CreateVpcEndpoint(c.ctx, dry)) }},
	}
}

// unlike gives an id or ARN of the same kind that nothing has.
func unlike(id string) string {
	last := "0"
	if strings.HasSuffix(id, "0") {
		last = "1"
	}
	return id[:len(id)-1] + last
}

// TestWhatOthersHaveCannotBeToldFromNothing makes each call of a stranger twice: for
// what another account has, and for what nobody has. Both errors say the same.
func TestWhatOthersHaveCannotBeToldFromNothing(t *testing.T) {
	t.Parallel()
	owner, other := newAccount(t), newAccount(t)
	there := owner.pair()
	gateway := *must(owner.lattice.GetResourceGateway(owner.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &there.gateway}))(owner).Arn
	group, endpoint := owner.group(there.provider, "mine"), owner.endpoint(there.consumer, there.arn, there.consumerSubnet)
	nowhere := pair{
		provider: unlike(there.provider), providerSubnet: unlike(there.providerSubnet), gateway: unlike(there.gateway),
		configuration: unlike(there.configuration), arn: unlike(there.arn),
	}
	v := other.vpc("10.0.0.0/16")
	subnet := other.subnet(v, "10.0.1.0/24", "a")
	blur := strings.NewReplacer(
		there.provider, nowhere.provider, there.providerSubnet, nowhere.providerSubnet, there.gateway, nowhere.gateway,
		there.configuration, nowhere.configuration, group, unlike(group), endpoint, unlike(endpoint),
	)
	// The sealed reason is another text each time.
	unsealed := func(text string) string {
		words, _, _ := strings.Cut(text, "Encoded authorization failure message: ")
		return words
	}
	unchanged(owner, func() {
		real := append(stranger(other, there, endpoint, group), byARN(other, there, gateway, v, subnet)...)
		made := append(stranger(other, nowhere, unlike(endpoint), unlike(group)), byARN(other, nowhere, unlike(gateway), v, subnet)...)
		for i := range real {
			of, none := refused(t, real[i].call(), real[i].code), refused(t, made[i].call(), made[i].code)
			equal(t, real[i].name, unsealed(blur.Replace(of.ErrorMessage())), unsealed(none.ErrorMessage()))
		}
	})
}

// newConfiguration is a request for a resource configuration of type SINGLE.
func newConfiguration(name, gateway string, definition lattice.ResourceConfigurationDefinition, ports ...string) *vpclattice.CreateResourceConfigurationInput {
	return &vpclattice.CreateResourceConfigurationInput{
		Name: &name, Type: lattice.ResourceConfigurationTypeSingle, ResourceGatewayIdentifier: &gateway,
		ResourceConfigurationDefinition: definition, PortRanges: ports,
	}
}

func TestAccountsAndRegionsAreApart(t *testing.T) {
	t.Parallel()
	owner := newAccount(t)
	p := owner.pair()
	group := owner.group(p.provider, "mine")
	endpoint := owner.endpoint(p.consumer, p.arn, p.consumerSubnet)
	other := newAccount(t)
	v := other.vpc("10.0.0.0/16")
	subnet := other.subnet(v, "10.0.1.0/24", "a")
	unchanged(owner, func() {
		refuse(other, append(stranger(other, p, endpoint, group), refusal{
			"endpoint to a resource that is not shared", "InvalidParameter", func() error {
				return failure(other.ec2.CreateVpcEndpoint(other.ctx, newEndpoint(v, p.arn, subnet)))
			},
		}))
		elsewhere := owner.in(harness.OtherRegion)
		refuse(elsewhere, stranger(elsewhere, p, endpoint, group))
		equal(t, "VPCs in the other region, the default one", len(must(elsewhere.ec2.DescribeVpcs(owner.ctx, &ec2.DescribeVpcsInput{}))(owner).Vpcs), 1)
		gone := must(other.ec2.DeleteVpcEndpoints(other.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{endpoint}}))(other)
		equal(t, "endpoints of others that cannot be deleted", len(gone.Unsuccessful), 1)
	})
	equal(t, "VPCs of the other account, with the default one", len(must(other.ec2.DescribeVpcs(other.ctx, &ec2.DescribeVpcsInput{}))(other).Vpcs), 2)
}

func TestRegionThatIsNotServed(t *testing.T) {
	t.Parallel()
	c := newAccount(t).in("ap-southeast-2")
	_, err := c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{})
	matches(t, "message", new(refused(t, err, "AuthFailure").ErrorMessage()), ".*us-east-1, eu-west-1.*")
	_, err = c.lattice.ListResourceGateways(c.ctx, &vpclattice.ListResourceGatewaysInput{})
	refused(t, err, "InvalidSignatureException")
	for _, region := range []string{"ap-southeast-2", "us-west-2", "aws-global"} { // STS is global
		out := must(c.in(region).sts.GetCallerIdentity(c.ctx, &sts.GetCallerIdentityInput{}))(c)
		equal(t, "account in "+region, out.Account, c.key.Account)
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	p := c.pair()
	c.gateway("second", p.provider, p.providerSubnet)
	c.endpoint(p.consumer, p.arn, p.consumerSubnet)
	c.endpoint(p.consumer, p.arn, p.consumerSubnet)
	unchanged(c, func() {
		_, err := c.lattice.CreateResourceGateway(c.ctx, &vpclattice.CreateResourceGatewayInput{
			Name: new("third"), VpcIdentifier: &p.provider, SubnetIds: []string{p.providerSubnet}, Ipv4AddressesPerEni: new(int32(1)),
		})
		over := typed[*lattice.ServiceQuotaExceededException](t, err)
		equal(t, "quota", []*string{over.ResourceType, over.ServiceCode, over.QuotaCode}, []string{"ResourceGateway", "vpc-lattice", "gateways-per-vpc"})
		_, err = c.ec2.CreateVpcEndpoint(c.ctx, newEndpoint(p.consumer, p.arn, p.consumerSubnet))
		refused(t, err, "VpcEndpointLimitExceeded")
	})
}
