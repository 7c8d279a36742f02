// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"slices"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
)

// kind says why this package refuses a request.
type kind uint8

const (
	tooBig kind = iota
	unreadable
	unsigned
	badAuthentication
	unknownKey
	expiredKey
	badSignature
	badTime
	unknownRegion
	denied
	missingAction
	unknownVersion
	unknownOperation
	wrongMethod
	malformed
	unknownParameter
	missingParameter
	badValue
	internal
	unavailable
	excessive
	kinds // how many there are
)

// word is an error code and its HTTP status.
type word struct {
	code   string
	status int
}

// vocabulary is how a family of services says each kind of refusal.
type vocabulary struct {
	words [kinds]word
	// reasons are the values of the field "reason", for the services whose
	// ValidationException has one; validation codes of others have no fields.
	reasons map[kind]string
	// denial stands before the text of a denial.
	denial string
}

// The codes follow the pages "Error codes for the Amazon EC2 API" and "Common
// errors" of the STS and VPC Lattice API references, 2026-11. The latter names
// one error for a path that is not there; a wrong method is told apart by 405.
var (
	ec2Words = vocabulary{denial: "You are not authorized to perform this operation. ", words: [kinds]word{
		tooBig:            {"RequestEntityTooLarge", 413},
		unreadable:        {"MalformedQueryString", 400},
		unsigned:          {"MissingAuthenticationToken", 403},
		badAuthentication: {"IncompleteSignature", 400},
		unknownKey:        {"AuthFailure", 401},
		expiredKey:        {"RequestExpired", 400},
		badSignature:      {"SignatureDoesNotMatch", 403},
		badTime:           {"RequestExpired", 400},
		unknownRegion:     {"AuthFailure", 401},
		denied:            {"UnauthorizedOperation", 403},
		missingAction:     {"MissingAction", 400},
		unknownVersion:    {"NoSuchVersion", 400},
		unknownOperation:  {"InvalidAction", 400},
		wrongMethod:       {"InvalidAction", 405},
		malformed:         {"MalformedQueryString", 400},
		unknownParameter:  {"UnknownParameter", 400},
		missingParameter:  {"MissingParameter", 400},
		badValue:          {"InvalidParameterValue", 400},
		internal:          {"InternalError", 500},
		unavailable:       {"ServiceUnavailable", 503},
		excessive:         {"ResourceCountExceeded", 400},
	}}
	queryWords = vocabulary{words: [kinds]word{
		tooBig:            {"RequestEntityTooLarge", 413},
		unreadable:        {"MalformedQueryString", 400},
		unsigned:          {"MissingAuthenticationToken", 403},
		badAuthentication: {"IncompleteSignature", 400},
		unknownKey:        {"InvalidClientTokenId", 403},
		expiredKey:        {"ExpiredToken", 403},
		badSignature:      {"SignatureDoesNotMatch", 403},
		badTime:           {"SignatureDoesNotMatch", 403},
		unknownRegion:     {"SignatureDoesNotMatch", 403},
		denied:            {"AccessDenied", 403},
		missingAction:     {"MissingAction", 400},
		unknownVersion:    {"InvalidAction", 400},
		unknownOperation:  {"InvalidAction", 400},
		wrongMethod:       {"InvalidAction", 405},
		malformed:         {"MalformedQueryString", 400},
		unknownParameter:  {"InvalidQueryParameter", 400},
		missingParameter:  {"ValidationError", 400},
		badValue:          {"ValidationError", 400},
		internal:          {"InternalFailure", 500},
		unavailable:       {"ServiceUnavailable", 503},
		excessive:         {"LimitExceeded", 400},
	}}
	jsonWords = vocabulary{words: [kinds]word{
		tooBig:            {"RequestEntityTooLargeException", 413},
		unreadable:        {"SerializationException", 400},
		unsigned:          {"MissingAuthenticationTokenException", 403},
		badAuthentication: {"IncompleteSignatureException", 403},
		unknownKey:        {"UnrecognizedClientException", 403},
		expiredKey:        {"ExpiredTokenException", 403},
		badSignature:      {"InvalidSignatureException", 403},
		badTime:           {"InvalidSignatureException", 403},
		unknownRegion:     {"InvalidSignatureException", 403},
		denied:            {"AccessDeniedException", 403},
		unknownOperation:  {"UnknownOperationException", 404},
		wrongMethod:       {"UnknownOperationException", 405},
		malformed:         {"SerializationException", 400},
		unknownParameter:  {"SerializationException", 400},
		missingParameter:  {"InvalidParameterException", 400},
		badValue:          {"InvalidParameterException", 400},
		internal:          {"InternalFailure", 500},
		unavailable:       {"ServiceUnavailable", 503},
		excessive:         {"LimitExceededException", 400},
	}}
	// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
	s3Words = vocabulary{words: [kinds]word{
		tooBig:            {"EntityTooLarge", 400},
		unreadable:        {"IncompleteBody", 400},
		unsigned:          {"AccessDenied", 403},
		badAuthentication: {"AuthorizationHeaderMalformed", 400},
		unknownKey:        {"InvalidAccessKeyId", 403},
		expiredKey:        {"ExpiredToken", 400},
		badSignature:      {"SignatureDoesNotMatch", 403},
		badTime:           {"RequestTimeTooSkewed", 403},
		unknownRegion:     {"AuthorizationHeaderMalformed", 400},
		denied:            {"AccessDenied", 403},
		unknownOperation:  {"NotImplemented", 501},
		wrongMethod:       {"MethodNotAllowed", 405},
		malformed:         {"InvalidRequest", 400},
		internal:          {"InternalError", 500},
		excessive:         {"InvalidRequest", 400},
	}}
)

