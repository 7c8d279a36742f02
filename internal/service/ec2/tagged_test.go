// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	dns "github.com/posternhq/postern/internal/aws/shape/route53"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/route53"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestEveryResourceShowsItsTags writes a row of each kind that can have tags. Its service
// puts tags on it, tells them by the type that it says, takes them off, and says of
// another id that it does not exist.
func TestEveryResourceShowsItsTags(t *testing.T) {
	n := ec2test.NewNetwork(t)
	for _, rows := range state.Tables() {
		row, meta := resource(rows)
		if meta == nil || elsewhere(rows.Kind()) {
			continue
		}
		var kind *state.Tagged
		for _, k := range slices.Concat(state.TaggedIn(state.EC2), state.TaggedIn(state.Lattice), state.TaggedIn(state.Route53)) {
			if k.Table == rows.Kind() && k != state.SecurityGroupRules && k != state.ServicePermissions {
				kind = k
			}
		}
		if kind == nil {
			t.Errorf("%s can have tags, and its table does not say which service has them", rows.Kind())
			continue
		}
		*meta = own(kind.Prefix + "1")
		if kind.Service == state.Route53 { // it is global
			meta.Region = ""
		}
		n.Put(t, func(tx *table.Txn) {
			reflect.ValueOf(rows).MethodByName("Put").Call([]reflect.Value{reflect.ValueOf(tx), reflect.ValueOf(row)})
		})
		t.Run(rows.Kind(), func(t *testing.T) {
			switch kind.Service {
			case state.EC2:
				taggedByEC2(t, n, kind, meta.ID)
			case state.Route53:
				taggedByRoute53(t, n, kind, meta.ID)
			default:
				taggedByLattice(t, n, kind, row.(interface{ ARN() string }).ARN())
			}
		})
	}
}

// resource gives an empty row of a table, with its Meta when it has one.
func resource(rows table.Any) (table.Row, *model.Meta) {
	get, _ := reflect.TypeOf(rows).MethodByName("Get")
	row := reflect.New(get.Type.Out(0).Elem()).Interface().(table.Row)
	if r, ok := row.(interface{ Common() *model.Meta }); ok {
		return row, r.Common()
	}
	return row, nil
}

func taggedByEC2(t *testing.T, n *ec2test.Network, kind *state.Tagged, id string) {
	tag := []shape.Tag{{Key: new("kind"), Value: &kind.Type}}
	create := func(id string) error {
		return ec2test.Failure(n.API.CreateTags(n.Ctx, &shape.CreateTagsInput{Resources: []string{id}, Tags: tag}))
	}
	if err := create(id); err != nil {
		t.Fatal(err)
	}
	told := func() []shape.TagDescription {
		out, err := n.API.DescribeTags(n.Ctx, &shape.DescribeTagsInput{Filters: ec2test.Filter("resource-id", id)})
		if err != nil {
			t.Fatal(err)
		}
		return out.Tags
	}
	want := []shape.TagDescription{{ResourceId: &id, ResourceType: &kind.Type, Key: new("kind"), Value: &kind.Type}}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Error(diff)
	}
	if err := ec2test.Failure(n.API.DeleteTags(n.Ctx, &shape.DeleteTagsInput{Resources: []string{id}})); err != nil || len(told()) != 0 {
		t.Errorf("got %v, left are %v", err, told())
	}
	if f, ok := create(kind.Prefix + "none").(*fault.Error); !ok || f.Code == "InvalidID" || !strings.HasSuffix(f.Code, ".NotFound") {
		t.Errorf("one that does not exist: got %v, want an error that EC2 has for the kind", f)
	}
}

func taggedByLattice(t *testing.T, n *ec2test.Network, kind *state.Tagged, arn string) {
	api, want := n.Lattice(), map[string]string{"kind": kind.Type}
	if _, err := api.TagResource(n.Ctx, &lattice.TagResourceInput{ResourceArn: &arn, Tags: want}); err != nil {
		t.Fatal(err)
	}
	list := func(arn string) (*lattice.ListTagsForResourceOutput, error) {
		return api.ListTagsForResource(n.Ctx, &lattice.ListTagsForResourceInput{ResourceArn: &arn})
	}
	if got, err := list(arn); err != nil || !cmp.Equal(got.Tags, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := api.UntagResource(n.Ctx, &lattice.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"kind"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := list(arn); err != nil || len(got.Tags) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := list(arn + "none"); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("one that does not exist: got %v", err)
	}
}

func taggedByRoute53(t *testing.T, n *ec2test.Network, kind *state.Tagged, id string) {
	api, ctx := &route53.API{Env: n.Env}, servicetest.As(t, servicetest.Account, "")
	tag := []dns.Tag{{Key: new("kind"), Value: &kind.Type}}
	if _, err := api.ChangeTagsForResource(ctx, &dns.ChangeTagsForResourceInput{ResourceType: &kind.Type, ResourceId: &id, AddTags: tag}); err != nil {
		t.Fatal(err)
	}
	list := func(id string) (*dns.ListTagsForResourceOutput, error) {
		return api.ListTagsForResource(ctx, &dns.ListTagsForResourceInput{ResourceType: &kind.Type, ResourceId: &id})
	}
	if got, err := list(id); err != nil || !cmp.Equal(got.ResourceTagSet.Tags, tag) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := api.ChangeTagsForResource(ctx, &dns.ChangeTagsForResourceInput{ResourceType: &kind.Type, ResourceId: &id, RemoveTagKeys: []string{"kind"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := list(id); err != nil || len(got.ResourceTagSet.Tags) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := list(id + "none"); !fault.Is(err, "NoSuchHostedZone") {
		t.Errorf("one that does not exist: got %v", err)
	}
}

// TestTaggingAsksAboutWhatHasTags wants the table of actions to know each kind that can
// have tags as the tables do, so that a request to tag one asks about it.
func TestTaggingAsksAboutWhatHasTags(t *testing.T) {
	for service, operation := range map[string]string{state.EC2: "CreateTags", state.Lattice: "TagResource"} {
		asked := map[string]string{} // prefixes of ids by type
		for _, k := range access.Services[service].Operations[operation].Needs[0].Targets[0].Kinds {
			asked[k.Type] = k.Prefix
		}
		for _, k := range state.TaggedIn(service) {
			prefix, ok := asked[k.Type]
			if !ok || service == state.EC2 && prefix != k.Prefix {
				t.Errorf("%s of %s has ids with %q; %s asks about it with %q (%v)", k.Type, service, k.Prefix, operation, prefix, ok)
			}
		}
	}
}
