// SPDX-License-Identifier: Apache-2.0

// Package sts is AWS STS: who somebody is, and keys that end by themselves. A session is
// kept nowhere but in its token, see package token; it ends with its time, or with the
// role, user or access key that it is of.
//
// Whether a role's trust policy allows the caller to assume it was decided before.
package sts

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/token"
)

// API implements the operations of STS.
type API struct{ *service.Env }

var _ shape.API = API{}

// Codes of errors: the page "Common Errors" of the STS API reference, and its shapes.
const (
	codeValidation = "ValidationError"
	codeParameter  = "InvalidParameterValue"
	codeMalformed  = "MalformedPolicyDocument"
	codeTooLarge   = "PackedPolicyTooLarge"
	codeDenied     = "AccessDenied"
)

// GetCallerIdentity tells the caller who it is. It needs no permission:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (API) GetCallerIdentity(ctx context.Context, _ *shape.GetCallerIdentityInput) (*shape.GetCallerIdentityOutput, error) {
	who := access.From(ctx)
	return &shape.GetCallerIdentityOutput{UserId: &who.UserID, Account: &who.Account, Arn: &who.ARN}, nil
}

// GetAccessKeyInfo tells whose an access key is, also one of another installation, or of
// AWS: its id says it. Those of former versions do not, and are looked up:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html
func (a API) GetAccessKeyInfo(ctx context.Context, in *shape.GetAccessKeyInfoInput) (*shape.GetAccessKeyInfoOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if k, ok := state.AccessKeys.Get(tx, "", "", *in.AccessKeyId); ok {
		return &shape.GetAccessKeyInfoOutput{Account: &k.Account}, nil
	}
	account, ok := model.AccountOfKey(*in.AccessKeyId)
	if !ok {
		return nil, fault.STS(codeValidation, "Invalid Access Key: AccessKeyId %s tells no account", *in.AccessKeyId)
	}
	return &shape.GetAccessKeyInfoOutput{Account: &account}, nil
}

// DecodeAuthorizationMessage opens what a refusal of EC2 has for whoever may know why:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html.
// It opens those of the caller's account alone.
func (a API) DecodeAuthorizationMessage(ctx context.Context, in *shape.DecodeAuthorizationMessageInput) (*shape.DecodeAuthorizationMessageOutput, error) {
	text, err := token.OpenRefusal(a.Seal, access.From(ctx).Account, *in.EncodedMessage)
	if err != nil {
		return nil, fault.STS("InvalidAuthorizationMessageException",
			"EncodedMessage is no message that this endpoint gave to the account, or was altered").WithCause(err)
	}
	return &shape.DecodeAuthorizationMessageOutput{DecodedMessage: new(string(text))}, nil
}
