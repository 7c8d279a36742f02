// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/service/identity"
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
