// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/policytest"
)

// The words that drawn policies and questions are made of are few, so that they meet.
var (
	actionWords   = []string{"*", "ec2:*", "ec2:Create*", "ec2:CreateVpc", "iam:GetUser", "EC2:*vpc", "ec2:??????Vpc"}
	askedActions  = []string{"ec2:CreateVpc", "ec2:DeleteVpc", "iam:GetUser", "ec2:createvpc"}
	resourceWords = []string{
		"*", "arn:aws:ec2:*:*:vpc/*", "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1", "arn:aws:iam::111122223333:user/${aws:username}",
		"arn:aws:iam::*:user/a*", "arn:aws:ec2:us-east-1",
	}
	askedResources = []string{
		"*", "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1", "arn:aws:ec2:us-east-1:444455556666:vpc/vpc-2", "arn:aws:iam::111122223333:user/ann",
	}
	principalWords = []string{
		"*", "111122223333", "arn:aws:iam::111122223333:user/ann", "arn:aws:iam::111122223333:role/ops",
		"arn:aws:sts::111122223333:assumed-role/ops/x", "444455556666", "AIDAANN22222222222222",
	}
	operatorWords = []string{
		"StringEquals", "StringNotEquals", "StringLike", "StringNotLikeIfExists", "ForAllValues:StringEquals", "ForAnyValue:StringNotEquals",
		"NumericLessThan", "NumericNotEquals", "Bool", "Null", "IpAddress", "NotIpAddress", "DateGreaterThan", "ArnLike", "ArnNotEquals",
	}
	conditionKeys = []string{"aws:x", "aws:username", "AWS:X", "aws:y"}
	valuesFor     = map[string][]string{
		"Str": {"ann", "b*", "${aws:username}", "5", ""}, "For": {"ann", "b", "${aws:username}"}, "Num": {"5", "10.5"}, "Boo": {"true", "false"},
		"Nul": {"true", "false"}, "IpA": {"10.0.0.0/8"}, "Not": {"10.0.0.0/8"}, "Dat": {"2026-01-01T00:00:00Z"}, "Arn": {"arn:aws:iam::*:user/*", "*"},
	}
	contextValues = []string{"ann", "5", "true", "10.1.1.1", "2026-02-02T00:00:00Z", "arn:aws:iam::111122223333:user/ann", "b*", ""}
)

// drawStatement draws a statement of a kind of policies.
func drawStatement(t *rapid.T, kind policy.Kind, effects ...string) map[string]any {
	s := map[string]any{"Effect": rapid.SampledFrom(effects).Draw(t, "effect")}
	some := func(words []string, label string) any {
		list := rapid.SliceOfN(rapid.SampledFrom(words), 1, 3).Draw(t, label)
		if len(list) == 1 && rapid.Bool().Draw(t, "alone") {
			return list[0]
		}
		return list
	}
	element := func(name string) string {
		if rapid.IntRange(0, 4).Draw(t, "not") == 0 {
			return "Not" + name
		}
		return name
	}
	s[element("Action")] = some(actionWords, "actions")
	if kind != policy.Permission {
		s[element("Resource")] = some(resourceWords, "resources")
	}
	if kind == policy.Resource {
		name := "Principal"
		if s["Effect"] == "Deny" {
			name = element(name)
		}
		s[name] = map[string]any{"AWS": some(principalWords, "principals")}
	}
	block := map[string]any{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(operatorWords), 0, 2, rapid.ID).Draw(t, "operators") {
		values := some(valuesFor[name[:3]], "values")
		block[name] = map[string]any{rapid.SampledFrom(conditionKeys).Draw(t, "key"): values}
	}
	if len(block) > 0 {
		s["Condition"] = block
	}
	return s
}

