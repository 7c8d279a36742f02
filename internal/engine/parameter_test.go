// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTablesOfParameters(t *testing.T) {
	for _, family := range []string{"postgres13", "postgres15", "aurora-postgresql17", "mariadb10.11"} {
		list := Parameters(family)
		if len(list) < 100 {
			t.Errorf("family %s has %d parameters", family, len(list))
		}
		if !slices.IsSortedFunc(list, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("family %s is not sorted", family)
		}
		for i, p := range list {
			if i > 0 && list[i-1].Name == p.Name {
				t.Errorf("%s is there twice", p.Name)
			}
			if err := p.Check(p.Default); p.Default != "" && err != nil {
				t.Errorf("the default of %s: %v", p.Name, err)
			}
			if p.Description == "" || (p.Type == TypeInteger || p.Type == TypeFloat) && p.Allowed == "" {
				t.Errorf("%s says not enough: %+v", p.Name, p)
			}
		}
	}
	for _, none := range []string{"", "postgres", "postgresql15", "oracle19", "postgres15x"} {
		if list := Parameters(none); list != nil {
			t.Errorf("there is family %q of %d parameters", none, len(list))
		}
	}
	if _, ok := ParameterOf("postgres13", "idle_session_timeout"); ok {
		t.Error("a parameter is there before its version")
	}
	if _, ok := ParameterOf("postgres17", "old_snapshot_threshold"); ok {
		t.Error("a parameter is there after its version")
	}
}

func TestValuesOfParameters(t *testing.T) {
	number := Parameter{Name: "n", Type: TypeInteger, Allowed: "-1-100"}
	share := Parameter{Name: "f", Type: TypeFloat, Allowed: "0-1"}
	word := Parameter{Name: "w", Type: TypeString, Allowed: "on,off"}
	words := Parameter{Name: "l", Type: TypeList, Allowed: "a,b"}
	text := Parameter{Name: "t", Type: TypeString}
	yes := Parameter{Name: "b", Type: TypeBoolean}
	for _, c := range []struct {
		p     Parameter
		value string
		ok    bool
	}{
		{number, "-1", true}, {number, "100", true}, {number, "101", false}, {number, "-2", false}, {number, "1.5", false}, {number, "", false}, {number, "NaN", false},
		{number, "0x10", false}, {number, "1e1", false}, {share, "0.25", true}, {share, "1.01", false}, {share, "inf", false},
		{word, "on", true}, {word, "ON", false}, {word, "on,off", false}, {words, "a, b", true}, {words, "a,c", false},
		{text, "any 'text'", true}, {text, "two\nlines", false}, {text, strings.Repeat("x", 5000), false}, {yes, "1", true}, {yes, "true", false},
	} {
		err := c.p.Check(c.value)
		var wrong *ParameterError
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &wrong) || wrong.Name != c.p.Name) {
			t.Errorf("%s = %q: %v", c.p.Name, c.value, err)
		}
	}
	var wrong *ParameterError
	if err := CheckParameters("postgres15", map[string]string{"work_mem": "64", "a": "1"}); !errors.As(err, &wrong) || wrong.Name != "a" {
		t.Errorf("an unknown parameter gives %v", err)
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	ordered := []string{"9.6", "10", "10.4", "10.11", "15", "15.4", "15.18", "16.1"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := min(max(i-j, -1), 1)
			if got := CompareVersions(a, b); got != want {
				t.Errorf("%s to %s is %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestEveryOfferHasAFamily(t *testing.T) {
	for _, o := range Offers() {
		found, ok := OfferOf(o.Engine)
		if !ok || found != o || o.Package == "" || o.Port == 0 || o.Family("15") == "15" {
			t.Errorf("%+v", o)
		}
	}
	if _, ok := OfferOf("oracle-ee"); ok {
		t.Error("there is Oracle")
	}
}
