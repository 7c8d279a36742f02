// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/awsjson"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/sigv4"
)

// exchange is one request on its way. Each step fills in what it has proven.
type exchange struct {
	*handler
	http    *http.Request
	id      string
	started time.Time

	body      []byte // valid until run returns
	signed    sigv4.Signature
	signature *sigv4.Signature // &signed, when it could be read
	// service renders errors; until the signature is verified it is a guess.
	service *mounted
	way     *Way   // nil when it came by no endpoint
	region  string // of the signature, once it is verified
	view    access.View
	request access.Request
	asks    [3]access.Ask // room for those of most requests
	op      *schema.Operation
	path    string // escaped, as the operation's template has it
	message codec.Request
	in, out any // once they are there
	notices []access.Notice
	err     error        // of the last step, for the log
	refused *fault.Error // as the client is told
}

// ServeHTTP answers one request, and logs it in one line.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := h.exchange()
	e.http, e.id, e.started = r, h.NewRequestID(), time.Now()
	e.way = wayOf(r.Context())
	var answer *codec.Response
	if answer, e.err = e.run(w); e.err != nil {
		answer = e.refuse(e.err)
	}
	e.record()
	header := w.Header()
	for name, values := range answer.Header {
		header[name] = values
	}
	own := [...]string{e.id, e.id, strconv.Itoa(len(answer.Body))}
	header[codec.RequestIDHeader], header["X-Amz-Request-Id"], header["Content-Length"] = own[0:1:1], own[1:2:2], own[2:]
	w.WriteHeader(answer.Status)
	// An error here means that the client is gone; there is nobody to tell.
	_, _ = w.Write(answer.Body)
	e.logAnswer(answer)
	if answer.Release != nil {
		answer.Release()
	}
	e.observe()
	h.end(e)
}

func (h *handler) exchange() *exchange {
	e, ok := h.exchanges.Get().(*exchange)
	if !ok {
		e = new(exchange)
	}
	e.handler, e.service = h, nobody
	return e
}

// end keeps an exchange for the next request. Nobody has it any more: handlers know
// of it by a context that has a copy of the view.
func (h *handler) end(e *exchange) {
	*e = exchange{}
	h.exchanges.Put(e)
}

// Observation is what there is to count of a request that was answered.
type Observation struct {
	// Service and Operation are names of the models, empty where the request did
	// not get so far that they are known.
	Service, Operation string
	// Code is the AWS error code, empty when there was none.
	Code string
	Took time.Duration
}

func (e *exchange) observe() {
	if e.Observe == nil {
		return
	}
	o := Observation{Took: time.Since(e.started)}
	if e.refused != nil {
		o.Code = e.refused.Code
	}
	if e.op != nil {
		o.Service, o.Operation = e.service.Name, e.op.Name
	}
	e.Observe(o)
}

// run takes the request through all steps. A panic in any of them, which is
// most likely one of a service's handler, becomes an error.
func (e *exchange) run(w http.ResponseWriter) (answer *codec.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			answer, err = nil, &panicError{value: v, stack: debug.Stack()}
		}
	}()
	buffer := e.buffer()
	defer e.release(buffer)
	if err := e.read(w, buffer); err != nil {
		return nil, err
	}
	if err := e.authenticate(); err != nil {
		return nil, err
	}
	if err := e.find(); err != nil {
		return nil, err
	}
	in, err := e.decode()
	if err != nil {
		return nil, err
	}
	e.in = in
	ctx, err := e.authorize(in)
	if err != nil {
		return nil, err
	}
	if e.op.DryRunRequested(in) {
		return nil, fault.New("DryRunOperation", http.StatusPreconditionFailed,
			"Request would have succeeded, but DryRun flag is set.")
	}
	out, err := e.op.Call(ctx, e.service.api, in)
	if err != nil {
		return nil, err
	}
	if v := reflect.ValueOf(out); v.Kind() == reflect.Pointer && v.IsNil() {
		out = nil // a handler without an answer: the codec writes an empty one
	}
	e.out, e.notices = out, access.Told(ctx)
	answer, err = e.service.codec.EncodeResponse(e.op, out, e.id)
	if err != nil {
		return nil, fmt.Errorf("encode answer of %s: %w", e.op.Name, err)
	}
	return answer, nil
}

