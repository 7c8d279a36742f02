// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/identity"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// credentials shows the AWS face the access keys of accounts.
type credentials struct{ *identity.Identities }

// Lookup implements server.Credentials.
func (c credentials) Lookup(ctx context.Context, accessKeyID, token string) (server.Credential, bool, error) {
	found, ok, err := c.Identities.Lookup(ctx, accessKeyID, token)
	credential := server.Credential{Secret: found.Secret, Caller: found.Caller, Disabled: found.Disabled, Expired: found.Expired}
	if found.Caller.Session != nil {
		credential.SessionToken = token // it was opened
	}
	return credential, ok, err
}

// bootstrap makes the first account at first start and keeps its key where
// commands find it. The key is written again when the file was lost.
func (d *daemon) bootstrap(ctx context.Context) error {
	id, secret, err := account.Bootstrap(ctx, d.env, firstAccount)
	if err != nil {
		return err
	}
	if err := d.writeSmall(credentialsFile, Credentials{firstAccount, id, secret}); err != nil {
		return err
	}
	if err := d.folder.keepBallast(); err != nil && !isFull(err) {
		d.config.Log.Warn("no room is kept for small files", "error", err)
	}
	return nil
}

// keepCredentials gives commands another key when theirs was disabled or deleted. It looks
// whenever access keys change.
func (d *daemon) keepCredentials(ctx context.Context) error {
	used := ""
	err := d.db.Follow(ctx, func(tx *table.Txn, rows []table.Change) error {
		if used != "" && !slices.ContainsFunc(rows, func(c table.Change) bool { return c.Key.Kind == state.AccessKeys.Kind() }) {
			return nil
		}
		if used != "" {
			if k, ok := state.AccessKeys.Get(tx, "", "", used); ok && !k.Disabled {
				return nil
			}
		}
		key, secret := account.AdministratorKey(tx, d.env, firstAccount)
		if key == nil {
			return nil // none works, and the next start makes one
		}
		used = key.ID
		return d.writeSmall(credentialsFile, Credentials{firstAccount, key.ID, secret})
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
