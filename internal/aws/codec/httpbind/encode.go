// SPDX-License-Identifier: Apache-2.0

package httpbind

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// EncodeRequest returns a request with all of an input but its body.
func EncodeRequest(v reflect.Value, op *schema.Operation) (*codec.Request, error) {
	r := &codec.Request{Method: op.Method, Query: url.Values{}, Header: http.Header{}}
	if _, fixed, found := strings.Cut(op.Path, "?"); found {
		query, err := url.ParseQuery(fixed)
		if err != nil {
			return nil, err
		}
		r.Query = query
	}
	labels := map[string]string{}
	for i := range op.Input.Members {
		m := &op.Input.Members[i]
		field := codec.Field(v, m)
		if codec.IsUnset(field) {
			continue
		}
		switch m.Location {
		case schema.URI:
			labels[m.Wire] = codec.ScalarText(field, m)
		case schema.Query:
			toQuery(r.Query, field, m)
		case schema.Header, schema.Headers:
			toHeader(r.Header, field, m)
		}
	}
	var err error
	r.Path, err = codec.ExpandPath(op.Path, labels)
	return r, err
}

func toQuery(query url.Values, field reflect.Value, m *schema.Member) {
	switch m.Shape.Kind {
	case schema.List:
		for i := range field.Len() {
			query.Add(m.Wire, codec.ScalarText(field.Index(i), m.Shape.Element))
		}
	case schema.Map:
		for _, key := range field.MapKeys() {
			value, element := field.MapIndex(key), m.Shape.Element
			if element.Shape.Kind != schema.List {
				query.Add(key.String(), codec.ScalarText(value, element))
				continue
			}
			for i := range value.Len() {
				query.Add(key.String(), codec.ScalarText(value.Index(i), element.Shape.Element))
			}
		}
	default:
		query.Set(m.Wire, codec.ScalarText(field, m))
	}
}

func toHeader(header http.Header, field reflect.Value, m *schema.Member) {
	switch {
	case m.Location == schema.Headers:
		for _, key := range field.MapKeys() {
			header.Set(m.Wire+key.String(), field.MapIndex(key).String())
		}
	case m.Shape.Kind == schema.List:
		parts := make([]string, field.Len())
		for i := range parts {
			parts[i] = codec.ScalarText(field.Index(i), m.Shape.Element)
		}
		header.Set(m.Wire, strings.Join(parts, ", "))
	default:
		header.Set(m.Wire, codec.ScalarText(field, m))
	}
}

// EncodeResponse returns an answer with all of an output but its body.
func EncodeResponse(v reflect.Value, op *schema.Operation, requestID string) *codec.Response {
	r := &codec.Response{Status: op.Status, Header: http.Header{codec.RequestIDHeader: {requestID}}}
	for i := range op.Output.Members {
		m := &op.Output.Members[i]
		field := codec.Field(v, m)
		if codec.IsUnset(field) {
			continue
		}
		switch m.Location {
		case schema.Header, schema.Headers:
			toHeader(r.Header, field, m)
		case schema.StatusCode:
			r.Status = int(codec.Deref(field).Int())
		}
	}
	return r
}

// HasBody reports whether the shape has members that travel in the body.
func HasBody(shape *schema.Shape) bool {
	for i := range shape.Members {
		if shape.Members[i].Location == schema.Body {
			return true
		}
	}
	return false
}

// RawPayload returns the member that is the whole body byte by byte, a string
// or blob, or nil.
func RawPayload(shape *schema.Shape) *schema.Member {
	if shape.Payload == "" {
		return nil
	}
	m := shape.Member(shape.Payload)
	if k := m.Shape.Kind; k == schema.Blob || k == schema.String {
		return m
	}
	return nil
}

// SetRaw stores a body in a member that RawPayload returned.
func SetRaw(v reflect.Value, m *schema.Member, body []byte) {
	if field := codec.Field(v, m); m.Shape.Kind == schema.Blob {
		field.SetBytes(append([]byte{}, body...))
	} else {
		codec.Settable(field).SetString(string(body))
	}
}

// Raw returns the body in a member that RawPayload returned.
func Raw(v reflect.Value, m *schema.Member) []byte {
	field := codec.Field(v, m)
	switch {
	case codec.IsUnset(field):
		return nil
	case m.Shape.Kind == schema.Blob:
		return field.Bytes()
	}
	return []byte(codec.Deref(field).String())
}
