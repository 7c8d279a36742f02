// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

// TestGroupIsASetOfRules adds and revokes random permissions and compares the
// group with a set: a request is done as a whole, when none of its rules is
// there already or all of them are, or not at all.
func TestGroupIsASetOfRules(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		out, err := w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{VpcId: v.VpcId, GroupName: new(fmt.Sprint("g", n)), Description: new("d")})
		if err != nil {
			t.Fatal(err)
		}
		g, want := *out.GroupId, make(map[string]bool)
		for range rapid.IntRange(1, 12).Draw(t, "requests") {
			port := rapid.Int32Range(1, 3).Draw(t, "port")
			blocks := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"10.0.0.0/8", "11.0.0.0/8", "2001:db8::/64"}), 1, 3, rapid.ID[string]).Draw(t, "blocks")
			there := 0
			for _, b := range blocks {
				if want[fmt.Sprint(port, " ", b)] {
					there++
				}
			}
			add := rapid.Bool().Draw(t, "add")
			if add {
				_, err = w.Ingress(g, ec2test.Permission(port, port, blocks...))
			} else {
				err = revokeIngress(w, g, ec2test.Permission(port, port, blocks...))
			}
			possible := add && there == 0 || !add && there == len(blocks)
			if (err == nil) != possible {
				t.Fatalf("add %v %d %v to %v: %v", add, port, blocks, want, err)
			}
			for _, b := range blocks {
				if possible && add {
					want[fmt.Sprint(port, " ", b)] = true
				} else if possible {
					delete(want, fmt.Sprint(port, " ", b))
				}
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), ingressRules(t, w, g)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// ingressRules gives "port block" for each rule of a group, sorted.
func ingressRules(t *rapid.T, w *ec2test.World, group string) []string {
	out, err := w.API.DescribeSecurityGroupRules(w.Ctx, &shape.DescribeSecurityGroupRulesInput{Filters: ec2test.Filter("group-id", group)})
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, r := range out.SecurityGroupRules {
		block := r.CidrIpv4
		if block == nil {
			block = r.CidrIpv6
		}
		if !*r.IsEgress {
			rules = append(rules, fmt.Sprint(*r.FromPort, " ", *block))
		}
	}
	slices.Sort(rules)
	return rules
}
