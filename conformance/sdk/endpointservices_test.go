// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestServicesForEndpoints finds Postern's own APIs as AWS has its own, page by page and by
// name.
func TestServicesForEndpoints(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	found := must(c.ec2.DescribeVpcEndpointServices(c.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.ec2"}}))(c).ServiceDetails
	equal(t, "services", len(found), 1)
	equal(t, "owner", found[0].Owner, new("amazon"))
	equal(t, "type", found[0].ServiceType, []types.ServiceTypeDetail{{ServiceType: types.ServiceTypeInterface}})
	zones := must(c.ec2.DescribeAvailabilityZones(c.ctx, &ec2.DescribeAvailabilityZonesInput{}))(c).AvailabilityZones
	equal(t, "number of zones", len(found[0].AvailabilityZones), len(zones))
	equal(t, "addresses", found[0].SupportedIpAddressTypes, []types.ServiceConnectivityType{types.ServiceConnectivityTypeIpv4, types.ServiceConnectivityTypeIpv6})
	var names []string
	in := &ec2.DescribeVpcEndpointServicesInput{MaxResults: new(int32(5)), Filters: []types.Filter{{Name: new("owner"), Values: []string{"amazon"}}}}
	for more := true; more; more = in.NextToken != nil {
		page := must(c.ec2.DescribeVpcEndpointServices(c.ctx, in))(c)
		names, in.NextToken = append(names, page.ServiceNames...), page.NextToken
	}
	if !slices.IsSorted(names) || !slices.Contains(names, "com.amazonaws.us-east-1.rds") {
		t.Errorf("page by page: %q", names)
	}
	refused(t, failure(c.ec2.DescribeVpcEndpointServices(c.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.nothing"}})), "InvalidServiceName")
}
