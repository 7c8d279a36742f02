// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/sigv4"
	"github.com/posternhq/postern/internal/aws/validate"
)

// maxProblems is how many broken constraints one answer names.
const maxProblems = 20

// refusal is a request that a step of this package turns away. The code for its
// kind depends on the service: see vocabulary.
type refusal struct {
	kind    kind
	message string
	fields  []fault.Field
	allow   []string // methods that the path has
	cause   error
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return r.message + ": " + r.cause.Error()
	}
	return r.message
}

func (r *refusal) Unwrap() error { return r.cause }

func refusef(k kind, format string, args ...any) *refusal {
	return &refusal{kind: k, message: fmt.Sprintf(format, args...)}
}

func (r *refusal) because(cause error) *refusal {
	r.cause = cause
	return r
}

func (r *refusal) allowing(methods []string) *refusal {
	r.allow = methods
	return r
}

func refuseSignature(err error) error {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err
	}
	k := badSignature
	switch e.Reason {
	case sigv4.Missing:
		k = unsigned
	case sigv4.Malformed:
		k = badAuthentication
	case sigv4.Expired, sigv4.NotYetValid:
		k = badTime
	}
	return refusef(k, "%s", e.Message)
}

func refuseDecoding(err error) error {
	var e *codec.Error
	if !errors.As(err, &e) {
		return err
	}
	k := badValue
	switch {
	case e.Parameter == "" || e.Problem == codec.Malformed || e.Problem == codec.TooDeep:
		k = malformed
	case e.Problem == codec.UnknownParameter:
		k = unknownParameter
	}
	if e.Parameter == "" {
		return refusef(k, "The request cannot be read: %s.", e.Detail).because(e.Cause)
	}
	r := refusef(k, "The parameter %s %s.", e.Parameter, e.Detail).because(e.Cause)
	r.fields = []fault.Field{{Name: e.Parameter, Message: e.Detail}}
	return r
}

// refuseProblems names all broken constraints. The kind is that of the first,
// and a missing parameter comes before others, as on AWS.
func refuseProblems(problems []validate.Problem) error {
	k, texts := badValue, []string(nil)
	var fields []fault.Field
	for i, p := range problems {
		if p.Rule == validate.Required {
			k = missingParameter
		}
		if i < maxProblems {
			texts = append(texts, problemText(p))
			fields = append(fields, fault.Field{Name: p.Field, Message: p.Message})
		}
	}
	if more := len(problems) - maxProblems; more > 0 {
		texts = append(texts, fmt.Sprintf("And %d more.", more))
	}
	r := refusef(k, "%s", strings.Join(texts, " "))
	r.fields = fields
	return r
}

func problemText(p validate.Problem) string {
	switch {
	case p.Rule == validate.Required:
		return fmt.Sprintf("The request must contain the parameter %s.", p.Field)
	case p.Value != "":
		return fmt.Sprintf("Value (%s) for parameter %s is invalid: it %s.", p.Value, p.Field, p.Message)
	}
	return fmt.Sprintf("Parameter %s is invalid: it %s.", p.Field, p.Message)
}

// unavailability is an error that will pass: the request may be repeated later.
// The method gives the words for clients.
type unavailability interface {
	error
	Unavailable() string
}

// excess is an error of a request that asks for more than can be done at once, of which
// nothing was done. The method gives the words for clients.
type excess interface {
	error
	Excessive() string
}

// refuseLate says what the steps would have said had they known what was found out in the
// handler's transaction: that the key or a right of its owner is gone.
func (e *exchange) refuseLate(no *access.Refused) *refusal {
	if no.Unknown {
		return refusef(unknownKey, "The security token included in the request is invalid.")
	}
	return refusef(denied, "%s%s", e.service.words.denial, no.Text)
}

// refuse renders an error of any step. What is neither a fault nor a refusal is
// an internal error, of which the client learns nothing but the request's id.
func (e *exchange) refuse(err error) *codec.Response {
	header := http.Header{}
	var f *fault.Error
	var r *refusal
	var u unavailability
	var x excess
	var no *access.Refused
	switch {
	case errors.As(err, &no):
		f = e.service.words.fault(e.refuseLate(no))
	case errors.As(err, &f):
	case errors.As(err, &r):
		f = e.service.words.fault(r)
		if len(r.allow) > 0 {
			header.Set("Allow", strings.Join(r.allow, ", "))
		}
	case errors.As(err, &u):
		f = e.service.words.fault(refusef(unavailable, "%s", u.Unavailable()))
	case errors.As(err, &x):
		f = e.service.words.fault(refusef(excessive, "%s", x.Excessive()))
	default:
		f = e.service.words.fault(refusef(internal, "An internal error has occurred"))
	}
	e.refused = f
	status, rendered, body := fault.Render(e.service.Protocol, e.service.Namespace, f, e.id)
	for name, values := range rendered {
		header[name] = values
	}
	e.queryError(header, f)
	return &codec.Response{Status: status, Header: header, Body: body}
}
