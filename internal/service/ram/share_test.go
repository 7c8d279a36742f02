// SPDX-License-Identifier: Apache-2.0

package ram_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// What is offered is there when it was accepted, not before, and not for others.
func TestWhatIsAcceptedIsThere(t *testing.T) {
	w := newWorld(t)
	w.share([]string{consumer}, "rcfg-1")
	if w.has(consumer, "rcfg-1") {
		t.Error("it is there before it was accepted")
	}
	if err := w.accept(consumer, w.invitations(consumer)[0]); err != nil {
		t.Fatal(err)
	}
	if !w.has(consumer, "rcfg-1") || w.has(consumer, "rcfg-2") || w.has(third, "rcfg-1") {
		t.Error("the share gives something else than its resource to its principal")
	}
}

// Principals that are added one by one are each asked for themselves.
func TestEachPrincipalIsInvited(t *testing.T) {
	w := newWorld(t)
	arn := w.share(nil, "rcfg-1")
	for _, account := range []string{consumer, third} {
		if _, err := w.api.AssociateResourceShare(w.as(owner), &shape.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{account}}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := w.invitations(consumer), w.invitations(third)
	if len(first) != 1 || len(second) != 1 || *first[0].ResourceShareInvitationArn == *second[0].ResourceShareInvitationArn {
		t.Fatalf("%v and %v", first, second)
	}
	w.refused("another one's invitation", "ResourceShareInvitationArnNotFoundException", func() error { return w.accept(third, first[0]) })
	// To add one again changes nothing.
	if _, err := w.api.AssociateResourceShare(w.as(owner), &shape.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{consumer}}); err != nil {
		t.Fatal(err)
	}
	if got := w.invitations(consumer); len(got) != 1 {
		t.Errorf("%d invitations, want 1", len(got))
	}
}

// An invitation expires by the time, whether or not a maker has been there, and can be made
// again.
func TestInvitationsExpire(t *testing.T) {
	w := newWorld(t)
	arn := w.share([]string{consumer}, "rcfg-1")
	i := w.invitations(consumer)[0]
	w.now = w.now.Add(12*time.Hour - time.Second)
	if got := *w.invitations(consumer)[0].Status; got != "PENDING" {
		t.Errorf("after almost twelve hours it is %s", got)
	}
	w.now = w.now.Add(time.Second)
	if got := *w.invitations(consumer)[0].Status; got != "EXPIRED" {
		t.Errorf("after twelve hours it is %s", got)
	}
	w.refused("accept what has expired", "ResourceShareInvitationExpiredException", func() error { return w.accept(consumer, i) })
	if _, err := w.api.AssociateResourceShare(w.as(owner), &shape.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{consumer}}); err != nil {
		t.Fatal(err)
	}
	for _, again := range w.invitations(consumer) {
		if *again.Status == "PENDING" {
			if err := w.accept(consumer, again); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !w.has(consumer, "rcfg-1") {
		t.Error("accepted the second time, and it is not there")
	}
}

// Whoever shares, leaves or ends ends what others may know.
func TestWhatEndsAShare(t *testing.T) {
	ends := map[string]func(w *world, arn string) error{
		"the share is deleted": func(w *world, arn string) error {
			return failure(w.api.DeleteResourceShare(w.as(owner), &shape.DeleteResourceShareInput{ResourceShareArn: &arn}))
		},
		"the principal is taken out": func(w *world, arn string) error {
			return failure(w.api.DisassociateResourceShare(w.as(owner), &shape.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{consumer}}))
		},
		"the principal leaves": func(w *world, arn string) error {
			return failure(w.api.DisassociateResourceShare(w.as(consumer), &shape.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{consumer}}))
		},
		"the resource is taken out": func(w *world, arn string) error {
			return failure(w.api.DisassociateResourceShare(w.as(owner), &shape.DisassociateResourceShareInput{ResourceShareArn: &arn, ResourceArns: []string{arnOf(owner, "rcfg-1")}}))
		},
	}
	for name, end := range ends {
		w := newWorld(t)
		arn := w.share([]string{consumer}, "rcfg-1")
		if err := w.accept(consumer, w.invitations(consumer)[0]); err != nil {
			t.Fatal(err)
		}
		if err := end(w, arn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if w.has(consumer, "rcfg-1") {
			t.Errorf("%s, and the resource is still there", name)
		}
	}
}

