// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/posternhq/postern/internal/aws/schema"
)

// Struct returns the structure that in, an input or output, points to, and
// checks that it has as many fields as the shape has members.
func Struct(in any, shape *schema.Shape) (reflect.Value, error) {
	v := reflect.ValueOf(in)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, fmt.Errorf("encode %s: %T is not a pointer to a structure", shape.Name, in)
	}
	if v = v.Elem(); v.NumField() != len(shape.Members) {
		return reflect.Value{}, fmt.Errorf("encode %s: %T is of another shape", shape.Name, in)
	}
	return v, nil
}

// Field returns the field of structure v that holds member m.
func Field(v reflect.Value, m *schema.Member) reflect.Value { return v.Field(m.Index) }

// IsUnset reports whether a field holds nothing: a nil pointer, list or map.
// Elements of lists, which are no pointers, are always set.
func IsUnset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	}
	return false
}

// Sent reports whether a member has a place in a message. In an answer lists and
// maps have one also when they hold nothing, because clients count on it, but
// for those that AWS itself leaves out.
func Sent(v reflect.Value, m *schema.Member, answer bool) bool {
	if !IsUnset(v) {
		return true
	}
	return answer && !m.OmitNil && (m.Shape.Kind == schema.List || m.Shape.Kind == schema.Map)
}

// Deref returns what a set field holds; elements are returned as they are.
func Deref(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

// Settable returns the place for a new value: the pointed-to value of a pointer
// field, which is allocated for it, or v itself.
func Settable(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return v.Elem()
	}
	return v
}

// IsScalar reports whether values of the kind have a text form.
func IsScalar(k schema.Kind) bool {
	return k != schema.Structure && k != schema.List && k != schema.Map
}

// JoinPath returns the path of a member below path, which is empty at the root.
func JoinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// IndexPath returns the path of a list's element, counted from 0.
func IndexPath(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}
