// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strings"
	"testing"
)

func TestPatternMatch(t *testing.T) {
	const name = `(?!rgw-)(?![-])(?!.*[-]$)(?!.*[-]{2})[a-z0-9-]+`
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{name, "my-gateway", true},
		{name, "rgw-1", false},
		{name, "argw-1", true},
		{name, "-a", false},
		{name, "a-", false},
		{name, "a--b", false},
		{name, "My", false},
		{name, "", false},
		{`^[a-z]([a-z]|-(?!-)){1,9}[a-z]$`, "a-b-c", true},
		{`^[a-z]([a-z]|-(?!-)){1,9}[a-z]$`, "a--c", false},
		{`^(?!a)b?`, "", true},
		{`(?!(x|[)])y)[xy]+`, "xy", false},
		{`(?!(x|[)])y)[xy]+`, "yx", true},
		{`(?!\))\)?z`, "z", true},
		{`\d{12}`, "1234567890123", false},
		{`\d{12}`, "123456789012", true},
		{`\d{12}`, "x123456789012", false},
		{`a|b`, "ab", false},
		{`.*`, "one\ntwo", false},
		{`[\u0020-\u00FF]+`, "é", true},
		{`[\u0020-\u00FF]+`, "世", false},
		{`x.{0,1023}`, "x" + strings.Repeat("y", 1023), true},
		{`x.{0,1023}`, "x" + strings.Repeat("y", 1024), false},
		{`[ab\]]{2,2500}`, strings.Repeat("a", 2500), true},
		{`[ab\]]{2,2500}`, strings.Repeat("a", 2501), false},
		{`[ab\]]{2,2500}`, "a", false},
	} {
		p := NewPattern(test.pattern)
		if err := p.Compile(); err != nil {
			t.Errorf("compile %q: %v", test.pattern, err)
			continue
		}
		if got := p.Match(test.value); got != test.want {
			t.Errorf("%q matches %.40q: %v, want %v", test.pattern, test.value, got, test.want)
		}
	}
}

func TestPatternThatCannotBeTranslated(t *testing.T) {
	for _, source := range []string{`(?!a`, `a(?!b)`, `[`, `(?![)a`} {
		p := NewPattern(source)
		if err := p.Compile(); err == nil {
			t.Errorf("%q compiles", source)
		}
		if p.Match("a") {
			t.Errorf("%q matches", source)
		}
	}
}

func TestCanonical(t *testing.T) {
	s := &Shape{Kind: String, Enum: []string{"Resource", "Gateway"}, EnumFold: true}
	for value, want := range map[string]string{"resource": "Resource", "GATEWAY": "Gateway", "other": "other", "Resource": "Resource"} {
		if got := s.Canonical(value); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", value, got, want)
		}
	}
	s.EnumFold = false
	if got := s.Canonical("resource"); got != "resource" {
		t.Errorf("without folding %q came back", got)
	}
}

func TestDryRunRequested(t *testing.T) {
	type input struct{ DryRun *bool }
	op := &Operation{
		DryRun: true,
		Input:  &Shape{Members: []Member{{Name: "DryRun", Index: 0, Shape: &Shape{Kind: Boolean}}}},
	}
	yes, no := true, false
	for _, test := range []struct {
		in   *input
		want bool
	}{{&input{}, false}, {&input{&yes}, true}, {&input{&no}, false}} {
		if got := op.DryRunRequested(test.in); got != test.want {
			t.Errorf("DryRunRequested(%v) = %v", test.in.DryRun, got)
		}
	}
}
