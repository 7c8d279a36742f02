// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// slowMatch is what a pattern means, in as few words as possible: a list of signs of
// which nil is a run of characters, and zero one character.
func slowMatch(signs []*rune, s []rune) bool {
	if len(signs) == 0 {
		return len(s) == 0
	}
	if signs[0] == nil {
		return slowMatch(signs[1:], s) || len(s) > 0 && slowMatch(signs, s[1:])
	}
	return len(s) > 0 && (*signs[0] == 0 || *signs[0] == s[0]) && slowMatch(signs[1:], s[1:])
}

// keys is a Context for tests.
type keys map[string][]string

func (k keys) Values(key string) ([]string, bool) {
	values, present := k[key]
	return values, present
}

// drawPattern draws a pattern with what its variables stand for, and the same as
// signs.
func drawPattern(t *rapid.T) (source string, signs []*rune, x keys) {
	x = keys{}
	literally := func(text string) {
		for _, r := range text {
			signs = append(signs, &r)
		}
	}
	for range rapid.IntRange(0, 7).Draw(t, "pieces") {
		switch rapid.IntRange(0, 6).Draw(t, "piece") {
		case 0, 1:
			source, signs = source+"*", append(signs, nil)
		case 2:
			source, signs = source+"?", append(signs, new(rune))
		case 3:
			key := rapid.SampledFrom([]string{"aws:x", "aws:y"}).Draw(t, "key")
			if _, present := x[key]; !present {
				x[key] = []string{rapid.StringOfN(rapid.RuneFrom([]rune("ab*?ö")), 0, 3, -1).Draw(t, "value")}
			}
			source += "${" + key + "}"
			literally(x[key][0])
		case 4:
			sign := rapid.SampledFrom([]string{"*", "?", "$"}).Draw(t, "sign")
			source += "${" + sign + "}"
			literally(sign)
		default:
			text := rapid.StringOfN(rapid.RuneFrom([]rune("abö")), 1, 3, -1).Draw(t, "text")
			source += text
			literally(text)
		}
	}
	return source, signs, x
}

// TestPatternsMatchAsTheSlowOnes compares with slowMatch.
func TestPatternsMatchAsTheSlowOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source, signs, x := drawPattern(t)
		p, problem := compilePattern(source, true, true)
		if problem != "" {
			t.Fatalf("%q: %s", source, problem)
		}
		for range 8 {
			text := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?$ö")), 0, 10, -1).Draw(t, "asked")
			if got, want := p.match(text, x), truth(slowMatch(signs, []rune(text))); got != want {
				t.Fatalf("%q with %v and %q: %d, want %d", source, x, text, got, want)
			}
		}
	})
}

// TestActionsMatchAsTheSlowOnes compares with slowMatch on small letters.
func TestActionsMatchAsTheSlowOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.StringOfN(rapid.RuneFrom([]rune("abAB**?")), 0, 8, -1).Draw(t, "pattern")
		p, _ := compilePattern(source, true, false)
		var signs []*rune
		for _, r := range strings.ToLower(source) {
			switch r {
			case '*':
				signs = append(signs, nil)
			case '?':
				signs = append(signs, new(rune))
			default:
				signs = append(signs, &r)
			}
		}
		for range 8 {
			text := rapid.StringOfN(rapid.RuneFrom([]rune("abAB")), 0, 10, -1).Draw(t, "asked")
			if got, want := p.matchFold(text), slowMatch(signs, []rune(strings.ToLower(text))); got != want {
				t.Fatalf("%q and %q: %v, want %v", source, text, got, want)
			}
		}
	})
}

// counted counts how often its key is asked for.
type counted struct{ n int }

func (c *counted) Values(string) ([]string, bool) {
	c.n++
	return []string{"a"}, true
}

