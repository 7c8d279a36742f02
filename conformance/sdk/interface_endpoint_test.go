// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestInterfaceEndpointLife makes an interface endpoint to an API of Postern's own in the
// default VPC, which may have private DNS, changes all that can be changed, and takes it away.
func TestInterfaceEndpointLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	vpc := c.defaultVPC()
	subnets := must(c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: new("vpc-id"), Values: []string{vpc}}}}))(c).Subnets
	in := &ec2.CreateVpcEndpointInput{
		VpcEndpointType: ec2types.VpcEndpointTypeInterface, VpcId: &vpc, ServiceName: new("com.amazonaws.us-east-1.ec2"), SubnetIds: []string{*subnets[0].SubnetId}, ClientToken: new("once"),
	}
	made := must(c.ec2.CreateVpcEndpoint(c.ctx, in))(c).VpcEndpoint
	id := *made.VpcEndpointId
	equal(t, "made again", must(c.ec2.CreateVpcEndpoint(c.ctx, in))(c).VpcEndpoint.VpcEndpointId, &id)
	e := c.awaitEndpoint(id)
	equal(t, "type", e.VpcEndpointType, "Interface")
	equal(t, "service", e.ServiceName, "com.amazonaws.us-east-1.ec2")
	equal(t, "private DNS, and only for inbound endpoints", []any{e.PrivateDnsEnabled, e.DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint}, []any{true, false})
	equal(t, "number of names", len(e.DnsEntries), 3)
	matches(t, "regional name", e.DnsEntries[0].DnsName, id+`-[a-z2-7]{8}\.ec2\.us-east-1\.vpce\..+`)
	matches(t, "zonal name", e.DnsEntries[1].DnsName, id+`-[a-z2-7]{8}-us-east-1[a-z]\.ec2\.us-east-1\.vpce\..+`)
	matches(t, "private name", e.DnsEntries[2].DnsName, `ec2\.us-east-1\..+`)
	ni := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: e.NetworkInterfaceIds}))(c).NetworkInterfaces[0]
	equal(t, "interface", []any{ni.RequesterManaged, ni.InterfaceType}, []any{true, "vpc_endpoint"})

	group := c.group(vpc, "clients")
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ec2:Describe*","Resource":"*"}]}`
	must(c.ec2.ModifyVpcEndpoint(c.ctx, &ec2.ModifyVpcEndpointInput{
		VpcEndpointId: &id, AddSubnetIds: []string{*subnets[1].SubnetId}, RemoveSubnetIds: []string{*subnets[0].SubnetId},
		AddSecurityGroupIds: []string{group}, RemoveSecurityGroupIds: []string{*e.Groups[0].GroupId}, PolicyDocument: &policy, PrivateDnsEnabled: new(false),
	}))(c)
	e = c.awaitEndpoint(id)
	equal(t, "subnets", e.SubnetIds, []string{*subnets[1].SubnetId})
	equal(t, "group", e.Groups[0].GroupId, group)
	equal(t, "policy", e.PolicyDocument, policy)
	equal(t, "number of names", len(e.DnsEntries), 2)
	for _, r := range []struct {
		what, code string
		call       func() error
	}{
		{"policy that is none", "InvalidPolicyDocument", func() error {
			return failure(c.ec2.ModifyVpcEndpoint(c.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, PolicyDocument: new(strings.TrimSuffix(policy, "}"))}))
		}},
		{"unknown service", "InvalidServiceName", func() error {
			return failure(c.ec2.CreateVpcEndpoint(c.ctx, &ec2.CreateVpcEndpointInput{VpcEndpointType: ec2types.VpcEndpointTypeInterface, VpcId: &vpc, ServiceName: new("com.amazonaws.us-east-1.nothing")}))
		}},
		{"type Gateway", "InvalidParameter", func() error {
			return failure(c.ec2.CreateVpcEndpoint(c.ctx, &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: in.ServiceName}))
		}},
	} {
		t.Run(r.what, func(t *testing.T) { refused(t, r.call(), r.code) })
	}
	c.removeEndpoint(id)
}
