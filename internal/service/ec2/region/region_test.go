// SPDX-License-Identifier: Apache-2.0

package region_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

func TestRegionsAndZones(t *testing.T) {
	w := ec2test.NewWorld(t)
	regions, err := w.API.DescribeRegions(w.Ctx, &shape.DescribeRegionsInput{Filters: ec2test.Filter("region-name", "eu-*")})
	if err != nil || len(regions.Regions) != 1 || *regions.Regions[0].Endpoint != "ec2.eu-west-1.amazonaws.com" || *regions.Regions[0].OptInStatus != "opt-in-not-required" {
		t.Errorf("got %v, %v", regions, err)
	}
	zones, err := w.API.DescribeAvailabilityZones(w.Ctx, &shape.DescribeAvailabilityZonesInput{
		ZoneNames: []string{"us-east-1a", "us-east-1b"}, Filters: ec2test.Filter("zone-id", "use1-az2", "use1-az3"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, z := range zones.AvailabilityZones {
		got = append(got, *z.ZoneName+" "+*z.ZoneId+" "+*z.State+" "+*z.ZoneType+" "+*z.RegionName)
	}
	if diff := cmp.Diff([]string{"us-east-1b use1-az2 available availability-zone us-east-1"}, got); diff != "" {
		t.Error(diff)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "region", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.DescribeRegions(w.Ctx, &shape.DescribeRegionsInput{RegionNames: []string{"mars-1"}}))
		}},
		{Name: "zone of another region", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.DescribeAvailabilityZones(w.Ctx, &shape.DescribeAvailabilityZonesInput{ZoneNames: []string{"eu-west-1a"}}))
		}},
		{Name: "filter", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.DescribeAvailabilityZones(w.Ctx, &shape.DescribeAvailabilityZonesInput{Filters: ec2test.Filter("colour", "red")}))
		}},
	})
}

func TestWhatIsNotThere(t *testing.T) {
	w := ec2test.NewWorld(t)
	gateways, err := w.API.DescribeInternetGateways(w.Ctx, &shape.DescribeInternetGatewaysInput{Filters: ec2test.Filter("attachment.vpc-id", "vpc-1")})
	if err != nil || len(gateways.InternetGateways) != 0 {
		t.Errorf("got %v, %v", gateways, err)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "gateway", Code: "InvalidInternetGatewayID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DescribeInternetGateways(w.Ctx, &shape.DescribeInternetGatewaysInput{InternetGatewayIds: []string{"igw-1"}}))
		}},
		{Name: "list", Code: "InvalidPrefixListId.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DescribePrefixLists(w.Ctx, &shape.DescribePrefixListsInput{PrefixListIds: []string{"pl-1"}}))
		}},
		{Name: "filter", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.DescribeInternetGateways(w.Ctx, &shape.DescribeInternetGatewaysInput{Filters: ec2test.Filter("colour", "red")}))
		}},
	})
}
