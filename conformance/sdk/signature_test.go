// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"

	"github.com/posternhq/postern/conformance/harness"
)

// skewed is the SDK's signer with a clock that is wrong.
type skewed struct {
	signer *v4.Signer
	by     time.Duration
}

func (s skewed) SignHTTP(ctx context.Context, key aws.Credentials, r *http.Request, hash, service, region string, at time.Time, options ...func(*v4.SignerOptions)) error {
	return s.signer.SignHTTP(ctx, key, r, hash, service, region, at.Add(s.by), options...)
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	list := func(by time.Duration) error {
		wrong := ec2.NewFromConfig(c.config, func(o *ec2.Options) {
			o.HTTPSignerV4, o.DisableClockSkewCorrection = skewed{v4.NewSigner(), by}, true
		})
		return failure(wrong.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{}))
	}
	for _, by := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		if err := list(by); err != nil {
			t.Errorf("a clock that is %v wrong is refused: %v", by, err)
		}
	}
	gateways := latticeJSON("GET", "/resourcegateways", "")
	for _, by := range []time.Duration{-20 * time.Minute, 20 * time.Minute, 48 * time.Hour} {
		refused(t, list(by), "RequestExpired")
		gateways.skew = by
		if status, _, body := c.send(gateways); status != 403 || !strings.Contains(body, "InvalidSignatureException") {
			t.Errorf("a clock that is %v wrong is answered with %d: %s", by, status, body)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	t.Parallel()
	good := newAccount(t).key
	for _, each := range []struct {
		name                string
		key                 harness.Key
		ofEC2, ofSTS, other string
	}{
		{"wrong secret", harness.Key{ID: good.ID, Secret: strings.ToUpper(good.Secret)}, "SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"},
		{"secret of another account", harness.Key{ID: good.ID, Secret: server.Admin.Secret}, "SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"},
		{"unknown key", harness.Key{ID: "AKIA0000000000000000", Secret: good.Secret}, "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"},
	} {
		t.Run(each.name, func(t *testing.T) {
			c := newClient(t, each.key, harness.Region)
			refused(t, failure(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})), each.ofEC2)
			refused(t, failure(c.sts.GetCallerIdentity(c.ctx, &sts.GetCallerIdentityInput{})), each.ofSTS)
			refused(t, failure(c.lattice.ListResourceGateways(c.ctx, &vpclattice.ListResourceGatewaysInput{})), each.other)
		})
	}
	c := newClient(t, good, harness.Region)
	equal(t, "VPCs made with wrong keys, beside the default one", len(must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{}))(c).Vpcs), 1)
}

// message is a request below the level of the SDK. It is signed by the SDK's
// signer, and may be spoilt after that.
type message struct {
	service, method, path, contentType, body string
	skew                                     time.Duration // of the client's clock
	spoil                                    func(*http.Request)
}

