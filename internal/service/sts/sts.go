// SPDX-License-Identifier: Apache-2.0

// Package sts is the part of AWS STS that clients ask at their start: who am I.
package sts

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/sts"
)

// API implements the operations of STS. It needs nothing but the caller.
type API struct{}

var _ shape.API = API{}

// GetCallerIdentity tells the caller who it is. It needs no permission:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (API) GetCallerIdentity(ctx context.Context, _ *shape.GetCallerIdentityInput) (*shape.GetCallerIdentityOutput, error) {
	who := access.From(ctx)
	return &shape.GetCallerIdentityOutput{UserId: &who.UserID, Account: &who.Account, Arn: &who.ARN}, nil
}
