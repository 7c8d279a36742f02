// SPDX-License-Identifier: Apache-2.0

package keeper_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/keeper"
	"github.com/posternhq/postern/internal/model"
)

// remove has the keeper remove all that it was told to keep.
func (r *rig) remove() {
	r.t.Helper()
	for key, err := range r.keeper.Apply(r.t.Context(), desired.DatabaseRealm(cluster), nil, r.entries()) {
		r.t.Fatalf("delete %s: %v", key, err)
	}
}

// A database is removed of which no row knows anything, as after the restore of a store that
// is older: its data is put aside, and there is a server in it still. Then the rows know of
// it, and its data is not here: nobody makes an empty one.
func TestDataThatNobodyKnowsIsPutAside(t *testing.T) {
	r := newRig(t, "db-1")
	r.whole()
	r.query("create table numbers (n int primary key)")
	r.change(func() { r.forgotten = true })
	r.remove()
	aside, err := keeper.Aside(r.folder)
	r.must(err)
	want := []string{filepath.Join(r.folder, keeper.AsideFolder, "db-1")}
	if !slices.Equal(aside, want) {
		t.Fatalf("put aside are %v, want %v", aside, want)
	}
	if data, _ := filepath.Glob(filepath.Join(want[0], engine.PartData, "*", "PG_VERSION")); len(data) != 1 {
		t.Errorf("data is at %v", data)
	}
	if left, _ := filepath.Glob(filepath.Join(r.folder, "*")); len(left) != 1 {
		t.Errorf("left are %v", left)
	}

	r.stop()
	r.change(func() { r.forgotten, r.made = false, true })
	r.again()
	r.put()
	r.until("it has failed", func() bool {
		s := r.states["db-1"]
		return s.Phase == model.DatabaseFailed && strings.Contains(s.Reason, "any more on this host")
	})
	r.remove()
	if aside, err := keeper.Aside(r.folder); err != nil || !slices.Equal(aside, want) {
		t.Errorf("after a removal that was asked for %v are put aside, %v", aside, err)
	}
}
