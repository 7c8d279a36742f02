// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"fmt"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// NewKey makes an access key of an account, whose principal the caller fills in, and gives
// its secret, which the row has sealed. Keys have the form that AWS documents and tools
// check: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
// It goes into the table by Insert: an id is taken once in 2^39 times.
func NewKey(env *service.Env, account string) (key *model.AccessKey, secret string, err error) {
	id, err := model.NewKeyID(env.Rand, model.KeyPrefix, account)
	if err != nil {
		return nil, "", err
	}
	secret = env.NewSecret()
	return &model.AccessKey{
		ID: id, Sealed: sealed(env, secret, id), Account: account, CreatedAt: env.Now(),
	}, secret, nil
}

// AddKey makes another key of an account itself, whose principal is that of its oldest one.
func AddKey(tx *table.Txn, env *service.Env, account string) (key *model.AccessKey, secret string, err error) {
	if key, secret, err = NewKey(env, account); err != nil {
		return nil, "", err
	}
	if key.UserID, err = model.NewUniqueID(env.Rand, model.UserPrefix); err != nil {
		return nil, "", err
	}
	key.ARN = administratorARN(account)
	var oldest *model.AccessKey
	for k := range state.AccessKeysByAccount.Rows(tx, model.Ref{ID: account}) {
		if k.User == "" && (oldest == nil || k.CreatedAt.Before(oldest.CreatedAt)) {
			oldest = k
		}
	}
	if oldest != nil {
		key.ARN, key.UserID = oldest.ARN, oldest.UserID
	}
	if err := state.AccessKeys.Insert(tx, key); err != nil {
		return nil, "", fmt.Errorf("make an access key of account %s: %w", account, err)
	}
	return key, secret, nil
}

// administratorARN is who the first key of an account signs for.
func administratorARN(account string) string {
	return model.ARN("iam", "", account, "user/"+Administrator) // IAM belongs to no region
}

// sealed gives a secret in the form that rows have it in.
func sealed(env *service.Env, secret, id string) string {
	return env.Seal.SealText(seal.AccessKey, []byte(secret), id)
}

// Secret gives the secret of an access key. It fails when the key that sealed it is not
// here, with seal.ErrUnknownKey, or when the row was altered. A secret is never empty.
func Secret(keys *seal.Keys, k *model.AccessKey) (string, error) {
	if k.Secret != "" {
		return k.Secret, nil
	}
	secret, err := keys.OpenText(seal.AccessKey, k.Sealed, k.ID)
	if err == nil && len(secret) == 0 {
		err = seal.ErrBroken
	}
	if err != nil {
		return "", fmt.Errorf("read the secret of access key %s: %w", k.ID, err)
	}
	return string(secret), nil
}

// IsLast says whether a key is the last one of its account itself that works: without it
// nobody of the account could do anything.
func IsLast(tx *table.Txn, keys *seal.Keys, key *model.AccessKey) bool {
	if key.User != "" || key.Disabled {
		return false
	}
	for k := range state.AccessKeysByAccount.Rows(tx, model.Ref{ID: key.Account}) {
		if k.User == "" && k.ID != key.ID && !k.Disabled {
			if _, err := Secret(keys, k); err == nil {
				return false
			}
		}
	}
	return true
}

// Reseal seals the secrets of access keys that are stored in clear, or were sealed with
// another key than the newest one. It gives the ids of those that cannot be opened, which
// it leaves as they are.
func Reseal(ctx context.Context, env *service.Env) (lost []string, err error) {
	rows, err := service.Reseal(ctx, env, state.AccessKeys, func(k *model.AccessKey) (*model.AccessKey, error) {
		secret, err := Secret(env.Seal, k)
		if err != nil {
			return nil, err
		}
		next := k.Clone()
		if k.Secret != "" {
			next.Sealed, next.Secret = sealed(env, secret, k.ID), ""
		} else if next.Sealed, err = env.Seal.ResealText(seal.AccessKey, k.Sealed, k.ID); err != nil || next.Sealed == k.Sealed {
			return k, err
		}
		return next, nil
	})
	for _, k := range rows {
		lost = append(lost, k.ID)
	}
	return lost, err
}

// Manages says whether an account is the management account. One without a row that can
// be read is when it is the only such one and no other manages.
func Manages(tx *table.Txn, account string) bool {
	row, ok := state.Accounts.Get(tx, "", "", account)
	return ok && row.Management || !ok && mustManage(tx, account)
}

func mustManage(tx *table.Txn, account string) bool {
	for other := range state.Accounts.All(tx) {
		if other.Management {
			return false
		}
	}
	aside := 0
	for row := range tx.SetAside() {
		if row.Kind == state.Accounts.Kind() {
			aside++
		}
	}
	return aside == 1 && setAside(tx, account)
}
