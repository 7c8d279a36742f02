// SPDX-License-Identifier: Apache-2.0

package jsonbody

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// encoder writes JSON: an answer, what a client sends, or what is told of either.
type encoder struct {
	answer bool
	tell   *Telling // nil on the wire
	end    int      // of what may be told
}

// Encode writes the body members of the structure v as a JSON object, in model
// order, without those that are not sent. An answer has its empty lists, too.
func Encode(v reflect.Value, shape *schema.Shape, answer bool) ([]byte, error) {
	return encoder{answer: answer}.appendStructure(nil, v, shape, 0)
}

func (e encoder) appendStructure(b []byte, v reflect.Value, shape *schema.Shape, depth int) ([]byte, error) {
	b = append(b, '{')
	first := true
	for i := range shape.Members {
		m := &shape.Members[i]
		field := codec.Field(v, m)
		if m.Location != schema.Body && e.tell == nil || !codec.Sent(field, m, e.answer) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = e.appendName(b, m)
		var err error
		if b, err = e.appendValue(b, field, m, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (e encoder) appendValue(b []byte, v reflect.Value, m *schema.Member, depth int) ([]byte, error) {
	if depth > codec.MaxDepth {
		return nil, fmt.Errorf("encode member %s: nested too deep", m.Wire)
	}
	if e.tell != nil {
		switch {
		case len(b) > e.end:
			return nil, errTooMuch
		case m.Sensitive || m.Shape.Sensitive || e.tell.Hide(m.Name):
			return append(b, hidden...), nil
		case m.Shape.Kind == schema.String:
			e.tell.See(codec.Deref(v).String())
		}
	}
	switch m.Shape.Kind {
	case schema.Structure:
		return e.appendStructure(b, codec.Deref(v), m.Shape, depth)
	case schema.List:
		return e.appendList(b, v, m.Shape, depth)
	case schema.Map:
		return e.appendMap(b, v, m.Shape, depth)
	case schema.Integer, schema.Long, schema.Boolean:
		return append(b, codec.ScalarText(v, m)...), nil
	case schema.Timestamp:
		if m.TimestampFormat == schema.UnixTimestamp {
			return append(b, codec.ScalarText(v, m)...), nil
		}
	case schema.Float, schema.Double:
		if f := codec.Deref(v).Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return append(b, codec.ScalarText(v, m)...), nil
		}
	}
	return AppendString(b, codec.ScalarText(v, m)), nil
}

func (e encoder) appendList(b []byte, v reflect.Value, shape *schema.Shape, depth int) ([]byte, error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = e.appendValue(b, v.Index(i), shape.Element, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// appendMap writes the entries in the order of their keys.
func (e encoder) appendMap(b []byte, v reflect.Value, shape *schema.Shape, depth int) ([]byte, error) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, key.String()), ':')
		var err error
		if b, err = e.appendValue(b, v.MapIndex(key), shape.Element, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// escaped are the bytes that no string has as they are.
var escaped = func() (is [256]bool) {
	for c := range is {
		is[c] = c < ' ' || c > '~' || c == '"' || c == '\\'
	}
	return is
}()

// AppendString appends a JSON string; what is not UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if escaped[s[i]] {
			quoted, _ := json.Marshal(s) // a string never fails to marshal
			return append(b, quoted...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
