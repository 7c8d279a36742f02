// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/awsjson"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/route"
	"github.com/posternhq/postern/internal/aws/validate"
)

// maxParameters bounds the parameters of a form, before it is taken apart.
const maxParameters = 10_000

// regionName is what names of regions look like, those of partitions as a whole
// too: clients of global services sign for either, whatever regions are served.
var regionName = regexp.MustCompile(`^([a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}|aws(-[a-z]+)*-global)$`)

// authenticate proves who makes the request, and that service and region of
// the signature are served.
func (e *exchange) authenticate() error {
	s := e.signature
	credential, known, err := e.Credentials.Lookup(e.http.Context(), s.AccessKeyID, s.Token)
	if err != nil {
		return fmt.Errorf("look up access key %s: %w", s.AccessKeyID, err)
	}
	if !known || credential.Disabled {
		return refusef(unknownKey, "The security token included in the request is invalid.")
	}
	if err := e.verifier.Verify(s, e.http, e.body, credential.Secret, e.Now()); err != nil {
		return refuseSignature(err)
	}
	if subtle.ConstantTimeCompare([]byte(s.Token), []byte(credential.SessionToken)) != 1 {
		return refusef(unknownKey, "The security token included in the request is invalid.")
	}
	e.region = s.Region
	if credential.Expired {
		return refusef(expiredKey, "The security token included in the request is expired")
	}
	e.view.Caller = credential.Caller
	e.view.Region, e.view.AccessKeyID, e.view.RequestID = s.Region, s.AccessKeyID, e.id
	if err := e.wayLeadsTo(s); err != nil {
		return err
	}
	if e.services[s.Service] == nil {
		return refusef(unknownOperation, "The service '%s' is not served by this endpoint, which serves %s.",
			s.Service, strings.Join(e.serviceNames(), ", "))
	}
	if e.service.Global && regionName.MatchString(s.Region) {
		e.view.Region = ""
		return nil
	}
	if !slices.Contains(e.Regions, s.Region) {
		return refusef(unknownRegion, "Credential should be scoped to a valid region, not '%s'. This endpoint serves %s.",
			s.Region, strings.Join(e.Regions, ", "))
	}
	return nil
}

// find picks the operation: by method and path, by a header, or by the parameter Action.
func (e *exchange) find() error {
	e.path = e.http.URL.EscapedPath()
	if e.service.router != nil {
		return e.findByPath()
	}
	if e.http.Method != http.MethodPost && e.http.Method != http.MethodGet || e.http.URL.Path != "/" {
		return refusef(unknownOperation, "Requests of this service are POST / or GET /, not %s %s.", e.http.Method, e.path)
	}
	if isTarget(e.service.Protocol) {
		return e.findByTarget()
	}
	if n := bytes.Count(e.body, []byte("&")); n >= maxParameters {
		return refusef(malformed, "The request has more than %d parameters.", maxParameters)
	}
	action, version := e.formParameters()
	if action == "" {
		return refusef(missingAction, "The request must contain the parameter Action.")
	}
	if version != "" && !e.service.HasVersion(version) {
		return refusef(unknownVersion, "Could not find operation %s for version %s.", action, version)
	}
	return e.findByName(action)
}

func (e *exchange) findByTarget() error {
	target := e.http.Header.Get(awsjson.TargetHeader)
	_, operation := awsjson.Target(target)
	if operation == "" {
		return refusef(unknownOperation, "The header %s names no operation: '%s'.", awsjson.TargetHeader, target)
	}
	return e.findByName(operation)
}

func (e *exchange) findByName(action string) error {
	if e.op = e.service.operations[action]; e.op == nil {
		if s, ok := e.service.api.(Explainer); ok {
			if err := s.Unserved(action); err != nil {
				return err
			}
		}
		if slices.Contains(e.service.Unserved, action) {
			return refusef(unknownOperation, "The action %s is not served by this endpoint.", action)
		}
		return refusef(unknownOperation, "The action %s is not valid for this web service.", action)
	}
	return nil
}

