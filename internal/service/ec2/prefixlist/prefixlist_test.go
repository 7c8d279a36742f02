// SPDX-License-Identifier: Apache-2.0

package prefixlist_test

import (
	"reflect"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

// TestPrefixLists reads the lists of AWS as Terraform's data sources do.
func TestPrefixLists(t *testing.T) {
	w := ec2test.NewWorld(t)
	old, err := w.API.DescribePrefixLists(w.Ctx, &shape.DescribePrefixListsInput{Filters: ec2test.Filter("prefix-list-name", "com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.dynamodb")})
	if err != nil || len(old.PrefixLists) != 2 {
		t.Fatalf("got %v, %v", old, err)
	}
	for _, l := range old.PrefixLists {
		id := *l.PrefixListId
		managed, err := w.API.DescribeManagedPrefixLists(w.Ctx, &shape.DescribeManagedPrefixListsInput{PrefixListIds: []string{id}})
		if err != nil || len(managed.PrefixLists) != 1 {
			t.Fatalf("got %v, %v", managed, err)
		}
		got := managed.PrefixLists[0]
		want := []string{*l.PrefixListName, "AWS", "IPv4", "create-complete", "arn:aws:ec2:us-east-1:aws:prefix-list/" + id}
		if have := []string{*got.PrefixListName, *got.OwnerId, *got.AddressFamily, *got.State, *got.PrefixListArn}; !reflect.DeepEqual(have, want) {
			t.Errorf("got %q, want %q", have, want)
		}
		entries, err := w.API.GetManagedPrefixListEntries(w.Ctx, &shape.GetManagedPrefixListEntriesInput{PrefixListId: &id})
		if err != nil || len(entries.Entries) != 1 || *entries.Entries[0].Cidr != l.Cidrs[0] {
			t.Errorf("entries of %s are %v, %v; want %q", id, entries, err, l.Cidrs)
		}
	}
	all, err := w.API.DescribeManagedPrefixLists(w.Ctx, &shape.DescribeManagedPrefixListsInput{MaxResults: new(int32(3))})
	if err != nil || len(all.PrefixLists) != 3 || all.NextToken == nil {
		t.Fatalf("got %v, %v", all, err)
	}
	rest, err := w.API.DescribeManagedPrefixLists(w.Ctx, &shape.DescribeManagedPrefixListsInput{MaxResults: new(int32(3)), NextToken: all.NextToken})
	if err != nil || len(rest.PrefixLists) != 1 || rest.NextToken != nil {
		t.Errorf("got %v, %v", rest, err)
	}
	for _, l := range append(all.PrefixLists, rest.PrefixLists...) {
		if !strings.HasPrefix(*l.PrefixListName, "com.amazonaws.us-east-1.") {
			t.Errorf("list %s in us-east-1", *l.PrefixListName)
		}
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "unknown", Code: "InvalidPrefixListId.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DescribePrefixLists(w.Ctx, &shape.DescribePrefixListsInput{PrefixListIds: []string{"pl-12345678"}}))
		}},
		{Name: "unknown managed", Code: "InvalidPrefixListID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DescribeManagedPrefixLists(w.Ctx, &shape.DescribeManagedPrefixListsInput{PrefixListIds: []string{"pl-12345678"}}))
		}},
		{Name: "entries of an unknown one", Code: "InvalidPrefixListID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.GetManagedPrefixListEntries(w.Ctx, &shape.GetManagedPrefixListEntriesInput{PrefixListId: new("pl-12345678")}))
		}},
		{Name: "version", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.GetManagedPrefixListEntries(w.Ctx, &shape.GetManagedPrefixListEntriesInput{PrefixListId: old.PrefixLists[0].PrefixListId, TargetVersion: new(int64(1))}))
		}},
	})
}

