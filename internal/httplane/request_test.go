// SPDX-License-Identifier: Apache-2.0

package httplane

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"testing"
)

// plainRequests are such as the lane is for.
var plainRequests = []string{
	"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 5\r\nX-Amz-Date: 20260101T000000Z\r\nConnection: keep-alive\r\n\r\nhello",
	"DELETE /tags/arn%3Aaws%3Aec2?tagKeys=a&tagKeys=b+c HTTP/1.1\r\nhost: [::1]:80\r\nx-a:1\r\nX-A: \t2 \r\n\r\n",
	"PUT //a/../b;c?%zz&=? HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
	"PATCH /ä HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\nnext",
	"GET /? HTTP/1.1\r\nHost: h\r\n\r\n",
}

// otherRequests are the business of net/http, which refuses most of them.
var otherRequests = []string{
	"GET / HTTP/1.0\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
	"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	"get / HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nA: \x00\r\n\r\n",
	"GET / HTTP/1.1\nHost: h\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
}

func newParser() *parser {
	p := new(parser)
	p.init(context.Background(), "192.0.2.1:1")
	return p
}

// TestOtherRequestsAreNotPlain holds for each of them, and for each of them after another.
func TestOtherRequestsAreNotPlain(t *testing.T) {
	p := newParser()
	for _, text := range otherRequests {
		if length, verdict := p.parse([]byte(text)); verdict != other {
			t.Errorf("%q: verdict %v of %d bytes", text, verdict, length)
		}
	}
}

func TestPlainRequestsAreAsNetHTTPReadsThem(t *testing.T) {
	p := newParser()
	for range 2 { // in new and in used room
		for _, text := range plainRequests {
			if verdict := compare(t, p, []byte(text)); verdict != plain {
				t.Errorf("%q: verdict %v", text, verdict)
			}
		}
	}
}

// TestPartsOfRequestsAreWaitedFor asks for all beginnings of a request.
func TestPartsOfRequestsAreWaitedFor(t *testing.T) {
	p := newParser()
	for _, text := range plainRequests[:4] {
		for end := range len(text) {
			if length, verdict := p.parse([]byte(text[:end])); verdict != more {
				t.Errorf("%q: verdict %v of %d bytes", text[:end], verdict, length)
			}
		}
	}
}

// FuzzPlainRequests compares with net/http: what is plain is the same request to both,
// and as long.
func FuzzPlainRequests(f *testing.F) {
	for _, text := range append(plainRequests, otherRequests...) {
		f.Add([]byte(text))
	}
	p := newParser()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) <= room {
			compare(t, p, text)
		}
	})
}

// compare reads a request in both ways if it is plain, and wants the same of both.
func compare(t *testing.T, p *parser, text []byte) verdict {
	length, verdict := p.parse(text)
	if verdict != plain {
		return verdict
	}
	in := bytes.NewReader(text)
	buffered := bufio.NewReader(in)
	want, err := http.ReadRequest(buffered)
	if err != nil {
		t.Fatalf("%q is plain, and net/http refuses it: %v", text, err)
	}
	wantBody, err := io.ReadAll(want.Body)
	if err != nil {
		t.Fatalf("%q is plain, and net/http does not read its body: %v", text, err)
	}
	got := &p.request
	gotBody, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if rest := in.Len() + buffered.Buffered(); rest != len(text)-length {
		t.Errorf("%q: %d bytes long, net/http leaves %d of %d", text, length, rest, len(text))
	}
	type parts struct {
		Method, RequestURI, Host, Proto, Path, Escaped string
		URL                                            any
		Header                                         http.Header
		ContentLength                                  int64
		Close                                          bool
		TransferEncoding                               []string
		Body                                           string
	}
	of := func(r *http.Request, body []byte) parts {
		return parts{r.Method, r.RequestURI, r.Host, r.Proto, r.URL.Path, r.URL.EscapedPath(), *r.URL, r.Header, r.ContentLength, r.Close, r.TransferEncoding, string(body)}
	}
	if g, w := of(got, gotBody), of(want, wantBody); !reflect.DeepEqual(g, w) {
		t.Errorf("%q is\n%+v, to net/http\n%+v", text, g, w)
	}
	return plain
}
