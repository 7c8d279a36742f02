// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

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
			state.VPCs.Put(tx, &model.VPC{Meta: model.Meta{Account: p.Account, Region: p.Region, ID: p.ID}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tx := w.DB.Snapshot()
	for _, own := range places {
		who := access.From(servicetest.As(t, own.Account, own.Region))
		if row, ok := view.Get(tx, who, state.VPCs, "vpc-1"); !ok || row.Ref() != own {
			t.Errorf("in %s by id: %+v, %v", own, row, ok)
		}
		for _, other := range places {
			if row, ok := view.At(tx, who, state.VPCs, other); ok != (other == own) || ok && row.Ref() != own {
				t.Errorf("in %s by the name of %s: found %v", own, other, ok)
			}
		}
		for row := range view.All(tx, who, state.VPCs) {
			if row.Ref() != own {
				t.Errorf("in %s: lists %s", own, row.Ref())
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