func drawText(t *rapid.T, kind policy.Kind, effects ...string) string {
	var statements []any
	for range rapid.IntRange(1, 3).Draw(t, "statements") {
		statements = append(statements, drawStatement(t, kind, effects...))
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t *rapid.T, kind policy.Kind, text string) policy.Named {
	d, err := policy.Parse(kind, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return policy.Named{Name: text, Document: d}
}

func drawPolicies(t *rapid.T, kind policy.Kind, most int, effects ...string) []policy.Named {
	var all []policy.Named
	for range rapid.IntRange(0, most).Draw(t, "policies") {
		if rapid.IntRange(0, 30).Draw(t, "unreadable") == 0 {
			all = append(all, policy.Named{Name: "unreadable"})
			continue
		}
		all = append(all, parsed(t, kind, drawText(t, kind, effects...)))
	}
	return all
}

// drawQuestion draws a question with all that can have a say in it.
func drawQuestion(t *rapid.T) *policy.Question {
	ask := policytest.Ask{
		As: rapid.SampledFrom([]string{"user ann", "user bob", "role ops/x", "federated bob", "federated root", "root"}).Draw(t, "as"), Account: policytest.Account,
	}
	p, err := ask.Principal()
	if err != nil {
		t.Fatal(err)
	}
	p.Identity = drawPolicies(t, policy.Identity, 3, "Allow", "Allow", "Deny")
	if b := drawPolicies(t, policy.Boundary, 1, "Allow", "Allow", "Deny"); len(b) > 0 {
		p.Boundary = &b[0]
	}
	p.Session = drawPolicies(t, policy.Session, 2, "Allow", "Allow", "Deny")
	p.HasSession = p.HasSession || len(p.Session) > 0
	for range rapid.IntRange(0, 2).Draw(t, "levels") {
		p.Controls = append(p.Controls, drawPolicies(t, policy.Control, 2, "Allow", "Allow", "Deny"))
	}
	x := policytest.Keys{}
	for _, key := range []string{"aws:x", "aws:username", "aws:y"} {
		if values := rapid.SliceOfN(rapid.SampledFrom(contextValues), 0, 2).Draw(t, "values"); len(values) > 0 {
			x[key] = values
		}
	}
	return &policy.Question{
		Principal: p, Context: x,
		Action:          rapid.SampledFrom(askedActions).Draw(t, "action"),
		Resource:        rapid.SampledFrom(askedResources).Draw(t, "resource"),
		ResourceAccount: rapid.SampledFrom([]string{"", policytest.Account, "444455556666"}).Draw(t, "owner"),
		Resources:       drawPolicies(t, policy.Resource, 2, "Allow", "Allow", "Deny"),
		Grants:          drawPolicies(t, policy.Permission, 2, "Allow"),
	}
}

// places are the lists of policies of a question, where one can be added.
func places(q *policy.Question) map[policy.Kind]*[]policy.Named {
	at := map[policy.Kind]*[]policy.Named{policy.Identity: &q.Principal.Identity, policy.Resource: &q.Resources}
	if q.Principal.HasSession {
		at[policy.Session] = &q.Principal.Session
	}
	if len(q.Principal.Controls) > 0 {
		at[policy.Control] = &q.Principal.Controls[0]
	}
	return at
}

// TestDenyNeverAllows adds a Deny to any policies, and with it nothing is allowed
// that was not.
func TestDenyNeverAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := policy.Evaluate(q)
		kind := rapid.SampledFrom([]policy.Kind{policy.Identity, policy.Resource, policy.Session, policy.Control}).Draw(t, "where")
		at := places(q)[kind]
		if at == nil {
			t.Skip()
		}
		*at = append(*at, parsed(t, kind, drawText(t, kind, "Deny")))
		if after := policy.Evaluate(q); after.Allowed && !before.Allowed {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// TestAllowNeverDenies adds an Allow to any policies, and with it nothing is denied
// that was not.
func TestAllowNeverDenies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := policy.Evaluate(q)
		kind := rapid.SampledFrom([]policy.Kind{policy.Identity, policy.Resource, policy.Session, policy.Control}).Draw(t, "where")
		at := places(q)[kind]
		if at == nil {
			t.Skip()
		}
		*at = append(*at, parsed(t, kind, drawText(t, kind, "Allow")))
		if after := policy.Evaluate(q); before.Allowed && !after.Allowed {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// TestLimitsNeverAllow adds a boundary, a session policy or a level, which can only
// take away.
func TestLimitsNeverAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		p := q.Principal
		with := policy.Evaluate(q)
		switch rapid.IntRange(0, 2).Draw(t, "limit") {
		case 0:
			// NotPrincipal asks whether there is a boundary, and is no business of limits.
			p.Boundary = nil
		case 1:
			p.Session, p.HasSession = nil, false
		case 2:
			p.Controls = nil
		}
		if without := policy.Evaluate(q); with.Allowed && !without.Allowed {
			t.Fatalf("without its limit %+v became %+v", with, without)
		}
	})
}

// TestOrderDoesNotMatter turns statements and policies around.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := policy.Evaluate(q)
		turn := func(policies []policy.Named, kind policy.Kind) {
			slices.Reverse(policies)
			for i := range policies {
				if policies[i].Document == nil {
					continue
				}
				var root map[string]any
				if err := json.Unmarshal([]byte(policies[i].Document.String()), &root); err != nil {
					t.Fatal(err)
				}
				statements, _ := root["Statement"].([]any)
				slices.Reverse(statements)
				text, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				policies[i] = parsed(t, kind, string(text))
			}
		}
		turn(q.Principal.Identity, policy.Identity)
		turn(q.Principal.Session, policy.Session)
		turn(q.Resources, policy.Resource)
		turn(q.Grants, policy.Permission)
		for _, level := range q.Principal.Controls {
			turn(level, policy.Control)
		}
		slices.Reverse(q.Principal.Controls)
		after := policy.Evaluate(q)
		before.Policy, before.Name, after.Policy, after.Name = "", "", "", ""
		if before != after {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// TestNobodyGetsThroughWhatIsUnreadable makes one policy after the other unreadable.
func TestNobodyGetsThroughWhatIsUnreadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := policy.Evaluate(q)
		for _, at := range places(q) {
			for i := range *at {
				kept := (*at)[i]
				(*at)[i].Document = nil
				if after := policy.Evaluate(q); after.Allowed {
					t.Fatalf("%+v became %+v with one policy unreadable", before, after)
				}
				(*at)[i] = kept
			}
		}
	})
}

