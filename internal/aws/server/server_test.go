// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func sign(t testing.TB, r *http.Request, hash string) {
	t.Helper()
	credentials := aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hash, "ec2", "us-east-1", now); err != nil {
		t.Fatal(err)
	}
}

func TestAnswers(t *testing.T) {
	const arn = "arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-0123456789abcdef0"
	for _, test := range []struct {
		name   string
		call   call
		status int
		part   string // of the body
	}{
		{"ec2", ec2Call(createVpc), 200, "<cidrBlock>10.0.0.0/16</cidrBlock>"},
		{"ec2 by GET", call{method: "GET", path: "/?" + createVpc, service: "ec2"}, 200, "<cidrBlock>10.0.0.0/16</cidrBlock>"},
		{"ec2 empty output", ec2Call("Action=DeleteVpc&Version=2016-11-15&VpcId=vpc-0123456789abcdef0"), 200, "DeleteVpcResponse"},
		{"sts", stsCall(identity), 200, "<Account>111122223333</Account>"},
		{"sts with token", with(stsCall(identity), func(c *call) { c.key, c.token = tempKey, "a token" }), 200, "<Account>"},
		{"other region", with(stsCall(identity), func(c *call) { c.region = "eu-west-1" }), 200, "<Account>"},
		{"lattice", latticeCall("GET", "/resourcegateways/rgw-0123456789abcdef0", ""), 200, `"id":"rgw-0123456789abcdef0"`},
		{"lattice slash", latticeCall("GET", "/resourcegateways/rgw-0123456789abcdef0/", ""), 200, `"id":"rgw-0123456789abcdef0"`},
		{"lattice create", latticeCall("POST", "/resourcegateways", `{"name":"gate-1","vpcIdentifier":"vpc-0123456789abcdef0","subnetIds":["subnet-0123456789abcdef0"]}`), 201, `"name":"gate-1"`},
		{"lattice ARN", latticeCall("GET", "/tags/"+url.PathEscape(arn), ""), 200, arn},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEndpoint(t)
			got := e.do(t, test.call)
			if got.status != test.status || !strings.Contains(got.body, test.part) || e.fake.calls.Load() != 1 {
				t.Errorf("got %d with %d calls, want %d with %q:\n%s", got.status, e.fake.calls.Load(), test.status, test.part, got.body)
			}
		})
	}
}

func TestHandlerSeesCaller(t *testing.T) {
	e := newEndpoint(t)
	e.do(t, ec2Call(createVpc))
	want := access.View{Caller: access.Caller{
		Account: account, Region: "us-east-1", ARN: "arn:aws:iam::111122223333:root", UserID: account,
		AccessKeyID: key, RequestID: "req-1",
	}}
	if diff := cmp.Diff(want, e.fake.caller); diff != "" {
		t.Errorf("caller (-want +got):\n%s", diff)
	}
}

func TestPresigned(t *testing.T) {
	e := newEndpoint(t)
	r := httptest.NewRequest("GET", "http://127.0.0.1:8700/?"+identity+"&X-Amz-Expires=60", nil)
	credentials := aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}
	uri, _, err := v4.NewSigner().PresignHTTP(t.Context(), credentials, r, emptyHash, "sts", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, httptest.NewRequest("GET", uri, nil))
	if got := read(t, w.Result()); got.status != 200 || !strings.Contains(got.body, "<Account>111122223333</Account>") {
		t.Errorf("got %d: %s", got.status, got.body)
	}
	if strings.Contains(e.log.String(), "X-Amz-Signature") {
		t.Error("the log holds the presigned URL")
	}
}

func TestHandlerErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		do     func() error
		status int
		code   string
		level  string
		logged string
	}{
		{"fault", func() error { return fault.EC2("InvalidVpc.Range", "is too large") }, 400, "InvalidVpc.Range", "DEBUG", "too large"},
		{"server fault", func() error { return fault.New("Unavailable", 503, "later") }, 503, "Unavailable", "ERROR", "later"},
		{"other error", func() error { return errors.New("etcd is on fire") }, 500, "InternalError", "ERROR", "etcd is on fire"},
		{"panic", func() error { panic("a bug") }, 500, "InternalError", "ERROR", "fixture_test.go"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEndpoint(t)
			e.fake.do = test.do
			got := e.do(t, ec2Call(createVpc))
			if got.status != test.status || got.code != test.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.code, test.status, test.code)
			}
			if test.status == 500 && (strings.Contains(got.body, "fire") || strings.Contains(got.body, "bug")) {
				t.Errorf("the client learns of internals: %s", got.body)
			}
			log := e.log.String()
			if !strings.Contains(log, `"level":"`+test.level+`"`) || !strings.Contains(log, test.logged) || !strings.Contains(log, "req-1") {
				t.Errorf("log lacks level %s, %q or the request id: %s", test.level, test.logged, log)
			}
			if strings.Contains(log, secret) {
				t.Error("the log holds the secret")
			}
		})
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	mount := []server.Mounted{{Service: ec2.Service}}
	for name, config := range map[string]server.Config{
		"empty":      {},
		"no regions": {Credentials: keys{}, Services: mount},
		"no keys":    {Regions: []string{"us-east-1"}, Services: mount},
		"twice":      {Regions: []string{"us-east-1"}, Credentials: keys{}, Services: append(mount, mount...)},
	} {
		if _, err := server.New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkSignedRequest(b *testing.B) {
	e := newEndpoint(b)
	request := ec2Call(createVpc)
	r := request.request(b)
	body := strings.NewReader(request.body)
	r.Body = http.NoBody
	b.ReportAllocs()
	for b.Loop() {
		e.log.Reset()
		body.Reset(request.body)
		r.Body = readCloser{body}
		w := httptest.NewRecorder()
		e.handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