// send gives status, content type and body of the answer.
func (c *client) send(m message) (status int, contentType, body string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.ctx, m.method, server.URL+m.path, strings.NewReader(m.body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.contentType)
	sum := sha256.Sum256([]byte(m.body))
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	key := aws.Credentials{AccessKeyID: c.key.ID, SecretAccessKey: c.key.Secret}
	if err := v4.NewSigner().SignHTTP(c.ctx, key, r, hash, m.service, c.region, time.Now().Add(m.skew)); err != nil {
		c.t.Fatal(err)
	}
	if m.spoil != nil {
		m.spoil(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Content-Type"), string(text) + answer.Header.Get("X-Amzn-Errortype")
}

const form = "application/x-www-form-urlencoded"

func ec2Form(body string) message {
	return message{service: "ec2", method: "POST", path: "/", contentType: form, body: body}
}

func latticeJSON(method, path, body string) message {
	return message{service: "vpc-lattice", method: method, path: path, contentType: "application/json", body: body}
}

// TestMessages sends what no SDK would.
func TestMessages(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	create := ec2Form("Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16")
	spoilt := func(m message, spoil func(*http.Request)) message {
		m.spoil = spoil
		return m
	}
	for _, each := range []struct {
		name    string
		message message
		status  int
		code    string
	}{
		{"body changed", spoilt(create, func(r *http.Request) {
			r.Body = io.NopCloser(bytes.NewReader([]byte(strings.Replace(create.body, "16", "20", 1))))
		}), 403, "SignatureDoesNotMatch"},
		{"hash of another body", spoilt(create, func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64))
		}), 403, "SignatureDoesNotMatch"},
		{"no signature", spoilt(create, func(r *http.Request) { r.Header.Del("Authorization") }), 403, "MissingAuthenticationToken"},
		{"half a signature", spoilt(create, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") }), 400, "IncompleteSignature"},
		{"unknown action", ec2Form("Action=CreateCastle&Version=2016-11-15"), 400, "InvalidAction"},
		{"no action", ec2Form("Version=2016-11-15"), 400, "MissingAction"},
		{"other version", ec2Form("Action=DescribeVpcs&Version=1999-01-01"), 400, "NoSuchVersion"},
		{"unknown parameter", ec2Form("Action=DescribeVpcs&Version=2016-11-15&Colour=red"), 400, "UnknownParameter"},
		{"malformed form", ec2Form("Action=DescribeVpcs&Version=2016-11-15&VpcId.1=%zz"), 400, "MalformedQueryString"},
		{"malformed number", ec2Form("Action=DescribeVpcs&Version=2016-11-15&MaxResults=many"), 400, "InvalidParameterValue"},
		{"huge list index", ec2Form("Action=DescribeVpcs&Version=2016-11-15&VpcId.2147483647=vpc-1"), 400, ""},
		{"list index beyond integers", ec2Form("Action=DescribeVpcs&Version=2016-11-15&VpcId.99999999999999999999=vpc-1"), 400, ""},
		{"many parameters", ec2Form("Action=DescribeVpcs&Version=2016-11-15" + strings.Repeat("&VpcId.1=a", 20_000)), 400, "MalformedQueryString"},
		{"body too large", ec2Form("Action=DescribeVpcs&Version=2016-11-15&NextToken=" + strings.Repeat("a", 2<<20)), 413, "RequestEntityTooLarge"},
		{"malformed JSON", latticeJSON("POST", "/resourcegateways", `{"name": "good"`), 400, "ValidationException"},
		{"XML for JSON", latticeJSON("POST", "/resourcegateways", `<name>good</name>`), 400, "ValidationException"},
		{"JSON of another type", latticeJSON("POST", "/resourcegateways", `{"name": 7}`), 400, "ValidationException"},
		{"list for an object", latticeJSON("POST", "/resourcegateways", `[]`), 400, "ValidationException"},
		{"deep JSON", latticeJSON("POST", "/resourcegateways", strings.Repeat(`{"name":`, 10_000)), 400, "ValidationException"},
		{"unknown path", latticeJSON("POST", "/castles", `{}`), 404, "UnknownOperationException"},
		{"wrong method", latticeJSON("PUT", "/resourcegateways", `{}`), 405, "UnknownOperationException"},
		{"JSON body too large", latticeJSON("POST", "/resourcegateways", `{"name": "`+strings.Repeat("a", 2<<20)+`"}`), 413, "RequestEntityTooLargeException"},
		{"unknown service", message{service: "s3", method: "GET", path: "/", contentType: form}, 501, "NotImplemented"},
	} {
		t.Run(each.name, func(t *testing.T) {
			here := *c
			here.t, here.ctx = t, t.Context()
			unchanged(&here, func() {
				status, contentType, body := here.send(each.message)
				if status != each.status || !strings.Contains(body, each.code) {
					t.Errorf("got status %d: %s, want %d and %s", status, body, each.status, each.code)
				}
				checkEnvelope(t, each.message.service, contentType, body)
			})
		})
	}
}

// checkEnvelope looks at the form of an error.
func checkEnvelope(t *testing.T, service, contentType, body string) {
	t.Helper()
	wants := map[string]string{
		"ec2":         "text/xml <Response><Errors><Error><Code>",
		"vpc-lattice": `application/json "message":`,
		"s3":          "application/xml <Error><Code>",
	}
	kind, start, _ := strings.Cut(wants[service], " ")
	if !strings.HasPrefix(contentType, kind) || !strings.Contains(body, start) {
		t.Errorf("the error is %s, which is not %s", fmt.Sprintf("%s %.200s", contentType, body), wants[service])
	}
}
