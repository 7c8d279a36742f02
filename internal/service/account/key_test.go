// SPDX-License-Identifier: Apache-2.0

package account

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func put(t *testing.T, w *servicetest.World, keys ...*model.AccessKey) {
	t.Helper()
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		for _, k := range keys {
			state.AccessKeys.Put(tx, k)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// No row has a secret that can be read without the sealing keys.
func TestSecretsAreNotInTheStore(t *testing.T) {
	w := servicetest.New(t)
	_, first, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(w.Env, servicetest.OtherAccount, "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Create(t.Context(), w.Env); err != nil {
		t.Fatal(err)
	}
	for key, row := range w.Dump(t) {
		for _, secret := range []string{first, n.Secret} {
			if strings.Contains(row, secret) {
				t.Errorf("%s has a secret", key)
			}
		}
	}
}

// A key of another row, and one whose row was altered, do not open.
func TestSealedSecretsBelongToTheirRow(t *testing.T) {
	w := servicetest.New(t)
	a, _, err := NewKey(w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := NewKey(w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	b.Sealed = a.Sealed
	if _, err := Secret(w.Seal, b); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("the secret of another key opens: %v", err)
	}
	for name, sealed := range map[string]string{"none": "", "no base64": "!", "an empty one": sealed(w.Env, "", a.ID)} {
		a.Sealed = sealed
		if _, err := Secret(w.Seal, a); err == nil {
			t.Errorf("a key whose sealed secret is %s signs", name)
		}
	}
}

// What a version before the first that sealed has stored signs as before, and is sealed
// from the next start on; so it is under another sealing key.
func TestResealing(t *testing.T) {
	w := servicetest.New(t)
	id, secret, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	put(t, w, &model.AccessKey{ID: "AKIAOLD", Secret: "clear", Account: servicetest.Account, CreatedAt: servicetest.Now, ARN: "arn:aws:iam::111122223333:user/admin", UserID: "AIDAOLD"})
	expect := func(when string) {
		t.Helper()
		for id, secret := range map[string]string{id: secret, "AKIAOLD": "clear"} {
			if got, ok := secretOf(w, id); !ok || got != secret {
				t.Errorf("%s, %s: opens %t, same secret %t", when, id, ok, got == secret)
			}
		}
	}
	reseal := func() {
		t.Helper()
		if lost, err := Reseal(t.Context(), w.Env); err != nil || len(lost) > 0 {
			t.Errorf("lost %v, %v", lost, err)
		}
	}
	expect("before")
	reseal()
	expect("sealed")
	for key, row := range w.Dump(t) {
		if strings.Contains(row, "clear") {
			t.Errorf("%s has the secret in clear: %s", key, row)
		}
	}
	before := w.Dump(t)
	reseal()
	if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
		t.Errorf("sealing again changed something: %s", diff)
	}
	ring, err := w.Seal.Ring().Renewed(servicetest.Now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.Seal.Use(ring)
	expect("with another key")
	reseal()
	w.Seal.Use(ring.Without(func(uint32, time.Time) bool { return false }))
	expect("with the other key alone")
}

// Without the keys that sealed them, access keys are unknown, and are told. The account
// gets another one, which works.
func TestLostSealingKeys(t *testing.T) {
	w := servicetest.New(t)
	id, _, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New(servicetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	former := w.Seal.Ring()
	w.Seal.Use(ring)
	before := w.Dump(t)
	lost, err := Reseal(t.Context(), w.Env)
	if err != nil || !slices.Equal(lost, []string{id}) {
		t.Errorf("lost %v, %v, want %s", lost, err, id)
	}
	if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
		t.Errorf("the row that cannot be opened was changed: %s", diff)
	}
	if _, ok := secretOf(w, id); ok {
		t.Error("a key that cannot be opened has a secret")
	}
	next, secret, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
	if err != nil || next == id {
		t.Errorf("the account's key is %s, %v", next, err)
	}
	if got, ok := secretOf(w, next); !ok || got != secret {
		t.Errorf("the new key: opens %t, same secret %t", ok, got == secret)
	}
	both, err := seal.Parse(slices.Concat(former.Text(), ring.Text()))
	if err != nil {
		t.Fatal(err)
	}
	w.Seal.Use(both)
	for _, id := range []string{id, next} {
		if _, ok := secretOf(w, id); !ok {
			t.Errorf("with the former keys back, %s does not open", id)
		}
	}
}

// secretOf opens the secret of a key.
func secretOf(w *servicetest.World, id string) (string, bool) {
	key, ok := state.AccessKeys.Get(w.DB.Snapshot(), "", "", id)
	if !ok {
		return "", false
	}
	secret, err := Secret(w.Seal, key)
	return secret, err == nil
}
