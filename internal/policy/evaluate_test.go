// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/policytest"
)

func named(tb testing.TB, kind policy.Kind, text string) policy.Named {
	tb.Helper()
	d, err := policy.Parse(kind, text)
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return policy.Named{ARN: "arn:aws:iam::111122223333:policy/p", Name: "p", Document: d}
}

func ten(tb testing.TB) *policy.Question { return must(tb, policytest.Ten) }

func layers(tb testing.TB) *policy.Question { return must(tb, policytest.Layered) }

func must(tb testing.TB, make func() (*policy.Question, error)) *policy.Question {
	tb.Helper()
	q, err := make()
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// TestAllowDoesNotAllocate wants no memory on the way to an Allow.
func TestAllowDoesNotAllocate(t *testing.T) {
	for name, q := range map[string]*policy.Question{"ten policies": ten(t), "all layers": layers(t)} {
		if v := policy.Evaluate(q); !v.Allowed {
			t.Fatalf("%s: %+v", name, v)
		}
		if n := testing.AllocsPerRun(100, func() { policy.Evaluate(q) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// TestEvaluateGoesThroughLongPoliciesOnce evaluates what is as long and as hostile as
// can be: it ends, which it would not if patterns exploded.
func TestEvaluateGoesThroughLongPoliciesOnce(t *testing.T) {
	q := ten(t)
	hostile := `"arn:aws:ec2:*:*:vpc/` + strings.Repeat("*a", 1000) + `*b"`
	list := strings.Repeat(hostile+",", 50) + hostile
	q.Principal.Identity = nil
	for range 10 {
		q.Principal.Identity = append(q.Principal.Identity, named(t, policy.Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":[`+list+`]}}`))
	}
	q.Resource = "arn:aws:ec2:us-east-1:111122223333:vpc/" + strings.Repeat("a", 2000)
	if v := policy.Evaluate(q); v.Allowed || v.Explicit {
		t.Errorf("%+v", v)
	}
}

// TestExplainNamesStatementsAndKeys wants places as AWS counts them, and the keys that
// are missing.
func TestExplainNamesStatementsAndKeys(t *testing.T) {
	ask := policytest.Ask{As: "user ann", Account: policytest.Account}
	p, err := ask.Principal()
	if err != nil {
		t.Fatal(err)
	}
	p.Identity = []policy.Named{
		named(t, policy.Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*","Condition":{"StringEquals":{"aws:X":"a"}}}}`),
		named(t, policy.Identity, "{\n    \"Version\": \"2012-10-17\",\n    \"Statement\": [\n        {\n            \"Sid\": \"One\",\n            \"Effect\": \"Allow\",\n"+
			"            \"Action\": \"ec2:DescribeVpcs\",\n            \"Resource\": \"*\"\n        },\n        {\"Effect\":\"Deny\",\"Action\":\"ec2:*\",\"Resource\":\"*\",\"Condition\":"+
			"{\"StringLike\":{\"aws:y\":\"${aws:PrincipalTag/é}\"}}}\n    ]\n}"),
	}
	q := &policy.Question{Principal: p, Action: "ec2:DescribeVpcs", Resource: "*", Context: policytest.Keys{"aws:x": {"a"}}}
	x := policy.Explain(q)
	got := fmt.Sprint(x.Verdict.Allowed, x.Missing)
	for _, m := range x.Matched {
		got += fmt.Sprint(" ", m.Statement, m.Sid, m.Deny, m.Start, m.End)
	}
	if want := "true [aws:y aws:PrincipalTag/é] 0false {1 38} {1 130} 0Onefalse {3 19} {9 10}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	q.Context = policytest.Keys{"aws:x": {"a"}, "aws:y": {"b"}, "aws:principaltag/é": {"b"}}
	x = policy.Explain(q)
	if len(x.Matched) != 1 || !x.Matched[0].Deny || x.Matched[0].Start != (policy.Position{Line: 9, Column: 10}) || len(x.Missing) != 0 {
		t.Errorf("got %+v, want the one statement that denies", x)
	}
	if keys := strings.Join(p.Identity[1].Document.Keys(), " "); keys != "aws:PrincipalTag/é aws:y" {
		t.Errorf("keys are %s", keys)
	}
}

// TestDocumentsNameTheirPrincipals lists whom a document names, each once.
func TestDocumentsNameTheirPrincipals(t *testing.T) {
	const ann, ops = "arn:aws:iam::111122223333:user/ann", "arn:aws:iam::444455556666:role/path/ops"
	d := named(t, policy.Trust, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["`+ops+`","`+ann+`","444455556666","arn:aws:iam::444455556666:root","AIDAANN22222222222222"]},"Action":"sts:AssumeRole"},
		{"Effect":"Deny","Principal":{"AWS":["`+ann+`","arn:aws:sts::111122223333:assumed-role/a/b"],"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"},
		{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}]}`).Document
	if got := strings.Join(d.Principals(), " "); got != ann+" "+ops {
		t.Errorf("users and roles: %s", got)
	}
	if got := strings.Join(d.Accounts(), " "); got != "444455556666" {
		t.Errorf("accounts: %s", got)
	}
}

// FuzzParse reads what the fuzzer finds, prints it, and reads it again.
func FuzzParse(f *testing.F) {
	asks, err := policytest.Asks()
	if err != nil {
		f.Fatal(err)
	}
	for i, a := range asks {
		if i%20 == 0 && len(a.Policies) > 0 && a.Policies[0].Text != "" {
			kind, _ := policytest.Kind(a.Policies[0].Layer)
			f.Add(uint8(kind), a.Policies[0].Text)
		}
	}
	f.Add(uint8(0), `{"Statement":{"Action":"*","Effect":"Allow","Resource":"arn:aws:iam"}}`)
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		k := policy.Kind(kind%7) + policy.Identity
		d, err := policy.Parse(k, text)
		if err != nil {
			return
		}
		printed := d.String()
		again, err := policy.Parse(k, printed)
		if err != nil {
			t.Fatalf("%s is printed as %s, which is refused: %v", text, printed, err)
		}
		if again.String() != printed {
			t.Errorf("%s is printed as %s and then as %s", text, printed, again)
		}
	})
}

// FuzzEvaluate asks about what the fuzzer finds: a document alone never allows beside
// a Deny of everything, and an explanation agrees.
func FuzzEvaluate(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:vpc/${aws:x}"}}`, "ec2:CreateVpc", "arn:aws:ec2:::vpc/a", "aws:x", "a")
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:x":"arn:*:*:*:*:${aws:x}"}}}}`, "a:b", "*", "aws:x", "a:b:c:d:e:f")
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"a:c","NotResource":"arn:aws:b","Condition":{"DateLessThan":{"aws:x":"2020"}}}}`, "a:b", "*", "aws:x", "2019-01")
	deny := named(f, policy.Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	f.Fuzz(func(t *testing.T, text, action, resource, key, value string) {
		d, err := policy.Parse(policy.Identity, text)
		if err != nil {
			return
		}
		ask := policytest.Ask{As: "user ann", Account: policytest.Account}
		p, err := ask.Principal()
		if err != nil {
			t.Fatal(err)
		}
		p.Identity = []policy.Named{{Name: "found", Document: d}}
		q := &policy.Question{Principal: p, Action: action, Resource: resource, Context: policytest.Keys{strings.ToLower(key): {value}}}
		v := policy.Evaluate(q)
		if x := policy.Explain(q); x.Verdict != v || v.Allowed && !strings.EqualFold(action, "sts:GetCallerIdentity") && len(x.Matched) == 0 {
			t.Errorf("%+v is explained as %+v", v, x)
		}
		p.Identity = append(p.Identity, deny)
		if v := policy.Evaluate(q); v.Allowed && !strings.EqualFold(action, "sts:GetCallerIdentity") {
			t.Errorf("%s allows %s on %s beside a Deny of everything", text, action, resource)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	for name, q := range map[string]*policy.Question{"ten": ten(b), "layers": layers(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := policy.Evaluate(q); !v.Allowed {
					b.Fatal(v)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := ten(b).Principal.Identity[0].Document.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Parse(policy.Identity, text); err != nil {
			b.Fatal(err)
		}
	}
}
