// SPDX-License-Identifier: Apache-2.0

package form

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

type writer struct {
	dialect Dialect
	values  url.Values
}

func join(prefix, name string) string {
	if prefix == "" || name == "" {
		return prefix + name
	}
	return prefix + "." + name
}

func (w *writer) structure(v reflect.Value, shape *schema.Shape, prefix string, depth int) error {
	for i := range shape.Members {
		m := &shape.Members[i]
		if field := codec.Field(v, m); !codec.IsUnset(field) {
			if err := w.value(field, m, join(prefix, wireName(m)), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) value(v reflect.Value, m *schema.Member, key string, depth int) error {
	if depth > codec.MaxDepth {
		return fmt.Errorf("encode parameter %s: nested too deep", key)
	}
	switch m.Shape.Kind {
	case schema.Structure:
		return w.structure(codec.Deref(v), m.Shape, key, depth)
	case schema.List:
		return w.list(v, m.Shape, key, depth)
	case schema.Map:
		return w.mapping(v, m.Shape, key, depth)
	}
	w.values.Set(key, codec.ScalarText(v, m))
	return nil
}

// list writes an empty list as an empty value where the protocol knows that;
// the EC2 protocol cannot tell it from no list.
func (w *writer) list(v reflect.Value, shape *schema.Shape, key string, depth int) error {
	if v.Len() == 0 && !w.dialect.FlatLists {
		w.values.Set(key, "")
	}
	key = join(key, w.dialect.listInfix(shape))
	for i := range v.Len() {
		if err := w.value(v.Index(i), shape.Element, join(key, strconv.Itoa(i+1)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) mapping(v reflect.Value, shape *schema.Shape, key string, depth int) error {
	if v.Len() == 0 && !w.dialect.FlatLists {
		w.values.Set(key, "")
	}
	key = join(key, w.dialect.mapInfix(shape))
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for i, name := range names {
		item := join(key, strconv.Itoa(i+1))
		if err := w.value(name, shape.MapKey, join(item, wireName(shape.MapKey)), depth+1); err != nil {
			return err
		}
		if err := w.value(v.MapIndex(name), shape.Element, join(item, wireName(shape.Element)), depth+1); err != nil {
			return err
		}
	}
	return nil
}
