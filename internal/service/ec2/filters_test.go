// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
)

// TestEveryFilterCanBeUsed asks each operation which filters it knows, by
// giving it one that it does not, and uses them all.
func TestEveryFilterCanBeUsed(t *testing.T) {
	w := newWorld(t)
	w.everyKind(t)
	w.vpc(t, "10.0.0.0/16", "2001:db8:1::/56")
	for name, describe := range map[string]func([]shape.Filter) error{
		"DescribeVpcs": func(f []shape.Filter) error {
			return failure(w.api.DescribeVpcs(w.ctx, &shape.DescribeVpcsInput{Filters: f}))
		},
		"DescribeSubnets": func(f []shape.Filter) error {
			return failure(w.api.DescribeSubnets(w.ctx, &shape.DescribeSubnetsInput{Filters: f}))
		},
		"DescribeSecurityGroups": func(f []shape.Filter) error {
			return failure(w.api.DescribeSecurityGroups(w.ctx, &shape.DescribeSecurityGroupsInput{Filters: f}))
		},
		"DescribeSecurityGroupRules": func(f []shape.Filter) error {
			return failure(w.api.DescribeSecurityGroupRules(w.ctx, &shape.DescribeSecurityGroupRulesInput{Filters: f}))
		},
		"DescribeRouteTables": func(f []shape.Filter) error {
			return failure(w.api.DescribeRouteTables(w.ctx, &shape.DescribeRouteTablesInput{Filters: f}))
		},
		"DescribeNetworkAcls": func(f []shape.Filter) error {
			return failure(w.api.DescribeNetworkAcls(w.ctx, &shape.DescribeNetworkAclsInput{Filters: f}))
		},
		"DescribeDhcpOptions": func(f []shape.Filter) error {
			return failure(w.api.DescribeDhcpOptions(w.ctx, &shape.DescribeDhcpOptionsInput{Filters: f}))
		},
		"DescribeTags": func(f []shape.Filter) error {
			return failure(w.api.DescribeTags(w.ctx, &shape.DescribeTagsInput{Filters: f}))
		},
		"DescribeAvailabilityZones": func(f []shape.Filter) error {
			return failure(w.api.DescribeAvailabilityZones(w.ctx, &shape.DescribeAvailabilityZonesInput{Filters: f}))
		},
	} {
		err := describe(filter("no such filter", "x"))
		if err == nil {
			t.Errorf("%s takes a filter that does not exist", name)
			continue
		}
		_, list, ok := strings.Cut(err.Error(), "want one of ")
		if !ok {
			t.Errorf("%s does not tell which filters it knows: %v", name, err)
		}
		for _, known := range strings.Split(list, ", ") {
			if err := describe(filter(known, "*")); err != nil {
				t.Errorf("%s, filter %s: %v", name, known, err)
			}
		}
	}
}
