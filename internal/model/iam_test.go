// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
)

// TestKeyIDsTellTheirAccount has an id of which tools that decode such ids offline are
// known to say 609629065308, and ids of ours.
func TestKeyIDsTellTheirAccount(t *testing.T) {
	if account, ok := model.AccountOfKey("ASIAY34FZKBOKMUTVV7A"); !ok || account != "609629065308" {
		t.Errorf("the account of a known id is %q, %v", account, ok)
	}
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.StringMatching(`[0-9]{12}`).Draw(t, "account")
		prefix := rapid.SampledFrom([]string{model.KeyPrefix, model.SessionPrefix}).Draw(t, "prefix")
		id, err := model.NewKeyID(rand.Reader, prefix, account)
		if err != nil || len(id) != 20 || !strings.HasPrefix(id, prefix) {
			t.Fatalf("an id for %s: %q, %v", account, id, err)
		}
		if told, ok := model.AccountOfKey(id); !ok || told != account {
			t.Fatalf("%s tells %q, %v, want %s", id, told, ok, account)
		}
	})
	for _, id := range []string{"", "AKIA", "AKIAIOSFODNN7EXAMPLE", "AIDAY34FZKBOKMUTVV7A", "ASIAY34FZKBOKMUTVV7", "ASIA77777777777777777", "ASIAY34FZKBOKMUTVV71"} {
		if account, ok := model.AccountOfKey(id); ok {
			t.Errorf("%s tells the account %s", id, account)
		}
	}
}

func TestUniqueIDs(t *testing.T) {
	id, err := model.NewUniqueID(rand.Reader, model.RolePrefix)
	if err != nil || len(id) != 21 || !strings.HasPrefix(id, "AROA") {
		t.Errorf("a unique id is %q, %v", id, err)
	}
}
