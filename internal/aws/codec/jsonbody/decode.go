// SPDX-License-Identifier: Apache-2.0

// Package jsonbody reads and writes JSON objects by the tables of package schema,
// and the errors of services that answer in JSON. REST-JSON and AWS JSON share it.
package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// decoder walks a JSON text token by token, so that what the shape does not
// have is never built.
type decoder struct{ tokens *json.Decoder }

// Decode fills the structure v from a JSON object.
func Decode(data []byte, v reflect.Value, shape *schema.Shape) error {
	d := decoder{json.NewDecoder(bytes.NewReader(data))}
	d.tokens.UseNumber()
	token, err := d.next()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return malformed("the body is not a JSON object", nil)
	}
	if err := d.structure(v, shape, "", 0); err != nil {
		return err
	}
	if _, err := d.tokens.Token(); !errors.Is(err, io.EOF) {
		return malformed("the body goes on after its JSON object", nil)
	}
	return nil
}

func malformed(detail string, cause error) error {
	return &codec.Error{Problem: codec.Malformed, Detail: detail, Cause: cause}
}

func wrongType(path, kind string) error {
	article := "a "
	if kind == "integer" {
		article = "an "
	}
	return &codec.Error{Problem: codec.WrongType, Parameter: path, Detail: "is not " + article + kind}
}

func (d decoder) next() (json.Token, error) {
	token, err := d.tokens.Token()
	if err != nil {
		return nil, malformed("the body is not JSON", err)
	}
	return token, nil
}

func tooDeep(path string) error {
	return &codec.Error{Problem: codec.TooDeep, Parameter: path, Detail: "is nested too deep"}
}

// structure reads the members of an object whose opening brace is read.
func (d decoder) structure(v reflect.Value, shape *schema.Shape, path string, depth int) error {
	seen := make([]bool, len(shape.Members))
	for d.tokens.More() {
		key, err := d.next()
		if err != nil {
			return err
		}
		m := memberByWire(shape, key.(string))
		if m == nil {
			if err := d.skip(codec.JoinPath(path, key.(string)), depth); err != nil {
				return err
			}
			continue
		}
		at := codec.JoinPath(path, m.Wire)
		if seen[m.Index] {
			return &codec.Error{Problem: codec.Duplicate, Parameter: at, Detail: "is given more than once"}
		}
		seen[m.Index] = true
		if err := d.value(codec.Field(v, m), m, at, depth+1); err != nil {
			return err
		}
	}
	_, err := d.next()
	return err
}

func memberByWire(shape *schema.Shape, name string) *schema.Member {
	for i := range shape.Members {
		if m := &shape.Members[i]; m.Wire == name && m.Location == schema.Body {
			return m
		}
	}
	return nil
}

// skip reads a value that nobody wants.
func (d decoder) skip(path string, depth int) error {
	inside := 0
	for {
		token, err := d.next()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if inside++; depth+inside > codec.MaxDepth {
				return tooDeep(path)
			}
		case json.Delim('}'), json.Delim(']'):
			inside--
		}
		if inside == 0 {
			return nil
		}
	}
}

// value reads one value into v. A null leaves a member unset; an element has no
// way to be unset, so there it is an error.
func (d decoder) value(v reflect.Value, m *schema.Member, path string, depth int) error {
	if depth > codec.MaxDepth {
		return tooDeep(path)
	}
	token, err := d.next()
	if err != nil {
		return err
	}
	if token == nil && v.Kind() == reflect.Pointer || token == nil && codec.IsUnset(v) {
		return nil
	}
	switch m.Shape.Kind {
	case schema.Structure:
		if token != json.Delim('{') {
			return wrongType(path, "JSON object")
		}
		return d.structure(codec.Settable(v), m.Shape, path, depth)
	case schema.List:
		if token != json.Delim('[') {
			return wrongType(path, "JSON array")
		}
		return d.list(v, m.Shape, path, depth)
	case schema.Map:
		if token != json.Delim('{') {
			return wrongType(path, "JSON object")
		}
		return d.mapping(v, m.Shape, path, depth)
	}
	return scalar(v, m, token, path)
}

func (d decoder) list(v reflect.Value, shape *schema.Shape, path string, depth int) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	element := reflect.New(v.Type().Elem()).Elem()
	for i := 0; d.tokens.More(); i++ {
		element.SetZero()
		if err := d.value(element, shape.Element, codec.IndexPath(path, i), depth+1); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	_, err := d.next()
	return err
}

func (d decoder) mapping(v reflect.Value, shape *schema.Shape, path string, depth int) error {
	out := reflect.MakeMap(v.Type())
	for d.tokens.More() {
		key, err := d.next()
		if err != nil {
			return err
		}
		at := codec.JoinPath(path, key.(string))
		name := reflect.ValueOf(key)
		if out.MapIndex(name).IsValid() {
			return &codec.Error{Problem: codec.Duplicate, Parameter: at, Detail: "is given more than once"}
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(element, shape.Element, at, depth+1); err != nil {
			return err
		}
		out.SetMapIndex(name, element)
	}
	v.Set(out)
	_, err := d.next()
	return err
}

// scalar checks that the JSON type fits before the text is parsed: the string
// "1" is no number, and the number 1 is no string.
func scalar(v reflect.Value, m *schema.Member, token json.Token, path string) error {
	kind := m.Shape.Kind
	switch t := token.(type) {
	case string:
		if kind == schema.String || kind == schema.Blob ||
			kind == schema.Timestamp && m.TimestampFormat != schema.UnixTimestamp ||
			(kind == schema.Float || kind == schema.Double) && (t == "NaN" || t == "Infinity" || t == "-Infinity") {
			return codec.SetScalar(v, m, t, path)
		}
	case json.Number:
		if kind == schema.Integer || kind == schema.Long || kind == schema.Float || kind == schema.Double ||
			kind == schema.Timestamp && m.TimestampFormat == schema.UnixTimestamp {
			return codec.SetScalar(v, m, t.String(), path)
		}
	case bool:
		if kind == schema.Boolean {
			codec.Settable(v).SetBool(t)
			return nil
		}
	}
	return wrongType(path, kind.String())
}
