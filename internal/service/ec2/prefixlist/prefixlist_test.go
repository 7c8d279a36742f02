// SPDX-License-Identifier: Apache-2.0

package prefixlist_test

import (
	"reflect"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
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
