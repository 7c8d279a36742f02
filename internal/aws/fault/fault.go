// SPDX-License-Identifier: Apache-2.0

// Package fault has AWS errors as data. A handler returns a *fault.Error and
// knows nothing of wire formats; Render writes it as the protocol of its
// service wants it, in one place.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Fault says whose fault an error is.
type Fault uint8

// The two sides that AWS tells apart. The zero value is Client.
const (
	Client Fault = iota
	Server
)

// String returns the word that the query and REST-XML envelopes use.
func (f Fault) String() string {
	if f == Server {
		return "Receiver"
	}
	return "Sender"
}

// Names of Error.Fields with a meaning of their own in the AWS models.
const (
	FieldReason       = "reason"
	FieldResourceID   = "resourceId"
	FieldResourceType = "resourceType"
	FieldServiceCode  = "serviceCode"
	FieldQuotaCode    = "quotaCode"
)

// Values of the field "reason" of a VPC Lattice ValidationException.
const (
	ReasonUnknownOperation = "unknownOperation"
	ReasonCannotParse      = "cannotParse"
	ReasonFieldValidation  = "fieldValidationFailed"
	ReasonOther            = "other"
)

// Field names one input field that failed validation, and why.
type Field struct{ Name, Message string }

// Error is one AWS error. Treat it as immutable once it is returned.
type Error struct {
	// Code is the AWS error code, such as InvalidVpcID.NotFound.
	Code string
	// Message is for people; it goes to the client as it is.
	Message string
	// Status is the HTTP status. Zero means 400, or 500 if Fault is Server.
	Status int
	// Fault says whose fault it is.
	Fault Fault
	// Fields are further members of the error's structure; the protocols with
	// JSON and REST-XML bodies show them.
	Fields map[string]string
	// FieldList is the fieldList of a ValidationException.
	FieldList []Field
	// Messages are the list of that name which Route 53's InvalidChangeBatch has: each
	// thing that is wrong, as Message has them all. Some clients read the one, some the
	// other.
	Messages []string
	// RetryAfter becomes the header Retry-After, in whole seconds, when set.
	RetryAfter time.Duration
	// Cause is for logs and errors.Is. The client never sees it.
	Cause error
}

// Error returns code and message, and the cause if there is one.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.Cause }

// WithCause returns a copy of e with the given cause.
func (e *Error) WithCause(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// HTTPStatus returns Status, or the default of Fault if it is zero.
func (e *Error) HTTPStatus() int {
	switch {
	case e.Status != 0:
		return e.Status
	case e.Fault == Server:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// Is reports whether err is, or wraps, an *Error with the given code.
func Is(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// New returns an error with any code and status. A status of 500 or more makes
// it the server's fault.
func New(code string, status int, format string, args ...any) *Error {
	e := &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
	if status >= http.StatusInternalServerError {
		e.Fault = Server
	}
	return e
}

// EC2 returns a client error of EC2: HTTP status 400, as the table of client
// error codes in the EC2 API reference has it for nearly all of them.
func EC2(code, format string, args ...any) *Error {
	return New(code, http.StatusBadRequest, format, args...)
}

// Route53 returns a client error of Route 53. Its status is 400 but for the codes whose
// shape in the model says otherwise.
func Route53(code, format string, args ...any) *Error {
	status := http.StatusBadRequest
	switch code {
	case "NotAuthorizedException":
		status = http.StatusUnauthorized
	case "AccessDenied":
		status = http.StatusForbidden
	case "NoSuchChange", "NoSuchHealthCheck", "NoSuchHostedZone", "VPCAssociationAuthorizationNotFound", "VPCAssociationNotFound":
		status = http.StatusNotFound
	case "HostedZoneAlreadyExists":
		status = http.StatusConflict
	}
	return New(code, status, format, args...)
}

// STS returns a client error of STS, with the status that the API reference says.
func STS(code, format string, args ...any) *Error {
	status := http.StatusBadRequest
	if code == "AccessDenied" {
		status = http.StatusForbidden
	}
	return New(code, status, format, args...)
}

// IAM returns a client error of IAM, with the status that its shape in the model says.
func IAM(code, format string, args ...any) *Error {
	status := http.StatusBadRequest
	switch code {
	case "AccessDenied":
		status = http.StatusForbidden
	case "NoSuchEntity":
		status = http.StatusNotFound
	case "EntityAlreadyExists", "DeleteConflict", "LimitExceeded", "ConcurrentModification":
		status = http.StatusConflict
	}
	return New(code, status, format, args...)
}

// RDS returns a client error of RDS, with the status that its shape in the model says.
func RDS(code, format string, args ...any) *Error {
	status := http.StatusBadRequest
	switch {
	case code == "DBClusterEndpointNotFoundFault":
	case code == "AccessDenied", code == "DBClusterQuotaExceededFault", code == "DBClusterEndpointQuotaExceededFault":
		status = http.StatusForbidden
	case strings.HasSuffix(strings.TrimSuffix(code, "Fault"), "NotFound"):
		status = http.StatusNotFound
	}
	return New(code, status, format, args...)
}

// ELB returns a client error of Elastic Load Balancing.
func ELB(code, format string, args ...any) *Error {
	return New(code, http.StatusBadRequest, format, args...)
}

// Validation returns the ValidationException of VPC Lattice for one field: 400,
// reason fieldValidationFailed, and a fieldList that names the field. The
// message is given both for the whole error and for the field.
func Validation(field, format string, args ...any) *Error {
	e := New("ValidationException", http.StatusBadRequest, format, args...)
	e.Fields = map[string]string{FieldReason: ReasonFieldValidation}
	e.FieldList = []Field{{Name: field, Message: e.Message}}
	return e
}

// NotFound returns the ResourceNotFoundException of VPC Lattice (404).
func NotFound(resourceType, id string) *Error {
	e := New("ResourceNotFoundException", http.StatusNotFound, "%s %s not found", resourceType, id)
	e.Fields = map[string]string{FieldResourceType: resourceType, FieldResourceID: id}
	return e
}

// Conflict returns the ConflictException of VPC Lattice (409).
func Conflict(resourceType, id, format string, args ...any) *Error {
	e := New("ConflictException", http.StatusConflict, format, args...)
	e.Fields = map[string]string{FieldResourceType: resourceType, FieldResourceID: id}
	return e
}

// QuotaExceeded returns the ServiceQuotaExceededException of VPC Lattice, whose
// status is 402. The id may be empty: the resource was not created.
func QuotaExceeded(resourceType, id, quotaCode, format string, args ...any) *Error {
	e := New("ServiceQuotaExceededException", http.StatusPaymentRequired, format, args...)
	e.Fields = map[string]string{
		FieldResourceType: resourceType, FieldServiceCode: "vpc-lattice", FieldQuotaCode: quotaCode,
	}
	if id != "" {
		e.Fields[FieldResourceID] = id
	}
	return e
}

// AWSJSON returns an error of a service that speaks AWS JSON, whose status is 400 for all
// that is the client's doing.
func AWSJSON(code, format string, args ...any) *Error {
	return New(code, http.StatusBadRequest, format, args...)
}

// AccessDenied returns the AccessDeniedException of the JSON services (403).
func AccessDenied(format string, args ...any) *Error {
	return New("AccessDeniedException", http.StatusForbidden, format, args...)
}
