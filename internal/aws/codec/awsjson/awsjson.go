// SPDX-License-Identifier: Apache-2.0

// Package awsjson is the protocol AWS JSON 1.1 of CloudTrail and AWS Organizations:
// everything is one JSON object, sent to /, and a header names the operation
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
package awsjson

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/jsonbody"
	"github.com/posternhq/postern/internal/aws/schema"
)

// TargetHeader names the operation of a request, behind a name that the service has
// for itself and its version, which may have points too: Service_20131101.Operation.
const TargetHeader = "X-Amz-Target"

const contentType = "application/x-amz-json-1.1"

type protocol struct{ service *schema.Service }

// New returns the codec of a service that speaks AWS JSON 1.1.
func New(svc *schema.Service) codec.Codec { return protocol{svc} }

// Target takes the value of TargetHeader apart. Without a point there is no operation.
// What stands before the last point is not compared with anything: clients are not
// of one mind about it, for the same service.
func Target(value string) (service, operation string) {
	i := strings.LastIndexByte(value, '.')
	if i < 0 {
		return value, ""
	}
	return value[:i], value[i+1:]
}

// DecodeRequest takes a body of nothing but white space for an empty object: clients
// of operations without members send either.
func (protocol) DecodeRequest(op *schema.Operation, r *codec.Request) (any, error) {
	in := op.NewInput()
	return in, decode(in, op.Input, r.Body)
}

func (p protocol) EncodeRequest(op *schema.Operation, in any) (*codec.Request, error) {
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	body, err := jsonbody.Encode(v, op.Input, false)
	return &codec.Request{
		Method: op.Method, Path: op.Path, Query: url.Values{},
		Header: http.Header{"Content-Type": {contentType}, TargetHeader: {p.service.TargetPrefix + "." + op.Name}},
		Body:   body,
	}, err
}

// EncodeResponse writes an answer. An operation without output has one without a body.
func (protocol) EncodeResponse(op *schema.Operation, out any, requestID string) (*codec.Response, error) {
	r := &codec.Response{Status: op.Status, Header: http.Header{"Content-Type": {contentType}, codec.RequestIDHeader: {requestID}}}
	if op.NoOutput {
		return r, nil
	}
	if out == nil {
		out = op.NewOutput()
	}
	v, err := codec.Struct(out, op.Output)
	if err != nil {
		return nil, err
	}
	r.Body, err = jsonbody.Encode(v, op.Output, true)
	return r, err
}

func (protocol) DecodeResponse(op *schema.Operation, r *codec.Response) (any, error) {
	if r.Status >= http.StatusMultipleChoices {
		return nil, jsonbody.RemoteError(r)
	}
	out := op.NewOutput()
	return out, decode(out, op.Output, r.Body)
}

func decode(into any, shape *schema.Shape, body []byte) error {
	v, err := codec.Struct(into, shape)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	return jsonbody.Decode(body, v, shape)
}
