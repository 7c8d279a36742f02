// SPDX-License-Identifier: Apache-2.0

// Package inputtest makes inputs of operations for tests that walk everything that is
// served.
package inputtest

import (
	"reflect"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/validate"
)

// samples are values that fit some constraint of the models.
var samples = []string{"AKIAIOSFODNN7EXAMPLE", "v1", "r-abcd", "ou-abcd-01234567", "p-01234567", "car-01234567", "team@example.com", "ram.amazonaws.com",
	"name", "vpc-0123456789abcdef0", "rgw-0123456789abcdef0", "rcfg-0123456789abcdef0", "rea-0123456789abcdef0", "dv-0123456789abcdef0",
	"eni-0123456789abcdef0", "sn-0123456789abcdef0", "111122223333", "arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-0123456789abcdef0",
}

// Smallest makes an input that has what the model requires, and not much more.
func Smallest(t testing.TB, op *schema.Operation) any {
	t.Helper()
	in := op.NewInput()
	for i := range op.Input.Members {
		m := &op.Input.Members[i]
		for _, sample := range samples {
			if m.Required && !fits(op, in, m) {
				fill(codec.Field(reflect.ValueOf(in).Elem(), m), m.Shape, sample)
			}
		}
	}
	if problems := validate.Input(op, in); len(problems) > 0 {
		t.Fatalf("no input for %s: %v", op.Name, problems)
	}
	return in
}

func fits(op *schema.Operation, in any, m *schema.Member) bool {
	for _, p := range validate.Input(op, in) {
		if strings.EqualFold(p.Field, m.Name) || strings.EqualFold(p.Field, m.QueryName) || p.Field == m.Wire {
			return false
		}
	}
	return true
}

// fill sets a value, with one element where it is a list, and all strings and what is
// required where that is a structure.
func fill(v reflect.Value, shape *schema.Shape, sample string) {
	switch shape.Kind {
	case schema.String:
		if len(shape.Enum) > 0 {
			sample = shape.Enum[0]
		}
		if v.Kind() == reflect.String {
			v.SetString(sample)
		} else {
			v.Set(reflect.ValueOf(&sample))
		}
	case schema.List:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), shape.Element.Shape, sample)
	case schema.Structure:
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		for i := range shape.Members {
			if m := &shape.Members[i]; m.Required || m.Shape.Kind == schema.String {
				fill(codec.Field(v, m), m.Shape, sample)
			}
		}
	case schema.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": "value"}))
	default:
		v.Set(reflect.New(v.Type().Elem()))
	}
}

// Set puts a string at the end of a path of fields, with what is missing on the way: in
// lists one element. An empty path is v itself.
func Set(v reflect.Value, path []int, value string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		Set(v.Elem(), path, value)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		Set(v.Index(0), path, value)
	case reflect.Struct:
		Set(v.Field(path[0]), path[1:], value)
	case reflect.String:
		v.SetString(value)
	}
}
