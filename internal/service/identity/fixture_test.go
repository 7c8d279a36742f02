// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/identity"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/token"
)

const (
	mine, theirs = servicetest.Account, servicetest.OtherAccount
	region       = servicetest.Region
)

// world has two accounts, with a key of each.
type world struct {
	*servicetest.World
	*identity.Identities
	t    testing.TB
	now  time.Time
	root map[string]string // access keys of the accounts themselves
}

func newWorld(t testing.TB) *world {
	w := &world{World: servicetest.New(t), t: t, now: servicetest.Now, root: map[string]string{}}
	w.Now = func() time.Time { return w.now }
	w.Identities = identity.New(w.Env)
	for _, id := range []string{mine, theirs} {
		fresh, err := account.New(w.Env, id, "of tests")
		if err == nil {
			fresh.Account.Management = id == mine
			err = fresh.Create(t.Context(), w.Env)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.root[id] = fresh.Key.ID
	}
	return w
}

// change changes rows as an administrator elsewhere does.
func (w *world) change(fn func(tx *table.Txn)) {
	w.t.Helper()
	if _, err := w.DB.Update(w.t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) meta(of, id string) model.Meta {
	return model.Meta{Account: of, ID: id, CreatedAt: servicetest.Now}
}

// user makes a user with a key, whose id it gives, and inline policies.
func (w *world) user(of, name string, policies ...string) (keyID string) {
	w.t.Helper()
	key, _, err := account.NewKey(w.Env, of)
	if err != nil {
		w.t.Fatal(err)
	}
	key.User = "AIDA" + name
	w.change(func(tx *table.Txn) {
		state.Users.Put(tx, &model.User{Meta: w.meta(of, "AIDA"+name), Name: name, Path: "/staff/"})
		state.AccessKeys.Put(tx, key)
		w.inline(tx, of, "AIDA"+name, policies)
	})
	return key.ID
}

func (w *world) inline(tx *table.Txn, of, owner string, policies []string) {
	for i, text := range policies {
		state.InlinePolicies.Put(tx, &model.InlinePolicy{Account: of, Owner: owner, Name: string(rune('a' + i)), Document: text})
	}
}

// role makes a role with a trust policy, and inline policies.
func (w *world) role(of, name, trust string, policies ...string) {
	w.t.Helper()
	w.change(func(tx *table.Txn) {
		state.Roles.Put(tx, &model.Role{Meta: w.meta(of, "AROA"+name), Name: name, Path: "/", Trust: trust, MaxSession: 3600})
		w.inline(tx, of, "AROA"+name, policies)
	})
}

// session gives the token of a session with a key id.
func (w *world) session(s access.Session) (keyID, text string) {
	w.t.Helper()
	id, err := model.NewKeyID(w.Rand, model.SessionPrefix, s.Account)
	if err != nil {
		w.t.Fatal(err)
	}
	s.KeyID, s.Secret = id, "secret"
	if s.Issued.IsZero() {
		s.Issued, s.Expires = w.now, w.now.Add(time.Hour)
	}
	text, err = token.Seal(w.Seal, &s, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return id, text
}

// ask is a request, of whoever has the key.
type ask struct {
	key, token         string
	service, operation string
	in                 any
	by                 access.Entrance
}

// begin does what the server does with a request, up to its handler: it gives the
// context of that, or why there is none.
func (w *world) begin(a ask) (context.Context, error) {
	w.t.Helper()
	credential, ok, err := w.Lookup(w.t.Context(), a.key, a.token)
	if err != nil {
		w.t.Fatal(err)
	}
	if !ok || credential.Disabled || credential.Expired {
		return nil, errUnknown
	}
	who := credential.Caller
	who.AccessKeyID, who.Region = a.key, region
	service := access.Services[a.service]
	op := service.Operations[a.operation]
	r := &access.Request{Asked: access.Asked{
		Caller: &who, Operation: op, Input: a.in, Management: op.Management, Hides: service.Hides,
		Origin: access.Origin{Time: w.now, Entrance: a.by}, Asks: op.Ask(nil, &who, a.in),
	}}
	d, err := w.Decide(w.t.Context(), r)
	if err != nil {
		return nil, err
	}
	if !d.Passes(r) {
		return nil, errors.New(d.Text(&who))
	}
	return w.Bind(w.t.Context(), r), nil
}

var errUnknown = errors.New("unknown")

// may says whether a request gets to its handler and through a transaction there.
func (w *world) may(a ask) error {
	w.t.Helper()
	ctx, err := w.begin(a)
	if err != nil {
		return err
	}
	_, err = w.DB.View(ctx)
	return err
}

func (w *world) allowed(what string, a ask) {
	w.t.Helper()
	if err := w.may(a); err != nil {
		w.t.Errorf("%s: %v, want it allowed", what, err)
	}
}

func (w *world) refused(what, text string, a ask) {
	w.t.Helper()
	switch err := w.may(a); {
	case err == nil:
		w.t.Errorf("%s: allowed", what)
	case text != "" && err.Error() != text:
		w.t.Errorf("%s:\n got %s\nwant %s", what, err, text)
	}
}

// statement is a policy of one statement.
func statement(effect, action, resource, condition string) string {
	text := `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"`
	if condition != "" {
		text += `,"Condition":{` + condition + `}`
	}
	return text + "}}"
}

func trusting(principal, condition string) string {
	text := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + principal
	if condition != "" {
		text += `,"Condition":{` + condition + `}`
	}
	return text + "}}"
}