// TestPatternsDoNotExplode matches patterns that make others try each place again. It
// would not end if the work grew with the power of the runs, and it asks for a
// variable once in each place that is tried, which tells how many were.
func TestPatternsDoNotExplode(t *testing.T) {
	const n = 100_000
	long := strings.Repeat("a", n)
	for _, source := range []string{
		strings.Repeat("*a", 20000) + "*b",
		strings.Repeat("a*", 20000) + "b",
		strings.Repeat("*", 60000) + "b",
		strings.Repeat("*ab", 20000),
		"*" + strings.Repeat("a", 50000) + "b*",
		strings.Repeat("*?", 20000) + "b",
	} {
		p, _ := compilePattern(source, true, true)
		if got := p.match(long, nil); got != no {
			t.Errorf("%.20s… matches", source)
		}
	}
	p, _ := compilePattern(strings.Repeat("*${aws:x}", 50)+"*b", true, true)
	c := &counted{}
	if got := p.match(long+"c", c); got != no {
		t.Error("a pattern of variables matches")
	}
	if c.n > 200 {
		t.Errorf("50 variables were asked for %d times", c.n)
	}
	action, _ := compilePattern(strings.Repeat("*a", 30)+"*b", true, false)
	if action.matchFold(strings.Repeat("a", 64)) {
		t.Error("an action matches")
	}
}

// TestSegmentsOfARNs takes ARNs apart whose variables have colons.
func TestSegmentsOfARNs(t *testing.T) {
	got := compileSegments("arn:aws:iam::${aws:PrincipalAccount}:user/${aws:PrincipalTag/a:b, 'c:d'}:e", true)
	var parts []string
	for i := range got {
		parts = append(parts, got[i].source)
	}
	want := "arn aws iam  ${aws:PrincipalAccount} user/${aws:PrincipalTag/a:b, 'c:d'}:e"
	if strings.Join(parts, " ") != want {
		t.Errorf("parts %q, want %q", strings.Join(parts, " "), want)
	}
	if compileSegments("arn:aws:iam::${a:b:c}", true) != nil {
		t.Error("colons of a variable make parts")
	}
}

// TestDecimalsCompareAsNumbers compares with integers of a thousandth.
func TestDecimalsCompareAsNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() (decimal, int) {
			n := rapid.IntRange(-20000, 20000).Draw(t, "thousandths")
			whole, fraction, sign := n, 0, ""
			if n < 0 {
				whole, sign = -n, "-"
			}
			whole, fraction = whole/1000, whole%1000
			text := sign + strings.Repeat("0", rapid.IntRange(0, 2).Draw(t, "zeros")) + itoa(whole)
			if fraction > 0 || rapid.Bool().Draw(t, "point") {
				text += "." + itoa(1000 + fraction)[1:]
			}
			d, ok := parseDecimal(text)
			if !ok {
				t.Fatalf("%q is no number", text)
			}
			return d, n
		}
		a, m := draw()
		b, n := draw()
		if got := a.compare(b); got < 0 != (m < n) || got > 0 != (m > n) {
			t.Fatalf("%v and %v: %d", a, b, got)
		}
	})
}

func itoa(n int) string {
	text := string(rune('0' + n%10))
	for n /= 10; n > 0; n /= 10 {
		text = string(rune('0'+n%10)) + text
	}
	return text
}

// FuzzPattern compares with slowMatch on what the fuzzer finds.
func FuzzPattern(f *testing.F) {
	f.Add("a*c", "abcc")
	f.Add("*a?c*e", "aaxabcde")
	f.Add("${*}?*", "*öx")
	f.Fuzz(func(t *testing.T, source, text string) {
		if len(source) > 12 || len(text) > 16 || !utf8.ValidString(source) || !utf8.ValidString(text) {
			return
		}
		p, _ := compilePattern(source, true, false)
		var signs []*rune
		for _, r := range source {
			switch r {
			case '*':
				signs = append(signs, nil)
			case '?':
				signs = append(signs, new(rune))
			case 0:
				return
			default:
				signs = append(signs, &r)
			}
		}
		if got, want := p.match(text, nil), truth(slowMatch(signs, []rune(text))); got != want {
			t.Errorf("%q and %q: %d, want %d", source, text, got, want)
		}
	})
}