// vocabularyOf returns the words of a service. REST-XML has the same ones as
// the query protocol but for bad input.
func vocabularyOf(service *schema.Service) vocabulary {
	switch service.Protocol {
	case fault.ProtocolEC2:
		return ec2Words
	case fault.ProtocolQuery:
		return queryWords
	case fault.ProtocolRESTXML:
		v := queryWords
		v.words[unknownOperation] = word{"UnknownOperationException", 404}
		v.words[wrongMethod] = word{"UnknownOperationException", 405}
		for _, k := range []kind{unreadable, malformed, unknownParameter, missingParameter, badValue, excessive} {
			v.words[k] = word{"InvalidInput", 400}
		}
		return v
	}
	v := jsonWords
	switch service.Protocol {
	case fault.ProtocolJSON10, fault.ProtocolJSON11, fault.ProtocolCBOR:
		// These say everything with 400, what is not the service's own fault.
		bad := "ValidationException"
		if knows(service, "InvalidInputException") {
			bad = "InvalidInputException"
		}
		v.words[missingParameter], v.words[badValue] = word{bad, 400}, word{bad, 400}
		for k, w := range v.words {
			if w.status == http.StatusForbidden || w.status == http.StatusNotFound {
				v.words[k].status = http.StatusBadRequest
			}
		}
		return v
	case fault.ProtocolS3:
		return s3Words
	}
	if knows(service, "InternalServerException") {
		v.words[internal] = word{"InternalServerException", 500}
	}
	if knows(service, "ValidationException") {
		v.reasons = map[kind]string{
			unreadable: fault.ReasonCannotParse, malformed: fault.ReasonCannotParse, unknownParameter: fault.ReasonCannotParse,
			missingParameter: fault.ReasonFieldValidation, badValue: fault.ReasonFieldValidation,
			excessive: fault.ReasonOther,
		}
		for k := range v.reasons {
			v.words[k] = word{"ValidationException", 400}
		}
	}
	return v
}

// knows reports whether the model of a service has an error with this code.
func knows(service *schema.Service, code string) bool {
	return slices.ContainsFunc(service.Operations, func(op *schema.Operation) bool {
		return slices.Contains(op.Errors, code)
	})
}

func (v *vocabulary) fault(r *refusal) *fault.Error {
	w := v.words[r.kind]
	f := fault.New(w.code, w.status, "%s", r.message).WithCause(r.cause)
	if reason := v.reasons[r.kind]; reason != "" {
		f.Fields = map[string]string{fault.FieldReason: reason}
		f.FieldList = r.fields
	}
	return f
}
