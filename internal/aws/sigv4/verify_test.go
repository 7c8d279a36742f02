// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/sigv4"
)

func readWire(t testing.TB, wire []byte) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
	if err != nil {
		t.Fatalf("read request %q: %v", wire, err)
	}
	return r
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func plain() sample {
	return sample{
		method: "POST", host: "127.0.0.1:8700", path: "/", query: url.Values{},
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		body:   []byte("Action=DescribeVpcs&Version=2016-11-15"),
	}
}

func TestVerifyRefusals(t *testing.T) {
	edit := func(name, from, to string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, strings.Replace(r.Header.Get(name), from, to, 1)) }
	}
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		now    time.Duration
		want   sigv4.Reason
	}{
		{"unsigned", func(r *http.Request) { r.Header.Del("Authorization") }, 0, sigv4.Missing},
		{"other algorithm", edit("Authorization", "HMAC", "HMAK"), 0, sigv4.Malformed},
		{"no credential", edit("Authorization", "Credential=", "Credit="), 0, sigv4.Malformed},
		{"empty signature", edit("Authorization", "Signature=", "Signature=,x="), 0, sigv4.Malformed},
		{"part twice", edit("Authorization", "Credential=", "Credential=a, Credential="), 0, sigv4.Malformed},
		{"short scope", edit("Authorization", "/ec2", ""), 0, sigv4.Malformed},
		{"other terminator", edit("Authorization", "aws4_request", "aws5_request"), 0, sigv4.Malformed},
		{"unsorted headers", edit("Authorization", "content-length;content-type", "content-type;content-length"), 0, sigv4.Malformed},
		{"host not signed", edit("Authorization", "host;", ""), 0, sigv4.Malformed},
		{"date not signed", edit("Authorization", ";x-amz-date", ""), 0, sigv4.Malformed},
		{"added header", func(r *http.Request) { r.Header.Set("X-Amz-Target", "x") }, 0, sigv4.Malformed},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 0, sigv4.Malformed},
		{"bad date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "yesterday") }, 0, sigv4.Malformed},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "x") }, 0, sigv4.Malformed},
		{"both forms", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=x" }, 0, sigv4.Malformed},
		{"scope of another day", edit("Authorization", "/20261123/", "/20261122/"), 0, sigv4.Scope},
		{"other region", edit("Authorization", "us-east-1", "us-east-2"), 0, sigv4.Mismatch},
		{"other service", edit("Authorization", "/ec2/", "/sts/"), 0, sigv4.Mismatch},
		{"other date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261123T120001Z") }, 0, sigv4.Mismatch},
		{"expired", nil, sigv4.MaxSkew + time.Second, sigv4.Expired},
		{"from the future", nil, -sigv4.MaxSkew - time.Second, sigv4.NotYetValid},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := plain()
			r := s.sign(t, testNow)
			if test.change != nil {
				test.change(r)
			}
			err := verify(new(sigv4.Verifier), r, s.body, testNow.Add(test.now))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := reasonOf(t, err); got != test.want {
				t.Errorf("reason = %d (%v), want %d", got, err, test.want)
			}
		})
	}
}

func TestVerifySkewIsInclusive(t *testing.T) {
	s := plain()
	for _, offset := range []time.Duration{sigv4.MaxSkew, -sigv4.MaxSkew} {
		if err := verify(new(sigv4.Verifier), s.sign(t, testNow), s.body, testNow.Add(offset)); err != nil {
			t.Errorf("clock off by %v: %v", offset, err)
		}
	}
}

func TestVerifyDeclaredPayload(t *testing.T) {
	for declared, want := range map[string]bool{
		"UNSIGNED-PAYLOAD": false,
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": true,
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b856": false,
	} {
		s := plain()
		s.body = nil
		s.header.Set("X-Amz-Content-Sha256", declared)
		err := verify(new(sigv4.Verifier), s.sign(t, testNow), nil, testNow)
		if got := err == nil; got != want {
			t.Errorf("declared %q: accepted is %t (%v), want %t", declared, got, err, want)
		} else if err != nil && reasonOf(t, err) != sigv4.Payload {
			t.Errorf("declared %q: %v, want a payload error", declared, err)
		}
	}
}

