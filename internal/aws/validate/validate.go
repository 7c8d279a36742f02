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
	if c.structure(v, op.Input); !c.broken {
		return nil
	}
	c.tells = true
	c.structure(v, op.Input)
	return c.problems
}

// checker walks an input: once to see whether anything is wrong, as it seldom is, and then
// again to tell where.
type checker struct {
	broken, tells bool
	problems      []Problem
	path          []step // to where it is, if it tells
}

// step leads from a value into one that is in it.
type step struct {
	kind   schema.Kind    // of what it leads out of
	member *schema.Member // of a structure, or the element of a list
	index  int            // in a list
	key    string         // in a map
}

func (c *checker) enter(s step) {
	if c.tells {
		c.path = append(c.path, s)
	}
}

func (c *checker) leave() {
	if c.tells {
		c.path = c.path[:len(c.path)-1]
	}
}

// spelled is the path to where the checker is, as the protocol writes it.
func (c *checker) spelled() (path string) {
	for _, s := range c.path {
		switch {
		case s.kind == schema.Structure:
			path = codec.JoinPath(path, firstOf(s.member.QueryName, s.member.Wire))
		case s.kind == schema.Map:
			path = codec.JoinPath(path, s.key)
		case s.member.QueryName != "":
			path += "." + strconv.Itoa(s.index+1)
		default:
			path = codec.IndexPath(path, s.index)
		}
	}
	return path
}

func (c *checker) add(rule Rule, value, format string, args ...any) {
	if c.broken = true; !c.tells {
		return
	}
	c.problems = append(c.problems, Problem{Field: c.spelled(), Rule: rule, Message: fmt.Sprintf(format, args...), Value: value})
}

func (c *checker) structure(v reflect.Value, shape *schema.Shape) {
	set := 0
	for i := range shape.Members {
		m := &shape.Members[i]
		field := codec.Field(v, m)
		unset := codec.IsUnset(field)
		if unset && !m.Required {
			continue
		}
		c.enter(step{kind: schema.Structure, member: m})
		if unset {
			c.add(Required, "", "is required")
		} else {
			set++
			c.value(codec.Deref(field), m)
		}
		c.leave()
	}
	if shape.Union && set != 1 {
		c.add(Union, "", "must have exactly one member set, not %d", set)
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *checker) value(v reflect.Value, m *schema.Member) {
	shape := m.Shape
	switch shape.Kind {
	case schema.Structure:
		c.structure(v, shape)
	case schema.List:
		c.bounds(int64(v.Len()), shape, Size, "have", "elements", "")
		for i := range v.Len() {
			c.enter(step{kind: schema.List, member: shape.Element, index: i})
			c.value(v.Index(i), shape.Element)
			c.leave()
		}
	case schema.Map:
		c.mapping(v, shape)
	case schema.String:
		c.text(v.String(), m)
	case schema.Blob:
		c.bounds(int64(v.Len()), shape, Length, "have", "bytes", "")
	case schema.Integer, schema.Long:
		if n := v.Int(); !within(n, shape) {
			c.bounds(n, shape, Range, "be", "", shown(strconv.FormatInt(n, 10), m))
		}
	}
}

// mapping checks the entries in the order of their keys, so that the same input
// always gives the same problems.
func (c *checker) mapping(v reflect.Value, shape *schema.Shape) {
	c.bounds(int64(v.Len()), shape, Size, "have", "entries", "")
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		c.enter(step{kind: schema.Map, key: key.String()})
		c.text(key.String(), shape.MapKey)
		c.value(v.MapIndex(key), shape.Element)
		c.leave()
	}
}

func (c *checker) text(s string, m *schema.Member) {
	shape, value := m.Shape, shown(s, m)
	c.bounds(int64(utf8.RuneCountInString(s)), shape, Length, "have", "characters", value)
	if shape.Pattern != nil && !shape.Pattern.Match(s) {
		c.add(Pattern, value, "must match the pattern %s", shape.Pattern.Source)
	}
	if len(shape.Enum) > 0 && !slices.Contains(shape.Enum, shape.Canonical(s)) {
		c.add(Enum, value, "must be one of %s", strings.Join(shape.Enum, ", "))
	}
}

func within(n int64, shape *schema.Shape) bool {
	return (shape.Min == nil || n >= *shape.Min) && (shape.Max == nil || n <= *shape.Max)
}

// bounds checks n against the shape's limits; verb and unit make the sentence.
func (c *checker) bounds(n int64, shape *schema.Shape, rule Rule, verb, unit, value string) {
	if within(n, shape) {
		return
	}
	if unit != "" {
		unit = " " + unit
	}
	if shape.Min != nil && n < *shape.Min {
		c.add(rule, value, "must %s at least %d%s", verb, *shape.Min, unit)
	}
	if shape.Max != nil && n > *shape.Max {
		c.add(rule, value, "must %s at most %d%s", verb, *shape.Max, unit)
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
