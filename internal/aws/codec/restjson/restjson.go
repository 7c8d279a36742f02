// SPDX-License-Identifier: Apache-2.0

// Package restjson is the REST-JSON protocol of VPC Lattice, RAM and Postern's
// own extensions: members in path, query string and headers, the rest as one
// JSON object (https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html).
package restjson

import (
	"net/http"
	"reflect"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/httpbind"
	"github.com/posternhq/postern/internal/aws/codec/jsonbody"
	"github.com/posternhq/postern/internal/aws/schema"
)

const contentType = "application/json"

type protocol struct{}

// New returns the codec of a service that speaks REST-JSON.
func New(*schema.Service) codec.Codec { return protocol{} }

func (protocol) DecodeRequest(op *schema.Operation, r *codec.Request) (any, error) {
	in := op.NewInput()
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	if err := httpbind.DecodeRequest(v, op, r); err != nil {
		return nil, err
	}
	if err := decodeBody(v, op.Input, r.Body); err != nil {
		return nil, err
	}
	return in, nil
}

func (protocol) EncodeRequest(op *schema.Operation, in any) (*codec.Request, error) {
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	r, err := httpbind.EncodeRequest(v, op)
	if err != nil {
		return nil, err
	}
	if !httpbind.HasBody(op.Input) {
		return r, nil
	}
	r.Header.Set("Content-Type", contentType)
	r.Body, err = encodeBody(v, op.Input, false)
	return r, err
}

func (protocol) EncodeResponse(op *schema.Operation, out any, requestID string) (*codec.Response, error) {
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
	r.Header.Set("Content-Type", contentType)
	r.Body, err = encodeBody(v, op.Output, true)
	return r, err
}

func (protocol) DecodeResponse(op *schema.Operation, r *codec.Response) (any, error) {
	if r.Status >= http.StatusMultipleChoices {
		return nil, jsonbody.RemoteError(r)
	}
	out := op.NewOutput()
	v, err := codec.Struct(out, op.Output)
	if err != nil {
		return nil, err
	}
	if err := httpbind.DecodeResponse(v, op.Output, r); err != nil {
		return nil, err
	}
	return out, decodeBody(v, op.Output, r.Body)
}

// decodeBody fills the members of v that travel in the body. A body of no bytes
// is an empty object.
func decodeBody(v reflect.Value, shape *schema.Shape, body []byte) error {
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
		return jsonbody.Decode(body, codec.Settable(codec.Field(v, m)), m.Shape)
	}
	return jsonbody.Decode(body, v, shape)
}

func encodeBody(v reflect.Value, shape *schema.Shape, answer bool) ([]byte, error) {
	if m := httpbind.RawPayload(shape); m != nil {
		return httpbind.Raw(v, m), nil
	}
	if shape.Payload != "" {
		m := shape.Member(shape.Payload)
		if v = codec.Field(v, m); codec.IsUnset(v) {
			return []byte("{}"), nil
		}
		return jsonbody.Encode(codec.Deref(v), m.Shape, answer)
	}
	return jsonbody.Encode(v, shape, answer)
}
