// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

const (
	key, secret = "AKIAEXAMPLE", "a secret of an administrator"
	tempKey     = "ASIAEXAMPLE"
	expiredKey  = "ASIAEXPIRED"
	offKey      = "AKIADISABLED"
	brokenKey   = "AKIABROKEN"
	account     = "111122223333"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// keys is a fixed set of credentials.
type keys struct{}

func (keys) Lookup(_ context.Context, id, _ string) (server.Credential, bool, error) {
	c := server.Credential{Secret: secret, Caller: access.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account}}
	switch id {
	case key:
	case tempKey, expiredKey:
		c.SessionToken, c.Expired = "a token", id == expiredKey
	case offKey:
		c.Disabled = true
	case brokenKey:
		return server.Credential{}, false, errors.New("the store is away")
	default:
		return server.Credential{}, false, nil
	}
	return c, true, nil
}

// decider answers requests, and binds nothing.
type decider func(*access.Request) (access.Decision, error)

func (d decider) Decide(_ context.Context, r *access.Request) (access.Decision, error) { return d(r) }

func (decider) Bind(ctx context.Context, r *access.Request) context.Context {
	return access.With(ctx, &access.View{Caller: *r.Caller})
}

// fake implements what the tests call and counts; the rest of each interface is
// nil and panics.
type fake struct {
	calls  atomic.Int32
	caller access.View
	do     func() error
	decide func(*access.Request) access.Decision // nil for the rule of package access
}

func (f *fake) call(ctx context.Context) error {
	f.calls.Add(1)
	f.caller = access.From(ctx)
	if f.do != nil {
		return f.do()
	}
	return nil
}

func (f *fake) decision(r *access.Request) (access.Decision, error) {
	if f.decide != nil {
		return f.decide(r), nil
	}
	return access.Decide(r, nil), nil
}

type fakeEC2 struct {
	ec2.API
	*fake
}

func (f fakeEC2) CreateVpc(ctx context.Context, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
	return &ec2.CreateVpcOutput{Vpc: &ec2.Vpc{CidrBlock: in.CidrBlock}}, f.call(ctx)
}

// DeleteVpc answers nothing at all, as a handler of an empty output may.
func (f fakeEC2) DeleteVpc(ctx context.Context, _ *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
	return nil, f.call(ctx)
}

// Unserved explains one operation.
func (f fakeEC2) Unserved(operation string) error {
	if operation == "DescribeVpcClassicLink" {
		return fault.EC2("UnsupportedOperation", "gone")
	}
	return nil
}

// strict is a rule that the model does not have.
func strict(_ *schema.Operation, in any) error {
	if v, ok := in.(*ec2.CreateVpcInput); ok && len(v.TagSpecifications) > 0 && *v.TagSpecifications[0].ResourceType == "subnet" {
		return fault.EC2("InvalidParameterValue", "no")
	}
	return nil
}

type fakeLattice struct {
	vpclattice.API
	*fake
}

func (f fakeLattice) GetResourceGateway(ctx context.Context, in *vpclattice.GetResourceGatewayInput) (*vpclattice.GetResourceGatewayOutput, error) {
	return &vpclattice.GetResourceGatewayOutput{Id: in.ResourceGatewayIdentifier}, f.call(ctx)
}

func (f fakeLattice) CreateResourceGateway(ctx context.Context, in *vpclattice.CreateResourceGatewayInput) (*vpclattice.CreateResourceGatewayOutput, error) {
	return &vpclattice.CreateResourceGatewayOutput{Name: in.Name}, f.call(ctx)
}

func (f fakeLattice) ListTagsForResource(ctx context.Context, in *vpclattice.ListTagsForResourceInput) (*vpclattice.ListTagsForResourceOutput, error) {
	return &vpclattice.ListTagsForResourceOutput{Tags: map[string]string{"arn": *in.ResourceArn}}, f.call(ctx)
}

type fakeSTS struct {
	sts.API
	*fake
}

func (f fakeSTS) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	err := f.call(ctx)
	c := f.caller
	return &sts.GetCallerIdentityOutput{Account: &c.Account, Arn: &c.ARN, UserId: &c.UserID}, err
}

type fakeTrail struct {
	cloudtrail.API
	*fake
}

func (f fakeTrail) LookupEvents(ctx context.Context, in *cloudtrail.LookupEventsInput) (*cloudtrail.LookupEventsOutput, error) {
	return &cloudtrail.LookupEventsOutput{Events: []cloudtrail.Event{{EventTime: in.StartTime}}}, f.call(ctx)
}

// endpoint is a server under test.
type endpoint struct {
	fake    *fake
	handler http.Handler
	log     *bytes.Buffer
}

func newEndpoint(t testing.TB) *endpoint { return recording(t, nil) }

