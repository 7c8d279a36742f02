// SPDX-License-Identifier: Apache-2.0

// Package ec2query is the protocol of EC2: a form in, XML with lowerCamel names
// and <item> lists out (https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html).
package ec2query

import (
	"net/http"
	"sync"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/form"
	"github.com/posternhq/postern/internal/aws/codec/xmlbody"
	"github.com/posternhq/postern/internal/aws/schema"
)

type protocol struct {
	service *schema.Service
	dialect form.Dialect
	answers *sync.Pool // of *answer
}

// answer is a response with its document, for one request after the other.
type answer struct {
	document xmlbody.Writer
	response codec.Response
	id       [1]string
}

func newAnswer(pool *sync.Pool) *answer {
	a := &answer{document: xmlbody.Writer{Answer: true}}
	a.response.Header = http.Header{"Content-Type": {xmlbody.ContentType}, codec.RequestIDHeader: a.id[:]}
	a.response.Release = func() {
		if a.document.Keep() {
			pool.Put(a)
		}
	}
	return a
}

// New returns the codec of a service that speaks the EC2 protocol.
func New(svc *schema.Service) codec.Codec {
	return protocol{service: svc, dialect: form.NewDialect(true), answers: new(sync.Pool)}
}

func (p protocol) DecodeRequest(op *schema.Operation, r *codec.Request) (any, error) {
	return p.dialect.Decode(op, r)
}

func (p protocol) EncodeRequest(op *schema.Operation, in any) (*codec.Request, error) {
	return p.dialect.Encode(p.service, op, in)
}

func (p protocol) EncodeResponse(op *schema.Operation, out any, requestID string) (*codec.Response, error) {
	a, ok := p.answers.Get().(*answer)
	if !ok {
		a = newAnswer(p.answers)
	}
	w := &a.document
	w.Prolog()
	w.Start(op.OutputRoot, p.service.Namespace)
	w.Text("requestId", requestID)
	switch {
	case op.NoOutput:
		// AWS says so although its models give these operations no output.
		w.Text("return", "true")
	case out != nil:
		v, err := codec.Struct(out, op.Output)
		if err != nil {
			return nil, err
		}
		if err := w.Members(v, op.Output); err != nil {
			return nil, err
		}
	}
	w.End(op.OutputRoot)
	a.id[0] = requestID
	a.response.Status, a.response.Body = op.Status, w.Bytes()
	return &a.response, nil
}

func (p protocol) DecodeResponse(op *schema.Operation, r *codec.Response) (any, error) {
	if r.Status >= http.StatusMultipleChoices {
		return nil, xmlbody.RemoteError(r)
	}
	root, err := xmlbody.Parse(r.Body)
	if err != nil {
		return nil, err
	}
	out := op.NewOutput()
	v, err := codec.Struct(out, op.Output)
	if err != nil {
		return nil, err
	}
	return out, xmlbody.Decode(v, op.Output, root)
}
