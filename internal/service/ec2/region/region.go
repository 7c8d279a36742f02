// SPDX-License-Identifier: Apache-2.0

// Package region is EC2's regions and availability zones.
package region

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
)

// Regions are the operations on regions, zones, and what accounts can have there.
type Regions struct{ *service.Env }

// optedIn is the opt-in status of all regions and zones here.
const optedIn = shape.AvailabilityZoneOptInStatusOptInNotRequired

// DescribeRegions lists the regions that are served.
func (a Regions) DescribeRegions(_ context.Context, in *shape.DescribeRegionsInput) (*shape.DescribeRegionsOutput, error) {
	for _, name := range in.RegionNames {
		if !slices.Contains(a.Regions, name) {
			return nil, fault.EC2("InvalidParameterValue", "Invalid region: '%s'. The regions served here are %s", name, strings.Join(a.Regions, ", "))
		}
	}
	holds, err := regionFilters.Compile(request.FiltersOf(in.Filters))
	if err != nil {
		return nil, request.Fault(err)
	}
	out := &shape.DescribeRegionsOutput{Regions: []shape.Region{}}
	for _, name := range a.Regions {
		if holds(name) && (len(in.RegionNames) == 0 || slices.Contains(in.RegionNames, name)) {
			out.Regions = append(out.Regions, shape.Region{
				RegionName: new(name), Endpoint: new(regionEndpoint(name)), OptInStatus: new(optedIn),
			})
		}
	}
	return out, nil
}

// regionEndpoint is what AWS calls the endpoint of a region. Clients of this
// server find it by other means.
func regionEndpoint(region string) string { return "ec2." + region + ".amazonaws.com" }

var regionFilters = service.Filters[string]{Properties: map[string]func(string) []string{
	"endpoint":      func(region string) []string { return request.One(regionEndpoint(region)) },
	"opt-in-status": func(string) []string { return request.One(optedIn) },
	"region-name":   func(region string) []string { return request.One(region) },
}}

// The only type of zones here, and what the message of a zone says.
const zoneType = "availability-zone"

// DescribeAvailabilityZones lists the zones of the request's region.
func (a Regions) DescribeAvailabilityZones(ctx context.Context, in *shape.DescribeAvailabilityZonesInput) (*shape.DescribeAvailabilityZonesOutput, error) {
	region := access.From(ctx).Region
	for _, name := range slices.Concat(in.ZoneNames, in.ZoneIds) {
		if _, ok := a.Zone(region, name); !ok {
			return nil, fault.EC2("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	holds, err := zoneFilters(region).Compile(request.FiltersOf(in.Filters))
	if err != nil {
		return nil, request.Fault(err)
	}
	out := &shape.DescribeAvailabilityZonesOutput{AvailabilityZones: []shape.AvailabilityZone{}}
	for _, z := range a.Zones(region) {
		named := len(in.ZoneNames) == 0 || slices.Contains(in.ZoneNames, z.Name)
		byID := len(in.ZoneIds) == 0 || slices.Contains(in.ZoneIds, z.ID)
		if named && byID && holds(z) {
			out.AvailabilityZones = append(out.AvailabilityZones, zoneShape(region, z))
		}
	}
	return out, nil
}

// zoneGroup is the name of the group of a region's zones, such as
// us-east-1-zg-1.
func zoneGroup(region string) string { return region + "-zg-1" }

func zoneFilters(region string) service.Filters[service.Zone] {
	type row = service.Zone
	none := func(row) []string { return nil }
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"group-long-name": none,
		"group-name":      func(row) []string { return request.One(zoneGroup(region)) },
		"message":         none,
		"opt-in-status":   func(row) []string { return request.One(optedIn) },
		"parent-zone-id":  none, "parent-zone-name": none,
		"region-name": func(row) []string { return request.One(region) },
		"state":       func(row) []string { return request.One(shape.AvailabilityZoneStateAvailable) },
		"zone-id":     func(z row) []string { return request.One(z.ID) },
		"zone-name":   func(z row) []string { return request.One(z.Name) },
		"zone-type":   func(row) []string { return request.One(zoneType) },
	}}
}

func zoneShape(region string, z service.Zone) shape.AvailabilityZone {
	return shape.AvailabilityZone{
		ZoneName: new(z.Name), ZoneId: new(z.ID), RegionName: new(region), State: new(shape.AvailabilityZoneStateAvailable),
		OptInStatus: new(optedIn), ZoneType: new(zoneType), GroupName: new(zoneGroup(region)),
		NetworkBorderGroup: new(region), Messages: []shape.AvailabilityZoneMessage{},
	}
}

// DescribeAccountAttributes tells what the caller's account can have.
func (a Regions) DescribeAccountAttributes(ctx context.Context, in *shape.DescribeAccountAttributesInput) (*shape.DescribeAccountAttributesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	id := "none"
	who := access.From(ctx)
	if v := vpc.Default(tx, who.Account, who.Region); v != nil {
		id = v.ID
	}
	out := &shape.DescribeAccountAttributesOutput{AccountAttributes: []shape.AccountAttribute{}}
	for _, attribute := range []struct{ name, value string }{
		{"supported-platforms", "VPC"},
		{"vpc-max-security-groups-per-interface", strconv.Itoa(a.Quotas.GroupsPerInterface)},
		{"max-elastic-ips", "0"},
		{"max-instances", "0"},
		{"vpc-max-elastic-ips", "0"},
		{"default-vpc", id},
	} {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, attribute.name) {
			out.AccountAttributes = append(out.AccountAttributes, shape.AccountAttribute{
				AttributeName:   new(attribute.name),
				AttributeValues: []shape.AccountAttributeValue{{AttributeValue: new(attribute.value)}},
			})
		}
	}
	return out, nil
}