// recording is an endpoint that gives records.
func recording(t testing.TB, record func(string, []byte)) *endpoint {
	t.Helper()
	e := &endpoint{fake: &fake{}, log: &bytes.Buffer{}}
	var err error
	e.handler, err = server.New(server.Config{
		Regions: []string{"us-east-1", "eu-west-1"}, Credentials: keys{}, Decider: decider(e.fake.decision),
		Services: []server.Mounted{
			{Service: ec2.Service, API: fakeEC2{fake: e.fake}, Check: strict},
			{Service: vpclattice.Service, API: fakeLattice{fake: e.fake}},
			{Service: sts.Service, API: fakeSTS{fake: e.fake}},
			{Service: cloudtrail.Service, API: fakeTrail{fake: e.fake}},
		},
		Log:          slog.New(slog.NewJSONHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:          func() time.Time { return now },
		MaxBody:      64 << 10,
		Record:       record,
		NewRequestID: func() string { return "req-1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// call is a request before it is signed.
type call struct {
	method, path, service, region, key, secret, token, contentType string
	body                                                           string
	at                                                             time.Time
	unsigned                                                       bool
	header                                                         http.Header
	change                                                         func(*http.Request) // after signing
}

func ec2Call(form string) call {
	return call{method: "POST", path: "/", service: "ec2", contentType: "application/x-www-form-urlencoded", body: form}
}

func latticeCall(method, path, body string) call {
	return call{method: method, path: path, service: "vpc-lattice", contentType: "application/json", body: body}
}

// trailCall is a call in AWS JSON.
func trailCall(operation, body string) call {
	return call{
		method: "POST", path: "/", service: "cloudtrail", contentType: "application/x-amz-json-1.1", body: body,
		header: http.Header{"X-Amz-Target": {"CloudTrail_20131101." + operation}},
	}
}

func (c call) request(t testing.TB) *http.Request {
	t.Helper()
	r := httptest.NewRequest(c.method, "http://127.0.0.1:8700"+c.path, strings.NewReader(c.body))
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	for name, values := range c.header {
		r.Header[name] = values
	}
	if !c.unsigned {
		credentials := aws.Credentials{
			AccessKeyID: or(c.key, key), SecretAccessKey: or(c.secret, secret), SessionToken: c.token,
		}
		at := c.at
		if at.IsZero() {
			at = now
		}
		sum := sha256.Sum256([]byte(c.body))
		err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), c.service, or(c.region, "us-east-1"), at)
		if err != nil {
			t.Fatal(err)
		}
	}
	if c.change != nil {
		c.change(r)
	}
	return r
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// answer is what came back, with the error code out of any envelope.
type answer struct {
	status         int
	header         http.Header
	body, envelope string
	code, message  string
}

func (e *endpoint) do(t testing.TB, c call) answer {
	t.Helper()
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, c.request(t))
	return read(t, w.Result())
}

func read(t testing.TB, r *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: r.StatusCode, header: r.Header, body: string(body)}
	if r.Header.Get("X-Amzn-Requestid") != "req-1" || r.Header.Get("X-Amz-Request-Id") != "req-1" {
		t.Errorf("request id headers are missing: %v", r.Header)
	}
	if r.StatusCode < 300 {
		return a
	}
	switch contentType := r.Header.Get("Content-Type"); {
	case contentType == "application/cbor":
		v := cborMap(t, body)
		a.envelope, a.code, a.message = "cbor", v["__type"], v["message"]
		return a
	case strings.HasPrefix(a.body, "{"):
		var v struct {
			Type    string `json:"__type"`
			Message string
		}
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("error body %q: %v", body, err)
		}
		a.envelope, a.code, a.message = "json", r.Header.Get("X-Amzn-ErrorType"), v.Message
		if v.Type != "" {
			a.envelope, a.code = strings.TrimPrefix(contentType, "application/x-amz-"), v.Type
		}
		return a
	}
	var v struct {
		XMLName xml.Name
		Error   struct{ Code, Message string }
		Errors  struct {
			Error struct{ Code, Message string }
		}
		// S3 has these without an envelope.
		Code, Message string
		RequestID     string
		RequestId     string //nolint:revive // the query protocol's spelling
	}
	if err := xml.Unmarshal(body, &v); err != nil {
		t.Fatalf("error body %q: %v", body, err)
	}
	switch v.XMLName.Local {
	case "ErrorResponse":
		a.envelope, a.code, a.message = "query", v.Error.Code, v.Error.Message
	case "Error":
		a.envelope, a.code, a.message = "s3", v.Code, v.Message
	default:
		a.envelope, a.code, a.message = "ec2", v.Errors.Error.Code, v.Errors.Error.Message
	}
	if v.RequestID+v.RequestId != "req-1" {
		t.Errorf("request id is missing in %s", body)
	}
	return a
}
