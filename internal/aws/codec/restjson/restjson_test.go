// SPDX-License-Identifier: Apache-2.0

package restjson_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/restjson"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

var protocol = restjson.New(vpclattice.Service)

func ptr[T any](v T) *T { return &v }

func TestDecodeRequest(t *testing.T) {
	for _, test := range []struct {
		operation string
		request   codec.Request
		want      any
	}{
		{
			"CreateResourceConfiguration",
			codec.Request{Path: "/resourceconfigurations", Body: []byte(`{"name":"db","type":"SINGLE","portRanges":["5432"],` +
				`"resourceConfigurationDefinition":{"ipResource":{"ipAddress":"10.0.1.10"},"dnsResource":null},` +
				`"tags":{"a":"b"},"unknown":{"x":[1,{"y":null}]},"allowAssociationToShareableServiceNetwork":true}`)},
			&vpclattice.CreateResourceConfigurationInput{
				Name: ptr("db"), Type: ptr("SINGLE"), PortRanges: []string{"5432"},
				ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{
					IpResource: &vpclattice.IpResource{IpAddress: ptr("10.0.1.10")},
				},
				Tags: map[string]string{"a": "b"}, AllowAssociationToShareableServiceNetwork: ptr(true),
			},
		},
		{
			"UntagResource",
			codec.Request{
				Path:  "/tags/arn%3Aaws%3Avpc-lattice%3Aus-east-1%3A111122223333%3Aresourcegateway%2Frgw-1",
				Query: url.Values{"tagKeys": {"a", "b"}},
			},
			&vpclattice.UntagResourceInput{
				ResourceArn: ptr("arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-1"), TagKeys: []string{"a", "b"},
			},
		},
		{
			"ListResourceGateways",
			codec.Request{Path: "/resourcegateways", Query: url.Values{"maxResults": {"5"}, "nextToken": {"t"}}},
			&vpclattice.ListResourceGatewaysInput{MaxResults: ptr(int32(5)), NextToken: ptr("t")},
		},
		{
			"UpdateResourceGateway",
			codec.Request{Path: "/resourcegateways/rgw-1", Body: []byte(`{"securityGroupIds":[]}`)},
			&vpclattice.UpdateResourceGatewayInput{ResourceGatewayIdentifier: ptr("rgw-1"), SecurityGroupIds: []string{}},
		},
		{
			"CreateResourceGateway", codec.Request{Path: "/resourcegateways"}, &vpclattice.CreateResourceGatewayInput{},
		},
	} {
		got, err := protocol.DecodeRequest(vpclattice.Service.Operation(test.operation), &test.request)
		if err != nil {
			t.Errorf("%s: %v", test.operation, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.operation, diff)
		}
	}
}

