// SPDX-License-Identifier: Apache-2.0

package restxml_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/codectest"
	"github.com/posternhq/postern/internal/aws/codec/restxml"
	"github.com/posternhq/postern/internal/aws/schema"
)

func ptr[T any](v T) *T { return &v }

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestEncodeRequest(t *testing.T) {
	svc := boxService()
	r, err := restxml.New(svc).EncodeRequest(svc.Operations[0], &box{
		ID: ptr("a/b"), Max: ptr(int32(7)), Since: &at, Comment: ptr("x & y"), Items: []string{"1", "2"},
		Flat: []string{"3"}, Map: map[string]string{"k": "v"}, Kind: ptr("big"), Blob: []byte("hi"), Size: ptr(1.5),
		Meta: map[string]string{"One": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(r.Body), "\n")
	want := `<PutBoxRequest xmlns="https://boxes/" kind="big"><Comment>x &amp; y</Comment><Items><Item>1</Item><Item>2</Item></Items>` +
		`<Flat>3</Flat><Map><entry><key>k</key><value>v</value></entry></Map><Blob>aGk=</Blob><Size>1.5</Size></PutBoxRequest>`
	if body != want {
		t.Errorf("\n got %s\nwant %s", body, want)
	}
	if r.Method != http.MethodPut || r.Path != "/boxes/a%2Fb" || r.Query.Encode() != "max=7" {
		t.Errorf("%s %s?%s", r.Method, r.Path, r.Query.Encode())
	}
	if got := r.Header.Get("X-Since"); got != "Fri, 02 Jan 2026 03:04:05 GMT" {
		t.Errorf("X-Since is %q", got)
	}
	if got := r.Header.Get("X-Meta-One"); got != "1" {
		t.Errorf("X-Meta-One is %q", got)
	}
}

func TestDecodeRequestIgnoresUnknownElements(t *testing.T) {
	svc := boxService()
	got, err := restxml.New(svc).DecodeRequest(svc.Operations[0], &codec.Request{Path: "/boxes/a", Body: []byte(
		`<?xml version="1.0"?><!-- c --><PutBoxRequest xmlns="https://boxes/"><Other><X/></Other><Comment> a<![CDATA[<b>]]> </Comment>` +
			`<Items><Item>1</Item><Else/></Items><Size> 2 </Size><Inner><Comment/></Inner></PutBoxRequest>`)})
	if err != nil {
		t.Fatal(err)
	}
	want := &box{ID: ptr("a"), Comment: ptr(" a<b> "), Items: []string{"1"}, Size: ptr(2.0), Inner: &box{Comment: ptr("")}}
	if diff := cmp.Diff(any(want), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDecodeRequestErrors(t *testing.T) {
	svc := boxService()
	for _, test := range []struct {
		body, parameter string
		problem         codec.Problem
	}{
		{`<PutBoxRequest>`, "", codec.Malformed},
		{`text`, "", codec.Malformed},
		{`<a/><b/>`, "", codec.Malformed},
		{`<PutBoxRequest/>x`, "", codec.Malformed},
		{`<!DOCTYPE a [<!ENTITY e "x">]><PutBoxRequest><Comment>&e;</Comment></PutBoxRequest>`, "", codec.Malformed},
		{`<PutBoxRequest>&e;</PutBoxRequest>`, "", codec.Malformed},
		{`<Wrong/>`, "Wrong", codec.Malformed},
		{`<PutBoxRequest><Size>x</Size></PutBoxRequest>`, "Size", codec.WrongType},
		{`<PutBoxRequest><Size><x/></Size></PutBoxRequest>`, "Size", codec.WrongType},
		{`<PutBoxRequest><Blob>*</Blob></PutBoxRequest>`, "Blob", codec.WrongType},
		{`<PutBoxRequest><Comment/><Comment/></PutBoxRequest>`, "Comment", codec.Duplicate},
		{`<PutBoxRequest><Map><entry><key>a</key></entry></Map></PutBoxRequest>`, "Map[0]", codec.WrongType},
		{`<PutBoxRequest>` + strings.Repeat("<Inner>", 40) + strings.Repeat("</Inner>", 40) + `</PutBoxRequest>`, strings.Repeat("Inner.", 32) + "Inner", codec.TooDeep},
		{`<PutBoxRequest>` + strings.Repeat("<x>", 10000) + strings.Repeat("</x>", 10000) + `</PutBoxRequest>`, "x", codec.TooDeep},
	} {
		_, err := restxml.New(svc).DecodeRequest(svc.Operations[0], &codec.Request{Path: "/boxes/a", Body: []byte(test.body)})
		var got *codec.Error
		if !errors.As(err, &got) {
			t.Errorf("%.60s: error is %v", test.body, err)
			continue
		}
		if got.Problem != test.problem || got.Parameter != test.parameter {
			t.Errorf("%.60s: %v of %q, want %v of %q", test.body, got.Problem, got.Parameter, test.problem, test.parameter)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	svc := boxService()
	c, op := restxml.New(svc), svc.Operations[0]
	rapid.Check(t, func(t *rapid.T) {
		in := &box{}
		codectest.Draw(t, in, op.Input)
		in.Meta = nil // header names are not case sensitive: tested with one spelling above
		request, err := c.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.DecodeRequest(op, request)
		if err != nil {
			t.Fatalf("%v in %s", err, request.Body)
		}
		if diff := cmp.Diff(any(in), got); diff != "" {
			t.Fatalf("input changed (-sent +read):\n%s\n%s", diff, request.Body)
		}
	})
}

func TestPayload(t *testing.T) {
	svc := boxService()
	c, op := restxml.New(svc), svc.Operations[1]
	want := &wrapped{Location: ptr("/boxes/1"), Status: ptr(int32(201)), Box: &box{Comment: ptr("c")}}
	r, err := c.EncodeResponse(op, want, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, body, _ := strings.Cut(string(r.Body), "\n"); body != `<Box xmlns="https://boxes/"><Comment>c</Comment><Items></Items><Map></Map></Box>` {
		t.Errorf("body is %s", body)
	}
	if r.Status != 201 || r.Header.Get("Location") != "/boxes/1" {
		t.Errorf("status %d, header %v", r.Status, r.Header)
	}
	got, err := c.DecodeResponse(op, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(want), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzDecodeRequest: no body crashes the decoder; every refusal is a
// codec.Error; what was decoded can be sent again and means the same.
func FuzzDecodeRequest(f *testing.F) {
	for _, body := range []string{
		"", "<PutBoxRequest/>", `<PutBoxRequest kind="a"><Flat>1</Flat><Flat>2</Flat></PutBoxRequest>`, "<a>&#0;</a>",
		"<PutBoxRequest><Map><entry><key>a</key><value>b</value></entry></Map><Size>NaN</Size></PutBoxRequest>",
		"<PutBoxRequest><Inner><Items><Item/></Items></Inner><Blob>aGk=</Blob></PutBoxRequest>",
	} {
		f.Add(body)
	}
	svc := boxService()
	c, op := restxml.New(svc), svc.Operations[0]
	f.Fuzz(func(t *testing.T, body string) {
		in, err := c.DecodeRequest(op, &codec.Request{Path: "/boxes/a", Body: []byte(body)})
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
		second, err := c.EncodeRequest(op, again)
		if err != nil {
			t.Fatal(err)
		}
		if string(first.Body) != string(second.Body) {
			t.Fatalf("meaning changed:\n%s\n%s", first.Body, second.Body)
		}
	})
}

func TestRemoteError(t *testing.T) {
	svc := boxService()
	_, err := restxml.New(svc).DecodeResponse(svc.Operations[0], &codec.Response{Status: 404, Body: []byte(
		`<ErrorResponse xmlns="https://boxes/"><Error><Type>Sender</Type><Code>NoSuchBox</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>`)})
	var got *codec.RemoteError
	if !errors.As(err, &got) || got.Code != "NoSuchBox" || got.Message != "m" {
		t.Errorf("error is %v", err)
	}
}

func TestBodyOfNothing(t *testing.T) {
	svc := boxService()
	c := restxml.New(svc)
	in, err := c.DecodeRequest(svc.Operations[0], &codec.Request{Path: "/boxes/a"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(&box{ID: ptr("a")}), in); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := c.EncodeResponse(svc.Operations[0], (*schema.Shape)(nil), "r"); err == nil {
		t.Error("a nil of another type was encoded")
	}
}
