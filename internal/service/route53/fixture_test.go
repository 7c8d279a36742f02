// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The VPCs of tests: three of the caller's, one of another account's.
const (
	vpcA     = "vpc-0000000000000000a"
	vpcB     = "vpc-0000000000000000b"
	vpcEU    = "vpc-0000000000000000e" // in the other region
	vpcOther = "vpc-0000000000000000f"
)

type fixture struct {
	*servicetest.World
	api *API
	// ctx is that of the caller, other that of another account.
	ctx, other context.Context
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := servicetest.New(t)
	w.Suffix = "postern.internal."
	f := &fixture{w, &API{w.Env}, servicetest.As(t, servicetest.Account, ""), servicetest.As(t, servicetest.OtherAccount, "")}
	f.put(t, func(tx *table.Txn) {
		for _, ref := range []model.Ref{
			{Account: servicetest.Account, Region: servicetest.Region, ID: vpcA},
			{Account: servicetest.Account, Region: servicetest.Region, ID: vpcB},
			{Account: servicetest.Account, Region: servicetest.OtherRegion, ID: vpcEU},
			{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: vpcOther},
		} {
			state.VPCs.Put(tx, &model.VPC{Meta: model.Meta{Account: ref.Account, Region: ref.Region, ID: ref.ID}})
		}
	})
	return f
}

func (f *fixture) put(t *testing.T, write func(*table.Txn)) {
	t.Helper()
	if _, err := f.DB.Update(t.Context(), func(tx *table.Txn) error { write(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func vpc(id string) *shape.VPC {
	region := servicetest.Region
	if id == vpcEU {
		region = servicetest.OtherRegion
	}
	return &shape.VPC{VPCId: new(id), VPCRegion: new(region)}
}

// zone makes a zone with a VPC, and gives its id.
func (f *fixture) zone(t *testing.T, name, vpcID string) string {
	t.Helper()
	out, err := f.api.CreateHostedZone(f.ctx, &shape.CreateHostedZoneInput{Name: new(name), CallerReference: new(name + vpcID), VPC: vpc(vpcID)})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/")
}

// set reads a record set: its type, name, TTL and values, separated by "|"; beyond that
// set=, weight=, failover=, multi, and alias=ZONE/NAME.
func set(text string) *shape.ResourceRecordSet {
	words := strings.Split(text, "|")
	r := &shape.ResourceRecordSet{Type: new(words[0]), Name: new(words[1])}
	for i, word := range words[2:] {
		option, value, _ := strings.Cut(word, "=")
		switch {
		case option == "set":
			r.SetIdentifier = new(value)
		case option == "weight":
			n, _ := strconv.ParseInt(value, 10, 64)
			r.Weight = new(n)
		case option == "failover":
			r.Failover = new(value)
		case option == "multi":
			r.MultiValueAnswer = new(true)
		case option == "alias":
			zone, name, _ := strings.Cut(value, "/")
			r.AliasTarget = &shape.AliasTarget{HostedZoneId: new(zone), DNSName: new(name), EvaluateTargetHealth: new(false)}
		case i == 0:
			n, _ := strconv.ParseInt(word, 10, 64)
			r.TTL = new(n)
		default:
			r.ResourceRecords = append(r.ResourceRecords, shape.ResourceRecord{Value: new(word)})
		}
	}
	return r
}

// text is the reverse of set.
func text(r shape.ResourceRecordSet) string {
	words := []string{*r.Type, *r.Name}
	if r.TTL != nil {
		words = append(words, fmt.Sprint(*r.TTL))
	}
	for _, v := range r.ResourceRecords {
		words = append(words, *v.Value)
	}
	if r.SetIdentifier != nil {
		words = append(words, "set="+*r.SetIdentifier)
	}
	if r.Weight != nil {
		words = append(words, fmt.Sprint("weight=", *r.Weight))
	}
	if r.Failover != nil {
		words = append(words, "failover="+*r.Failover)
	}
	if r.MultiValueAnswer != nil {
		words = append(words, "multi")
	}
	if r.AliasTarget != nil {
		words = append(words, "alias="+*r.AliasTarget.HostedZoneId+"/"+*r.AliasTarget.DNSName)
	}
	return strings.Join(words, "|")
}

// change sends a batch: each of its changes is an action, a blank and a record set.
func (f *fixture) change(ctx context.Context, zone string, changes ...string) (*shape.ChangeInfo, error) {
	batch := &shape.ChangeBatch{}
	for _, c := range changes {
		action, r, _ := strings.Cut(c, " ")
		batch.Changes = append(batch.Changes, shape.Change{Action: new(action), ResourceRecordSet: set(r)})
	}
	out, err := f.api.ChangeResourceRecordSets(ctx, &shape.ChangeResourceRecordSetsInput{HostedZoneId: new(zone), ChangeBatch: batch})
	if err != nil {
		return nil, err
	}
	return out.ChangeInfo, nil
}

func (f *fixture) mustChange(t *testing.T, zone string, changes ...string) *shape.ChangeInfo {
	t.Helper()
	info, err := f.change(f.ctx, zone, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// records lists the record sets of a zone but for its own ones.
func (f *fixture) records(t *testing.T, zone string) (all []string) {
	t.Helper()
	out, err := f.api.ListResourceRecordSets(f.ctx, &shape.ListResourceRecordSetsInput{HostedZoneId: new(zone)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.ResourceRecordSets {
		if *r.Type != "SOA" && !(*r.Type == "NS" && *r.TTL == ttlOfNS) {
			all = append(all, text(r))
		}
	}
	return all
}

// refused wants a call to fail with a code and to change nothing, and gives the error.
func (f *fixture) refused(t *testing.T, code string, call func() error) *fault.Error {
	t.Helper()
	before := f.Dump(t)
	err := call()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if diff := cmp.Diff(before, f.Dump(t)); diff != "" {
		t.Errorf("a request that was refused changed something:\n%s", diff)
	}
	return e
}

func failure[T any](_ T, err error) error { return err }

func wantTexts(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
