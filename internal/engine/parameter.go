// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Scope is which parameter groups have a parameter.
type Scope string

// Scopes. In a cluster a parameter of an instance's group counts before the cluster's.
const (
	ScopeInstance Scope = "instance" // of instances' groups, and of clusters' too
	ScopeCluster  Scope = "cluster"  // of a cluster's only, as all members must have the same; and of a lone instance's
)

// Type is what values a parameter has, in the words of RDS.
type Type string

// Types.
const (
	TypeString  Type = "string"
	TypeBoolean Type = "boolean" // 0 or 1
	TypeInteger Type = "integer"
	TypeFloat   Type = "float"
	TypeList    Type = "list" // some of the allowed ones, with commas between
)

// Parameter is one that users may set.
type Parameter struct {
	Name string
	Type Type
	// Allowed is as RDS writes it: 1-100, or words with commas between; empty for any text.
	Allowed string
	// Unit is that of a number, such as 8kB or ms; empty for none.
	Unit string
	// Static says that it holds from a restart on.
	Static bool
	Scope  Scope
	// Default is Postern's value, or the engine's where Postern has none; empty says that it
	// depends on the class of the instance.
	Default string
	// Since and Until are the first and the last major version that has it; empty for all.
	Since, Until string
	Description  string
}

// Parameters lists what users may set in a family, by name; nil when there is no such
// family. A cluster's family has the same list as its engine's.
func Parameters(family string) []Parameter {
	table, major := tableOf(family)
	var list []Parameter
	for _, p := range table {
		if p.in(major) {
			list = append(list, p)
		}
	}
	return list
}

// tables are the parameters of each driver's families, by the beginnings of their names.
func tableOf(family string) ([]Parameter, string) {
	for _, o := range offers {
		major, ok := strings.CutPrefix(family, o.family)
		if !ok || major == "" || strings.Trim(major, "0123456789.") != "" {
			continue
		}
		switch o.Driver {
		case DriverPostgres:
			return postgresParameters, major
		case DriverMariaDB:
			return mariadbParameters, major
		}
	}
	return nil, ""
}

func (p Parameter) in(major string) bool {
	return (p.Since == "" || CompareVersions(major, p.Since) >= 0) && (p.Until == "" || CompareVersions(major, p.Until) <= 0)
}

// ParameterOf finds a parameter of a family.
func ParameterOf(family, name string) (Parameter, bool) {
	list := Parameters(family)
	i := slices.IndexFunc(list, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return Parameter{}, false
	}
	return list[i], true
}

// CheckParameters refuses what a family does not have, or values that are out of range,
// the first by name. The error is a *ParameterError.
func CheckParameters(family string, values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, ok := ParameterOf(family, name)
		if !ok {
			return &ParameterError{Name: name, Reason: "there is none of this name that can be set in family " + family}
		}
		if err := p.Check(values[name]); err != nil {
			return err
		}
	}
	return nil
}

// maxText bounds values of parameters that are texts.
const maxText = 4096

// Check refuses values that the parameter cannot have. The error is a *ParameterError.
func (p Parameter) Check(value string) error {
	refuse := func(reason string) error { return &ParameterError{p.Name, value, reason} }
	if len(value) > maxText || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return refuse("it is too long or has control characters")
	}
	switch p.Type {
	case TypeBoolean:
		if value != "0" && value != "1" {
			return refuse("it is 0 or 1")
		}
	case TypeInteger, TypeFloat:
		return p.checkNumber(value, refuse)
	case TypeList:
		for word := range strings.SplitSeq(value, ",") {
			if !p.allows(strings.TrimSpace(word)) {
				return refuse("each of its words is one of " + p.Allowed)
			}
		}
	case TypeString:
		if p.Allowed != "" && !p.allows(value) {
			return refuse("it is one of " + p.Allowed)
		}
	}
	return nil
}

func (p Parameter) allows(word string) bool {
	return slices.Contains(strings.Split(p.Allowed, ","), word)
}

func (p Parameter) checkNumber(value string, refuse func(string) error) error {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return refuse("it is a number")
	}
	if p.Type == TypeInteger {
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return refuse("it is a whole number")
		}
	}
	for r := range strings.SplitSeq(p.Allowed, ",") {
		low, high, ok := rangeOf(r)
		if ok && low <= n && n <= high {
			return nil
		}
	}
	return refuse("it is in " + p.Allowed)
}

// rangeOf reads LOW-HIGH, or one number. LOW can be negative.
func rangeOf(text string) (low, high float64, ok bool) {
	if text == "" {
		return 0, 0, false
	}
	first, last := text, text
	if i := strings.Index(text[1:], "-"); i >= 0 {
		first, last = text[:i+1], text[i+2:]
	}
	low, err := strconv.ParseFloat(first, 64)
	high, err2 := strconv.ParseFloat(last, 64)
	return low, high, err == nil && err2 == nil
}

// CompareVersions compares versions such as 15.4 and 10.11 part by part, as numbers. A
// missing part is before any other.
func CompareVersions(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i]) // what is no number counts as nothing
		n, _ := strconv.Atoi(y[i])
		if c := cmp.Compare(m, n); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}
