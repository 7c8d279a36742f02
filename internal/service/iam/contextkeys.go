// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/policy"
)

// keysOf are the condition keys that policies of a request and others ask for, each once.
func keysOf(texts []string, others []policy.Named) ([]string, error) {
	for _, text := range texts {
		p, err := named(policy.Identity, text, "")
		if err != nil {
			return nil, err
		}
		others = append(others, p)
	}
	keys := []string{}
	for _, p := range others {
		if p.Document != nil {
			keys = append(keys, p.Document.Keys()...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// GetContextKeysForCustomPolicy lists the condition keys that policies of the request ask
// for.
func (a *API) GetContextKeysForCustomPolicy(_ context.Context, in *shape.GetContextKeysForCustomPolicyInput) (*shape.GetContextKeysForCustomPolicyOutput, error) {
	keys, err := keysOf(in.PolicyInputList, nil)
	return &shape.GetContextKeysForCustomPolicyOutput{ContextKeyNames: keys}, err
}

// GetContextKeysForPrincipalPolicy lists the condition keys that the policies of a user,
// group or role ask for, and others of the request.
func (a *API) GetContextKeysForPrincipalPolicy(ctx context.Context, in *shape.GetContextKeysForPrincipalPolicyInput) (*shape.GetContextKeysForPrincipalPolicyOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	s := &simulation{}
	if _, err := s.of(tx, access.From(ctx), *in.PolicySourceArn); err != nil {
		return nil, err
	}
	keys, err := keysOf(in.PolicyInputList, s.principal.Identity)
	return &shape.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: keys}, err
}