// TestCustomersPrefixLists makes a list, changes it through its versions and removes it.
func TestCustomersPrefixLists(t *testing.T) {
	w := ec2test.NewWorld(t)
	made, err := w.API.CreateManagedPrefixList(w.Ctx, &shape.CreateManagedPrefixListInput{
		PrefixListName: new("office"), AddressFamily: new("IPv4"), MaxEntries: new(int32(3)),
		Entries: []shape.AddPrefixListEntry{{Cidr: new("192.0.2.9/24"), Description: new("a")}, {Cidr: new("198.51.100.0/24")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := made.PrefixList.PrefixListId
	is := func(state string, version int64, most int32, want ...string) {
		t.Helper()
		out, err := w.API.DescribeManagedPrefixLists(w.Ctx, &shape.DescribeManagedPrefixListsInput{PrefixListIds: []string{*id}})
		if err != nil || len(out.PrefixLists) != 1 {
			t.Fatalf("got %v, %v", out, err)
		}
		if l := out.PrefixLists[0]; *l.State != state || *l.Version != version || *l.MaxEntries != most {
			t.Errorf("got %s, version %d, %d entries at most; want %s, %d, %d", *l.State, *l.Version, *l.MaxEntries, state, version, most)
		}
		if got := entriesOf(t, w, *id, nil); !reflect.DeepEqual(got, want) {
			t.Errorf("entries are %q, want %q", got, want)
		}
	}
	modify := func(in shape.ModifyManagedPrefixListInput) error {
		in.PrefixListId = id
		return ec2test.Failure(w.API.ModifyManagedPrefixList(w.Ctx, &in))
	}
	add := func(cidr string) []shape.AddPrefixListEntry { return []shape.AddPrefixListEntry{{Cidr: &cidr}} }
	is("create-complete", 1, 3, "192.0.2.0/24 a", "198.51.100.0/24 ")
	for _, err := range []error{
		modify(shape.ModifyManagedPrefixListInput{
			CurrentVersion: new(int64(1)), AddEntries: add("203.0.113.0/24"), RemoveEntries: []shape.RemovePrefixListEntry{{Cidr: new("192.0.2.0/24")}},
		}),
		modify(shape.ModifyManagedPrefixListInput{MaxEntries: new(int32(2)), PrefixListName: new("offices")}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	is("modify-complete", 2, 2, "198.51.100.0/24 ", "203.0.113.0/24 ")
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "another version", Code: "PrefixListVersionMismatch", Call: func() error {
			return modify(shape.ModifyManagedPrefixListInput{CurrentVersion: new(int64(1)), AddEntries: add("10.0.0.0/8")})
		}},
		{Name: "too many", Code: "PrefixListMaxEntriesExceeded", Call: func() error { return modify(shape.ModifyManagedPrefixListInput{AddEntries: add("10.0.0.0/8")}) }},
		{Name: "too small", Code: "PrefixListMaxEntriesExceeded", Call: func() error { return modify(shape.ModifyManagedPrefixListInput{MaxEntries: new(int32(1))}) }},
		{Name: "size and entries", Code: "InvalidParameterCombination", Call: func() error {
			return modify(shape.ModifyManagedPrefixListInput{MaxEntries: new(int32(9)), AddEntries: add("10.0.0.0/8")})
		}},
		{Name: "another family", Code: "InvalidParameterValue", Call: func() error { return modify(shape.ModifyManagedPrefixListInput{AddEntries: add("::/0")}) }},
		{Name: "remove what is not there", Code: "InvalidPrefixListModification", Call: func() error {
			return modify(shape.ModifyManagedPrefixListInput{RemoveEntries: []shape.RemovePrefixListEntry{{Cidr: new("10.0.0.0/8")}}})
		}},
		{Name: "nothing", Code: "MissingParameter", Call: func() error { return modify(shape.ModifyManagedPrefixListInput{}) }},
		{Name: "a name of AWS", Code: "InvalidParameterValue", Call: func() error {
			return modify(shape.ModifyManagedPrefixListInput{PrefixListName: new("com.amazonaws.x")})
		}},
		{Name: "a version that never was", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.RestoreManagedPrefixListVersion(w.Ctx, &shape.RestoreManagedPrefixListVersionInput{PrefixListId: id, CurrentVersion: new(int64(2)), PreviousVersion: new(int64(7))}))
		}},
		{Name: "a list of AWS", Code: "OperationNotPermitted", Call: func() error {
			return ec2test.Failure(w.API.DeleteManagedPrefixList(w.Ctx, &shape.DeleteManagedPrefixListInput{PrefixListId: new(model.AWSPrefixLists("us-east-1")[0].ID)}))
		}},
	})
	if _, err := w.API.RestoreManagedPrefixListVersion(w.Ctx, &shape.RestoreManagedPrefixListVersionInput{PrefixListId: id, CurrentVersion: new(int64(2)), PreviousVersion: new(int64(1))}); err != nil {
		t.Fatal(err)
	}
	is("restore-complete", 3, 2, "192.0.2.0/24 a", "198.51.100.0/24 ")
	if got := entriesOf(t, w, *id, new(int64(2))); !reflect.DeepEqual(got, []string{"198.51.100.0/24 ", "203.0.113.0/24 "}) {
		t.Errorf("version 2 is %q", got)
	}
	if _, err := w.API.DeleteManagedPrefixList(w.Ctx, &shape.DeleteManagedPrefixListInput{PrefixListId: id}); err != nil {
		t.Fatal(err)
	}
	w.Refused(t, "deleted", "InvalidPrefixListID.NotFound", func() error {
		return ec2test.Failure(w.API.DescribeManagedPrefixLists(w.Ctx, &shape.DescribeManagedPrefixListsInput{PrefixListIds: []string{*id}}))
	})
}

// entriesOf gives the entries of a list, or of a version of it, with their descriptions.
func entriesOf(t *testing.T, w *ec2test.World, id string, version *int64) (all []string) {
	t.Helper()
	out, err := w.API.GetManagedPrefixListEntries(w.Ctx, &shape.GetManagedPrefixListEntriesInput{PrefixListId: &id, TargetVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out.Entries {
		description := ""
		if e.Description != nil {
			description = *e.Description
		}
		all = append(all, *e.Cidr+" "+description)
	}
	return all
}

// TestRulesAboutPrefixLists has a rule of a group refer to a list, which counts for what it
// may have and cannot go.
func TestRulesAboutPrefixLists(t *testing.T) {
	w := ec2test.NewWorld(t)
	g := w.Group(t, *w.VPC(t, "10.0.0.0/16").VpcId, "web")
	made, err := w.API.CreateManagedPrefixList(w.Ctx, &shape.CreateManagedPrefixListInput{PrefixListName: new("x"), AddressFamily: new("IPv4"), MaxEntries: new(int32(59))})
	if err != nil {
		t.Fatal(err)
	}
	id := made.PrefixList.PrefixListId
	p := ec2test.Permission(443, 443)
	p.PrefixListIds = []shape.PrefixListId{{PrefixListId: id, Description: new("office")}}
	rules, err := w.Ingress(g, p)
	if err != nil || len(rules) != 1 || *rules[0].PrefixListId != *id || *rules[0].Description != "office" {
		t.Fatalf("got %v, %v", rules, err)
	}
	found, err := w.API.DescribeSecurityGroups(w.Ctx, &shape.DescribeSecurityGroupsInput{Filters: ec2test.Filter("ip-permission.prefix-list-id", *id)})
	if err != nil || len(found.SecurityGroups) != 1 || *found.SecurityGroups[0].IpPermissions[0].PrefixListIds[0].PrefixListId != *id {
		t.Errorf("got %v, %v", found, err)
	}
	users, err := w.API.GetManagedPrefixListAssociations(w.Ctx, &shape.GetManagedPrefixListAssociationsInput{PrefixListId: id})
	if err != nil || len(users.PrefixListAssociations) != 1 || *users.PrefixListAssociations[0].ResourceId != g {
		t.Errorf("got %v, %v", users, err)
	}
	unknown := ec2test.Permission(443, 443)
	unknown.PrefixListIds = []shape.PrefixListId{{PrefixListId: new("pl-00000000000000009")}}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "twice", Code: "InvalidPermission.Duplicate", Call: func() error { return ec2test.Failure(w.Ingress(g, p)) }},
		{Name: "unknown", Code: "InvalidPrefixListID.NotFound", Call: func() error { return ec2test.Failure(w.Ingress(g, unknown)) }},
		{Name: "too many rules", Code: "RulesPerSecurityGroupLimitExceeded", Call: func() error {
			return ec2test.Failure(w.Ingress(g, ec2test.Permission(1, 1, "10.0.0.0/8", "192.0.2.0/24")))
		}},
		{Name: "longer", Code: "RulesPerSecurityGroupLimitExceeded", Call: func() error {
			return ec2test.Failure(w.API.ModifyManagedPrefixList(w.Ctx, &shape.ModifyManagedPrefixListInput{PrefixListId: id, MaxEntries: new(int32(61))}))
		}},
		{Name: "delete", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(w.API.DeleteManagedPrefixList(w.Ctx, &shape.DeleteManagedPrefixListInput{PrefixListId: id}))
		}},
		{Name: "another kind of source", Code: "InvalidParameterValue", Call: func() error {
			return ec2test.Failure(w.API.ModifySecurityGroupRules(w.Ctx, &shape.ModifySecurityGroupRulesInput{GroupId: &g, SecurityGroupRules: []shape.SecurityGroupRuleUpdate{{
				SecurityGroupRuleId: rules[0].SecurityGroupRuleId, SecurityGroupRule: &shape.SecurityGroupRuleRequest{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), CidrIpv4: new("10.0.0.0/8")},
			}}}))
		}},
	})
	revoked, err := w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &g, IpPermissions: []shape.IpPermission{p}})
	if err != nil || *revoked.RevokedSecurityGroupRules[0].PrefixListId != *id {
		t.Errorf("got %v, %v", revoked, err)
	}
}
