// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Operations on access keys of accounts themselves, which may do everything in their
// account and which no policy bounds: so they are for whoever has such a key, and for the
// management account. Keys of users, which are IAM's, can be disabled and deleted as well.

// maxOwnKeys is how many keys an account has itself at most.
const maxOwnKeys = 10

// mayManageKeys refuses callers who may not change the keys of an account. To those of
// other accounts it does not exist.
func mayManageKeys(who access.View, id string) error {
	switch {
	case !who.Owns(id) && !who.Management:
		return fault.NotFound(kindAccount, id)
	case who.Kind != policy.Root || who.Session != nil: // no policy may give keys that none bounds
		return fault.AccessDenied("User: %s is not authorized to change access keys of account %s: that takes a key of the account itself, or of the management account", who.ARN, id)
	}
	return nil
}

// keyOf finds an access key that the caller may manage.
func keyOf(tx *table.Txn, who access.View, id string) (*model.AccessKey, error) {
	key, ok := state.AccessKeys.Get(tx, "", "", id)
	if !ok || !who.Owns(key.Account) && !who.Management {
		return nil, fault.NotFound(kindAccessKey, id)
	}
	return key, mayManageKeys(who, key.Account)
}

// CreateAccessKey makes another key of an account itself, whose secret is told this once.
func (a *API) CreateAccessKey(ctx context.Context, in *shape.CreateAccessKeyInput) (*shape.CreateAccessKeyOutput, error) {
	who := access.From(ctx)
	id := service.Value(in.AccountId)
	if id == "" {
		id = who.Account
	}
	var out *shape.CreateAccessKeyOutput
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		if err := mayManageKeys(who, id); err != nil {
			return err
		}
		key, secret, err := a.addKey(tx, id)
		if err != nil {
			return err
		}
		out = &shape.CreateAccessKeyOutput{AccessKeyId: &key.ID, SecretAccessKey: &secret, AccountId: &key.Account, Arn: &key.ARN}
		return nil
	})
	return out, err
}

// addKey makes another key of an account itself.
func (a *API) addKey(tx *table.Txn, id string) (*model.AccessKey, string, error) {
	if _, ok := state.Accounts.Get(tx, "", "", id); !ok {
		return nil, "", fault.NotFound(kindAccount, id)
	}
	own := 0
	for k := range state.AccessKeysByAccount.Rows(tx, model.Ref{ID: id}) {
		if k.User == "" {
			own++
		}
	}
	if own >= maxOwnKeys {
		return nil, "", fault.Conflict(kindAccount, id, "account %s has %d access keys of its own, more it cannot have; delete one that nobody uses", id, own)
	}
	return account.AddKey(tx, a.Env, id)
}

// RotateAccessKey makes another key for whoever has one, which is disabled when the
// request says so. Either both happens, or nothing.
func (a *API) RotateAccessKey(ctx context.Context, in *shape.RotateAccessKeyInput) (*shape.RotateAccessKeyOutput, error) {
	who := access.From(ctx)
	var out *shape.RotateAccessKeyOutput
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		old, err := keyOf(tx, who, *in.AccessKeyId)
		if err != nil {
			return err
		}
		if old.User != "" {
			return fault.Conflict(kindAccessKey, old.ID, "access key %s is of a user; make another one with: aws iam create-access-key", old.ID)
		}
		key, secret, err := a.addKey(tx, old.Account)
		if err != nil {
			return err
		}
		if in.Disable != nil && *in.Disable && !old.Disabled {
			next := old.Clone()
			next.Disabled = true
			state.AccessKeys.Put(tx, next)
		}
		out = &shape.RotateAccessKeyOutput{AccessKeyId: &key.ID, SecretAccessKey: &secret, AccountId: &key.Account, Arn: &key.ARN}
		return nil
	})
	return out, err
}

// UpdateAccessKey disables a key, with the sessions that it has begun, or enables it again.
func (a *API) UpdateAccessKey(ctx context.Context, in *shape.UpdateAccessKeyInput) (*shape.UpdateAccessKeyOutput, error) {
	who := access.From(ctx)
	var out shape.AccessKeySummary
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		key, err := keyOf(tx, who, *in.AccessKeyId)
		if err != nil {
			return err
		}
		if key.Disabled == *in.Enabled {
			if !*in.Enabled {
				if err := a.notTheLast(tx, who, key); err != nil {
					return err
				}
			}
			key = key.Clone()
			key.Disabled = !*in.Enabled
			state.AccessKeys.Put(tx, key)
		}
		out = a.summaryOfKey(tx, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(shape.UpdateAccessKeyOutput(out)), nil
}

// DeleteAccessKey deletes a key. One that is not there is no error, for who may have
// deleted it.
func (a *API) DeleteAccessKey(ctx context.Context, in *shape.DeleteAccessKeyInput) (*shape.DeleteAccessKeyOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		key, err := keyOf(tx, who, *in.AccessKeyId)
		if err != nil {
			return err
		}
		if !key.Disabled {
			if err := a.notTheLast(tx, who, key); err != nil {
				return err
			}
		}
		state.AccessKeys.Delete(tx, "", "", key.ID)
		state.LastUses.Delete(tx, key.Account, "", key.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteAccessKeyOutput{}, nil
}

// notTheLast refuses to take away the last key of an account itself that works, from who is
// in that account: nobody of it could do anything then. The management account may.
func (a *API) notTheLast(tx *table.Txn, who access.View, key *model.AccessKey) error {
	if !who.Owns(key.Account) || !account.IsLast(tx, a.Seal, key) {
		return nil
	}
	return fault.Conflict(kindAccessKey, key.ID, "access key %s is the last one of account %s itself that works; make another one first", key.ID, key.Account)
}

// ListAccessKeys lists the keys of an account, those of its users as well.
func (a *API) ListAccessKeys(ctx context.Context, in *shape.ListAccessKeysInput) (*shape.ListAccessKeysOutput, error) {
	who := access.From(ctx)
	id := service.Value(in.AccountId)
	if id == "" {
		id = who.Account
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := state.Accounts.Get(tx, "", "", id); !ok || !who.Owns(id) && !who.Management {
		return nil, fault.NotFound(kindAccount, id)
	}
	out := &shape.ListAccessKeysOutput{AccessKeys: []shape.AccessKeySummary{}}
	for k := range state.AccessKeysByAccount.Rows(tx, model.Ref{ID: id}) {
		out.AccessKeys = append(out.AccessKeys, a.summaryOfKey(tx, k))
	}
	return out, nil
}

func (a *API) summaryOfKey(tx *table.Txn, k *model.AccessKey) shape.AccessKeySummary {
	s := shape.AccessKeySummary{
		AccessKeyId: &k.ID, AccountId: &k.Account, Arn: service.Optional(k.ARN), Enabled: new(!k.Disabled),
		CreatedAt: new(k.CreatedAt.UTC().Format(time.RFC3339)),
	}
	if user, ok := state.Users.Get(tx, k.Account, "", k.User); ok {
		s.Arn = new(user.ARN())
	}
	if _, err := account.Secret(a.Seal, k); err != nil {
		s.Problem = new("it is refused: " + err.Error())
	}
	return s
}
