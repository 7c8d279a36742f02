// SPDX-License-Identifier: Apache-2.0

// Package account keeps the accounts of an installation and the access keys
// that sign for them. It is no service of its own: the service postern makes
// accounts with it, and the server looks keys up.
package account

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

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
			key = fresh.Key
			return fresh.insert(tx) // its VPCs come with those that others lack
		}
		key = administratorKey(tx, account)
		if key == nil {
			key = fresh.Key
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
	return key.ID, key.Secret, nil
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

// administratorKey gives the first key that is good to use, or nil.
func administratorKey(tx *table.Txn, account string) *model.AccessKey {
	var oldest *model.AccessKey
	for k := range state.AccessKeys.Scope(tx, "", "") {
		if k.Account == account && !k.Disabled && (oldest == nil || k.CreatedAt.Before(oldest.CreatedAt)) {
			oldest = k
		}
	}
	return oldest
}

// Fresh is an account that is about to be made, with the key of its
// administrator.
type Fresh struct {
	Account  *model.Account
	Key      *model.AccessKey
	networks []network
}

// New makes the rows of an account; Create writes them. Keys have the
// form that AWS documents and tools check:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func New(env *service.Env, id, name string) (*Fresh, error) {
	now := env.Now()
	key, err := newKey(env.Rand, id, now)
	if err != nil {
		return nil, fmt.Errorf("make an access key: %w", err)
	}
	n := &Fresh{Account: &model.Account{ID: id, Name: name, CreatedAt: now}, Key: key}
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
	if err := state.AccessKeys.Insert(tx, n.Key); err != nil {
		return fmt.Errorf("make account %s: %w", n.Account.ID, err)
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

// The random parts of identifiers: 10 bytes are 16 characters of base32, and 30
// bytes are 40 of base64.
const (
	idBytes     = 10
	secretBytes = 30
)

func newKey(random io.Reader, account string, now time.Time) (*model.AccessKey, error) {
	raw := make([]byte, 2*idBytes+secretBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, err
	}
	return &model.AccessKey{
		ID:     "AKIA" + base32.StdEncoding.EncodeToString(raw[:idBytes]),
		UserID: "AIDA" + base32.StdEncoding.EncodeToString(raw[idBytes:2*idBytes]),
		Secret: base64.StdEncoding.EncodeToString(raw[2*idBytes:]),
		// IAM belongs to no region.
		ARN:     model.ARN("iam", "", account, "user/"+Administrator),
		Account: account, CreatedAt: now,
	}, nil
}

// Principal is who an access key signs for.
type Principal struct {
	Secret, Account, ARN, UserID string
	// Management says that the account is the one that was made at the first start.
	Management, Disabled bool
}

// Lookup finds the principal of an access key; false says that there is no such
// key. A key made just now through another server is found too.
func Lookup(ctx context.Context, db *table.DB, accessKeyID string) (Principal, bool, error) {
	tx := db.Snapshot()
	key, ok := state.AccessKeys.Get(tx, "", "", accessKeyID)
	if !ok {
		var err error
		if tx, err = db.View(ctx); err != nil {
			return Principal{}, false, fmt.Errorf("look up access key %s: %w", accessKeyID, err)
		}
		if key, ok = state.AccessKeys.Get(tx, "", "", accessKeyID); !ok {
			return Principal{}, false, nil
		}
	}
	account, ok := state.Accounts.Get(tx, "", "", key.Account)
	return Principal{
		Secret: key.Secret, Account: key.Account, ARN: key.ARN, UserID: key.UserID,
		Management: ok && account.Management || !ok && mustManage(tx, key.Account), Disabled: key.Disabled,
	}, true, nil
}

// mustManage says whether an account without a row that can be read is the
// management account, because it is the only such one and no other manages.
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
