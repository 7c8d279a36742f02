// SPDX-License-Identifier: Apache-2.0

package protocols_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/schema"
)

func checkFields(t *testing.T, service string, shape *schema.Shape, in any) {
	t.Helper()
	walkFields(t, service+" "+shape.Name, shape, reflect.TypeOf(in).Elem(), 0)
}

func walkFields(t *testing.T, path string, shape *schema.Shape, typ reflect.Type, depth int) {
	t.Helper()
	if depth > 12 {
		return
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch shape.Kind {
	case schema.Structure:
		if typ.Kind() != reflect.Struct || typ.NumField() != len(shape.Members) || typ.Name() != shape.Name {
			t.Errorf("%s: Go type %v does not fit shape %s", path, typ, shape.Name)
			return
		}
		for i, m := range shape.Members {
			field := typ.Field(m.Index)
			if i != m.Index || !strings.EqualFold(field.Name, m.Name) {
				t.Errorf("%s: member %s has the field %s", path, m.Name, field.Name)
			}
			walkFields(t, path+"."+m.Name, m.Shape, field.Type, depth+1)
		}
	case schema.List:
		walkFields(t, path+"[]", shape.Element.Shape, typ.Elem(), depth+1)
	case schema.Map:
		walkFields(t, path+"{}", shape.Element.Shape, typ.Elem(), depth+1)
	}
}
