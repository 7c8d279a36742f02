// SPDX-License-Identifier: Apache-2.0

package xmlbody

import (
	"encoding/xml"
	"reflect"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// Decode fills the structure v from the children and attributes of n. Elements
// that the shape does not have are ignored.
func Decode(v reflect.Value, shape *schema.Shape, n *Node) error {
	return decodeStructure(v, shape, n, "", 0)
}

func decodeStructure(v reflect.Value, shape *schema.Shape, n *Node, path string, depth int) error {
	byName := make(map[string][]*Node, len(n.Children))
	for _, c := range n.Children {
		byName[c.Name] = append(byName[c.Name], c)
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		if m.Location != schema.Body {
			continue
		}
		if m.XMLAttribute {
			if text, found := attribute(n, m.Wire); found {
				if err := codec.SetScalar(codec.Field(v, m), m, text, codec.JoinPath(path, m.Wire)); err != nil {
					return err
				}
			}
			continue
		}
		if nodes := byName[m.Wire]; len(nodes) > 0 {
			if err := decodeMember(codec.Field(v, m), m, nodes, codec.JoinPath(path, m.Wire), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// attribute finds an attribute by its local name: prefixes are the writer's choice.
func attribute(n *Node, wire string) (string, bool) {
	_, local, found := strings.Cut(wire, ":")
	if !found {
		local = wire
	}
	for _, a := range n.Attrs {
		if a.Name.Local == local && (found || a.Name == xml.Name{Local: local}) {
			return a.Value, true
		}
	}
	return "", false
}

// decodeMember takes all elements of one name: a flattened list has many, all
// else must have one.
func decodeMember(v reflect.Value, m *schema.Member, nodes []*Node, path string, depth int) error {
	switch {
	case m.Shape.Kind == schema.List && m.Shape.Flattened:
		return decodeItems(v, m.Shape, nodes, path, depth)
	case m.Shape.Kind == schema.Map && m.Shape.Flattened:
		return decodeEntries(v, m.Shape, nodes, path, depth)
	case len(nodes) > 1:
		return &codec.Error{Problem: codec.Duplicate, Parameter: path, Detail: "is given more than once"}
	}
	return decodeValue(v, m, nodes[0], path, depth)
}

func decodeValue(v reflect.Value, m *schema.Member, n *Node, path string, depth int) error {
	if depth > codec.MaxDepth {
		return &codec.Error{Problem: codec.TooDeep, Parameter: path, Detail: "is nested too deep"}
	}
	switch m.Shape.Kind {
	case schema.Structure:
		return decodeStructure(codec.Settable(v), m.Shape, n, path, depth)
	case schema.List:
		return decodeItems(v, m.Shape, named(n.Children, m.Shape.Element.Wire), path, depth)
	case schema.Map:
		return decodeEntries(v, m.Shape, named(n.Children, "entry"), path, depth)
	}
	if len(n.Children) > 0 {
		return &codec.Error{Problem: codec.WrongType, Parameter: path, Detail: "holds elements, not a " + m.Shape.Kind.String()}
	}
	text := n.Text
	if m.Shape.Kind != schema.String {
		text = strings.TrimSpace(text)
	}
	return codec.SetScalar(v, m, text, path)
}

func named(nodes []*Node, name string) []*Node {
	var out []*Node
	for _, n := range nodes {
		if n.Name == name {
			out = append(out, n)
		}
	}
	return out
}

func decodeItems(v reflect.Value, shape *schema.Shape, nodes []*Node, path string, depth int) error {
	list := reflect.MakeSlice(v.Type(), len(nodes), len(nodes))
	for i, n := range nodes {
		if err := decodeValue(list.Index(i), shape.Element, n, codec.IndexPath(path, i), depth+1); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func decodeEntries(v reflect.Value, shape *schema.Shape, nodes []*Node, path string, depth int) error {
	m := reflect.MakeMapWithSize(v.Type(), len(nodes))
	for i, n := range nodes {
		at := codec.IndexPath(path, i)
		key, value := n.Child(shape.MapKey.Wire), n.Child(shape.Element.Wire)
		if key == nil || value == nil {
			return &codec.Error{Problem: codec.WrongType, Parameter: at, Detail: "is an entry without key or value"}
		}
		place := reflect.New(v.Type().Elem()).Elem()
		if err := decodeValue(place, shape.Element, value, at, depth+1); err != nil {
			return err
		}
		name := reflect.ValueOf(key.Text)
		if m.MapIndex(name).IsValid() {
			return &codec.Error{Problem: codec.Duplicate, Parameter: at, Detail: "repeats a key of the map"}
		}
		m.SetMapIndex(name, place)
	}
	v.Set(m)
	return nil
}
