// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"errors"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/policy/policytest"
)

// TestSimulationsAnswerTheCorpus asks SimulateCustomPolicy what the corpus of policies
// has, as tool/simulate asks AWS.
func TestSimulationsAnswerTheCorpus(t *testing.T) {
	f := newFixture(t)
	asks, err := policytest.Asks()
	if err != nil {
		t.Fatal(err)
	}
	var asked int
	for _, a := range asks {
		s, ok := a.Simulation()
		if !ok {
			continue
		}
		in := &shape.SimulateCustomPolicyInput{
			PolicyInputList: s.PolicyInputList, PermissionsBoundaryPolicyInputList: s.PermissionsBoundaryPolicyInputList,
			ActionNames: s.ActionNames, ResourceArns: s.ResourceArns, CallerArn: &s.CallerArn,
		}
		if s.ResourcePolicy != "" {
			in.ResourcePolicy = &s.ResourcePolicy
		}
		if s.ResourceOwner != "" {
			in.ResourceOwner = &s.ResourceOwner
		}
		// Unique ids and who was made anew are not in a simulation, which knows names.
		if strings.Contains(s.ResourcePolicy, "AIDA") || strings.Contains(s.CallerArn, "/gone") {
			continue
		}
		for _, e := range s.ContextEntries {
			in.ContextEntries = append(in.ContextEntries, shape.ContextEntry{
				ContextKeyName: &e.ContextKeyName, ContextKeyValues: e.ContextKeyValues, ContextKeyType: &e.ContextKeyType,
			})
		}
		// A simulation knows who calls, which the corpus leaves out to ask without.
		if strings.Contains(strings.Join(s.PolicyInputList, ""), "rincipalA") || strings.Contains(strings.Join(s.PolicyInputList, ""), "sername") {
			continue
		}
		asked++
		out, err := f.SimulateCustomPolicy(f.ctx, in)
		var refused *fault.Error
		if errors.As(err, &refused) && a.WantLayer == "none" {
			continue
		}
		if err != nil {
			t.Errorf("%s: %s: %v", a.Where, a.Name, err)
			continue
		}
		r := out.EvaluationResults[0]
		if *r.EvalDecision != a.Want {
			t.Errorf("%s: %s: %s on %s with %v is %s, want %s", a.Where, a.Name, a.Action, a.Resource, a.Context, *r.EvalDecision, a.Want)
		}
		if len(r.MatchedStatements) == 0 && a.Want != shape.PolicyEvaluationDecisionTypeImplicitDeny && !strings.EqualFold(a.Action, "sts:GetCallerIdentity") {
			t.Errorf("%s: %s is %s by no statement", a.Where, a.Name, a.Want)
		}
	}
	if asked < 900 {
		t.Errorf("%d questions were asked", asked)
	}
}

// TestManagedPoliciesAreOfTheNewVersion wants CreatePolicy to refuse what has no version, or
// the older one, which is good for an inline policy.
func TestManagedPoliciesAreOfTheNewVersion(t *testing.T) {
	f := newFixture(t)
	u := f.user(t, "Ann")
	for _, version := range []string{"", `"Version":"2008-10-17",`} {
		text := "{" + version + `"Statement":{"Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"*"}}`
		_, err := f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: new("old"), PolicyDocument: &text})
		var refused *fault.Error
		if !errors.As(err, &refused) || refused.Code != "MalformedPolicyDocument" || refused.Message != "Policy document must be version 2012-10-17 or greater." {
			t.Errorf("%s is answered with %v", text, err)
		}
		if _, err := f.PutUserPolicy(f.ctx, &shape.PutUserPolicyInput{UserName: u.UserName, PolicyName: new("old"), PolicyDocument: &text}); err != nil {
			t.Errorf("%s inline: %v", text, err)
		}
	}
}

// TestTrustIsInAccountsThatAreThere wants roles to trust no account that nobody has.
func TestTrustIsInAccountsThatAreThere(t *testing.T) {
	f := newFixture(t)
	for principal, there := range map[string]bool{other: true, "arn:aws:iam::" + other + ":root": true, "*": true, "999999999999": false, "arn:aws:iam::999999999999:root": false} {
		_, err := f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: new("role"), AssumeRolePolicyDocument: new(trusting(principal))})
		var refused *fault.Error
		if errors.As(err, &refused) == there || !there && refused.Message != `Invalid principal in policy: "AWS":"999999999999"` {
			t.Errorf("trust in %s: %v", principal, err)
		}
		if there {
			must[*shape.DeleteRoleOutput](t)(f.DeleteRole(f.ctx, &shape.DeleteRoleInput{RoleName: new("role")}))
		}
	}
}
