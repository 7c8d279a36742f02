// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// newKeys makes another account, with a user who has a key, and gives the ids of its own
// key and of the user's.
func newKeys(t *testing.T) (f *fixture, own, users string) {
	t.Helper()
	f = newFixture(t)
	n, err := account.New(f.Env, servicetest.OtherAccount, "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Create(t.Context(), f.Env); err != nil {
		t.Fatal(err)
	}
	key, _, err := account.NewKey(f.Env, servicetest.OtherAccount)
	if err != nil {
		t.Fatal(err)
	}
	key.User = "AIDABOB"
	f.put(t, func(tx *table.Txn) {
		state.Users.Put(tx, &model.User{Meta: model.Meta{Account: servicetest.OtherAccount, ID: "AIDABOB"}, Name: "bob", Path: "/"})
		state.AccessKeys.Put(tx, key)
	})
	return f, n.Key.ID, key.ID
}

// works says whether a key signs, as package identity sees it.
func (f *fixture) works(t *testing.T, id, secret string) bool {
	t.Helper()
	k, ok := state.AccessKeys.Get(f.DB.Snapshot(), "", "", id)
	if !ok || k.Disabled {
		return false
	}
	got, err := account.Secret(f.Seal, k)
	return err == nil && (secret == "" || got == secret)
}