func TestVerifyPresigned(t *testing.T) {
	for _, test := range []struct {
		expires string
		at      time.Duration
		want    sigv4.Reason
		ok      bool
	}{
		{"", 15 * time.Minute, 0, true},
		{"", 15*time.Minute + time.Second, sigv4.Expired, false},
		{"3600", time.Hour, 0, true},
		{"3600", time.Hour + time.Second, sigv4.Expired, false},
		{"60", -sigv4.MaxSkew - time.Second, sigv4.NotYetValid, false},
		{"0", 0, sigv4.Malformed, false},
		{"604801", 0, sigv4.Malformed, false},
		{"-1", 0, sigv4.Malformed, false},
	} {
		s := sample{method: "GET", host: "127.0.0.1:8700", path: "/", header: http.Header{}, query: url.Values{
			"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"},
		}}
		if test.expires != "" {
			s.query.Set("X-Amz-Expires", test.expires)
		}
		err := verify(new(sigv4.Verifier), s.presign(t, testNow), nil, testNow.Add(test.at))
		switch {
		case test.ok && err != nil:
			t.Errorf("expires %q at %v: %v", test.expires, test.at, err)
		case !test.ok && (err == nil || reasonOf(t, err) != test.want):
			t.Errorf("expires %q at %v: error %v, want reason %d", test.expires, test.at, err, test.want)
		}
	}
}

// TestMismatchShowsWhatWasSigned compares with the example of the IAM User
// Guide's test suite "get-vanilla", whose canonical request is public.
func TestMismatchShowsWhatWasSigned(t *testing.T) {
	r := readWire(t, []byte("GET / HTTP/1.1\r\nHost: example.amazonaws.com\r\nX-Amz-Date: 20150830T123600Z\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "+
		"SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\r\n\r\n"))
	now := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	var v sigv4.Verifier
	if err := v.Verify(s, r, nil, testSecret, now); err != nil {
		t.Errorf("vector refused: %v", err)
	}
	err = v.Verify(s, r, nil, "another secret", now)
	if err == nil || !strings.Contains(err.Error(), "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n") ||
		!strings.Contains(err.Error(), "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63") {
		t.Errorf("message does not show the canonical request and the string to sign: %v", err)
	}
}

func TestVerifyDoubleEscapesPath(t *testing.T) {
	s := plain()
	s.path = "/tags/arn%3Aaws%3Avpc-lattice%3Aus-east-1%3A111122223333%3Aresourcegateway%2Frgw-0"
	if err := verify(new(sigv4.Verifier), s.sign(t, testNow), s.body, testNow); err != nil {
		t.Errorf("escaped ARN in the path: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/ec2/aws4_request, "+
		"SignedHeaders=host;x-amz-date, Signature=00", "20261123T120000Z", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20261123%2Fr%2Fs%2Faws4_request&"+
		"X-Amz-Date=20261123T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires=60")
	f.Add("AWS4-HMAC-SHA256 ,,,=", "Mon, 02 Jan 2006 15:04:05 GMT", "%zz&X-Amz-;")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := &http.Request{
			Method: "GET", Host: "h", URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{"X-Amz-Date": {date}},
		}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		s, err := sigv4.Parse(r)
		if (s == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", s, err)
		}
		if err != nil {
			reasonOf(t, err)
			return
		}
		if s.AccessKeyID == "" || s.Region == "" || s.Service == "" {
			t.Fatalf("Parse left a part empty: %+v", s)
		}
		var v sigv4.Verifier
		if err := v.Verify(s, r, nil, testSecret, s.Time); err == nil {
			t.Fatal("a guessed signature was accepted")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := plain()
	r := s.sign(b, testNow)
	var v sigv4.Verifier
	b.ReportAllocs()
	for b.Loop() {
		if err := verify(&v, r, s.body, testNow); err != nil {
			b.Fatal(err)
		}
	}
}
