// SPDX-License-Identifier: Apache-2.0

// Package codectest makes values for tests of the codecs: inputs and outputs
// drawn at random by the tables of their shapes.
package codectest

import (
	"reflect"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// Draw fills the structure that in points to with random members. Lists and
// structures are never empty when they are set, because two of the protocols
// cannot tell an empty one from none; labels of the path are always set. Length
// and pattern constraints are not kept: codecs know nothing of them.
func Draw(t *rapid.T, in any, shape *schema.Shape) {
	v, err := codec.Struct(in, shape)
	if err != nil {
		t.Fatal(err)
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		if m.Location == schema.URI || m.Location != schema.StatusCode && rapid.Bool().Draw(t, "set") {
			drawValue(t, codec.Field(v, m), m, 1)
		}
	}
}

func drawValue(t *rapid.T, v reflect.Value, m *schema.Member, depth int) {
	switch m.Shape.Kind {
	case schema.Structure:
		drawStructure(t, codec.Settable(v), m.Shape, depth)
	case schema.List:
		n := rapid.IntRange(1, 3).Draw(t, "length")
		list := reflect.MakeSlice(v.Type(), n, n)
		for i := range n {
			drawValue(t, list.Index(i), m.Shape.Element, depth+1)
		}
		v.Set(list)
	case schema.Map:
		out := reflect.MakeMap(v.Type())
		for range rapid.IntRange(1, 3).Draw(t, "length") {
			element := reflect.New(v.Type().Elem()).Elem()
			drawValue(t, element, m.Shape.Element, depth+1)
			out.SetMapIndex(reflect.ValueOf(text(t)), element)
		}
		v.Set(out)
	default:
		drawScalar(t, v, m)
	}
}

// drawStructure sets at least the first member, and few below the third level;
// of a union it sets one.
func drawStructure(t *rapid.T, v reflect.Value, shape *schema.Shape, depth int) {
	if shape.Union {
		m := &shape.Members[rapid.IntRange(0, len(shape.Members)-1).Draw(t, "union")]
		drawValue(t, codec.Field(v, m), m, depth+1)
		return
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		if m.Location == schema.Body && (i == 0 || depth <= 3 && rapid.Bool().Draw(t, "set")) {
			drawValue(t, codec.Field(v, m), m, depth+1)
		}
	}
}

func drawScalar(t *rapid.T, v reflect.Value, m *schema.Member) {
	switch m.Shape.Kind {
	case schema.Integer:
		codec.Settable(v).SetInt(int64(rapid.Int32().Draw(t, "integer")))
	case schema.Long:
		codec.Settable(v).SetInt(rapid.Int64().Draw(t, "long"))
	case schema.Float, schema.Double:
		codec.Settable(v).SetFloat(rapid.Float64().Draw(t, "double"))
	case schema.Boolean:
		codec.Settable(v).SetBool(rapid.Bool().Draw(t, "boolean"))
	case schema.Timestamp:
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), 0)
		if m.TimestampFormat != schema.RFC822 {
			at = at.Add(time.Duration(rapid.IntRange(0, 999).Draw(t, "millis")) * time.Millisecond)
		}
		codec.Settable(v).Set(reflect.ValueOf(at.UTC()))
	case schema.Blob:
		v.SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "blob"))
	default:
		codec.Settable(v).SetString(m.Shape.Canonical(text(t)))
	}
}

// text draws a string that is not empty and that a header can carry.
func text(t *rapid.T) string {
	runes := []rune("abcXYZ019-._~:/?#[]@!$&'()*+,;=%<>\"\\éß世😀")
	return rapid.StringOfN(rapid.SampledFrom(runes), 1, 12, -1).Draw(t, "text")
}
