// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// matchOracle decides with a regular expression.
func matchOracle(pattern, value string) bool {
	var re strings.Builder
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '*':
			re.WriteString(`(?s:.*)`)
		case c == '?':
			re.WriteString(`(?s:.)`)
		case c == '\\' && i+1 < len(runes):
			i++
			re.WriteString(regexp.QuoteMeta(string(runes[i])))
		default:
			re.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return regexp.MustCompile(`\A(?:` + re.String() + `)\z`).MatchString(value)
}

func TestMatchIsWhatARegularExpressionSays(t *testing.T) {
	letters := rapid.SampledFrom([]rune{'a', 'b', '*', '?', '\\', 'ü', '\n'})
	rapid.Check(t, func(t *rapid.T) {
		pattern := string(rapid.SliceOfN(letters, 0, 8).Draw(t, "pattern"))
		value := string(rapid.SliceOfN(letters, 0, 8).Draw(t, "value"))
		if got, want := Match(pattern, value), matchOracle(pattern, value); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, value, got, want)
		}
	})
}

func TestMatchOfManyStarsIsFast(t *testing.T) {
	if Match(strings.Repeat("*a", 100)+"b", strings.Repeat("a", 5000)) {
		t.Error("a pattern that ends in b matches a value without b")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add(`\*`, "*")
	f.Add("*", "")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if len(pattern)+len(value) > 1000 {
			return
		}
		Match(pattern, value)
		if !Match("*", value) {
			t.Errorf("* does not match %q", value)
		}
	})
}

type thing struct {
	color string
	tags  map[string]string
}

var thingFilters = Filters[thing]{
	Tags:       func(x thing) map[string]string { return x.tags },
	Properties: map[string]func(thing) []string{"color": func(x thing) []string { return []string{x.color} }},
}

func TestFiltersTakeAllConditionsAndAnyValue(t *testing.T) {
	red := thing{color: "red", tags: map[string]string{"env": "prod", "tag-key": "x"}}
	for _, test := range []struct {
		name    string
		filters []Filter
		want    bool
	}{
		{"none", nil, true},
		{"value", []Filter{{"color", []string{"red"}}}, true},
		{"case", []Filter{{"color", []string{"Red"}}}, false},
		{"any value", []Filter{{"color", []string{"blue", "r*"}}}, true},
		{"no value", []Filter{{"color", nil}}, false},
		{"both", []Filter{{"color", []string{"red"}}, {"tag:env", []string{"prod"}}}, true},
		{"one of both", []Filter{{"color", []string{"red"}}, {"tag:env", []string{"test"}}}, false},
		{"tag absent", []Filter{{"tag:none", []string{"*"}}}, false},
		{"tag key", []Filter{{"tag-key", []string{"en?"}}}, true},
		{"tag key absent", []Filter{{"tag-key", []string{"prod"}}}, false},
	} {
		holds, err := thingFilters.Compile(test.filters)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := holds(red); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestUnknownFilterIsNamed(t *testing.T) {
	_, err := thingFilters.Compile([]Filter{{"colour", []string{"red"}}})
	var filter *FilterError
	if !errors.As(err, &filter) || filter.Name != "colour" || !strings.Contains(err.Error(), "color, tag:<key>") {
		t.Errorf("got %v", err)
	}
}
