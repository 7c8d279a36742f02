// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"

	"github.com/posternhq/postern/conformance/harness"
)

// inventory is a text of all that an account has in a region.
func inventory(t *testing.T, key harness.Key, region string) string {
	t.Helper()
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String(server.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}
	c, l, ctx := ec2.NewFromConfig(config), vpclattice.NewFromConfig(config), t.Context()
	text, err := json.MarshalIndent([]any{
		must(c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}))(t).Vpcs,
		must(c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}))(t).Subnets,
		must(c.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{}))(t).SecurityGroupRules,
		must(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{}))(t).SecurityGroups,
		must(c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{}))(t).NetworkInterfaces,
		must(c.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{}))(t).VpcEndpoints,
		must(c.DescribeTags(ctx, &ec2.DescribeTagsInput{}))(t).Tags,
		must(l.ListResourceGateways(ctx, &vpclattice.ListResourceGatewaysInput{}))(t).Items,
		must(l.ListResourceConfigurations(ctx, &vpclattice.ListResourceConfigurationsInput{}))(t).Items,
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// must gives the output of a call that has to go well. Its result is called
// with the test.
func must[O any](out O, err error) func(*testing.T) O {
	return func(t *testing.T) O {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}
