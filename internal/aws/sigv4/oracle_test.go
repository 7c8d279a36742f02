// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/sigv4"
)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sample is a request before it is signed.
type sample struct {
	method, host, path string // the path is escaped
	query              url.Values
	header             http.Header
	body               []byte
	token              string
}

func (s sample) request(t testing.TB) *http.Request {
	u := &url.URL{Scheme: "http", Host: s.host, RawQuery: s.query.Encode()}
	path, err := url.PathUnescape(s.path)
	if err != nil {
		t.Fatalf("path %q: %v", s.path, err)
	}
	u.Path, u.RawPath = path, s.path
	r, err := http.NewRequest(s.method, u.String(), bytes.NewReader(s.body))
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	r.Header = s.header.Clone()
	return r
}

// sign lets the SDK sign the request and returns what a server receives.
func (s sample) sign(t testing.TB, at time.Time) *http.Request {
	r := s.request(t)
	sum := sha256.Sum256(s.body)
	err := v4.NewSigner().SignHTTP(t.Context(), s.credentials(), r, hex.EncodeToString(sum[:]), "ec2", "us-east-1", at)
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	return overTheWire(t, r, s.body)
}

func (s sample) presign(t testing.TB, at time.Time) *http.Request {
	sum := sha256.Sum256(s.body)
	uri, header, err := v4.NewSigner().PresignHTTP(t.Context(), s.credentials(), s.request(t),
		hex.EncodeToString(sum[:]), "sts", "us-east-1", at)
	if err != nil {
		t.Fatalf("presign: %v", err)
	}
	r, err := http.NewRequest(s.method, uri, bytes.NewReader(s.body))
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	r.Header = header
	return overTheWire(t, r, s.body)
}

func (s sample) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: s.token}
}

// overTheWire writes the request as a client does and reads it as a server does.
func overTheWire(t testing.TB, r *http.Request, body []byte) *http.Request {
	var wire bytes.Buffer
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.Write(&wire); err != nil {
		t.Fatalf("write request: %v", err)
	}
	return readWire(t, wire.Bytes())
}

// verify stands for a server that knows one key.
func verify(v *sigv4.Verifier, r *http.Request, body []byte, now time.Time) error {
	s, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if s.AccessKeyID != testKey {
		return errors.New("unknown key")
	}
	return v.Verify(s, r, body, testSecret, now)
}

func drawSample(t *rapid.T) sample {
	word := rapid.StringOfN(rapid.RuneFrom([]rune("abcXYZ019 -_.~!*'()&=+/%$:;,@?#[]äß世")), 0, 12, -1)
	s := sample{
		method: rapid.SampledFrom([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}).Draw(t, "method"),
		host:   rapid.SampledFrom([]string{"127.0.0.1:8700", "ec2.us-east-1.amazonaws.com", "[::1]:8700"}).Draw(t, "host"),
		body:   rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "body"),
		token:  rapid.SampledFrom([]string{"", "IQoJb3JpZ2luX2VjEXAMPLE//token=="}).Draw(t, "token"),
		query:  url.Values{}, header: http.Header{},
	}
	for _, part := range rapid.SliceOfN(word, 1, 4).Draw(t, "path") {
		s.path += "/" + url.PathEscape("p"+part)
	}
	for _, name := range rapid.SliceOfN(word, 0, 4).Draw(t, "names") {
		s.query["q"+name] = rapid.SliceOfN(word, 1, 3).Draw(t, "values")
	}
	value := rapid.StringMatching(`[a-zA-Z0-9]( {0,3}[a-zA-Z0-9;,/=]){0,8}`)
	for _, name := range []string{"Content-Type", "X-Amz-Meta", "Amz-Sdk-Request", "X-Many"} {
		if values := rapid.SliceOfN(value, 0, 3).Draw(t, name); len(values) > 0 {
			s.header[name] = values
		}
	}
	return s
}

func TestVerifyAcceptsWhatTheSDKSigns(t *testing.T) {
	var v sigv4.Verifier
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSample(rt)
		if err := verify(&v, s.sign(t, testNow), s.body, testNow); err != nil {
			rt.Fatalf("header form refused: %v", err)
		}
		if err := verify(&v, s.presign(t, testNow), s.body, testNow); err != nil {
			rt.Fatalf("presigned form refused: %v", err)
		}
	})
}

// TestVerifyRefusesAnyChangedByte changes one byte of what was signed and wants
// a refusal, whatever the reason.
func TestVerifyRefusesAnyChangedByte(t *testing.T) {
	var v sigv4.Verifier
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSample(rt)
		r, body := s.sign(t, testNow), bytes.Clone(s.body)
		if rapid.Bool().Draw(rt, "presigned") {
			r = s.presign(t, testNow)
		}
		what := mutate(rt, r, body)
		if err := verify(&v, r, body, testNow); err == nil {
			rt.Fatalf("accepted a request with a changed %s", what)
		}
	})
}

func mutate(t *rapid.T, r *http.Request, body []byte) string {
	flip := func(s string) string {
		b := []byte(s)
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		if b[i] == 'q' {
			b[i] = 'r'
		} else {
			b[i] = 'q'
		}
		return string(b)
	}
	targets := []string{"method", "host", "path"}
	if len(body) > 0 {
		targets = append(targets, "body")
	}
	if r.URL.RawQuery != "" {
		targets = append(targets, "query")
	}
	for name := range r.Header {
		if name != "User-Agent" && name != "Content-Length" {
			targets = append(targets, name)
		}
	}
	target := rapid.SampledFrom(sorted(targets)).Draw(t, "target")
	switch target {
	case "method":
		r.Method = flip(r.Method)
	case "host":
		r.Host = flip(r.Host)
	case "path":
		r.URL.Path, r.URL.RawPath = flip(r.URL.Path), ""
	case "query":
		r.URL.RawQuery = flip(r.URL.RawQuery)
	case "body":
		body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	default:
		// A space inside a run of spaces may go unnoticed, so the changed value
		// is compared in its canonical form.
		before := strings.Join(strings.Fields(r.Header[target][0]), " ")
		r.Header[target][0] = flip(r.Header[target][0])
		if strings.Join(strings.Fields(r.Header[target][0]), " ") == before {
			t.Skip("the change is not significant")
		}
	}
	return target
}

func reasonOf(t testing.TB, err error) sigv4.Reason {
	t.Helper()
	var e *sigv4.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T (%v), want *sigv4.Error", err, err)
	}
	return e.Reason
}
