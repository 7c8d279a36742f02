// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/smithy-go"
)

func TestTags(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/24", "a")
	must(c.ec2.CreateTags(c.ctx, &ec2.CreateTagsInput{
		Resources: []string{v, s}, Tags: []types.Tag{{Key: new("team"), Value: new("one")}, {Key: new("stage"), Value: new("")}},
	}))(c)
	must(c.ec2.CreateTags(c.ctx, &ec2.CreateTagsInput{Resources: []string{s}, Tags: []types.Tag{{Key: new("team"), Value: new("two é*")}}}))(c)
	list := func(filters ...types.Filter) (texts []string) {
		for _, each := range must(c.ec2.DescribeTags(c.ctx, &ec2.DescribeTagsInput{Filters: filters}))(c).Tags {
			texts = append(texts, fmt.Sprintf("%s %s=%s", each.ResourceType, *each.Key, *each.Value))
		}
		slices.Sort(texts)
		return texts
	}
	equal(t, "tags", list(), []string{"subnet stage=", "subnet team=two é*", "vpc stage=", "vpc team=one"})
	equal(t, "tags by resource", list(types.Filter{Name: new("resource-id"), Values: []string{v}}), []string{"vpc stage=", "vpc team=one"})
	equal(t, "tags by type and key", list(
		types.Filter{Name: new("resource-type"), Values: []string{"subnet"}}, types.Filter{Name: new("key"), Values: []string{"team"}},
	), []string{"subnet team=two é*"})
	found := must(c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{
		{Name: new("tag:team"), Values: []string{"nothing", `two ?\*`}}, {Name: new("tag-key"), Values: []string{"stage"}},
	}}))(c).Subnets
	equal(t, "subnets by tag", len(found), 1)
	must(c.ec2.DeleteTags(c.ctx, &ec2.DeleteTagsInput{Resources: []string{v, s}, Tags: []types.Tag{{Key: new("team"), Value: new("one")}, {Key: new("stage")}}}))(c)
	equal(t, "tags", list(), []string{"subnet team=two é*"})
	refuse(c, []refusal{
		{"resource unknown", "InvalidVpcID.NotFound", func() error {
			return failure(c.ec2.CreateTags(c.ctx, &ec2.CreateTagsInput{Resources: []string{s, "vpc-00000000000000000"}, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}))
		}},
		{"reserved key", "InvalidParameterValue", func() error {
			return failure(c.ec2.CreateTags(c.ctx, &ec2.CreateTagsInput{Resources: []string{s}, Tags: []types.Tag{{Key: new("aws:a"), Value: new("b")}}}))
		}},
		{"tags of another kind", "InvalidParameterValue", func() error {
			return failure(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{
				CidrBlock:         new("10.0.0.0/16"),
				TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSubnet, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}},
			}))
		}},
	})
}

// pages collects what the pages of a list hold. The SDK's paginators differ in
// type only.
func pages[O any](c *client, more func() bool, next func(context.Context) (O, error), ids func(O) []string) (all []string, count int) {
	c.t.Helper()
	for more() {
		all = append(all, ids(must(next(c.ctx))(c))...)
		count++
	}
	slices.Sort(all)
	return all, count
}

func TestPaginators(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	const n = 7
	var vpcs, gateways []string
	for i := range n {
		v := c.vpc("10.0.0.0/16")
		vpcs = append(vpcs, v)
		gateways = append(gateways, c.gateway(fmt.Sprintf("gateway-%d", i), v, c.subnet(v, "10.0.1.0/24", "a")))
	}
	vpcs = append(vpcs, c.defaultVPC())
	slices.Sort(vpcs)
	slices.Sort(gateways)

	p := ec2.NewDescribeVpcsPaginator(c.ec2, &ec2.DescribeVpcsInput{MaxResults: new(int32(5))})
	got, count := pages(c, p.HasMorePages, func(ctx context.Context) (*ec2.DescribeVpcsOutput, error) { return p.NextPage(ctx) },
		func(out *ec2.DescribeVpcsOutput) (ids []string) {
			for _, v := range out.Vpcs {
				ids = append(ids, *v.VpcId)
			}
			return ids
		})
	equal(t, "VPCs", got, vpcs)
	equal(t, "pages", count, 2)

	g := vpclattice.NewListResourceGatewaysPaginator(c.lattice, &vpclattice.ListResourceGatewaysInput{MaxResults: new(int32(3))})
	got, count = pages(c, g.HasMorePages, func(ctx context.Context) (*vpclattice.ListResourceGatewaysOutput, error) { return g.NextPage(ctx) },
		func(out *vpclattice.ListResourceGatewaysOutput) (ids []string) {
			for _, each := range out.Items {
				ids = append(ids, *each.Id)
			}
			return ids
		})
	equal(t, "gateways", got, gateways)
	equal(t, "pages", count, 3)

	for i, gateway := range gateways {
		c.configuration(fmt.Sprintf("configuration-%d", i), gateway, resource, "80")
	}
	r := vpclattice.NewListResourceConfigurationsPaginator(c.lattice, &vpclattice.ListResourceConfigurationsInput{MaxResults: new(int32(2))})
	got, count = pages(c, r.HasMorePages, func(ctx context.Context) (*vpclattice.ListResourceConfigurationsOutput, error) {
		return r.NextPage(ctx)
	},
		func(out *vpclattice.ListResourceConfigurationsOutput) (ids []string) {
			for _, each := range out.Items {
				ids = append(ids, *each.ResourceGatewayId)
			}
			return ids
		})
	equal(t, "gateways of configurations", got, gateways)
	equal(t, "pages", count, 4)
	mine := must(c.lattice.ListResourceConfigurations(c.ctx, &vpclattice.ListResourceConfigurationsInput{ResourceGatewayIdentifier: &gateways[0]}))(c).Items
	equal(t, "configurations of a gateway", len(mine), 1)
	pageRefusals(c)
}

