// SPDX-License-Identifier: Apache-2.0

package access_test

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/policy"
)

// What a session hands on is asked for as if the request had it.
func TestWhatGoesOnIsAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		session *access.Session
		in      sts.AssumeRoleInput
		want    []string
	}{
		"a key":                    {nil, sts.AssumeRoleInput{}, []string{"sts:AssumeRole"}},
		"a session":                {&access.Session{Tags: map[string]string{"a": "b"}}, sts.AssumeRoleInput{}, []string{"sts:AssumeRole"}},
		"one with transitive tags": {&access.Session{Transitive: []string{"a"}}, sts.AssumeRoleInput{}, []string{"sts:AssumeRole", "sts:TagSession"}},
		"one with a source":        {&access.Session{SourceIdentity: "ann"}, sts.AssumeRoleInput{}, []string{"sts:AssumeRole", "sts:SetSourceIdentity"}},
		"a request with both":      {nil, sts.AssumeRoleInput{Tags: []sts.Tag{{}}, SourceIdentity: new("x")}, []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}},
	} {
		test.in.RoleArn = new("arn:aws:iam::444455556666:role/r")
		caller := access.Caller{Account: mine, Kind: policy.Role, Session: test.session}
		var got []string
		for _, a := range access.Services["sts"].Operations["AssumeRole"].Ask(nil, &caller, &test.in) {
			got = append(got, a.Action)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: asked for %v, want %v", name, got, test.want)
		}
	}
}

// Sessions of keys do nothing of IAM's, and of STS's only what AWS lets them.
func TestSessionsOfKeysAreBarred(t *testing.T) {
	allowed := func(kind policy.PrincipalKind, action string) bool {
		caller := access.Caller{Account: mine, Kind: policy.Root, Session: &access.Session{Kind: kind}}
		return access.Decide(&access.Request{Asked: access.Asked{Caller: &caller, Asks: []access.Ask{{Action: action}}}}, nil).Allowed
	}
	for action, want := range map[string]string{
		"iam:ListUsers": "role", "iam:GetSessionToken": "role", "sts:GetAccessKeyInfo": "role", "sts:DecodeAuthorizationMessage": "role",
		"sts:AssumeRole": "role session", "sts:GetSessionToken": "role session federated", "ec2:DescribeVpcs": "role session federated",
	} {
		got := ""
		for _, k := range []struct {
			name string
			kind policy.PrincipalKind
		}{{"role", policy.Role}, {"session", policy.User}, {"federated", policy.Federated}} {
			if allowed(k.kind, action) {
				got += " " + k.name
			}
		}
		if got != " "+want {
			t.Errorf("%s is for%s, want %s", action, got, want)
		}
	}
}