func (e *exchange) findByPath() error {
	match, err := e.service.router.Find(e.http.Method, e.path)
	var method *route.MethodError
	switch {
	case errors.As(err, &method):
		return refusef(wrongMethod, "No operation of this service is %s %s.", e.http.Method, e.path).allowing(method.Allowed)
	case err != nil:
		return refusef(unknownOperation, "No operation of this service is %s %s.", e.http.Method, e.path)
	}
	e.op, e.path = match.Operation, match.Path
	return nil
}

// formParameters returns Action and Version as the form has them, without
// taking all of the form apart. What is not a form at all has neither.
func (e *exchange) formParameters() (action, version string) {
	for _, form := range [...][]byte{e.body, []byte(e.http.URL.RawQuery)} {
		for len(form) > 0 && (action == "" || version == "") {
			var pair []byte
			pair, form, _ = bytes.Cut(form, []byte("&"))
			name, value, _ := bytes.Cut(pair, []byte("="))
			var into *string
			switch string(name) {
			case "Action":
				into = &action
			case "Version":
				into = &version
			}
			if into == nil || *into != "" {
				continue
			}
			*into = e.unescape(value)
		}
	}
	return action, version
}

// unescape gives the text of a value, empty when it is none. That is mostly a name which is
// known.
func (e *exchange) unescape(value []byte) string {
	if op := e.service.operations[string(value)]; op != nil {
		return op.Name
	}
	if string(value) == e.service.Version {
		return e.service.Version
	}
	text, err := url.QueryUnescape(string(value))
	if err != nil {
		return ""
	}
	return text
}

// decode reads the input and checks the constraints of the model, and those
// that the models do not know.
func (e *exchange) decode() (any, error) {
	var query url.Values
	if e.http.URL.RawQuery != "" {
		var err error
		if query, err = url.ParseQuery(e.http.URL.RawQuery); err != nil {
			return nil, refusef(malformed, "The query string cannot be parsed.").because(err)
		}
	}
	e.message = codec.Request{Method: e.http.Method, Path: e.path, Query: query, Header: e.http.Header, Body: e.body}
	in, err := e.service.codec.DecodeRequest(e.op, &e.message)
	if err != nil {
		return nil, refuseDecoding(err)
	}
	if problems := validate.Input(e.op, in); len(problems) > 0 {
		return nil, refuseProblems(problems)
	}
	if e.service.check != nil {
		if err := e.service.check(e.op, in); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// authorize asks whether the caller may do all that the request asks for, as the
// table of actions says, and gives the context with the view that handlers take
// their rows from. There is no other way to a handler, nor to the answer of a dry
// run. Of what others have, a service may say that it does not exist; its handler
// says so, since the view has nothing of it.
func (e *exchange) authorize(in any) (context.Context, error) {
	who := &e.view.Caller
	op := e.service.access[e.op]
	e.request.Caller, e.request.Operation, e.request.Input = who, op, in
	e.request.Management, e.request.Hides = op.Management, e.service.hides && !e.op.DryRunRequested(in)
	e.request.Explained = e.service.Protocol == fault.ProtocolEC2
	e.request.Origin = access.Origin{
		Address: access.AddressOf(e.http.RemoteAddr), Secure: e.http.TLS != nil,
		UserAgent: e.http.UserAgent(), Referer: e.http.Referer(), Time: e.Now(),
	}
	if e.way != nil {
		e.request.Origin.Entrance = e.way.Entrance
		e.request.Origin.Address = netip.Addr{} // it is none of the client's
	}
	e.request.Asks = op.Ask(e.asks[:0], who, in)
	d, err := e.Decider.Decide(e.http.Context(), &e.request)
	switch {
	case err != nil:
		return nil, fmt.Errorf("decide about %s: %w", e.op.Name, err)
	case d.Passes(&e.request):
		return e.Decider.Bind(e.http.Context(), &e.request), nil
	}
	return nil, refusef(denied, "%s%s", e.service.words.denial, d.Text(who))
}