func TestDecodeBodyErrors(t *testing.T) {
	op := vpclattice.Service.Operation("CreateResourceConfiguration")
	for _, test := range []struct {
		body, parameter string
		problem         codec.Problem
	}{
		{`{`, "", codec.Malformed},
		{`[]`, "", codec.Malformed},
		{`null`, "", codec.Malformed},
		{`{} x`, "", codec.Malformed},
		{`{"name" "x"}`, "", codec.Malformed},
		{`{"name":"x",}`, "", codec.Malformed},
		{`{"name":1}`, "name", codec.WrongType},
		{`{"name":{}}`, "name", codec.WrongType},
		{`{"name":"a","name":"b"}`, "name", codec.Duplicate},
		{`{"portRanges":"1"}`, "portRanges", codec.WrongType},
		{`{"portRanges":["1",2]}`, "portRanges[1]", codec.WrongType},
		{`{"portRanges":[null]}`, "portRanges[0]", codec.WrongType},
		{`{"tags":["a"]}`, "tags", codec.WrongType},
		{`{"tags":{"a":1}}`, "tags.a", codec.WrongType},
		{`{"tags":{"a":"1","a":"2"}}`, "tags.a", codec.Duplicate},
		{`{"resourceConfigurationDefinition":{"ipResource":{"ipAddress":true}}}`, "resourceConfigurationDefinition.ipResource.ipAddress", codec.WrongType},
		{`{"allowAssociationToShareableServiceNetwork":"true"}`, "allowAssociationToShareableServiceNetwork", codec.WrongType},
		{`{"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, "x", codec.TooDeep},
	} {
		_, err := protocol.DecodeRequest(op, &codec.Request{Path: "/resourceconfigurations", Body: []byte(test.body)})
		checkError(t, test.body, err, test.problem, test.parameter)
	}
}

func TestDecodeBindingErrors(t *testing.T) {
	for _, test := range []struct {
		operation, path, query, parameter string
		problem                           codec.Problem
	}{
		{"ListResourceGateways", "/resourcegateways", "maxResults=x", "maxResults", codec.WrongType},
		{"ListResourceGateways", "/resourcegateways", "maxResults=1&maxResults=2", "maxResults", codec.Duplicate},
		{"GetResourceGateway", "/resourcegateways/", "", "", codec.Malformed},
		{"GetResourceGateway", "/resourcegateways/a/b", "", "", codec.Malformed},
		{"GetResourceGateway", "/resourcegateways/%zz", "", "", codec.Malformed},
	} {
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = protocol.DecodeRequest(vpclattice.Service.Operation(test.operation), &codec.Request{Path: test.path, Query: query})
		checkError(t, test.path+"?"+test.query, err, test.problem, test.parameter)
	}
}

func checkError(t *testing.T, what string, err error, problem codec.Problem, parameter string) {
	t.Helper()
	var got *codec.Error
	if !errors.As(err, &got) {
		t.Errorf("%.60s: error is %v", what, err)
		return
	}
	if got.Problem != problem || got.Parameter != parameter {
		t.Errorf("%.60s: %v of %q, want %v of %q", what, got.Problem, got.Parameter, problem, parameter)
	}
}

func TestEncodeResponse(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	for _, test := range []struct {
		operation string
		out       any
		status    int
		body      string
	}{
		{
			"GetResourceGateway",
			&vpclattice.GetResourceGatewayOutput{Name: ptr("a\"<é"), SubnetIds: []string{}, CreatedAt: &at, Ipv4AddressesPerEni: ptr(int32(16))},
			200, `{"name":"a\"\u003cé","subnetIds":[],"securityGroupIds":[],"ipv4AddressesPerEni":16,"createdAt":"2026-01-02T03:04:05.006Z"}`,
		},
		{"CreateResourceGateway", &vpclattice.CreateResourceGatewayOutput{}, 201, `{"subnetIds":[],"securityGroupIds":[]}`},
		{"DeleteResourceConfiguration", nil, 204, ``},
		{"ListTagsForResource", &vpclattice.ListTagsForResourceOutput{Tags: map[string]string{"b": "2", "a": "1"}}, 200, `{"tags":{"a":"1","b":"2"}}`},
	} {
		r, err := protocol.EncodeResponse(vpclattice.Service.Operation(test.operation), test.out, "r-1")
		if err != nil {
			t.Errorf("%s: %v", test.operation, err)
			continue
		}
		if r.Status != test.status || string(r.Body) != test.body {
			t.Errorf("%s: %d %s, want %d %s", test.operation, r.Status, r.Body, test.status, test.body)
		}
	}
}

func TestCounters(t *testing.T) {
	c, op := restjson.New(postern.Service), postern.Service.Operation("GetStatus")
	want := &postern.GetStatusOutput{Counters: map[string]int64{"a": 1 << 40}, DesiredEntries: ptr(int64(3))}
	r, err := c.EncodeResponse(op, want, "r")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.DecodeResponse(op, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(want), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-sent +read:\n%s", diff)
	}
}

func TestRemoteError(t *testing.T) {
	for _, test := range []struct {
		header, body, code string
	}{
		{"ConflictException", `{"message":"m","resourceId":"rgw-1"}`, "ConflictException"},
		{"ConflictException:http://internal/", `{"message":"m","resourceId":"rgw-1"}`, "ConflictException"},
		{"", `{"__type":"com.amazonaws#ConflictException","Message":"m","resourceId":"rgw-1"}`, "ConflictException"},
	} {
		header := http.Header{}
		if test.header != "" {
			header.Set("X-Amzn-ErrorType", test.header)
		}
		_, err := protocol.DecodeResponse(vpclattice.Service.Operation("GetResourceGateway"),
			&codec.Response{Status: 409, Header: header, Body: []byte(test.body)})
		want := &codec.RemoteError{Status: 409, Code: test.code, Message: "m", Fields: map[string]string{"resourceId": "rgw-1"}}
		var got *codec.RemoteError
		if !errors.As(err, &got) {
			t.Errorf("%s: error is %v", test.body, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.body, diff)
		}
	}
}

func TestEncodeRequestNeedsLabels(t *testing.T) {
	if _, err := protocol.EncodeRequest(vpclattice.Service.Operation("GetResourceGateway"), &vpclattice.GetResourceGatewayInput{}); err == nil {
		t.Error("a request without its label was written")
	}
}

// FuzzDecodeRequest: no body, path or query crashes the decoder; every refusal
// is a codec.Error; what was decoded can be sent again and means the same.
func FuzzDecodeRequest(f *testing.F) {
	for i, seed := range [][3]string{
		{"/resourceconfigurations", "", `{"name":"db","portRanges":["1-2"],"resourceConfigurationDefinition":{"ipResource":{}}}`},
		{"/tags/arn%3Aaws", "tagKeys=a&tagKeys=b", ""},
		{"/resourcegateways/rgw-1", "", `{"securityGroupIds":[null]}`},
		{"/resourcegateways", "maxResults=5", `{"a":[[[[1]]]]}`},
		{"/", "x=%zz", `{"tags":{"\ud800":""}}`},
	} {
		for j := range vpclattice.Service.Operations {
			f.Add(uint8(i+j), seed[0], seed[1], seed[2])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, path, rawQuery, body string) {
		op := vpclattice.Service.Operations[int(which)%len(vpclattice.Service.Operations)]
		query, _ := url.ParseQuery(rawQuery)
		in, err := protocol.DecodeRequest(op, &codec.Request{Path: path, Query: query, Body: []byte(body)})
		if err != nil {
			var known *codec.Error
			if !errors.As(err, &known) {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		first, err := protocol.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := protocol.DecodeRequest(op, first)
		if err != nil {
			t.Fatalf("%v in %s %s", err, first.Path, first.Body)
		}
		if diff := cmp.Diff(in, again); diff != "" {
			t.Fatalf("meaning changed:\n%s", diff)
		}
	})
}

func BenchmarkDecodeCreateResourceConfiguration(b *testing.B) {
	op := vpclattice.Service.Operation("CreateResourceConfiguration")
	r := &codec.Request{Path: "/resourceconfigurations", Body: []byte(`{"name":"db","type":"SINGLE","portRanges":["5432"],"protocol":"TCP",` +
		`"resourceGatewayIdentifier":"rgw-0123456789abcdef0","resourceConfigurationDefinition":{"ipResource":{"ipAddress":"10.0.1.10"}}}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.DecodeRequest(op, r); err != nil {
			b.Fatal(err)
		}
	}
}
