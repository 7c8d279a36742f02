// SPDX-License-Identifier: Apache-2.0

package form

import (
	"reflect"
	"slices"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

func (d Dialect) value(v reflect.Value, m *schema.Member, n *node, depth int) error {
	if depth > codec.MaxDepth {
		return &codec.Error{Problem: codec.TooDeep, Parameter: n.path, Detail: "is nested too deep"}
	}
	if codec.IsScalar(m.Shape.Kind) {
		if len(n.children) > 0 {
			return unknown(n.children[0])
		}
		return codec.SetScalar(v, m, n.value, n.path)
	}
	// An empty value is how the query protocol says "an empty list".
	if n.hasValue && n.value != "" {
		return &codec.Error{
			Problem: codec.WrongType, Parameter: n.path,
			Detail: "is a " + m.Shape.Kind.String() + ", not a single value",
		}
	}
	switch m.Shape.Kind {
	case schema.Structure:
		if n.hasValue && len(n.children) == 0 {
			return nil
		}
		return d.structure(codec.Settable(v), m.Shape, n, depth)
	case schema.List:
		return d.list(v, m.Shape, n, depth)
	default:
		return d.mapping(v, m.Shape, n, depth)
	}
}

func (d Dialect) structure(v reflect.Value, shape *schema.Shape, n *node, depth int) error {
	for _, child := range n.children {
		m := memberByQueryName(shape, child.name)
		if m == nil {
			return unknown(child)
		}
		if err := d.value(codec.Field(v, m), m, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func memberByQueryName(shape *schema.Shape, name string) *schema.Member {
	for i := range shape.Members {
		m := &shape.Members[i]
		if wireName(m) == name {
			return m
		}
	}
	return nil
}

// unknown names the first parameter at or below n that the client really wrote.
func unknown(n *node) error {
	for !n.hasValue && len(n.children) > 0 {
		n = n.children[0]
	}
	return &codec.Error{Problem: codec.UnknownParameter, Parameter: n.path, Detail: "is not known to this operation"}
}

// items returns the elements below a list or map, in the order of their indexes.
// infix is the part between its name and the indexes, or "".
func items(n *node, infix string) ([]*node, error) {
	if infix != "" {
		for _, c := range n.children {
			if c.name != infix {
				return nil, unknown(c)
			}
		}
		if n = n.find(infix); n == nil {
			return nil, nil
		}
	}
	if len(n.children) > codec.MaxListLength {
		return nil, &codec.Error{Problem: codec.TooMany, Parameter: n.path, Detail: "has too many elements"}
	}
	for _, c := range n.children {
		var err error
		if c.index, err = index(c); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(n.children, func(a, b *node) int { return a.index - b.index })
	return n.children, nil
}

func (d Dialect) list(v reflect.Value, shape *schema.Shape, n *node, depth int) error {
	nodes, err := items(n, d.listInfix(shape))
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // which is not nil
		return nil
	}
	v.Grow(len(nodes))
	v.SetLen(len(nodes))
	for i, item := range nodes {
		if err := d.value(v.Index(i), shape.Element, item, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (d Dialect) mapping(v reflect.Value, shape *schema.Shape, n *node, depth int) error {
	nodes, err := items(n, d.mapInfix(shape))
	if err != nil {
		return err
	}
	m := reflect.MakeMapWithSize(v.Type(), len(nodes))
	for _, item := range nodes {
		key := reflect.New(v.Type().Key()).Elem()
		value := reflect.New(v.Type().Elem()).Elem()
		for _, c := range item.children {
			part, place := shape.MapKey, key
			switch c.name {
			case wireName(shape.MapKey):
			case wireName(shape.Element):
				part, place = shape.Element, value
			default:
				return unknown(c)
			}
			if err := d.value(place, part, c, depth+1); err != nil {
				return err
			}
		}
		if m.MapIndex(key).IsValid() {
			return &codec.Error{Problem: codec.Duplicate, Parameter: item.path, Detail: "repeats a key of the map"}
		}
		m.SetMapIndex(key, value)
	}
	v.Set(m)
	return nil
}

// listInfix is the part of a key between a list's name and an index.
func (d Dialect) listInfix(shape *schema.Shape) string {
	if d.FlatLists || shape.Flattened {
		return ""
	}
	return wireName(shape.Element)
}

func (d Dialect) mapInfix(shape *schema.Shape) string {
	if shape.Flattened {
		return ""
	}
	return "entry"
}

func wireName(m *schema.Member) string {
	if m.QueryName != "" {
		return m.QueryName
	}
	return m.Wire
}
