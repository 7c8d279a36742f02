// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestSecretsAreThoseOfRowsAndRing changes what a secret is read from after it was read.
func TestSecretsAreThoseOfRowsAndRing(t *testing.T) {
	w := newWorld(t)
	key := w.root[mine]
	secret := func() string {
		t.Helper()
		c, _, err := w.Lookup(t.Context(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		return c.Secret
	}
	first := secret()
	if first == "" || secret() != first {
		t.Fatal("a secret that was looked up before is another one")
	}
	before := w.Seal.Ring()
	other, err := seal.New(servicetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	if w.Seal.Use(other); secret() != "" {
		t.Error("a secret is known without the key that sealed it")
	}
	if w.Seal.Use(before); secret() != first {
		t.Error("with the key that sealed it the secret is not known")
	}
	w.change(func(tx *table.Txn) {
		row, _ := state.AccessKeys.Get(tx, "", "", key)
		state.AccessKeys.Put(tx, &model.AccessKey{ID: row.ID, Account: row.Account, ARN: row.ARN, UserID: row.UserID, Secret: "another"})
	})
	if got := secret(); got != "another" {
		t.Error("the secret is that of the row before")
	}
}

// TestLookUpOfAKeyLeavesNothingBehind bounds what a look-up allocates, as each request has one.
func TestLookUpOfAKeyLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	w.DB.OnlyWriter()
	if n := testing.AllocsPerRun(100, func() {
		if _, ok, err := w.Lookup(t.Context(), w.root[mine], ""); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
