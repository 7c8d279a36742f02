// SPDX-License-Identifier: Apache-2.0

// Package account keeps the accounts of an installation and the access keys
// that sign for them. It is no service of its own: the service postern makes
// accounts with it, and the server looks keys up.
package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ErrExists is the cause when an account is made whose id is taken.
var ErrExists = errors.New("account exists")

// Administrator is the name of the user whose key an account starts with.
const Administrator = "admin"

// Bootstrap makes the management account with an administrator's key, at the
// first start, and gives that key; later it gives the key that is there. Then it
// gives all accounts the default VPCs that they lack. It may run on several
// servers at the same time.
func Bootstrap(ctx context.Context, env *service.Env, account string) (accessKeyID, secret string, err error) {
	fresh, err := New(env, account, "management")
	if err != nil {
		return "", "", fmt.Errorf("bootstrap account %s: %w", account, err)
	}
	fresh.Account.Management = true
	var key *model.AccessKey
	_, err = env.DB.Update(ctx, func(tx *table.Txn) error {
		if _, ok := state.Accounts.Get(tx, "", "", account); !ok && !setAside(tx, account) {
			key, secret = fresh.Key, fresh.Secret
			return fresh.insert(tx) // its VPCs come with those that others lack
		}
		if key, secret = AdministratorKey(tx, env, account); key == nil {
			key, secret = fresh.Key, fresh.Secret
			state.AccessKeys.Put(tx, key)
		}
		return nil
	})
	if err == nil && env.DefaultVPC {
		err = giveDefaultVPCs(ctx, env)
		if errors.Is(err, table.ErrFull) {
			env.Log.Warn("accounts lack default VPCs, which the next start makes", "error", err)
			err = nil
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("bootstrap account %s: %w", account, err)
	}
	return key.ID, secret, nil
}

// setAside says whether the account has a row that cannot be read. It is there all
// the same, and so are its keys.
func setAside(tx *table.Txn, account string) bool {
	for row := range tx.SetAside() {
		if row.Kind == state.Accounts.Kind() && row.ID == account {
			return true
		}
	}
	return false
}

// AdministratorKey gives the first key of the account itself that is good to use, with its
// secret, or nil.
func AdministratorKey(tx *table.Txn, env *service.Env, account string) (oldest *model.AccessKey, secret string) {
	for k := range state.AccessKeysByAccount.Rows(tx, model.Ref{ID: account}) {
		if k.User != "" || k.Disabled || oldest != nil && !k.CreatedAt.Before(oldest.CreatedAt) {
			continue
		}
		if opened, err := Secret(env.Seal, k); err == nil {
			oldest, secret = k, opened
		}
	}
	return oldest, secret
}

// Fresh is an account that is about to be made, with the key of its
// administrator.
type Fresh struct {
	Account *model.Account
	Key     *model.AccessKey
	// Secret is that of Key.
	Secret string
	// Besides writes what comes with the account in the same transaction; nil for nothing.
	// With a nil Key the account gets none.
	Besides  func(*table.Txn) error
	networks []network
}

// NewID makes the number of an account, without a zero in front, which spreadsheets lose.
func NewID(env *service.Env) string { return fmt.Sprintf("%d%011d", 1+env.Intn(9), env.Intn(1e11)) }

// New makes the rows of an account; Create writes them.
func New(env *service.Env, id, name string) (*Fresh, error) {
	now := env.Now()
	key, secret, err := NewKey(env, id)
	if err != nil {
		return nil, err
	}
	if key.UserID, err = model.NewUniqueID(env.Rand, model.UserPrefix); err != nil {
		return nil, err
	}
	key.ARN = administratorARN(id)
	n := &Fresh{Account: &model.Account{ID: id, Name: name, CreatedAt: now}, Key: key, Secret: secret}
	if env.DefaultVPC {
		for _, region := range env.Regions {
			n.networks = append(n.networks, newNetwork(env, id, region))
		}
	}
	return n, nil
}

// insert writes the account and its key. It fails with ErrExists.
func (n *Fresh) insert(tx *table.Txn) error {
	if err := state.Accounts.Insert(tx, n.Account); err != nil {
		return fmt.Errorf("make account %s: %w", n.Account.ID, ErrExists)
	}
	if n.Key != nil {
		if err := state.AccessKeys.Insert(tx, n.Key); err != nil {
			return fmt.Errorf("make account %s: %w", n.Account.ID, err)
		}
	}
	if n.Besides != nil {
		return n.Besides(tx)
	}
	return nil
}

// Create makes the account with its key and its default VPCs. It fails with
// ErrExists, or with alloc.ErrTransitFull when there is no room for the VPCs, and changes nothing then. Where the store does not take all of it at
// once the VPCs come one after the other, and what comes between is said in the log:
// the next start gives the account those that it lacks.
func (n *Fresh) Create(ctx context.Context, env *service.Env) error {
	_, err := env.DB.Update(ctx, func(tx *table.Txn) error {
		if err := n.insert(tx); err != nil {
			return err
		}
		for _, each := range n.networks {
			if err := each.give(tx); err != nil {
				return fmt.Errorf("make account %s: %w", n.Account.ID, err)
			}
		}
		return nil
	})
	if !errors.Is(err, table.ErrTooLarge) {
		return err
	}
	if _, err := env.DB.Update(ctx, n.insert); err != nil {
		return err
	}
	for _, each := range n.networks {
		if _, err := env.DB.Update(ctx, each.give); err != nil {
			env.Log.Warn("an account lacks a default VPC, which the next start makes", "account", n.Account.ID, "region", each.region, "error", err)
		}
	}
	return nil
}
