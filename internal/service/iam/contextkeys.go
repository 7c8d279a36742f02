// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/policy"
)

// variable is a condition key within a text of a policy
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
var variable = regexp.MustCompile(`\$\{\s*([A-Za-z0-9-]+:[^},]*[^},\s])\s*(,[^}]*)?\}`)

// contextKeys are the condition keys that a policy asks for: in conditions, and as variables.
// The text is one that was parsed.
func contextKeys(text string) (keys []string) {
	var document any
	if json.Unmarshal([]byte(text), &document) != nil {
		return nil
	}
	seen := map[string]bool{}
	add := func(key string) {
		if !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	walk(document, add)
	slices.Sort(keys)
	return keys
}

func walk(v any, add func(string)) {
	switch v := v.(type) {
	case string:
		for _, found := range variable.FindAllStringSubmatch(v, -1) {
			add(found[1])
		}
	case []any:
		for _, element := range v {
			walk(element, add)
		}
	case map[string]any:
		for name, member := range v {
			if operators, ok := member.(map[string]any); ok && name == "Condition" {
				for _, block := range operators {
					if tests, ok := block.(map[string]any); ok {
						for key := range tests {
							add(key)
						}
					}
				}
			}
			walk(member, add)
		}
	}
}

// keysOf are the condition keys of policies, each once.
func keysOf(texts []string) []string {
	keys := []string{}
	for _, text := range texts {
		keys = append(keys, contextKeys(text)...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// GetContextKeysForCustomPolicy lists the condition keys that policies of the request ask
// for.
func (a *API) GetContextKeysForCustomPolicy(_ context.Context, in *shape.GetContextKeysForCustomPolicyInput) (*shape.GetContextKeysForCustomPolicyOutput, error) {
	for _, text := range in.PolicyInputList {
		if _, err := read(policy.Identity, text); err != nil {
			return nil, err
		}
	}
	return &shape.GetContextKeysForCustomPolicyOutput{ContextKeyNames: keysOf(in.PolicyInputList)}, nil
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
	texts := slices.Clone(in.PolicyInputList)
	for _, text := range texts {
		if _, err := read(policy.Identity, text); err != nil {
			return nil, err
		}
	}
	for _, src := range s.sources {
		texts = append(texts, src.text)
	}
	return &shape.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: keysOf(texts)}, nil
}