func (f *fixture) list(t *testing.T, ctx context.Context, id string) (lines []string) {
	t.Helper()
	out, err := f.api.ListAccessKeys(ctx, &shape.ListAccessKeysInput{AccountId: &id})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range out.AccessKeys {
		line := *k.AccessKeyId + " " + *k.Arn
		if !*k.Enabled {
			line += " disabled"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestKeysAreMadeRotatedAndTakenAway(t *testing.T) {
	f, own, _ := newKeys(t)
	made, err := f.api.CreateAccessKey(f.other, &shape.CreateAccessKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if !f.works(t, *made.AccessKeyId, *made.SecretAccessKey) || *made.Arn != "arn:aws:iam::444455556666:user/admin" || *made.AccountId != servicetest.OtherAccount {
		t.Errorf("the new key is %s of %s", *made.Arn, *made.AccountId)
	}
	rotated, err := f.api.RotateAccessKey(f.other, &shape.RotateAccessKeyInput{AccessKeyId: &own, Disable: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	if f.works(t, own, "") || !f.works(t, *rotated.AccessKeyId, *rotated.SecretAccessKey) {
		t.Error("the former key works, or the new one does not")
	}
	all := strings.Join(f.list(t, f.other, servicetest.OtherAccount), "\n")
	for _, want := range []string{own + " arn:aws:iam::444455556666:user/admin disabled", " arn:aws:iam::444455556666:user/bob"} {
		if !strings.Contains(all, want) {
			t.Errorf("the list is\n%s\nwant %s in it", all, want)
		}
	}
	for range 2 { // again is the same
		if out, err := f.api.UpdateAccessKey(f.other, &shape.UpdateAccessKeyInput{AccessKeyId: &own, Enabled: new(true)}); err != nil || !*out.Enabled || !f.works(t, own, "") {
			t.Errorf("enabled again: %v", err)
		}
	}
	for _, id := range []string{own, *made.AccessKeyId} {
		if _, err := f.api.DeleteAccessKey(f.other, &shape.DeleteAccessKeyInput{AccessKeyId: &id}); err != nil || f.works(t, id, "") {
			t.Errorf("deleted: %v", err)
		}
	}
	f.refused(t, "disable the last", "ConflictException", func() error {
		_, err := f.api.UpdateAccessKey(f.other, &shape.UpdateAccessKeyInput{AccessKeyId: rotated.AccessKeyId, Enabled: new(false)})
		return err
	})
	f.refused(t, "delete the last", "ConflictException", func() error {
		_, err := f.api.DeleteAccessKey(f.other, &shape.DeleteAccessKeyInput{AccessKeyId: rotated.AccessKeyId})
		return err
	})
	if _, err := f.api.DeleteAccessKey(f.ctx, &shape.DeleteAccessKeyInput{AccessKeyId: rotated.AccessKeyId}); err != nil {
		t.Errorf("the management account deletes the last key of another one: %v", err)
	}
	if again, err := f.api.CreateAccessKey(f.ctx, &shape.CreateAccessKeyInput{AccountId: new(servicetest.OtherAccount)}); err != nil || !f.works(t, *again.AccessKeyId, *again.SecretAccessKey) {
		t.Errorf("the management account makes a key of another one: %v", err)
	}
}

// Users of an account, and its sessions, do not get at keys that no policy bounds, and
// whoever is of another account does not learn that there are any.
func TestKeysAreForTheAccountItself(t *testing.T) {
	f, own, users := newKeys(t)
	who := access.From(f.other)
	who.Kind, who.ARN = policy.User, "arn:aws:iam::444455556666:user/bob"
	user := access.With(t.Context(), &who)
	who.Kind, who.Session = policy.Root, &access.Session{}
	session := access.With(t.Context(), &who)
	manager := access.From(f.ctx)
	manager.Kind, manager.ARN = policy.User, "arn:aws:iam::111122223333:user/ops"
	managersUser := access.With(t.Context(), &manager)
	manager.Kind, manager.Session = policy.Root, &access.Session{}
	managersSession := access.With(t.Context(), &manager)
	third := servicetest.As(t, "777788889999", servicetest.Region)
	first := f.list(t, f.ctx, servicetest.Account)[0][:20]
	for name, test := range map[string]struct {
		ctx     context.Context
		account string
		key     string
		code    string
	}{
		"a user":                              {user, servicetest.OtherAccount, own, "AccessDeniedException"},
		"a session":                           {session, servicetest.OtherAccount, users, "AccessDeniedException"},
		"a user of the management account":    {managersUser, servicetest.OtherAccount, own, "AccessDeniedException"},
		"a session of the management account": {managersSession, servicetest.OtherAccount, own, "AccessDeniedException"},
		"another account":                     {third, servicetest.OtherAccount, own, "ResourceNotFoundException"},
		"another account, no key":             {third, "999988887777", "AKIAIOSFODNN7EXAMPLE", "ResourceNotFoundException"},
		"of the management account":           {f.other, servicetest.Account, first, "ResourceNotFoundException"},
		"the management account, none":        {f.ctx, "999988887777", "AKIAIOSFODNN7EXAMPLE", "ResourceNotFoundException"},
	} {
		f.refused(t, name+" creates", test.code, func() error {
			_, err := f.api.CreateAccessKey(test.ctx, &shape.CreateAccessKeyInput{AccountId: &test.account})
			return err
		})
		f.refused(t, name+" rotates", test.code, func() error {
			_, err := f.api.RotateAccessKey(test.ctx, &shape.RotateAccessKeyInput{AccessKeyId: &test.key})
			return err
		})
		f.refused(t, name+" disables", test.code, func() error {
			_, err := f.api.UpdateAccessKey(test.ctx, &shape.UpdateAccessKeyInput{AccessKeyId: &test.key, Enabled: new(false)})
			return err
		})
		f.refused(t, name+" deletes", test.code, func() error {
			_, err := f.api.DeleteAccessKey(test.ctx, &shape.DeleteAccessKeyInput{AccessKeyId: &test.key})
			return err
		})
		if test.code == "ResourceNotFoundException" {
			f.refused(t, name+" lists", test.code, func() error {
				_, err := f.api.ListAccessKeys(test.ctx, &shape.ListAccessKeysInput{AccountId: &test.account})
				return err
			})
		}
	}
	f.refused(t, "a user's key is rotated", "ConflictException", func() error {
		_, err := f.api.RotateAccessKey(f.other, &shape.RotateAccessKeyInput{AccessKeyId: &users})
		return err
	})
	if _, err := f.api.UpdateAccessKey(f.other, &shape.UpdateAccessKeyInput{AccessKeyId: &users, Enabled: new(false)}); err != nil || f.works(t, users, "") {
		t.Errorf("a user's key is disabled: %v", err)
	}
}

func TestKeysAreFew(t *testing.T) {
	f, _, _ := newKeys(t)
	for range maxOwnKeys - 1 {
		if _, err := f.api.CreateAccessKey(f.other, &shape.CreateAccessKeyInput{}); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "one more", "ConflictException", func() error {
		_, err := f.api.CreateAccessKey(f.other, &shape.CreateAccessKeyInput{})
		return err
	})
}

func TestAccountsAreDisabled(t *testing.T) {
	f, _, _ := newKeys(t)
	update := func(id string, in shape.UpdateAccountInput) error {
		in.AccountId = &id
		_, err := f.api.UpdateAccount(f.ctx, &in)
		return err
	}
	disabled := func() bool {
		row, _ := state.Accounts.Get(f.DB.Snapshot(), "", "", servicetest.OtherAccount)
		return row.Disabled
	}
	if err := update(servicetest.OtherAccount, shape.UpdateAccountInput{Disabled: new(true)}); err != nil || !disabled() {
		t.Errorf("disabled %t, %v", disabled(), err)
	}
	if err := update(servicetest.OtherAccount, shape.UpdateAccountInput{Trusted: new(true)}); err != nil || !disabled() {
		t.Errorf("trusting it enables it: %v", err)
	}
	if err := update(servicetest.OtherAccount, shape.UpdateAccountInput{Disabled: new(false)}); err != nil || disabled() {
		t.Errorf("enabled: %v", err)
	}
	f.refused(t, "nothing", "ValidationException", func() error { return update(servicetest.OtherAccount, shape.UpdateAccountInput{}) })
	f.refused(t, "the management account", "ConflictException", func() error { return update(servicetest.Account, shape.UpdateAccountInput{Disabled: new(true)}) })
	f.refused(t, "none", "ResourceNotFoundException", func() error { return update("999988887777", shape.UpdateAccountInput{Disabled: new(true)}) })
}
