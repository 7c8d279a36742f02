// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateAccount makes an account with an administrator's access key, whose
// secret is told this once. Only the management account may.
func (a *API) CreateAccount(ctx context.Context, in *shape.CreateAccountInput) (*shape.CreateAccountOutput, error) {
	id := service.Value(in.AccountId)
	if id == "" {
		id = account.NewID(a.Env)
	}
	fresh, err := account.New(a.Env, id, service.Value(in.Name))
	if err != nil {
		return nil, err
	}
	err = fresh.Create(ctx, a.Env)
	switch {
	case errors.Is(err, account.ErrExists):
		return nil, fault.Conflict(kindAccount, id, "account %s exists already", id)
	case errors.Is(err, alloc.ErrTransitFull):
		return nil, fault.Conflict(kindAccount, id, "this installation has no room for another account's default VPCs: %v", err)
	case err != nil:
		return nil, err
	}
	return &shape.CreateAccountOutput{AccountId: &id, AccessKeyId: &fresh.Key.ID, SecretAccessKey: &fresh.Secret}, nil
}

// ListAccounts lists all accounts for the management account, and for others
// their own one.
func (a *API) ListAccounts(ctx context.Context, _ *shape.ListAccountsInput) (*shape.ListAccountsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountsOutput{Accounts: []shape.AccountSummary{}}
	for row := range state.Accounts.All(tx) {
		if who.Management || who.Owns(row.ID) {
			out.Accounts = append(out.Accounts, summary(row))
		}
	}
	return out, nil
}

func summary(row *model.Account) shape.AccountSummary {
	return shape.AccountSummary{
		AccountId: &row.ID, Name: service.Optional(row.Name), Management: new(row.Management), Trusted: new(row.Trusted()), Disabled: new(row.Disabled),
	}
}

// UpdateAccount trusts an account, or takes the trust back: a trusted account may name
// network namespaces of the host; see AttachNetworkInterface. And it disables an account,
// whose keys and sessions are refused then like unknown ones, or enables it again. What
// the account has stays, and goes on. Only the management account may, and not itself.
func (a *API) UpdateAccount(ctx context.Context, in *shape.UpdateAccountInput) (*shape.UpdateAccountOutput, error) {
	if in.Trusted == nil && in.Disabled == nil {
		return nil, fault.Validation("trusted", "trusted or disabled must be given")
	}
	var out shape.AccountSummary
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, ok := state.Accounts.Get(tx, "", "", *in.AccountId)
		if !ok {
			return fault.NotFound(kindAccount, *in.AccountId)
		}
		next := row.Clone()
		if in.Trusted != nil {
			next.Trust = model.TrustTaken
			if *in.Trusted {
				next.Trust = model.TrustGiven
			}
		}
		if in.Disabled != nil {
			if *in.Disabled && row.Management {
				return fault.Conflict(kindAccount, row.ID, "account %s is the management account, without which nobody could enable it again", row.ID)
			}
			next.Disabled = *in.Disabled
		}
		if next.Trust != row.Trust || next.Disabled != row.Disabled {
			state.Accounts.Put(tx, next)
		}
		out = summary(next)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(shape.UpdateAccountOutput(out)), nil
}