// TestPrintedDocumentsReadTheSame prints a document, reads it, and finds the same
// text and the same answers.
func TestPrintedDocumentsReadTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]policy.Kind{policy.Identity, policy.Resource, policy.Permission}).Draw(t, "kind")
		effects := []string{"Allow", "Deny"}
		if kind == policy.Permission {
			effects = effects[:1]
		}
		first := parsed(t, kind, drawText(t, kind, effects...))
		text := first.Document.String()
		second := parsed(t, kind, text)
		if again := second.Document.String(); again != text {
			t.Fatalf("printed as %s and then as %s", text, again)
		}
		q := drawQuestion(t)
		q.Principal.Identity, q.Resources, q.Grants = nil, nil, nil
		put := map[policy.Kind]*[]policy.Named{policy.Identity: &q.Principal.Identity, policy.Resource: &q.Resources, policy.Permission: &q.Grants}[kind]
		*put = []policy.Named{first}
		before := policy.Evaluate(q)
		*put = []policy.Named{{Name: first.Name, Document: second.Document}}
		if after := policy.Evaluate(q); before != after {
			t.Fatalf("%s answers %+v, and printed as %s %+v", first.Name, before, text, after)
		}
	})
}

// TestExplainAgrees wants a statement for every decision that one made, and none of
// the wrong effect.
func TestExplainAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		v, x := policy.Evaluate(q), policy.Explain(q)
		if x.Verdict != v {
			t.Fatalf("explained as %+v, decided as %+v", x.Verdict, v)
		}
		for _, m := range x.Matched {
			if m.Deny != v.Explicit {
				t.Fatalf("%+v is explained by statement %d of %s", v, m.Statement, m.Policy.Name)
			}
		}
		found := slices.ContainsFunc(x.Matched, func(m policy.Match) bool { return m.Policy.Name == v.Name && m.Layer == v.Layer })
		if v.Name != "" && v.Name != "unreadable" && !found {
			t.Fatalf("%+v has no statement of its policy among %+v", v, x.Matched)
		}
	})
}

// TestNothingButRootIsAllowedWithoutAllow asks with policies that only deny.
func TestNothingButRootIsAllowedWithoutAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		if q.Principal.Kind == policy.Root || strings.HasSuffix(q.Principal.Entity, ":root") {
			t.Skip()
		}
		q.Principal.Identity = drawPolicies(t, policy.Identity, 3, "Deny")
		q.Resources = drawPolicies(t, policy.Resource, 2, "Deny")
		if v := policy.Evaluate(q); v.Allowed {
			t.Fatalf("allowed by nothing: %+v", v)
		}
	})
}
