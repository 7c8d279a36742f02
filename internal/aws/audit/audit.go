// SPDX-License-Identifier: Apache-2.0

// Package audit writes what was asked of the APIs as CloudTrail's records have it, one
// JSON object a line
// (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
// It reads the tables of the models and the asks that were decided about, and knows no
// operation by name but for those that other accounts hear of.
package audit

import (
	"crypto/tls"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/codec/jsonbody"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
)

// version is that of the form of records.
const version = "1.11"

// How long parts of a record may be, in bytes; longer texts are cut, and longer
// parameters left out. A record is shorter than MaxLine whatever was asked.
const (
	maxText     = 1024
	maxName     = 128
	maxIn       = 16 << 10
	maxOut      = 8 << 10
	maxResource = 20
	// MaxLine bounds a line.
	MaxLine = 64 << 10
)

// Event is what is known of a request when its answer is ready. What is not known,
// since the request did not get so far, is zero.
type Event struct {
	// ID is that of the event; requests have RequestID.
	ID, RequestID string
	At            time.Time
	// Caller is who was proven to ask; without an account nobody was. Then Key is
	// whose access key the request named.
	Caller *access.Caller
	Key    string
	// Region is that of the signature.
	Region  string
	Service *schema.Service // also one that is not served
	// Operation, In and Out have what was asked and answered.
	Operation *schema.Operation
	In, Out   any
	Asks      []access.Ask
	// Notices are what other accounts hear of besides.
	Notices []access.Notice
	// Error is what was answered in place of Out; nil for none.
	Error *fault.Error
	// Source is the address that the request came from.
	Source, UserAgent, Host string
	TLS                     *tls.ConnectionState
	// Endpoint is the VPC endpoint that it came by, of EndpointAccount; empty for none.
	Endpoint, EndpointAccount string
}

// readers are what the names of operations begin with that change nothing, as
// CloudTrail has it: sessions are no changes.
var readers = []string{"Describe", "Get", "List", "Lookup", "Simulate", "AssumeRole", "Decode"}

func (e *Event) readOnly() bool {
	if e.Operation != nil {
		for _, prefix := range readers {
			if strings.HasPrefix(e.Operation.Name, prefix) {
				return true
			}
		}
	}
	return false
}

// source is the event source: the host name that a service has on AWS in every region.
// Postern's own service has none.
func (e *Event) source() string {
	switch name := cut(e.Service.SigningName, maxName); name {
	case "", own:
		return own
	default:
		return name + ".amazonaws.com"
	}
}

const own = "postern"

// Append appends the record of an event and the end of its line.
func (e *Event) Append(b []byte) []byte {
	made := wanted(e.Asks)
	w := writer{b: b}
	w.open()
	w.text("eventVersion", version)
	w.identity(e)
	e.head(&w)
	if e.Error != nil {
		w.text("errorCode", e.code())
		w.text("errorMessage", cut(e.Error.Message, maxText))
	}
	w.name("requestParameters")
	w.told(e.In, e.Operation, true, func(string) {})
	w.name("responseElements")
	if e.readOnly() {
		w.b = append(w.b, "null"...)
	} else {
		w.told(e.Out, e.Operation, false, made.see)
	}
	w.text("requestID", e.RequestID)
	if e.TLS != nil {
		w.name("tlsDetails")
		w.open()
		w.text("tlsVersion", strings.Replace(tls.VersionName(e.TLS.Version), "TLS ", "TLSv", 1))
		w.text("cipherSuite", tls.CipherSuiteName(e.TLS.CipherSuite))
		w.text("clientProvidedHostHeader", cut(e.Host, maxName))
		w.close()
	}
	w.some("apiVersion", e.Service.Version)
	w.some("vpcEndpointId", e.Endpoint)
	w.some("vpcEndpointAccountId", e.EndpointAccount)
	w.tail(e.ID, e.Caller.Account, e.readOnly(), "AwsApiCall", made.named)
	return append(w.b, '\n')
}

// tail writes what all records end with, and closes.
func (w *writer) tail(id, recipient string, readOnly bool, kind string, resources []access.Resource) {
	w.text("eventID", id)
	w.truth("readOnly", readOnly)
	w.resources(resources)
	w.text("eventType", kind)
	w.truth("managementEvent", true)
	w.some("recipientAccountId", recipient)
	w.text("eventCategory", "Management")
	w.close()
}

// head writes when, what and from where.
func (e *Event) head(w *writer) {
	name := "Unknown"
	if e.Operation != nil {
		name = e.Operation.Name
	}
	e.headOf(w, name)
}

func (e *Event) headOf(w *writer, name string) {
	w.time("eventTime", e.At)
	w.text("eventSource", e.source())
	w.text("eventName", name)
	w.text("awsRegion", cut(e.Region, maxName))
	w.text("sourceIPAddress", e.Source)
	w.text("userAgent", cut(e.UserAgent, maxText))
}

// code is that of the error; EC2's say whose fault it is.
func (e *Event) code() string {
	if e.Service.Protocol != fault.ProtocolEC2 {
		return e.Error.Code
	}
	if e.Error.Fault == fault.Server {
		return "Server." + e.Error.Code
	}
	return "Client." + e.Error.Code
}

// cut shortens a text, which may leave a part of a character: it becomes U+FFFD.
func cut(text string, most int) string { return text[:min(len(text), most)] }

// writer writes JSON objects, members in the order of the calls.
type writer struct {
	b     []byte
	inner bool // a member of the object was written
}

func (w *writer) open() { w.b, w.inner = append(w.b, '{'), false }

func (w *writer) close() { w.b, w.inner = append(w.b, '}'), true }

func (w *writer) name(name string) {
	if w.inner {
		w.b = append(w.b, ',')
	}
	w.b, w.inner = append(append(append(w.b, '"'), name...), '"', ':'), true
}

func (w *writer) text(name, value string) {
	w.name(name)
	w.b = jsonbody.AppendString(w.b, value)
}

func (w *writer) time(name string, at time.Time) {
	w.name(name)
	w.b = append(at.UTC().AppendFormat(append(w.b, '"'), time.RFC3339), '"')
}

// some writes a member unless it is empty.
func (w *writer) some(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) truth(name string, value bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, value)
}

// secrets are members whose values are not told, beside those that the models call
// sensitive, in small letters.
var secrets = map[string]bool{
	"secretaccesskey": true, "sessiontoken": true, "password": true, "oldpassword": true, "newpassword": true,
	"tokencode": true, "encodedmessage": true, "decodedmessage": true, "samlassertion": true, "webidentitytoken": true,
}

func secret(name string) bool {
	var small [16]byte // as long as the longest of them
	if len(name) > len(small) {
		return false
	}
	for i := range len(name) {
		if small[i] = name[i]; 'A' <= name[i] && name[i] <= 'Z' {
			small[i] += 'a' - 'A'
		}
	}
	return secrets[string(small[:len(name)])]
}

// told writes an input or output, or null for none.
func (w *writer) told(value any, op *schema.Operation, in bool, see func(string)) {
	if value == nil || op == nil {
		w.b = append(w.b, "null"...)
		return
	}
	shape, most := op.Output, maxOut
	if in {
		shape, most = op.Input, maxIn
	}
	if len(shape.Members) == 0 {
		w.b = append(w.b, "null"...)
		return
	}
	t := jsonbody.Telling{Max: most, Hide: secret, See: see}
	var ok bool
	if w.b, ok = t.Append(w.b, value, shape); !ok {
		w.open()
		w.truth("omitted", true)
		w.text("reason", "it is longer than "+strconv.Itoa(most)+" bytes")
		w.close()
	}
}
