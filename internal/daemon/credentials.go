// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
)

// credentials shows the AWS face the access keys of accounts.
type credentials struct{ env *service.Env }

// Lookup implements server.Credentials.
func (c credentials) Lookup(ctx context.Context, accessKeyID string) (server.Credential, bool, error) {
	p, ok, err := account.Lookup(ctx, c.env, accessKeyID)
	return server.Credential{
		Secret: p.Secret, Account: p.Account, ARN: p.ARN, UserID: p.UserID,
		Management: p.Management, Disabled: p.Disabled,
	}, ok, err
}

// decide answers requests by the rule that each account has its own resources:
// nothing is shared yet.
func decide(_ context.Context, r *access.Request) (access.Decision, error) {
	return access.Decide(r, nil), nil
}
