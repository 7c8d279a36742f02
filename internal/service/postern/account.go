// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"
	"fmt"

	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/service/identity"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateAccount makes an account with an administrator's access key, whose
// secret is told this once. Only the management account may.
func (a *API) CreateAccount(ctx context.Context, in *shape.CreateAccountInput) (*shape.CreateAccountOutput, error) {
	who, id := caller.From(ctx), deref(in.AccountId)
	if id == "" {
		id = fmt.Sprintf("%d%011d", 1+a.Intn(9), a.Intn(1e11)) // no leading zero, which spreadsheets lose
	}
	fresh, err := identity.NewAccount(a.Env, id, deref(in.Name))
	if err != nil {
		return nil, err
	}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if err := managementOnly(tx, who); err != nil {
			return err
		}
		err := fresh.Insert(tx)
		if errors.Is(err, identity.ErrAccountExists) {
			return fault.Conflict(kindAccount, id, "account %s exists already", id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateAccountOutput{AccountId: &id, AccessKeyId: &fresh.Key.ID, SecretAccessKey: &fresh.Key.Secret}, nil
}

// ListAccounts lists all accounts for the management account, and for others
// their own one.
func (a *API) ListAccounts(ctx context.Context, _ *shape.ListAccountsInput) (*shape.ListAccountsOutput, error) {
	who := caller.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	everything := identity.IsManagement(tx, who)
	out := &shape.ListAccountsOutput{Accounts: []shape.AccountSummary{}}
	for row := range state.Accounts.All(tx) {
		if everything || row.ID == who.Account {
			out.Accounts = append(out.Accounts, shape.AccountSummary{AccountId: &row.ID, Name: optional(row.Name)})
		}
	}
	return out, nil
}
