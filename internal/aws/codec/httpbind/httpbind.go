// SPDX-License-Identifier: Apache-2.0

// Package httpbind moves members between a structure and the parts of an HTTP
// message other than its body: labels of the path, query string, headers and
// status. The REST protocols share it; what is left over goes into the body.
package httpbind

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// DecodeRequest fills the members of an input that travel outside of the body.
func DecodeRequest(v reflect.Value, op *schema.Operation, r *codec.Request) error {
	labels, ok := codec.Labels(op.Path, r.Path)
	if !ok {
		return &codec.Error{Problem: codec.Malformed, Detail: "the path is not that of " + op.Name}
	}
	for i := range op.Input.Members {
		m := &op.Input.Members[i]
		field := codec.Field(v, m)
		var err error
		switch m.Location {
		case schema.URI:
			err = codec.SetScalar(field, m, labels[m.Wire], m.Wire)
		case schema.Query:
			err = fromQuery(field, m, r.Query)
		case schema.Header, schema.Headers:
			err = fromHeader(field, m, r.Header)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func fromQuery(field reflect.Value, m *schema.Member, query url.Values) error {
	switch m.Shape.Kind {
	case schema.List:
		if values, found := query[m.Wire]; found {
			return setList(field, m, values)
		}
		return nil
	case schema.Map:
		return queryMap(field, m, query)
	}
	values, found := query[m.Wire]
	switch {
	case !found:
		return nil
	case len(values) > 1:
		return &codec.Error{Problem: codec.Duplicate, Parameter: m.Wire, Detail: "is given more than once"}
	}
	return codec.SetScalar(field, m, values[0], m.Wire)
}

func setList(field reflect.Value, m *schema.Member, values []string) error {
	list := reflect.MakeSlice(field.Type(), len(values), len(values))
	for i, text := range values {
		if err := codec.SetScalar(list.Index(i), m.Shape.Element, text, codec.IndexPath(m.Wire, i)); err != nil {
			return err
		}
	}
	field.Set(list)
	return nil
}

// queryMap takes every parameter as an entry of the map: a map in the query
// string has no name there, and no operation of the models has two.
func queryMap(field reflect.Value, m *schema.Member, query url.Values) error {
	out := reflect.MakeMapWithSize(field.Type(), len(query))
	for key, values := range query {
		place := reflect.New(field.Type().Elem()).Elem()
		if m.Shape.Element.Shape.Kind == schema.List {
			element := *m.Shape.Element
			element.Wire = key
			if err := setList(place, &element, values); err != nil {
				return err
			}
		} else if err := codec.SetScalar(place, m.Shape.Element, values[0], key); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(key), place)
	}
	if out.Len() > 0 {
		field.Set(out)
	}
	return nil
}

func fromHeader(field reflect.Value, m *schema.Member, header http.Header) error {
	if m.Location == schema.Headers {
		out := reflect.MakeMap(field.Type())
		prefix := http.CanonicalHeaderKey(m.Wire)
		for name, values := range header {
			if key, found := strings.CutPrefix(name, prefix); found {
				out.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(values[0]))
			}
		}
		if out.Len() > 0 {
			field.Set(out)
		}
		return nil
	}
	values := header.Values(m.Wire)
	if len(values) == 0 {
		return nil
	}
	if m.Shape.Kind == schema.List {
		return setList(field, m, splitHeader(values))
	}
	return codec.SetScalar(field, m, strings.TrimSpace(values[0]), m.Wire)
}

func splitHeader(values []string) []string {
	var out []string
	for _, line := range values {
		for part := range strings.SplitSeq(line, ",") {
			out = append(out, strings.TrimSpace(part))
		}
	}
	return out
}

// DecodeResponse fills the members of an output that travel in headers or in
// the status.
func DecodeResponse(v reflect.Value, shape *schema.Shape, r *codec.Response) error {
	for i := range shape.Members {
		m := &shape.Members[i]
		field := codec.Field(v, m)
		switch m.Location {
		case schema.Header, schema.Headers:
			if err := fromHeader(field, m, r.Header); err != nil {
				return err
			}
		case schema.StatusCode:
			codec.Settable(field).SetInt(int64(r.Status))
		}
	}
	return nil
}