// Who has a group has its children, and nobody has a child alone.
func TestAGroupIsSharedWithItsChildren(t *testing.T) {
	w := newWorld(t)
	w.share([]string{consumer}, "rcfg-9")
	if err := w.accept(consumer, w.invitations(consumer)[0]); err != nil {
		t.Fatal(err)
	}
	if !w.has(consumer, "rcfg-9") || !w.has(consumer, "rcfg-3") || w.has(third, "rcfg-3") {
		t.Error("the group is not shared as a whole, or with more than its principal")
	}
}

// TestBadInputChangesNothing names what cannot be.
func TestBadInputChangesNothing(t *testing.T) {
	w := newWorld(t)
	arn := w.share([]string{consumer}, "rcfg-1")
	associate := func(resource, principal string) func() error {
		in := &shape.AssociateResourceShareInput{ResourceShareArn: &arn}
		if resource != "" {
			in.ResourceArns = []string{resource}
		}
		if principal != "" {
			in.Principals = []string{principal}
		}
		return func() error { return failure(w.api.AssociateResourceShare(w.as(owner), in)) }
	}
	for _, test := range []struct {
		what, code string
		call       func() error
	}{
		{"nothing", "InvalidParameterException", associate("", "")},
		{"a child", "InvalidParameterException", associate(arnOf(owner, "rcfg-3"), "")},
		{"what is not there", "UnknownResourceException", associate(arnOf(owner, "rcfg-0"), "")},
		{"another one's", "OperationNotPermittedException", associate(arnOf(consumer, "rcfg-4"), "")},
		{"another one's that is not there", "OperationNotPermittedException", associate(arnOf(consumer, "rcfg-0"), "")},
		{"no ARN", "MalformedArnException", associate("rcfg-1", "")},
		{"what cannot be shared", "InvalidParameterException", associate("arn:aws:ec2:us-east-1:"+owner+":vpc/vpc-1", "")},
		{"another region", "InvalidParameterException", associate(strings.Replace(arnOf(owner, "rcfg-1"), servicetest.Region, servicetest.OtherRegion, 1), "")},
		{"oneself", "InvalidParameterException", associate("", owner)},
		{"a role", "InvalidParameterException", associate("", "arn:aws:iam::"+consumer+":role/x")},
		{"an organization that is not the account's", "UnknownResourceException", associate("", "arn:aws:organizations::"+owner+":organization/o-0123456789")},
		{"half an account", "InvalidParameterException", associate("", "12345")},
		{"a share of nobody", "UnknownResourceException", func() error {
			return failure(w.api.DeleteResourceShare(w.as(owner), &shape.DeleteResourceShareInput{ResourceShareArn: new(arn + "0")}))
		}},
		{"another one's share", "UnknownResourceException", func() error {
			return failure(w.api.DeleteResourceShare(w.as(consumer), &shape.DeleteResourceShareInput{ResourceShareArn: &arn}))
		}},
		{"a share that is none", "MalformedArnException", func() error {
			return failure(w.api.DeleteResourceShare(w.as(owner), &shape.DeleteResourceShareInput{ResourceShareArn: new(arnOf(owner, "rcfg-1"))}))
		}},
		{"leave what was not accepted", "UnknownResourceException", func() error {
			return failure(w.api.DisassociateResourceShare(w.as(consumer), &shape.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{consumer}}))
		}},
		{"part of a request", "UnknownResourceException", func() error {
			return failure(w.api.CreateResourceShare(w.as(owner), &shape.CreateResourceShareInput{
				Name: new("x"), ResourceArns: []string{arnOf(owner, "rcfg-2"), arnOf(owner, "rcfg-0")},
			}))
		}},
		{"a tag of AWS's", "InvalidParameterException", func() error {
			return failure(w.api.TagResource(w.as(owner), &shape.TagResourceInput{ResourceShareArn: &arn, Tags: []shape.Tag{{Key: new("aws:x"), Value: new("")}}}))
		}},
		{"a page that was not given", "InvalidNextTokenException", func() error {
			return failure(w.api.GetResourceShares(w.as(owner), &shape.GetResourceSharesInput{ResourceOwner: new("SELF"), NextToken: new("x")}))
		}},
	} {
		w.refused(test.what, test.code, test.call)
	}
}

