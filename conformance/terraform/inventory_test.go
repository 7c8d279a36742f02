// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"

	"github.com/posternhq/postern/conformance/harness"
)

// inventory is a text of all that an account has in a region. A NAT gateway or a peering
// connection that was deleted is none of it, though it and its tags are shown for a while.
func inventory(t *testing.T, key harness.Key, region string) string {
	t.Helper()
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}
	c, l, names, ctx := ec2.NewFromConfig(config), vpclattice.NewFromConfig(config), route53.NewFromConfig(config), t.Context()
	text, err := json.MarshalIndent([]any{
		harness.Must(c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}))(t).Vpcs,
		harness.Must(c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}))(t).Subnets,
		harness.Must(c.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{}))(t).SecurityGroupRules,
		harness.Must(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{}))(t).SecurityGroups,
		harness.Must(c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{}))(t).NetworkInterfaces,
		harness.Must(c.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{}))(t).VpcEndpoints,
		harness.Must(c.DescribeVpcEndpointServiceConfigurations(ctx, &ec2.DescribeVpcEndpointServiceConfigurationsInput{}))(t).ServiceConfigurations,
		harness.Must(c.DescribeDhcpOptions(ctx, &ec2.DescribeDhcpOptionsInput{}))(t).DhcpOptions,
		harness.Must(c.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{}))(t).RouteTables,
		harness.Must(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{}))(t).NetworkAcls,
		harness.Must(c.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{}))(t).InternetGateways,
		harness.Must(c.DescribeEgressOnlyInternetGateways(ctx, &ec2.DescribeEgressOnlyInternetGatewaysInput{}))(t).EgressOnlyInternetGateways,
		harness.Must(c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{}))(t).Addresses,
		harness.Must(c.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{
			{Name: new("state"), Values: []string{"pending", "failed", "available", "deleting"}},
		}}))(t).NatGateways,
		harness.Must(c.DescribeManagedPrefixLists(ctx, &ec2.DescribeManagedPrefixListsInput{}))(t).PrefixLists,
		slices.DeleteFunc(harness.Must(c.DescribeTags(ctx, &ec2.DescribeTagsInput{}))(t).Tags, func(tag types.TagDescription) bool {
			return tag.ResourceType == types.ResourceTypeNatgateway || tag.ResourceType == types.ResourceTypeVpcPeeringConnection
		}),
		harness.Must(l.ListResourceGateways(ctx, &vpclattice.ListResourceGatewaysInput{}))(t).Items,
		harness.Must(l.ListResourceConfigurations(ctx, &vpclattice.ListResourceConfigurationsInput{}))(t).Items,
		harness.Must(names.ListHostedZones(ctx, &route53.ListHostedZonesInput{}))(t).HostedZones,
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