// read reads the body and finds out whom the request is for, so that even the
// refusal of an unsigned or oversized request has the right envelope.
func (e *exchange) read(w http.ResponseWriter, buffer *bytes.Buffer) error {
	var parseErr, readErr error
	if parseErr = e.signed.Parse(e.http); parseErr == nil {
		e.signature = &e.signed
	}
	long := e.http.ContentLength > e.MaxBody // said beforehand: nothing of it need be read
	if e.http.Body != nil && !long {
		body := e.http.Body
		if e.http.ContentLength <= 0 { // else no more can come than was said
			body = http.MaxBytesReader(w, body, e.MaxBody)
		}
		_, readErr = buffer.ReadFrom(body)
	}
	e.body = buffer.Bytes()
	e.service = e.addressee()
	switch {
	case long, isTooLarge(readErr):
		return refusef(tooBig, "The body of the request is larger than %d bytes.", e.MaxBody)
	case readErr != nil:
		return refusef(unreadable, "The body of the request ended early.").because(readErr)
	case parseErr != nil:
		return refuseSignature(parseErr)
	}
	return nil
}

func isTooLarge(err error) bool {
	if err == nil {
		return false
	}
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}

// addressee is the service that the signature names, or that an unsigned
// request looks like.
func (e *exchange) addressee() *mounted {
	if e.signature != nil {
		if s := e.services[e.signature.Service]; s != nil {
			return s
		}
		return e.foreign(e.signature.Service)
	}
	action, version := e.formParameters()
	target, _ := awsjson.Target(e.http.Header.Get(awsjson.TargetHeader))
	for _, s := range e.order {
		switch {
		case isTarget(s.Protocol):
			if target == s.TargetPrefix {
				return s
			}
		case s.router == nil && s.HasVersion(version):
			return s
		case s.router != nil && action == "" && e.http.URL.Path != "/":
			if _, err := s.router.Find(e.http.Method, e.http.URL.EscapedPath()); err == nil {
				return s
			}
		}
	}
	return e.foreign("")
}

const maxKeptBuffer = 64 << 10

func (h *handler) buffer() *bytes.Buffer {
	if b, ok := h.buffers.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

// release keeps a buffer for the next request, unless it is unusually large.
func (h *handler) release(b *bytes.Buffer) {
	if b.Cap() <= maxKeptBuffer {
		b.Reset()
		h.buffers.Put(b)
	}
}

// panicError is a panic that was caught.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// logAnswer writes the access log: debug, and error when the fault is ours. The
// query string stays out, because a presigned one is a credential.
func (e *exchange) logAnswer(answer *codec.Response) {
	ctx, level := e.http.Context(), slog.LevelDebug
	if answer.Status >= http.StatusInternalServerError && answer.Status != http.StatusNotImplemented {
		gone := errors.Is(e.err, context.Canceled) && ctx.Err() != nil
		var said unavailability // by whoever knows, once, not with each request
		if !gone && !errors.As(e.err, &said) {
			level = slog.LevelError
		}
	}
	if !e.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", e.id), slog.String("method", e.http.Method), slog.String("path", e.http.URL.Path),
		slog.String("service", e.service.Name), slog.String("account", e.view.Account),
		slog.String("region", e.region), slog.Int("status", answer.Status),
		slog.Int("bytes", len(answer.Body)), slog.Duration("took", time.Since(e.started)),
	}
	if e.op != nil {
		attrs = append(attrs, slog.String("operation", e.op.Name))
	}
	if e.err != nil {
		attrs = append(attrs, slog.Any("error", e.err))
	}
	var p *panicError
	if errors.As(e.err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	e.Log.LogAttrs(ctx, level, "aws request", attrs...)
}