// Who takes others out of a share that is not its own is refused, as is who shares onwards.
func TestAPrincipalOnlyTakesItselfOut(t *testing.T) {
	w := newWorld(t)
	arn := w.share([]string{consumer, third}, "rcfg-1")
	for _, account := range []string{consumer, third} {
		if err := w.accept(account, w.invitations(account)[0]); err != nil {
			t.Fatal(err)
		}
	}
	w.refused("take another out", "OperationNotPermittedException", func() error {
		return failure(w.api.DisassociateResourceShare(w.as(consumer), &shape.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{third}}))
	})
	w.refused("share onwards", "OperationNotPermittedException", func() error {
		return failure(w.api.CreateResourceShare(w.as(consumer), &shape.CreateResourceShareInput{Name: new("x"), ResourceArns: []string{arnOf(owner, "rcfg-1")}}))
	})
	out, err := w.api.GetResourceShares(w.as(consumer), &shape.GetResourceSharesInput{ResourceOwner: new("OTHER-ACCOUNTS")})
	if err != nil || len(out.ResourceShares) != 1 || out.ResourceShares[0].Tags != nil {
		t.Errorf("the consumer has the shares %+v, %v", out, err)
	}
}

// Lists go on where they ended, with filters and without.
func TestPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for range 5 {
		want = append(want, w.share([]string{consumer}, "rcfg-1"))
	}
	slices.Sort(want)
	var got []string
	in := &shape.GetResourceSharesInput{ResourceOwner: new("SELF"), MaxResults: new(int32(2)), Name: new("share")}
	for {
		out, err := w.api.GetResourceShares(w.as(owner), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.ResourceShares {
			got = append(got, *s.ResourceShareArn)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	in.NextToken, in.Name = nil, new("other")
	if out, err := w.api.GetResourceShares(w.as(owner), in); err != nil || len(out.ResourceShares) != 0 {
		t.Errorf("of another name there are %v, %v", out, err)
	}
}

// TestTagsOfEachKind writes a row of each kind of RAM's that can have tags, and puts some on it.
func TestTagsOfEachKind(t *testing.T) {
	w := newWorld(t)
	meta := model.Meta{Account: owner, Region: servicetest.Region, ID: "one"}
	w.put(func(tx *table.Txn) {
		state.ResourceShares.Put(tx, &model.ResourceShare{Meta: meta})
		state.Permissions.Put(tx, &model.Permission{Meta: meta})
	})
	for _, kind := range state.TaggedIn(state.RAM) {
		arn := model.ARN("ram", servicetest.Region, owner, kind.Type+"/one")
		if _, err := w.api.TagResource(w.as(owner), &shape.TagResourceInput{ResourceArn: &arn, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}}); err != nil {
			t.Fatal(err)
		}
		if tags, _ := kind.Tags(w.DB.Snapshot(), meta.Ref()); tags["k"] != "v" {
			t.Errorf("%s has %v", kind.Type, tags)
		}
		if _, err := w.api.UntagResource(w.as(owner), &shape.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"k"}}); err != nil {
			t.Fatal(err)
		}
		if tags, _ := kind.Tags(w.DB.Snapshot(), meta.Ref()); len(tags) != 0 {
			t.Errorf("%s has %v left", kind.Type, tags)
		}
		if err := failure(w.api.TagResource(w.as(consumer), &shape.TagResourceInput{ResourceArn: &arn, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}})); err == nil {
			t.Errorf("another account tags %s", arn)
		}
	}
}
