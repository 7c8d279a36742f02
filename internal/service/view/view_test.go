// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

var errRefused = errors.New("refused")

// TestRowsOfOthersAreNotThere has rows with one id in two accounts and two
// regions: each view finds its own, by id and by name, and no other.
func TestRowsOfOthersAreNotThere(t *testing.T) {
	w := servicetest.New(t)
	var places []model.Ref
	for _, account := range []string{servicetest.Account, servicetest.OtherAccount} {
		for _, region := range []string{servicetest.Region, servicetest.OtherRegion} {
			places = append(places, model.Ref{Account: account, Region: region, ID: "vpc-1"})
		}
	}
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		for _, p := range places {
			state.VPCs.Put(tx, &model.VPC{Meta: model.Meta{Account: p.Account, Region: p.Region, ID: p.ID, Tags: map[string]string{"of": p.String()}}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tx := w.DB.Snapshot()
	vpcs := state.TaggedIn(state.EC2)
	vpcs = slices.DeleteFunc(vpcs, func(k *state.Tagged) bool { return k.Table != state.VPCs.Kind() })
	for _, own := range places {
		who := access.From(servicetest.As(t, own.Account, own.Region))
		if row, ok := view.Get(tx, who, state.VPCs, "vpc-1"); !ok || row.Ref() != own {
			t.Errorf("in %s by id: %+v, %v", own, row, ok)
		}
		for _, other := range places {
			if row, ok := view.At(tx, who, state.VPCs, other); ok != (other == own) || ok && row.Ref() != own {
				t.Errorf("in %s by the name of %s: found %v", own, other, ok)
			}
			if tags, ok := view.Tags(tx, who, vpcs[0], other); ok != (other == own) || ok && tags["of"] != own.String() {
				t.Errorf("in %s the tags of %s: found %v", own, other, tags)
			}
			found, err := view.Retag(tx, who, vpcs[0], other, func(map[string]string) (map[string]string, error) { return nil, errRefused })
			if found != (other == own) || (err == errRefused) != found {
				t.Errorf("in %s: would change the tags of %s: %v, %v", own, other, found, err)
			}
		}
		for row := range view.All(tx, who, state.VPCs) {
			if row.Ref() != own {
				t.Errorf("in %s: lists %s", own, row.Ref())
			}
		}
		for _, tags := range view.AllTags(tx, who, vpcs[0]) {
			if tags["of"] != own.String() {
				t.Errorf("in %s: lists tags of %s", own, tags["of"])
			}
		}
		if n := view.Count(tx, who, state.VPCs); n != 1 {
			t.Errorf("in %s: counts %d", own, n)
		}
	}
	if _, ok := view.Get(tx, access.View{}, state.VPCs, "vpc-1"); ok {
		t.Error("the view of nobody has something")
	}
}
