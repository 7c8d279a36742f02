// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
)

func TestRegionsAndZones(t *testing.T) {
	w := newWorld(t)
	regions, err := w.api.DescribeRegions(w.ctx, &shape.DescribeRegionsInput{Filters: filter("region-name", "eu-*")})
	if err != nil || len(regions.Regions) != 1 || *regions.Regions[0].Endpoint != "ec2.eu-west-1.amazonaws.com" || *regions.Regions[0].OptInStatus != "opt-in-not-required" {
		t.Errorf("got %v, %v", regions, err)
	}
	zones, err := w.api.DescribeAvailabilityZones(w.ctx, &shape.DescribeAvailabilityZonesInput{
		ZoneNames: []string{"us-east-1a", "us-east-1b"}, Filters: filter("zone-id", "use1-az2", "use1-az3"),
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
	w.refused(t, []refusal{
		{"region", "InvalidParameterValue", func() error {
			return failure(w.api.DescribeRegions(w.ctx, &shape.DescribeRegionsInput{RegionNames: []string{"mars-1"}}))
		}},
		{"zone of another region", "InvalidParameterValue", func() error {
			return failure(w.api.DescribeAvailabilityZones(w.ctx, &shape.DescribeAvailabilityZonesInput{ZoneNames: []string{"eu-west-1a"}}))
		}},
		{"filter", "InvalidParameterValue", func() error {
			return failure(w.api.DescribeAvailabilityZones(w.ctx, &shape.DescribeAvailabilityZonesInput{Filters: filter("colour", "red")}))
		}},
	})
}

func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	gateways, err := w.api.DescribeInternetGateways(w.ctx, &shape.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", "vpc-1")})
	if err != nil || len(gateways.InternetGateways) != 0 {
		t.Errorf("got %v, %v", gateways, err)
	}
	w.refused(t, []refusal{
		{"gateway", "InvalidInternetGatewayID.NotFound", func() error {
			return failure(w.api.DescribeInternetGateways(w.ctx, &shape.DescribeInternetGatewaysInput{InternetGatewayIds: []string{"igw-1"}}))
		}},
		{"list", "InvalidPrefixListId.NotFound", func() error {
			return failure(w.api.DescribePrefixLists(w.ctx, &shape.DescribePrefixListsInput{PrefixListIds: []string{"pl-1"}}))
		}},
		{"filter", "InvalidParameterValue", func() error {
			return failure(w.api.DescribeInternetGateways(w.ctx, &shape.DescribeInternetGatewaysInput{Filters: filter("colour", "red")}))
		}},
	})
}
