// SPDX-License-Identifier: Apache-2.0

package sts

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// lasting refuses callers whose keys end by themselves.
func lasting(who access.View, operation string) error {
	if who.Session != nil {
		return fault.STS(codeDenied, "Cannot call %s with session credentials", operation)
	}
	return nil
}

// GetSessionToken begins a session of the caller itself:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html. It ends
// with the access key that asked for it.
func (a API) GetSessionToken(ctx context.Context, in *shape.GetSessionTokenInput) (*shape.GetSessionTokenOutput, error) {
	who := access.From(ctx)
	if err := lasting(who, "GetSessionToken"); err != nil {
		return nil, err
	}
	if err := noCode(in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	s := &access.Session{Account: who.Account, Kind: who.Kind, Entity: who.EntityID, Parent: who.AccessKeyID}
	if err := a.begin(s, orHours(in.DurationSeconds)); err != nil {
		return nil, err
	}
	t, err := a.tell(s, in.MinimumSessionTokenSize)
	if err != nil {
		return nil, err
	}
	return &shape.GetSessionTokenOutput{Credentials: t.credentials, SessionTokenSize: t.size, SessionTokenUtilization: t.utilization}, nil
}

// GetFederationToken begins a session for somebody whom the caller knows. It may do what
// both the caller and the policies that are given may; without any it may do nothing:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
func (a API) GetFederationToken(ctx context.Context, in *shape.GetFederationTokenInput) (*shape.GetFederationTokenOutput, error) {
	who := access.From(ctx)
	if err := lasting(who, "GetFederationToken"); err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	s := &access.Session{
		Account: who.Account, Kind: policy.Federated, Entity: who.EntityID, Parent: who.AccessKeyID, Name: *in.Name, Bounded: true,
	}
	if err := bind(tx, s, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	if err := tag(s, nil, in.Tags, nil); err != nil {
		return nil, err
	}
	if err := a.begin(s, orHours(in.DurationSeconds)); err != nil {
		return nil, err
	}
	t, err := a.tell(s, in.MinimumSessionTokenSize)
	if err != nil {
		return nil, err
	}
	return &shape.GetFederationTokenOutput{
		FederatedUser: &shape.FederatedUser{
			FederatedUserId: new(who.Account + ":" + s.Name),
			Arn:             new(model.ARN("sts", "", who.Account, "federated-user/"+s.Name)),
		},
		Credentials: t.credentials, PackedPolicySize: t.packed, SessionTokenSize: t.size, SessionTokenUtilization: t.utilization,
	}, nil
}

// orHours is how long a session lasts that is not of a role.
func orHours(seconds *int32) time.Duration {
	if seconds == nil {
		return keySession
	}
	return time.Duration(*seconds) * time.Second
}
