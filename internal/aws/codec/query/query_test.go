// SPDX-License-Identifier: Apache-2.0

package query_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/codectest"
	"github.com/posternhq/postern/internal/aws/codec/query"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/sts"
)

// thing is a shape with all that the query protocol spells in its own way.
type thing struct {
	Name  *string
	Names []string
	Flat  []string
	Map   map[string]string
	Inner *thing
}

func thingService() *schema.Service {
	text := &schema.Shape{Name: "String", Kind: schema.String}
	item := schema.Member{Name: "member", Shape: text, Wire: "member", QueryName: "member"}
	list := &schema.Shape{Name: "list", Kind: schema.List, Element: &item}
	flat := &schema.Shape{Name: "flat", Kind: schema.List, Element: &item, Flattened: true}
	mapping := &schema.Shape{
		Name: "map", Kind: schema.Map,
		MapKey:  &schema.Member{Name: "key", Shape: text, Wire: "key", QueryName: "key"},
		Element: &schema.Member{Name: "value", Shape: text, Wire: "value", QueryName: "value"},
	}
	shape := &schema.Shape{Name: "thing", Kind: schema.Structure}
	for i, m := range []struct {
		name  string
		shape *schema.Shape
	}{{"Name", text}, {"Names", list}, {"Flat", flat}, {"Map", mapping}, {"Inner", shape}} {
		shape.Members = append(shape.Members, schema.Member{Name: m.name, Index: i, Shape: m.shape, Wire: m.name, QueryName: m.name})
	}
	return &schema.Service{Name: "things", Protocol: "query", Version: "2026-01-01", Namespace: "https://things/", Operations: []*schema.Operation{{
		Name: "PutThing", Method: "POST", Path: "/", Status: 200, Input: shape, Output: shape,
		OutputRoot: "PutThingResponse", ResultWrapper: "PutThingResult",
		NewInput: func() any { return new(thing) }, NewOutput: func() any { return new(thing) },
	}}}
}

func ptr[T any](v T) *T { return &v }

func TestDecodeRequest(t *testing.T) {
	svc := thingService()
	got, err := query.New(svc).DecodeRequest(svc.Operations[0], &codec.Request{Body: []byte(
		"Action=PutThing&Version=2026-01-01&Names.member.2=b&Names.member.1=a&Flat.1=x&Map.entry.1.key=k&Map.entry.1.value=v&Inner.Name=n&Inner.Names=")})
	if err != nil {
		t.Fatal(err)
	}
	want := &thing{
		Names: []string{"a", "b"}, Flat: []string{"x"}, Map: map[string]string{"k": "v"},
		Inner: &thing{Name: ptr("n"), Names: []string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDecodeRequestErrors(t *testing.T) {
	svc := thingService()
	c := query.New(svc)
	for _, test := range []struct {
		body, parameter string
		problem         codec.Problem
	}{
		{"Names.1=a", "Names.1", codec.UnknownParameter},
		{"Names.member.0=a", "Names.member.0", codec.BadIndex},
		{"Map.entry.1.key=a&Map.entry.2.key=a", "Map.entry.2", codec.Duplicate},
		{"Map.entry.1.other=a", "Map.entry.1.other", codec.UnknownParameter},
		{strings.Repeat("Inner.", 40) + "Name=a", strings.Repeat("Inner.", 32) + "Inner", codec.TooDeep},
	} {
		_, err := c.DecodeRequest(svc.Operations[0], &codec.Request{Body: []byte(test.body)})
		var got *codec.Error
		if !errors.As(err, &got) {
			t.Errorf("%.40s: error is %v", test.body, err)
			continue
		}
		if got.Problem != test.problem || got.Parameter != test.parameter {
			t.Errorf("%.40s: %v of %q, want %v of %q", test.body, got.Problem, got.Parameter, test.problem, test.parameter)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	svc := thingService()
	c, op := query.New(svc), svc.Operations[0]
	rapid.Check(t, func(t *rapid.T) {
		in := &thing{}
		codectest.Draw(t, in, op.Input)
		request, err := c.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.DecodeRequest(op, request)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(in), got); diff != "" {
			t.Fatalf("-sent +read:\n%s", diff)
		}
	})
}

func TestEncodeResponse(t *testing.T) {
	c := query.New(sts.Service)
	op := sts.Service.Operation("GetCallerIdentity")
	r, err := c.EncodeResponse(op, &sts.GetCallerIdentityOutput{Account: ptr("111122223333"), Arn: ptr("arn"), UserId: ptr("u")}, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	want := `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
		`<UserId>u</UserId><Account>111122223333</Account><Arn>arn</Arn></GetCallerIdentityResult>` +
		`<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`
	if got := string(r.Body); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestDecodeErrorResponse(t *testing.T) {
	op := sts.Service.Operation("GetCallerIdentity")
	_, err := query.New(sts.Service).DecodeResponse(op, &codec.Response{Status: 403, Body: []byte(
		`<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>`)})
	var got *codec.RemoteError
	if !errors.As(err, &got) || got.Code != "AccessDenied" || got.RequestID != "r" {
		t.Errorf("error is %v", err)
	}
}

// FuzzDecodeRequest: no body crashes the decoder, and every refusal is a
// codec.Error.
func FuzzDecodeRequest(f *testing.F) {
	for _, body := range []string{"", "Names.member.1=a", "Names=", "Map.entry.1.key=a&Map.entry.1.value=b", "Inner.Inner.Flat.1=x", "Map.entry.9.value=b", "=", "Flat.1.1"} {
		f.Add(body)
	}
	svc := thingService()
	c, op := query.New(svc), svc.Operations[0]
	f.Fuzz(func(t *testing.T, body string) {
		in, err := c.DecodeRequest(op, &codec.Request{Body: []byte(body)})
		var known *codec.Error
		if err != nil && !errors.As(err, &known) {
			t.Fatalf("error of another type: %v", err)
		}
		if err == nil {
			if _, err := c.EncodeRequest(op, in); err != nil {
				t.Fatal(err)
			}
		}
	})
}
