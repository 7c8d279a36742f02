// SPDX-License-Identifier: Apache-2.0

package tag_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// everyKind makes a resource of each kind that can be tagged and gives the ids
// by type.
func everyKind(t *testing.T, w *ec2test.World) map[string]string {
	t.Helper()
	v := w.VPC(t, "10.0.0.0/16")
	s := w.Subnet(t, *v.VpcId, "10.0.1.0/24")
	g := w.Group(t, *v.VpcId, "db")
	rules, err := w.Ingress(g, ec2test.Permission(80, 80, "10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	w.Put(t, func(tx *table.Txn) {
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-1")})
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-1")})
	})
	row, _ := state.VPCs.Get(w.DB.Snapshot(), servicetest.Account, servicetest.Region, *v.VpcId)
	return map[string]string{
		"vpc": *v.VpcId, "subnet": *s.SubnetId, "security-group": g, "security-group-rule": *rules[0].SecurityGroupRuleId,
		"route-table": row.MainTable, "network-acl": row.DefaultACL, "dhcp-options": row.DHCPOptions,
		"network-interface": "eni-1", "vpc-endpoint": "vpce-1",
	}
}

func TestTagsOfEveryKind(t *testing.T) {
	w := ec2test.NewWorld(t)
	for kind, id := range everyKind(t, w) {
		tags := func() map[string]string {
			out, err := w.API.DescribeTags(w.Ctx, &shape.DescribeTagsInput{Filters: ec2test.Filter("resource-id", id)})
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for _, tag := range out.Tags {
				if *tag.ResourceType != kind || *tag.ResourceId != id {
					t.Errorf("%s: got %+v", kind, tag)
				}
				got[*tag.Key] = *tag.Value
			}
			return got
		}
		create := func(pairs ...string) {
			in := &shape.CreateTagsInput{Resources: []string{id}}
			for i := 0; i < len(pairs); i += 2 {
				in.Tags = append(in.Tags, shape.Tag{Key: &pairs[i], Value: &pairs[i+1]})
			}
			if _, err := w.API.CreateTags(w.Ctx, in); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		remove := func(tags ...shape.Tag) {
			if _, err := w.API.DeleteTags(w.Ctx, &shape.DeleteTagsInput{Resources: []string{id}, Tags: tags}); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		create("Name", "a", "env", "prod")
		create("Name", "b", "owner", "x")
		remove(shape.Tag{Key: new("env"), Value: new("test")}, shape.Tag{Key: new("owner")}, shape.Tag{Key: new("none")})
		if diff := cmp.Diff(map[string]string{"Name": "b", "env": "prod"}, tags()); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		remove()
		if got := tags(); len(got) != 0 {
			t.Errorf("%s: after all were removed: %v", kind, got)
		}
	}
}

func TestTagsAreRefusedAsAWhole(t *testing.T) {
	w := ec2test.NewWorld(t)
	ids := everyKind(t, w)
	create := func(resources []string, tags ...shape.Tag) func() error {
		return func() error {
			return ec2test.Failure(w.API.CreateTags(w.Ctx, &shape.CreateTagsInput{Resources: resources, Tags: tags}))
		}
	}
	tag := shape.Tag{Key: new("k"), Value: new("v")}
	var many []shape.Tag
	for i := range 50 {
		many = append(many, shape.Tag{Key: new(fmt.Sprint(i))})
	}
	refusals := []ec2test.Refusal{
		{Name: "no kind", Code: "InvalidID", Call: create([]string{ids["vpc"], "i-1"}, tag)},
		{Name: "reserved", Code: "InvalidParameterValue", Call: create([]string{ids["vpc"]}, shape.Tag{Key: new("aws:k")})},
		{Name: "duplicate", Code: "InvalidParameterValue", Call: create([]string{ids["vpc"]}, tag, tag)},
	}
	for prefix, code := range map[string]string{
		"vpc": "InvalidVpcID.NotFound", "subnet": "InvalidSubnetID.NotFound", "sg": "InvalidGroup.NotFound",
		"rtb": "InvalidRouteTableID.NotFound", "acl": "InvalidNetworkAclID.NotFound", "dopt": "InvalidDhcpOptionID.NotFound",
		"eni": "InvalidNetworkInterfaceID.NotFound", "vpce": "InvalidVpcEndpointId.NotFound", "sgr": "InvalidSecurityGroupRuleId.NotFound",
	} {
		refusals = append(refusals, ec2test.Refusal{Name: prefix, Code: code, Call: create([]string{ids["vpc"], prefix + "-none"}, tag)})
	}
	w.RefusedAll(t, refusals)
	if err := create([]string{ids["vpc"]}, many...)(); err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "limit", Code: "TagLimitExceeded", Call: create([]string{ids["subnet"], ids["vpc"]}, tag)}})
}

func TestDescribeByTags(t *testing.T) {
	w := ec2test.NewWorld(t)
	a, b := w.VPC(t, "10.0.0.0/16"), w.VPC(t, "10.0.0.0/16")
	for id, value := range map[string]string{*a.VpcId: "prod-1", *b.VpcId: "test-1"} {
		if _, err := w.API.CreateTags(w.Ctx, &shape.CreateTagsInput{Resources: []string{id}, Tags: []shape.Tag{{Key: new("env"), Value: &value}}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		filters []shape.Filter
		want    int
	}{
		"value":    {ec2test.Filter("tag:env", "prod-?"), 1},
		"values":   {ec2test.Filter("tag:env", "prod-1", "test-*"), 2},
		"key":      {ec2test.Filter("tag-key", "env"), 2},
		"no value": {ec2test.Filter("tag:env", "prod"), 0},
	} {
		out, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{Filters: test.filters})
		if err != nil || len(out.Vpcs) != test.want {
			t.Errorf("%s: got %v, %v, want %d VPCs", name, out, err, test.want)
		}
	}
	out, err := w.API.DescribeTags(w.Ctx, &shape.DescribeTagsInput{Filters: ec2test.Filter("tag:env", "prod-1"), MaxResults: new(int32(5))})
	if err != nil || len(out.Tags) != 1 || *out.Tags[0].ResourceId != *a.VpcId {
		t.Errorf("got %v, %v", out, err)
	}
}
