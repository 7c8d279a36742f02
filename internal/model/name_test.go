// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/model"
)

func TestNormalName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for text, want := range map[string]string{
		"example.com":              "example.com.",
		"WWW.Example.COM.":         "www.example.com.",
		"*.example.com":            `\052.example.com.`,
		"a.*.example.com":          `a.\052.example.com.`,
		`\052.example.com`:         `\052.example.com.`,
		"a@b.example.com":          `a\100b.example.com.`,
		`\101\056b.example.com.`:   `a\056b.example.com.`,
		`a\040b.example.com`:       `a\040b.example.com.`,
		`\377.com`:                 `\377.com.`,
		`a\b.com`:                  `a\134b.com.`,
		`a\12.com`:                 `a\13412.com.`,
		`a\400.com`:                `a\134400.com.`,
		`a\`:                       `a\134.`,
		"_db._tcp.example.com":     "_db._tcp.example.com.",
		"com":                      "com.",
		".":                        ".",
		long + ".com":              long + ".com.",
		strings.Repeat(`\141`, 63): long + ".",
		strings.Repeat(long+".", 3) + strings.Repeat("a", 61): strings.Repeat(long+".", 3) + strings.Repeat("a", 61) + ".",
	} {
		got, err := model.NormalName(text)
		if err != nil || got != want {
			t.Errorf("NormalName(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestTextsThatAreNoNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for text, want := range map[string]model.NameProblem{
		"":                          model.NameEmpty,
		"..":                        model.LabelEmpty,
		".com":                      model.LabelEmpty,
		"a..b":                      model.LabelEmpty,
		"a.b..":                     model.LabelEmpty,
		long + "a.com":              model.LabelTooLong,
		strings.Repeat(`\141`, 64):  model.LabelTooLong,
		strings.Repeat(long+".", 4): model.NameTooLong,
		strings.Repeat(long+".", 3) + strings.Repeat("a", 62): model.NameTooLong,
		"a b.com":      model.NameUnsupported,
		"a\tb.com":     model.NameUnsupported,
		"bücher.com":   model.NameUnsupported,
		"a\x7f.com":    model.NameUnsupported,
		"a\x00b.com":   model.NameUnsupported,
		" example.com": model.NameUnsupported,
	} {
		got, err := model.NormalName(text)
		var wrong *model.NameError
		if !errors.As(err, &wrong) || wrong.Problem != want || wrong.Text != text || got != "" {
			t.Errorf("NormalName(%q) = %q, %v, want the problem %s", text, got, err, want)
		}
	}
}

func TestWhereNamesAre(t *testing.T) {
	for _, test := range []struct {
		name, domain string
		within       bool
		reversed     string
		parent       string
	}{
		{"www.example.com.", "example.com.", true, "com.example.www.", "example.com."},
		{"example.com.", "example.com.", true, "com.example.", "com."},
		{"com.", ".", true, "com.", "."},
		{".", ".", true, ".", ""},
		{".", "com.", false, ".", ""},
		{"badexample.com.", "example.com.", false, "com.badexample.", "com."},
		{`a\056example.com.`, "example.com.", false, `com.a\056example.`, "com."},
		{"com.", "example.com.", false, "com.", "."},
	} {
		if got := model.NameWithin(test.name, test.domain); got != test.within {
			t.Errorf("%s within %s: %v", test.name, test.domain, got)
		}
		if got := model.ReversedName(test.name); got != test.reversed {
			t.Errorf("%s reversed is %s, want %s", test.name, got, test.reversed)
		}
		if got, ok := model.ParentName(test.name); got != test.parent || ok != (test.parent != "") {
			t.Errorf("parent of %s is %q, %v", test.name, got, ok)
		}
	}
}

// TestOrderOfNames is that of Route 53's lists, where the dot after a label counts.
func TestOrderOfNames(t *testing.T) {
	want := []string{
		"example-a.com.", "b.example-a.com.", "example.com.", `\052.example.com.`, "a.example.com.", "z.a.example.com.", "a0.example.com.", "b.example.com.", "example.org.",
	}
	got := slices.Clone(want)
	slices.Sort(got)
	slices.SortFunc(got, func(a, b string) int { return strings.Compare(model.ReversedName(a), model.ReversedName(b)) })
	if !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}
}

// FuzzNormalName: what is a name has one form, that is its own.
func FuzzNormalName(f *testing.F) {
	for _, text := range []string{"", ".", "a.b.", `\052.x`, `a\056b.c`, "A.B", `\\\\`, "a..b", `\777.x`, strings.Repeat("a.", 127), strings.Repeat("a.", 128)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := model.NormalName(text)
		if err != nil {
			if wrong := new(model.NameError); !errors.As(err, &wrong) || wrong.Problem.String() == "" {
				t.Fatalf("%q: %v says nothing", text, err)
			}
			return
		}
		if again, err := model.NormalName(name); err != nil || again != name {
			t.Errorf("the form of %q is %q, and of that %q, %v", text, name, again, err)
		}
		if strings.Trim(name, `abcdefghijklmnopqrstuvwxyz0123456789-_.\`) != "" || !strings.HasSuffix(name, ".") {
			t.Errorf("%q is %q", text, name)
		}
		reversed := model.ReversedName(name)
		if len(reversed) != len(name) || model.ReversedName(reversed) != name {
			t.Errorf("%q reversed is %q", name, reversed)
		}
		for at, up := name, true; up; at, up = model.ParentName(at) {
			if !model.NameWithin(name, at) {
				t.Errorf("%q is not within %q", name, at)
			}
		}
	})
}
