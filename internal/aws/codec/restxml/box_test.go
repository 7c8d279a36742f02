// SPDX-License-Identifier: Apache-2.0

package restxml_test

import (
	"time"

	"github.com/posternhq/postern/internal/aws/schema"
)

// box has a member of every sort that the protocol treats in its own way.
type box struct {
	ID      *string
	Max     *int32
	Since   *time.Time
	Meta    map[string]string
	Kind    *string
	Comment *string
	Items   []string
	Flat    []string
	Map     map[string]string
	Made    *time.Time
	Blob    []byte
	Size    *float64
	Inner   *box
}

// wrapped is an output with a payload.
type wrapped struct {
	Location *string
	Status   *int32
	Box      *box
}

func boxService() *schema.Service {
	text := &schema.Shape{Name: "String", Kind: schema.String}
	integer := &schema.Shape{Name: "Integer", Kind: schema.Integer}
	stamp := &schema.Shape{Name: "Timestamp", Kind: schema.Timestamp}
	member := func(name, wire string, shape *schema.Shape, at schema.Location) schema.Member {
		return schema.Member{Name: name, Wire: wire, Shape: shape, Location: at}
	}
	item := member("member", "Item", text, schema.Body)
	key, value := member("key", "key", text, schema.Body), member("value", "value", text, schema.Body)
	mapping := &schema.Shape{Name: "map", Kind: schema.Map, MapKey: &key, Element: &value}
	// Where a box is part of another, what travels outside of the body has no place.
	inner := &schema.Shape{Name: "box", Kind: schema.Structure}
	inner.Members = []schema.Member{
		member("ID", "Id", text, schema.URI),
		member("Max", "max", integer, schema.Query),
		member("Since", "X-Since", stamp, schema.Header),
		member("Meta", "X-Meta-", mapping, schema.Headers),
		member("Kind", "kind", text, schema.Body),
		member("Comment", "Comment", text, schema.Body),
		member("Items", "Items", &schema.Shape{Name: "items", Kind: schema.List, Element: &item}, schema.Body),
		member("Flat", "Flat", &schema.Shape{Name: "flat", Kind: schema.List, Element: &item, Flattened: true}, schema.Body),
		member("Map", "Map", mapping, schema.Body),
		member("Made", "Made", stamp, schema.Body),
		member("Blob", "Blob", &schema.Shape{Name: "Blob", Kind: schema.Blob}, schema.Body),
		member("Size", "Size", &schema.Shape{Name: "Double", Kind: schema.Double}, schema.Body),
		member("Inner", "Inner", inner, schema.Body),
	}
	for i := range inner.Members {
		inner.Members[i].Index = i
	}
	inner.Members[2].TimestampFormat = schema.RFC822
	inner.Members[9].TimestampFormat = schema.ISO8601
	inner.Members[4].XMLAttribute = true
	out := &schema.Shape{Name: "wrapped", Kind: schema.Structure, Payload: "Box", Members: []schema.Member{
		member("Location", "Location", text, schema.Header),
		member("Status", "Status", integer, schema.StatusCode),
		member("Box", "Box", inner, schema.Body),
	}}
	for i := range out.Members {
		out.Members[i].Index = i
	}
	newBox, newWrapped := func() any { return new(box) }, func() any { return new(wrapped) }
	return &schema.Service{Name: "boxes", Protocol: "rest-xml", Namespace: "https://boxes/", Operations: []*schema.Operation{
		{
			Name: "PutBox", Method: "PUT", Path: "/boxes/{Id}", Status: 200, Input: inner, Output: inner,
			InputRoot: "PutBoxRequest", OutputRoot: "PutBoxResponse", NewInput: newBox, NewOutput: newBox,
		},
		{
			Name: "GetBox", Method: "GET", Path: "/boxes/{Id}", Status: 200, Input: inner, Output: out,
			OutputRoot: "GetBoxResponse", NewInput: newBox, NewOutput: newWrapped,
		},
	}}
}