// pageRefusals tries tokens that the lists did not give out, and page sizes out
// of range.
func pageRefusals(c *client) {
	c.t.Helper()
	first := must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{MaxResults: new(int32(5))}))(c)
	refuse(c, []refusal{
		{"token forged", "InvalidNextToken", func() error {
			return failure(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{NextToken: new("bm8gdG9rZW4gYXQgYWxs")}))
		}},
		{"token of another list", "InvalidNextToken", func() error {
			return failure(c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{NextToken: first.NextToken}))
		}},
		{"page too small", "InvalidParameterValue", func() error {
			return failure(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{MaxResults: new(int32(4))}))
		}},
		{"page too large", "ValidationException", func() error {
			return failure(c.lattice.ListResourceGateways(c.ctx, &vpclattice.ListResourceGatewaysInput{MaxResults: new(int32(101))}))
		}},
		{"token of VPC Lattice forged", "ValidationException", func() error {
			return failure(c.lattice.ListResourceGateways(c.ctx, &vpclattice.ListResourceGatewaysInput{NextToken: new("bm8gdG9rZW4gYXQgYWxs")}))
		}},
	})
}

func TestClientTokens(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	p := c.pair()
	in := newEndpoint(p.consumer, p.arn, p.consumerSubnet)
	in.ClientToken = new("once")
	first := must(c.ec2.CreateVpcEndpoint(c.ctx, in))(c)
	equal(t, "token", first.ClientToken, "once")
	equal(t, "endpoint", must(c.ec2.CreateVpcEndpoint(c.ctx, in))(c).VpcEndpoint.VpcEndpointId, first.VpcEndpoint.VpcEndpointId)
	other := *in
	other.SubnetIds = []string{c.subnet(p.consumer, "10.0.2.0/24", "b")}

	gateway := &vpclattice.CreateResourceGatewayInput{
		Name: new("again"), VpcIdentifier: &p.provider, SubnetIds: []string{p.providerSubnet}, Ipv4AddressesPerEni: new(int32(1)), ClientToken: new("once"),
	}
	made := must(c.lattice.CreateResourceGateway(c.ctx, gateway))(c)
	equal(t, "gateway", must(c.lattice.CreateResourceGateway(c.ctx, gateway))(c).Id, made.Id)
	renamed := *gateway
	renamed.Name = new("another")
	refuse(c, []refusal{
		{"other parameters", "IdempotentParameterMismatch", func() error { return failure(c.ec2.CreateVpcEndpoint(c.ctx, &other)) }},
		{"other name", "ConflictException", func() error { return failure(c.lattice.CreateResourceGateway(c.ctx, &renamed)) }},
	})
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	p := c.pair()
	dry := new(true)
	calls := map[string]func() error{
		"vpc": func() error {
			return failure(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), DryRun: dry}))
		},
		"subnet": func() error {
			return failure(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: &p.provider, CidrBlock: new("10.0.9.0/24"), DryRun: dry}))
		},
		"interface": func() error {
			return failure(c.ec2.CreateNetworkInterface(c.ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: &p.consumerSubnet, DryRun: dry}))
		},
		"endpoint": func() error {
			in := newEndpoint(p.consumer, p.arn, p.consumerSubnet)
			in.DryRun = dry
			return failure(c.ec2.CreateVpcEndpoint(c.ctx, in))
		},
		"describe": func() error { return failure(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{DryRun: dry})) },
		"tags": func() error {
			return failure(c.ec2.CreateTags(c.ctx, &ec2.CreateTagsInput{Resources: []string{p.provider}, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}, DryRun: dry}))
		},
		"delete": func() error {
			return failure(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &p.consumerSubnet, DryRun: dry}))
		},
	}
	var table []refusal
	for name, call := range calls {
		table = append(table, refusal{name, "DryRunOperation", call})
	}
	refuse(c, table)
	var api smithy.APIError = refused(t, calls["vpc"](), "DryRunOperation")
	equal(t, "message", api.ErrorMessage(), "Request would have succeeded, but DryRun flag is set.")
}
