// SPDX-License-Identifier: Apache-2.0

// Package identity says who signs a request, and whether it may have what it asks for,
// by the rows of accounts, access keys, users and roles.
//
// A decision is made when a request comes, and made again at the beginning of each
// transaction that its handler has, from the rows of that transaction: Bind puts it into
// the context as a condition of package table. So a policy that is attached is used at
// once, and one that is taken away, a key that is disabled or a role that is deleted while
// a request is under way is obeyed: what has been committed was allowed in the state
// that it changed.
package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/token"
)

// Identities answers for all callers. Many goroutines use it.
type Identities struct {
	env  *service.Env
	docs *documents

	latest  latest
	secrets secrets
}

// New returns what knows the callers of an environment.
func New(env *service.Env) *Identities { return &Identities{env: env, docs: newDocuments()} }

// Credential is what an access key is good for.
type Credential struct {
	Secret string
	Caller access.Caller
	// Disabled keys are as good as unknown ones. Expired says that of a temporary key.
	Disabled, Expired bool
}

// Lookup finds what an access key stands for, a temporary one with its session token;
// false says that there is no such key. A key made just now through another server is
// found too.
func (i *Identities) Lookup(ctx context.Context, keyID, token string) (Credential, bool, error) {
	find := i.lasting
	if strings.HasPrefix(keyID, model.SessionPrefix) {
		find = i.temporary
	}
	c, ok := find(i.env.DB.Snapshot(), keyID, token)
	if ok {
		return c, true, nil
	}
	tx, err := i.env.DB.View(ctx)
	if err != nil {
		return Credential{}, false, fmt.Errorf("look up access key %s: %w", keyID, err)
	}
	c, ok = find(tx, keyID, token)
	return c, ok, nil
}

func (i *Identities) lasting(tx *table.Txn, keyID, _ string) (Credential, bool) {
	who, key, ok := callerOf(tx, keyID)
	if !ok {
		return Credential{}, false
	}
	secret, err := i.secrets.of(i.env.Seal, key)
	if err != nil {
		return Credential{}, false // said at the start; to clients it is a key that is not there
	}
	who.Management = account.Manages(tx, who.Account)
	return Credential{Secret: secret, Caller: who, Disabled: !enabled(tx, key)}, true
}

func (i *Identities) temporary(tx *table.Txn, keyID, text string) (Credential, bool) {
	session, err := token.Open(i.env.Seal, keyID, text)
	if err != nil {
		return Credential{}, false
	}
	who, ok := sessionOf(tx, session)
	if !ok {
		return Credential{}, false
	}
	who.Management = account.Manages(tx, who.Account)
	return Credential{Secret: session.Secret, Caller: who, Expired: !session.Live(i.env.Now())}, true
}

// known gives who a caller is in a state: false says that its key or session is not good
// any more.
func (i *Identities) known(tx *table.Txn, was *access.Caller) (access.Caller, bool) {
	if was.Session != nil {
		who, ok := sessionOf(tx, was.Session)
		return who, ok && was.Session.Live(i.env.Now())
	}
	who, key, ok := callerOf(tx, was.AccessKeyID)
	return who, ok && enabled(tx, key)
}

// enabled says whether a key may be used, and its account.
func enabled(tx *table.Txn, key *model.AccessKey) bool {
	return !key.Disabled && open(tx, key.Account)
}

// open says whether an account has not been disabled. One whose row cannot be read has
// not.
func open(tx *table.Txn, id string) bool {
	row, ok := state.Accounts.Get(tx, "", "", id)
	return !ok || !row.Disabled
}

// callerOf gives who signs with a key that lasts.
func callerOf(tx *table.Txn, keyID string) (access.Caller, *model.AccessKey, bool) {
	key, ok := state.AccessKeys.Get(tx, "", "", keyID)
	if !ok {
		return access.Caller{}, nil, false
	}
	if key.User == "" {
		return access.Caller{Account: key.Account, Kind: policy.Root, ARN: key.ARN, UserID: key.UserID}, key, true
	}
	who, ok := userOf(tx, key.Account, key.User)
	return who, key, ok
}

func userOf(tx *table.Txn, of, id string) (access.Caller, bool) {
	user, ok := state.Users.Get(tx, of, "", id)
	if !ok {
		return access.Caller{}, false
	}
	arn := user.ARN()
	return access.Caller{
		Account: user.Account, Kind: policy.User, ARN: arn, UserID: user.ID,
		Entity: arn, EntityID: user.ID, EntityName: user.Name,
	}, true
}

// sessionOf gives who has a session, as long as it is there for whom it began.
func sessionOf(tx *table.Txn, s *access.Session) (access.Caller, bool) {
	if !open(tx, s.Account) || slices.ContainsFunc(s.Through, func(id string) bool { return !open(tx, id) }) {
		return access.Caller{}, false
	}
	who, ok := access.Caller{}, false
	if s.Kind == policy.Role {
		who, ok = roleOf(tx, s)
	} else if s.Parent != "" {
		var key *model.AccessKey
		who, key, ok = callerOf(tx, s.Parent)
		ok = ok && !key.Disabled && who.EntityID == s.Entity && who.Account == s.Account
	}
	if !ok {
		return access.Caller{}, false
	}
	if s.Kind == policy.Federated {
		who.Kind = policy.Federated
		who.ARN = model.ARN("sts", "", s.Account, "federated-user/"+s.Name)
		who.UserID = s.Account + ":" + s.Name
	}
	who.AccessKeyID, who.Session = s.KeyID, s
	return who, true
}

func roleOf(tx *table.Txn, s *access.Session) (access.Caller, bool) {
	role, ok := state.Roles.Get(tx, s.Account, "", s.Entity)
	if !ok {
		return access.Caller{}, false
	}
	return access.Caller{
		Account: role.Account, Kind: policy.Role, UserID: role.ID + ":" + s.Name,
		ARN:    model.ARN("sts", "", s.Account, "assumed-role/"+role.Name+"/"+s.Name),
		Entity: role.ARN(), EntityID: role.ID, EntityName: role.Name,
	}, true
}
