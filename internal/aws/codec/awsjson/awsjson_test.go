// SPDX-License-Identifier: Apache-2.0

package awsjson_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/awsjson"
	"github.com/posternhq/postern/internal/aws/codec/codectest"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
)

// thing has what JSON spells in a way of its own: seconds, bytes, numbers and maps.
type thing struct {
	Name  *string
	At    *time.Time
	Bytes []byte
	Count *int64
	Share *float64
	Map   map[string]string
	Inner *thing
	List  []thing
}

func thingService() *schema.Service {
	text := &schema.Shape{Name: "String", Kind: schema.String}
	shape := &schema.Shape{Name: "thing", Kind: schema.Structure}
	for i, m := range []struct {
		name  string
		shape *schema.Shape
	}{
		{"Name", text},
		{"At", &schema.Shape{Name: "time", Kind: schema.Timestamp}},
		{"Bytes", &schema.Shape{Name: "blob", Kind: schema.Blob}},
		{"Count", &schema.Shape{Name: "long", Kind: schema.Long}},
		{"Share", &schema.Shape{Name: "double", Kind: schema.Double}},
		{"Map", &schema.Shape{Name: "map", Kind: schema.Map, MapKey: &schema.Member{Name: "key", Shape: text}, Element: &schema.Member{Name: "value", Shape: text}}},
		{"Inner", shape},
		{"List", &schema.Shape{Name: "list", Kind: schema.List, Element: &schema.Member{Name: "member", Shape: shape, Wire: "member"}}},
	} {
		member := schema.Member{Name: m.name, Index: i, Shape: m.shape, Wire: m.name}
		if m.shape.Kind == schema.Timestamp {
			member.TimestampFormat = schema.UnixTimestamp
		}
		shape.Members = append(shape.Members, member)
	}
	operation := func(name string, none bool) *schema.Operation {
		return &schema.Operation{
			Name: name, Method: "POST", Path: "/", Status: 200, Input: shape, Output: shape, NoOutput: none,
			NewInput: func() any { return new(thing) }, NewOutput: func() any { return new(thing) },
		}
	}
	return &schema.Service{
		Name: "things", Protocol: "json1.1", TargetPrefix: "a.b.Things_2026",
		Operations: []*schema.Operation{operation("PutThing", false), operation("DropThing", true)},
	}
}

func TestWire(t *testing.T) {
	svc := thingService()
	c, put := awsjson.New(svc), svc.Operations[0]
	in := &thing{Name: new("é\""), At: new(time.UnixMilli(1767323045678).UTC()), Bytes: []byte("a?"), Count: new(int64(1 << 60)), Share: new(0.5), Map: map[string]string{"k": "v"}}
	r, err := c.EncodeRequest(put, in)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Name":"é\"","At":1767323045.678,"Bytes":"YT8=","Count":1152921504606846976,"Share":0.5,"Map":{"k":"v"}}`
	if string(r.Body) != want || r.Path != "/" || r.Header.Get("X-Amz-Target") != "a.b.Things_2026.PutThing" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		t.Errorf("sent %s %v %s, want %s", r.Path, r.Header, r.Body, want)
	}
	answer, err := c.EncodeResponse(put, in, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(answer.Body); got != want[:len(want)-1]+`,"List":[]}` || answer.Header.Get("X-Amzn-Requestid") != "r-1" {
		t.Errorf("answered %v %s", answer.Header, got)
	}
	if empty, err := c.EncodeResponse(put, nil, "r"); err != nil || string(empty.Body) != `{"Map":{},"List":[]}` {
		t.Errorf("answered nothing with %v, %v", empty, err)
	}
	if none, err := c.EncodeResponse(svc.Operations[1], nil, "r"); err != nil || len(none.Body) > 0 || none.Status != 200 {
		t.Errorf("an operation without output answered %v, %v", none, err)
	}
}

func TestTarget(t *testing.T) {
	for value, want := range map[string][2]string{
		"CloudTrail_20131101.LookupEvents": {"CloudTrail_20131101", "LookupEvents"},
		"com.amazonaws.x.Y_1.Op":           {"com.amazonaws.x.Y_1", "Op"},
		"Op":                               {"Op", ""},
		"":                                 {"", ""},
		"X.":                               {"X", ""},
	} {
		if service, operation := awsjson.Target(value); service != want[0] || operation != want[1] {
			t.Errorf("Target(%q) = %q, %q", value, service, operation)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	svc := thingService()
	c, op := awsjson.New(svc), svc.Operations[0]
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
		if diff := cmp.Diff(any(in), got, cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("-sent +read:\n%s", diff)
		}
	})
}

func TestRemoteErrors(t *testing.T) {
	c, op := awsjson.New(cloudtrail.Service), cloudtrail.Service.Operation("LookupEvents")
	_, err := c.DecodeResponse(op, &codec.Response{Status: 400, Body: []byte(`{"__type":"com.amazonaws.cloudtrail#InvalidTimeRangeException","Message":"m"}`)})
	var remote *codec.RemoteError
	if !errors.As(err, &remote) || remote.Code != "InvalidTimeRangeException" || remote.Message != "m" || remote.Status != 400 {
		t.Errorf("error is %v", err)
	}
}

// FuzzDecodeRequest: no body crashes the decoder; every refusal is a codec.Error;
// what was decoded can be sent again and means the same.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		"", " ", "{}", `{"Name":"a","At":1767323045.678,"Bytes":"YQ=="}`, `{"At":1e300}`, `{"Bytes":"?"}`, `{"List":[{"List":[null]}]}`,
		`{"Inner":{"Inner":{"Count":-1}}}`, `{"Map":{"\ud800":""}}`, `{"Share":"NaN","Count":9223372036854775808}`, `{"a":[[[[1]]]]}`,
	} {
		f.Add(seed)
	}
	svc := thingService()
	c, op := awsjson.New(svc), svc.Operations[0]
	f.Fuzz(func(t *testing.T, body string) {
		in, err := c.DecodeRequest(op, &codec.Request{Path: "/", Body: []byte(body)})
		if err != nil {
			var known *codec.Error
			if !errors.As(err, &known) {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		first, err := c.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.DecodeRequest(op, first)
		if err != nil {
			t.Fatalf("%v in %s", err, first.Body)
		}
		if diff := cmp.Diff(in, again, cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("meaning changed:\n%s", diff)
		}
	})
}
