// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
)

func TestConstructors(t *testing.T) {
	for _, test := range []struct {
		err    *fault.Error
		code   string
		status int
		fields map[string]string
		list   []fault.Field
	}{
		{err: fault.EC2("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", "vpc-1"),
			code: "InvalidVpcID.NotFound", status: 400},
		{err: fault.New("InternalError", 500, "x"), code: "InternalError", status: 500},
		{err: &fault.Error{Code: "A"}, code: "A", status: 400},
		{err: &fault.Error{Code: "B", Fault: fault.Server}, code: "B", status: 500},
		{err: fault.AccessDenied("no"), code: "AccessDeniedException", status: 403},
		{err: fault.Validation("portRanges", "is bad"), code: "ValidationException", status: 400,
			fields: map[string]string{"reason": "fieldValidationFailed"},
			list:   []fault.Field{{Name: "portRanges", Message: "is bad"}}},
		{err: fault.NotFound("RESOURCE_GATEWAY", "rgw-1"), code: "ResourceNotFoundException", status: 404,
			fields: map[string]string{"resourceType": "RESOURCE_GATEWAY", "resourceId": "rgw-1"}},
		{err: fault.Conflict("RESOURCE_GATEWAY", "rgw-1", "in use"), code: "ConflictException", status: 409,
			fields: map[string]string{"resourceType": "RESOURCE_GATEWAY", "resourceId": "rgw-1"}},
		{err: fault.QuotaExceeded("RESOURCE_GATEWAY", "", "L-1", "too many"), code: "ServiceQuotaExceededException", status: 402,
			fields: map[string]string{"resourceType": "RESOURCE_GATEWAY", "serviceCode": "vpc-lattice", "quotaCode": "L-1"}},
	} {
		if test.err.Code != test.code || test.err.HTTPStatus() != test.status {
			t.Errorf("%v: status %d, want %s %d", test.err, test.err.HTTPStatus(), test.code, test.status)
		}
		if diff := cmp.Diff(test.fields, test.err.Fields); diff != "" {
			t.Errorf("%v: fields (-want +got):\n%s", test.err, diff)
		}
		if diff := cmp.Diff(test.list, test.err.FieldList); diff != "" {
			t.Errorf("%v: field list (-want +got):\n%s", test.err, diff)
		}
	}
}

func TestCauseIsFoundAndOriginalUnchanged(t *testing.T) {
	e := fault.EC2("A", "b")
	wrapped := e.WithCause(io.ErrUnexpectedEOF)
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) || !fault.Is(wrapped, "A") || e.Cause != nil {
		t.Errorf("WithCause = %v, original %v", wrapped, e)
	}
}

func TestRender(t *testing.T) {
	simple := fault.EC2("InvalidParameterValue", "a < b & \"c\"")
	throttled := fault.New("ThrottlingException", 429, "slow")
	throttled.RetryAfter = 1500 * time.Millisecond
	several := fault.Route53("InvalidChangeBatch", "[a, b <]")
	several.Messages = []string{"a", "b <"}
	for _, test := range []struct {
		protocol, namespace string
		err                 *fault.Error
		status              int
		header, value       string
		body                string
	}{
		{"ec2", "http://ec2.amazonaws.com/doc/2016-11-15/", simple, 400, "Content-Type", "text/xml;charset=UTF-8",
			`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>InvalidParameterValue</Code>` +
				`<Message>a &lt; b &amp; &#34;c&#34;</Message></Error></Errors><RequestID>req-1</RequestID></Response>`},
		{"query", "https://sts.amazonaws.com/doc/2011-06-15/", fault.New("InternalFailure", 500, "x"), 500, "Content-Type", "text/xml",
			`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>` +
				`<Type>Receiver</Type><Code>InternalFailure</Code><Message>x</Message></Error><RequestId>req-1</RequestId></ErrorResponse>`},
		{"rest-xml", "", fault.NotFound("T", "i"), 404, "Content-Type", "text/xml",
			`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse><Error><Type>Sender</Type><Code>ResourceNotFoundException</Code>` +
				`<Message>T i not found</Message><resourceId>i</resourceId><resourceType>T</resourceType></Error><RequestId>req-1</RequestId></ErrorResponse>`},
		{"rest-xml", "", several, 400, "Content-Type", "text/xml",
			`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidChangeBatch</Code>` +
				`<Message>[a, b &lt;]</Message><messages><Message>a</Message><Message>b &lt;</Message></messages></Error><RequestId>req-1</RequestId></ErrorResponse>`},
		{"rest-json", "", fault.Validation("name", "is short"), 400, "X-Amzn-ErrorType", "ValidationException",
			`{"fieldList":[{"name":"name","message":"is short"}],"message":"is short","reason":"fieldValidationFailed"}`},
		{"rest-json", "", fault.QuotaExceeded("T", "i", "L-1", "full"), 402, "X-Amzn-ErrorType", "ServiceQuotaExceededException",
			`{"message":"full","quotaCode":"L-1","resourceId":"i","resourceType":"T","serviceCode":"vpc-lattice"}`},
		{"rest-json", "", throttled, 429, "Retry-After", "2", `{"message":"slow"}`},
	} {
		status, header, body := fault.Render(test.protocol, test.namespace, test.err, "req-1")
		if status != test.status || header.Get(test.header) != test.value {
			t.Errorf("%s: status %d, %s: %q; want %d, %q", test.protocol, status, test.header, header.Get(test.header), test.status, test.value)
		}
		if diff := cmp.Diff(test.body, string(body)); diff != "" {
			t.Errorf("%s: body (-want +got):\n%s", test.protocol, diff)
		}
	}
}

func FuzzRenderIsWellFormed(f *testing.F) {
	f.Add("Code", "]]> <a> & \x00 \xff \ufffe", "id\r\n")
	f.Fuzz(func(t *testing.T, code, message, id string) {
		e := fault.Conflict(message, id, "%s", message)
		e.Code = code
		e.FieldList = []fault.Field{{Name: id, Message: message}}
		for _, protocol := range []string{fault.ProtocolEC2, fault.ProtocolQuery, fault.ProtocolRESTXML} {
			_, _, body := fault.Render(protocol, message, e, id)
			d := xml.NewDecoder(bytes.NewReader(body))
			var err error
			for err == nil {
				_, err = d.Token()
			}
			if err != io.EOF {
				t.Fatalf("%s: %v in %q", protocol, err, body)
			}
		}
		_, header, body := fault.Render(fault.ProtocolRESTJSON, "", e, id)
		if !json.Valid(body) {
			t.Fatalf("not JSON: %q", body)
		}
		for _, c := range header.Get("X-Amzn-ErrorType") {
			if c <= ' ' || c > '~' {
				t.Fatalf("header holds %q", c)
			}
		}
	})
}
