// SPDX-License-Identifier: Apache-2.0

// Package schema holds the tables that describe an AWS service: its
// operations, the shapes of their inputs and outputs, where each member
// travels on the wire, and which constraints a value must meet. The tables are
// generated from the public service models (tool/awsgen); the codecs and the
// validation walk them together with a Go value, using reflection by field
// index, so that no struct tags are needed. Nothing changes a table after its
// package is initialised: every value may be shared between goroutines.
package schema

import (
	"context"
	"reflect"
	"slices"
)

// Kind says what sort of value a shape describes.
type Kind uint8

// The kinds of shapes, with the Go type of a member of that kind.
const (
	Structure Kind = iota // *T for a member, T as list element or map value
	List                  // []T
	Map                   // map[string]T
	String                // *string (string as element); enums too
	Integer               // *int32
	Long                  // *int64
	Float                 // *float64
	Double                // *float64
	Boolean               // *bool
	Timestamp             // *time.Time
	Blob                  // []byte
)

var kindNames = [...]string{
	"structure", "list", "map", "string", "integer", "long", "float", "double", "boolean", "timestamp", "blob",
}

// String returns the kind's name as the service models write it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Location says which part of an HTTP message carries a member.
type Location uint8

// The locations. Headers is a map member whose keys are headers that share the
// prefix in Member.Wire.
const (
	Body Location = iota
	URI
	Query
	Header
	Headers
	StatusCode
)

// The wire formats of timestamps, under the names of the service models.
const (
	ISO8601       = "iso8601"       // 2026-01-02T15:04:05.000Z
	RFC822        = "rfc822"        // Fri, 02 Jan 2026 15:04:05 GMT
	UnixTimestamp = "unixTimestamp" // seconds since 1970, a fraction is allowed
)

// Shape describes one type of a service.
type Shape struct {
	Name    string
	Kind    Kind
	Members []Member // of a structure, in model order
	Element *Member  // what a list holds, or the values of a map
	MapKey  *Member  // the keys of a map

	Enum     []string // the allowed values of a string; empty when any is
	EnumFold bool     // upper and lower case are the same to the service
	// Min and Max bound the length of a string in Unicode code points, the
	// bytes of a blob, the elements of a list or map, or a number's value.
	Min, Max *int64
	Pattern  *Pattern

	Union     bool   // exactly one member of the structure is set
	Payload   string // the member that is the whole body, if any
	Flattened bool   // a list or map without an element around its items
	Sensitive bool   // never to be logged
}

// Member returns the member of a structure with the given name, or nil.
func (s *Shape) Member(name string) *Member {
	for i := range s.Members {
		if s.Members[i].Name == name {
			return &s.Members[i]
		}
	}
	return nil
}

// Canonical returns the spelling that the model gives to an enum value, for a
// shape whose values are compared without regard to case. Every other value is
// returned as it is.
func (s *Shape) Canonical(value string) string {
	if !s.EnumFold {
		return value
	}
	for _, known := range s.Enum {
		if equalFoldASCII(known, value) {
			return known
		}
	}
	return value
}

func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Member is a member of a structure, the element of a list, or the key or value
// of a map.
type Member struct {
	Name  string // as the model names it; the Go field is this with an upper-case first letter
	Index int    // of the field in the Go struct; not used in lists and maps
	Shape *Shape
	// Wire is the name in JSON, XML, path, query string or header. It is never
	// empty: list elements have "member" or "item", map parts "key" and "value".
	Wire string
	// QueryName is the name in the form bodies of the EC2 and query protocols.
	QueryName        string
	Location         Location
	Required         bool
	IdempotencyToken bool
	Sensitive        bool // the shape or the member is marked so in the model
	XMLAttribute     bool // an attribute of the enclosing XML element
	// OmitNil says that AWS leaves this list or map out of answers when there is
	// nothing to say. All others are in every answer, empty if need be.
	OmitNil         bool
	TimestampFormat string // ISO8601, RFC822 or UnixTimestamp; set for timestamps only
}

// Operation describes one call of a service.
type Operation struct {
	Name   string
	Method string
	Path   string // with {label} and {label+} parts; may carry a fixed query
	Status int    // of a successful answer

	Input, Output *Shape // never nil; without members where the model has none
	// InputRoot and OutputRoot name the root elements of XML bodies;
	// InputRoot is empty when the body is not wrapped.
	InputRoot, OutputRoot string
	ResultWrapper         string   // of the query protocol, e.g. GetCallerIdentityResult
	Errors                []string // codes that the SDKs know as typed errors of this operation
	DryRun                bool     // the input has a member DryRun
	NoOutput              bool     // the model gives this operation no output shape

	NewInput, NewOutput func() any // pointers to zero values of the Go structs
	// Call invokes the method of the service's API interface; api and in must
	// be of that interface and of the input's type.
	Call func(ctx context.Context, api, in any) (any, error)
}

// DryRunRequested reports whether in, an input of this operation, asks for a
// check of permissions only (EC2: member DryRun).
func (o *Operation) DryRunRequested(in any) bool {
	if !o.DryRun {
		return false
	}
	m := o.Input.Member("DryRun")
	v := reflect.ValueOf(in).Elem().Field(m.Index)
	return !v.IsNil() && v.Elem().Bool()
}

// Service describes a service and the operations of it that are served.
type Service struct {
	Name        string // the model's file name and endpoint prefix, e.g. vpc-lattice
	SigningName string // the service in the credential scope of SigV4
	Protocol    string // ec2, query, json1.1, rest-json or rest-xml
	Version     string // of the API, a date
	// OlderVersions are those of before, which AWS serves still. What they have
	// is taken to be what Version has.
	OlderVersions []string
	// TargetPrefix stands before the names of operations in the protocol json1.1.
	TargetPrefix string
	Namespace    string // of XML answers; empty for those in JSON
	Operations   []*Operation
	Unserved     []string // operations of the model that are not served, sorted
	Global       bool     // one endpoint for all regions of AWS, such as sts
}

// HasVersion reports whether the service has this version of its API.
func (s *Service) HasVersion(version string) bool {
	return version == s.Version || slices.Contains(s.OlderVersions, version)
}

// Operation returns the served operation with the given name, or nil.
func (s *Service) Operation(name string) *Operation {
	for _, op := range s.Operations {
		if op.Name == name {
			return op
		}
	}
	return nil
}
