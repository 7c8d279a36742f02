// SPDX-License-Identifier: Apache-2.0

// Package validate checks a decoded input against the constraints of its
// service's model: required members, lengths, ranges, patterns, enums, list
// sizes and unions. It knows nothing of what values mean; that is the
// handlers' part.
package validate

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// Rule names the kind of constraint that a value breaks.
type Rule uint8

// The rules.
const (
	Required Rule = iota + 1 // a required member is not there
	Length                   // of a string in code points, or of a blob in bytes
	Range                    // of a number
	Size                     // of a list or map
	Pattern
	Enum
	Union // not exactly one member of a union is set
)

var ruleNames = [...]string{"", "required", "length", "range", "size", "pattern", "enum", "union"}

// String returns the rule's name.
func (r Rule) String() string {
	if int(r) < len(ruleNames) {
		return ruleNames[r]
	}
	return "unknown"
}

// Problem is one broken constraint.
type Problem struct {
	// Field is the path of the value in the client's own terms:
	// TagSpecification.1.Tag.2.Key in a form, portRanges[0] in JSON.
	Field string
	Rule  Rule
	// Message says what must hold, as a sentence part: "must have a length of
	// at most 40".
	Message string
	// Value is the offending text of a scalar, shortened; empty for others and
	// for members that the model marks as sensitive.
	Value string
}

// String returns field and message.
func (p Problem) String() string { return p.Field + " " + p.Message }

// Input returns all that is wrong with an input of the operation, in model
// order; nothing when the input may go to the handler.
func Input(op *schema.Operation, in any) []Problem {
	v := reflect.ValueOf(in).Elem()
	var c checker
	c.structure(v, op.Input, "")
	return c.problems
}

type checker struct{ problems []Problem }

func (c *checker) add(field string, rule Rule, value, format string, args ...any) {
	c.problems = append(c.problems, Problem{Field: field, Rule: rule, Message: fmt.Sprintf(format, args...), Value: value})
}

func (c *checker) structure(v reflect.Value, shape *schema.Shape, path string) {
	set := 0
	for i := range shape.Members {
		m := &shape.Members[i]
		field, at := codec.Field(v, m), memberPath(path, m)
		if codec.IsUnset(field) {
			if m.Required {
				c.add(at, Required, "", "is required")
			}
			continue
		}
		set++
		c.value(codec.Deref(field), m, at)
	}
	if shape.Union && set != 1 {
		c.add(path, Union, "", "must have exactly one member set, not %d", set)
	}
}

// memberPath spells a member the way its protocol does.
func memberPath(path string, m *schema.Member) string {
	return codec.JoinPath(path, firstOf(m.QueryName, m.Wire))
}

func elementPath(path string, element *schema.Member, i int) string {
	if element.QueryName != "" {
		return path + "." + strconv.Itoa(i+1)
	}
	return codec.IndexPath(path, i)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *checker) value(v reflect.Value, m *schema.Member, path string) {
	shape := m.Shape
	switch shape.Kind {
	case schema.Structure:
		c.structure(v, shape, path)
	case schema.List:
		c.bounds(int64(v.Len()), shape, path, Size, "have", "elements", "")
		for i := range v.Len() {
			c.value(v.Index(i), shape.Element, elementPath(path, shape.Element, i))
		}
	case schema.Map:
		c.mapping(v, shape, path)
	case schema.String:
		c.text(v.String(), m, path)
	case schema.Blob:
		c.bounds(int64(v.Len()), shape, path, Length, "have", "bytes", "")
	case schema.Integer, schema.Long:
		c.bounds(v.Int(), shape, path, Range, "be", "", shown(strconv.FormatInt(v.Int(), 10), m))
	}
}

// mapping checks the entries in the order of their keys, so that the same input
// always gives the same problems.
func (c *checker) mapping(v reflect.Value, shape *schema.Shape, path string) {
	c.bounds(int64(v.Len()), shape, path, Size, "have", "entries", "")
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		at := codec.JoinPath(path, key.String())
		c.text(key.String(), shape.MapKey, at)
		c.value(v.MapIndex(key), shape.Element, at)
	}
}

func (c *checker) text(s string, m *schema.Member, path string) {
	shape, value := m.Shape, shown(s, m)
	c.bounds(int64(utf8.RuneCountInString(s)), shape, path, Length, "have", "characters", value)
	if shape.Pattern != nil && !shape.Pattern.Match(s) {
		c.add(path, Pattern, value, "must match the pattern %s", shape.Pattern.Source)
	}
	if len(shape.Enum) > 0 && !slices.Contains(shape.Enum, shape.Canonical(s)) {
		c.add(path, Enum, value, "must be one of %s", strings.Join(shape.Enum, ", "))
	}
}

// bounds checks n against the shape's limits; verb and unit make the sentence.
func (c *checker) bounds(n int64, shape *schema.Shape, path string, rule Rule, verb, unit, value string) {
	if (shape.Min == nil || n >= *shape.Min) && (shape.Max == nil || n <= *shape.Max) {
		return
	}
	if unit != "" {
		unit = " " + unit
	}
	if shape.Min != nil && n < *shape.Min {
		c.add(path, rule, value, "must %s at least %d%s", verb, *shape.Min, unit)
	}
	if shape.Max != nil && n > *shape.Max {
		c.add(path, rule, value, "must %s at most %d%s", verb, *shape.Max, unit)
	}
}

// maxShown is how much of an offending value a problem repeats.
const maxShown = 128

func shown(s string, m *schema.Member) string {
	if m.Sensitive || m.Shape.Sensitive {
		return ""
	}
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
