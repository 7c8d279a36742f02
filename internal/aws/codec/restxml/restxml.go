// SPDX-License-Identifier: Apache-2.0

// Package restxml is the REST-XML protocol of Route 53: members in path, query
// string and headers, the rest as an XML document
// (https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html).
package restxml

import (
	"net/http"
	"reflect"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/httpbind"
	"github.com/posternhq/postern/internal/aws/codec/xmlbody"
	"github.com/posternhq/postern/internal/aws/schema"
)

type protocol struct{ service *schema.Service }

// New returns the codec of a service that speaks REST-XML.
func New(svc *schema.Service) codec.Codec { return protocol{svc} }

func (p protocol) DecodeRequest(op *schema.Operation, r *codec.Request) (any, error) {
	in := op.NewInput()
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	if err := httpbind.DecodeRequest(v, op, r); err != nil {
		return nil, err
	}
	if err := decodeBody(v, op.Input, r.Body, op.InputRoot); err != nil {
		return nil, err
	}
	return in, nil
}

func (p protocol) EncodeRequest(op *schema.Operation, in any) (*codec.Request, error) {
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	r, err := httpbind.EncodeRequest(v, op)
	if err != nil {
		return nil, err
	}
	r.Body, err = p.encodeBody(v, op.Input, op.InputRoot, false)
	if len(r.Body) > 0 {
		r.Header.Set("Content-Type", xmlbody.ContentType)
	}
	return r, err
}

func (p protocol) EncodeResponse(op *schema.Operation, out any, requestID string) (*codec.Response, error) {
	if out == nil {
		out = op.NewOutput()
	}
	v, err := codec.Struct(out, op.Output)
	if err != nil {
		return nil, err
	}
	r := httpbind.EncodeResponse(v, op, requestID)
	if r.Status == http.StatusNoContent {
		return r, nil
	}
	r.Header.Set("Content-Type", xmlbody.ContentType)
	r.Body, err = p.encodeBody(v, op.Output, op.OutputRoot, true)
	return r, err
}

func (p protocol) DecodeResponse(op *schema.Operation, r *codec.Response) (any, error) {
	if r.Status >= http.StatusMultipleChoices {
		return nil, xmlbody.RemoteError(r)
	}
	out := op.NewOutput()
	v, err := codec.Struct(out, op.Output)
	if err != nil {
		return nil, err
	}
	if err := httpbind.DecodeResponse(v, op.Output, r); err != nil {
		return nil, err
	}
	return out, decodeBody(v, op.Output, r.Body, "")
}

// decodeBody fills the members of v that travel in the body. root is the name
// that the root element must have, or empty when any will do.
func decodeBody(v reflect.Value, shape *schema.Shape, body []byte, root string) error {
	if m := httpbind.RawPayload(shape); m != nil {
		if len(body) > 0 {
			httpbind.SetRaw(v, m, body)
		}
		return nil
	}
	if len(body) == 0 || !httpbind.HasBody(shape) {
		return nil
	}
	if shape.Payload != "" {
		m := shape.Member(shape.Payload)
		v, shape, root = codec.Settable(codec.Field(v, m)), m.Shape, m.Wire
	}
	n, err := xmlbody.Parse(body)
	if err != nil {
		return err
	}
	if root != "" && n.Name != root {
		return &codec.Error{Problem: codec.Malformed, Parameter: n.Name, Detail: "is not the root element " + root}
	}
	return xmlbody.Decode(v, shape, n)
}

func (p protocol) encodeBody(v reflect.Value, shape *schema.Shape, root string, answer bool) ([]byte, error) {
	if m := httpbind.RawPayload(shape); m != nil {
		return httpbind.Raw(v, m), nil
	}
	if shape.Payload != "" {
		m := shape.Member(shape.Payload)
		field := codec.Field(v, m)
		if codec.IsUnset(field) {
			return nil, nil
		}
		v, shape, root = codec.Deref(field), m.Shape, m.Wire
	}
	if root == "" || !httpbind.HasBody(shape) {
		return nil, nil
	}
	w := &xmlbody.Writer{Answer: answer}
	w.Prolog()
	if err := w.Structure(v, shape, root, p.service.Namespace); err != nil {
		return nil, err
	}
	return w.Bytes(), nil
}
