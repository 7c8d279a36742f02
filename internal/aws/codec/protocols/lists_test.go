// SPDX-License-Identifier: Apache-2.0

package protocols_test

import (
	"reflect"
	"testing"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/schema"
)

// TestAnswersHaveAllTheirLists encodes, for every served operation, outputs in
// which lists are missing at one depth after the other. The client must find
// each of them, but for those that AWS leaves out too.
func TestAnswersHaveAllTheirLists(t *testing.T) {
	const deepest = 6
	for _, svc := range services {
		c, err := protocols.For(svc)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range svc.Operations {
			if op.Status == 204 {
				continue
			}
			for filled := range deepest {
				out := op.NewOutput()
				hollow(reflect.ValueOf(out).Elem(), op.Output, filled, nil)
				answer, err := c.EncodeResponse(op, out, "request-1")
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.DecodeResponse(op, answer)
				if err != nil {
					t.Fatalf("%s: %v", op.Name, err)
				}
				everyList(t, svc.Name+" "+op.Name, reflect.ValueOf(got).Elem(), op.Output)
			}
		}
	}
}

// hollow sets all structures below v, and gives lists down to a depth one
// element. Shapes that are inside themselves are set once.
func hollow(v reflect.Value, shape *schema.Shape, filled int, inside []*schema.Shape) {
	for _, outer := range inside {
		if outer == shape {
			return
		}
	}
	inside = append(inside, shape)
	for i := range shape.Members {
		m := &shape.Members[i]
		field := codec.Field(v, m)
		switch {
		case m.Location != schema.Body:
		case m.Shape.Kind == schema.Structure:
			hollow(codec.Settable(field), m.Shape, filled, inside)
		case m.Shape.Kind == schema.List && filled > 0 && !m.OmitNil && m.Shape.Element.Shape.Kind == schema.Structure:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			hollow(field.Index(0), m.Shape.Element.Shape, filled-1, inside)
		}
	}
}

// everyList sees that no list or map of an answer is missing.
func everyList(t *testing.T, path string, v reflect.Value, shape *schema.Shape) {
	t.Helper()
	for i := range shape.Members {
		m := &shape.Members[i]
		field, at := codec.Field(v, m), path+"."+m.Name
		switch {
		case m.Location != schema.Body:
		case m.Shape.Kind == schema.Structure && !field.IsNil():
			everyList(t, at, codec.Deref(field), m.Shape)
		case m.Shape.Kind == schema.List && m.Shape.Element.Shape.Kind == schema.Structure:
			for i := range field.Len() {
				everyList(t, at, field.Index(i), m.Shape.Element.Shape)
			}
			fallthrough
		case m.Shape.Kind == schema.List, m.Shape.Kind == schema.Map:
			if field.IsNil() != m.OmitNil {
				t.Errorf("%s: missing is %v, want %v", at, field.IsNil(), m.OmitNil)
			}
		}
	}
}
