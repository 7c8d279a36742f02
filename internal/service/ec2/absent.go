// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"

	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
)

// nothing is a kind of resource of which there are none yet.
type nothing struct{}

// describeNothing checks a request about a kind of which there are none as it
// would be checked if there were some.
func describeNothing(ctx context.Context, operation string, q query, missing func(id string) error, tagged bool, filters ...string) error {
	f := service.Filters[nothing]{Properties: make(map[string]func(nothing) []string)}
	for _, name := range filters {
		f.Properties[name] = func(nothing) []string { return nil }
	}
	if tagged {
		f.Tags = func(nothing) map[string]string { return nil }
	}
	if len(q.ids) > 0 {
		return missing(q.ids[0])
	}
	none := func(func(nothing) bool) {}
	_, _, err := paginate(caller.From(ctx), operation, q, none, f, func(nothing) string { return "" })
	return err
}

// DescribeInternetGateways lists no internet gateways: none can be made yet.
func (a *API) DescribeInternetGateways(ctx context.Context, in *ec2.DescribeInternetGatewaysInput) (*ec2.DescribeInternetGatewaysOutput, error) {
	missing := func(id string) error {
		return fault.EC2("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
	}
	err := describeNothing(ctx, "DescribeInternetGateways", query{in.Filters, in.InternetGatewayIds, in.NextToken, in.MaxResults}, missing, true,
		"attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id")
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: []ec2.InternetGateway{}}, nil
}

// DescribePrefixLists lists no prefix lists: those of AWS are about services
// that are not here.
func (a *API) DescribePrefixLists(ctx context.Context, in *ec2.DescribePrefixListsInput) (*ec2.DescribePrefixListsOutput, error) {
	missing := func(id string) error {
		return fault.EC2("InvalidPrefixListId.NotFound", "The prefix list ID '%s' does not exist", id)
	}
	err := describeNothing(ctx, "DescribePrefixLists", query{in.Filters, in.PrefixListIds, in.NextToken, in.MaxResults}, missing, false,
		"prefix-list-id", "prefix-list-name")
	if err != nil {
		return nil, err
	}
	return &ec2.DescribePrefixListsOutput{PrefixLists: []ec2.PrefixList{}}, nil
}
