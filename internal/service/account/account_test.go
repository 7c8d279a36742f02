// SPDX-License-Identifier: Apache-2.0

package account

import (
	"errors"
	"regexp"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestBootstrapMakesOneKeyHoweverOftenItRuns(t *testing.T) {
	w := servicetest.New(t)
	type key struct{ id, secret string }
	keys := make([]key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			id, secret, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key{id, secret}
		})
	}
	wg.Wait()
	before := w.Dump(t)
	id, secret, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k != (key{id, secret}) {
			t.Errorf("key %s differs from %s", k.id, id)
		}
	}
	if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
		t.Errorf("a later run changed the state:\n%s", diff)
	}
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(id) || !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(secret) {
		t.Error("the key has another form than those of AWS")
	}
	if !Manages(w.DB.Snapshot(), servicetest.Account) {
		t.Error("the first account does not manage")
	}
}

func TestAccountsAreMadeOnceWithAKey(t *testing.T) {
	w := servicetest.New(t)
	n, err := New(w.Env, servicetest.OtherAccount, "other")
	if err != nil {
		t.Fatal(err)
	}
	create := func() error { return n.Create(t.Context(), w.Env) }
	if err := create(); err != nil {
		t.Fatal(err)
	}
	if err := create(); !errors.Is(err, ErrExists) {
		t.Errorf("making the account again: %v", err)
	}
	key, ok := state.AccessKeys.Get(w.DB.Snapshot(), "", "", n.Key.ID)
	if !ok || key.Account != servicetest.OtherAccount || key.ARN != "arn:aws:iam::444455556666:user/admin" {
		t.Fatalf("the key is %+v, %t", key, ok)
	}
	if secret, err := Secret(w.Seal, key); err != nil || secret != n.Secret {
		t.Errorf("the secret of the key is another one, %v", err)
	}
}

func TestBootstrapMakesAnotherKeyWhenAllAreDisabled(t *testing.T) {
	w := servicetest.New(t)
	first, _, err := Bootstrap(t.Context(), w.Env, servicetest.Account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		k, _ := state.AccessKeys.Get(tx, "", "", first)
		off := *k
		off.Disabled = true
		state.AccessKeys.Put(tx, &off)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if second, _, err := Bootstrap(t.Context(), w.Env, servicetest.Account); err != nil || second == first {
		t.Errorf("got key %s, %v", second, err)
	}
}
