// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	createVpc = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16"
	identity  = "Action=GetCallerIdentity&Version=2011-06-15"
)

func with(c call, edit func(*call)) call {
	edit(&c)
	return c
}

func stsCall(form string) call {
	return with(ec2Call(form), func(c *call) { c.service = "sts" })
}

// refusalCase is a bad request and what the service that was asked says to it.
type refusalCase struct {
	name     string
	call     call
	status   int
	envelope string
	code     string
	message  string // part of it
}

// get is a good request for a resource of VPC Lattice.
func get() call { return latticeCall("GET", "/resourcegateways/rgw-0123456789abcdef0", "") }

func create(body string) call { return latticeCall("POST", "/resourcegateways", body) }

func notAuthentic() []refusalCase {
	return []refusalCase{
		{"ec2 unsigned", with(ec2Call(createVpc), unsigned), 403, "ec2", "MissingAuthenticationToken", "missing"},
		{"sts unsigned", with(stsCall(identity), unsigned), 403, "query", "MissingAuthenticationToken", "missing"},
		{"lattice unsigned", with(get(), unsigned), 403, "json", "MissingAuthenticationTokenException", "missing"},
		{"unsigned form of nobody", with(ec2Call("Action=X&Version=1"), unsigned), 403, "query", "MissingAuthenticationToken", "missing"},
		{"unsigned nothing", with(latticeCall("GET", "/", ""), unsigned), 403, "json", "MissingAuthenticationTokenException", "missing"},

		{"ec2 unreadable authorization", with(ec2Call(createVpc), header("Authorization", "AWS4-HMAC-SHA256 x")), 400, "ec2", "IncompleteSignature", "Authorization"},
		{"lattice unreadable authorization", with(get(), header("Authorization", "Basic eDp5")), 403, "json", "IncompleteSignatureException", "algorithm"},

		{"ec2 unknown key", with(ec2Call(createVpc), byKey("AKIANOBODY")), 401, "ec2", "AuthFailure", "invalid"},
		{"sts unknown key", with(stsCall(identity), byKey("AKIANOBODY")), 403, "query", "InvalidClientTokenId", "invalid"},
		{"lattice unknown key", with(get(), byKey("AKIANOBODY")), 403, "json", "UnrecognizedClientException", "invalid"},
		{"disabled key", with(stsCall(identity), byKey(offKey)), 403, "query", "InvalidClientTokenId", "invalid"},
		{"temporary key without token", with(stsCall(identity), byKey(tempKey)), 403, "query", "InvalidClientTokenId", "invalid"},
		{"temporary key with other token", with(stsCall(identity), func(c *call) { c.key, c.token = tempKey, "b" }), 403, "query", "InvalidClientTokenId", "invalid"},
		{"ec2 session that is over", with(ec2Call(createVpc), over), 400, "ec2", "RequestExpired", "is expired"},
		{"sts session that is over", with(stsCall(identity), over), 403, "query", "ExpiredToken", "is expired"},
		{"lattice session that is over", with(get(), over), 403, "json", "ExpiredTokenException", "is expired"},
		{"json session that is over", with(lookup(), over), 400, "json-1.1", "ExpiredTokenException", "is expired"},
		{"session that is over, and another token", with(stsCall(identity), func(c *call) { c.key, c.token = expiredKey, "b" }), 403, "query", "InvalidClientTokenId", "invalid"},
		{"long-term key with token", with(stsCall(identity), func(c *call) { c.token = "b" }), 403, "query", "InvalidClientTokenId", "invalid"},

		{"ec2 wrong secret", with(ec2Call(createVpc), bySecret), 403, "ec2", "SignatureDoesNotMatch", "String-to-Sign"},
		{"sts wrong secret", with(stsCall(identity), bySecret), 403, "query", "SignatureDoesNotMatch", "String-to-Sign"},
		{"lattice wrong secret", with(get(), bySecret), 403, "json", "InvalidSignatureException", "String-to-Sign"},
		{"changed body", with(ec2Call(createVpc), otherBody), 403, "ec2", "SignatureDoesNotMatch", "String-to-Sign"},
		{"added header", with(ec2Call(createVpc), header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")), 400, "ec2", "IncompleteSignature", "not signed"},

		{"ec2 expired", with(ec2Call(createVpc), signedAt(-6*time.Minute)), 400, "ec2", "RequestExpired", "expired"},
		{"sts expired", with(stsCall(identity), signedAt(-6*time.Minute)), 403, "query", "SignatureDoesNotMatch", "expired"},
		{"lattice expired", with(get(), signedAt(-6*time.Minute)), 403, "json", "InvalidSignatureException", "expired"},
		{"lattice from the future", with(get(), signedAt(6*time.Minute)), 403, "json", "InvalidSignatureException", "not yet current"},
	}
}

func notUnderstood() []refusalCase {
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	return []refusalCase{
		{"service that is not served", with(ec2Call("Action=DescribeDBInstances&Version=2014-10-31"), func(c *call) { c.service = "rds" }), 400, "query", "InvalidAction", "cloudtrail, ec2, sts, vpc-lattice"},
		{"ec2 region", with(ec2Call(createVpc), inRegion), 401, "ec2", "AuthFailure", "us-east-1, eu-west-1"},
		{"sts region", with(stsCall(identity), inRegion), 403, "query", "SignatureDoesNotMatch", "us-east-1, eu-west-1"},
		{"lattice region", with(get(), inRegion), 403, "json", "InvalidSignatureException", "us-east-1, eu-west-1"},

		{"ec2 no action", ec2Call("Version=2016-11-15"), 400, "ec2", "MissingAction", "Action"},
		{"ec2 unknown action", ec2Call("Action=CreateCastle&Version=2016-11-15"), 400, "ec2", "InvalidAction", "CreateCastle"},
		{"ec2 unserved action", ec2Call("Action=RunInstances&Version=2016-11-15"), 400, "ec2", "InvalidAction", "not served"},
		{"ec2 version", ec2Call("Action=CreateVpc&Version=2014-10-02"), 400, "ec2", "NoSuchVersion", "2014-10-02"},
		{"ec2 path", with(ec2Call(createVpc), func(c *call) { c.path = "/x" }), 400, "ec2", "InvalidAction", "POST /"},
		{"sts unserved action", stsCall("Action=AssumeRoleWithSAML&Version=2011-06-15"), 400, "query", "InvalidAction", "AssumeRoleWithSAML"},
		{"lattice unserved operation", latticeCall("POST", "/authpolicies", "{}"), 404, "json", "UnknownOperationException", "/authpolicies"},
		{"lattice wrong method", latticeCall("PUT", "/resourcegateways", "{}"), 405, "json", "UnknownOperationException", "PUT"},
		{"lattice unescaped ARN", latticeCall("GET", "/tags/arn:aws:x/y", ""), 404, "json", "UnknownOperationException", "/tags"},

		{"ec2 malformed form", ec2Call("Action=CreateVpc&CidrBlock=%zz"), 400, "ec2", "MalformedQueryString", "form"},
		{"ec2 too many parameters", ec2Call("Action=CreateVpc" + strings.Repeat("&", 10_000)), 400, "ec2", "MalformedQueryString", "10000"},
		{"ec2 unknown parameter", ec2Call(createVpc + "&Moat=1"), 400, "ec2", "UnknownParameter", "Moat"},
		{"ec2 parameter twice", ec2Call(createVpc + "&CidrBlock=10.0.0.0/8"), 400, "ec2", "InvalidParameterValue", "CidrBlock"},
		{"ec2 wrong type", ec2Call(createVpc + "&DryRun=perhaps"), 400, "ec2", "InvalidParameterValue", "DryRun"},
		{"ec2 huge index", ec2Call(createVpc + "&TagSpecification.999999999999.ResourceType=vpc"), 400, "ec2", "InvalidParameterValue", "TagSpecification"},
		{"ec2 large index", ec2Call(createVpc + "&TagSpecification.2000000000.ResourceType=vpc"), 400, "ec2", "InvalidParameterValue", "TagSpecification"},
		{"ec2 enum", ec2Call(createVpc + "&InstanceTenancy=shed"), 400, "ec2", "InvalidParameterValue", "InstanceTenancy"},
		{"ec2 missing parameter", ec2Call("Action=DeleteVpc&Version=2016-11-15"), 400, "ec2", "MissingParameter", "VpcId"},
		{"ec2 too large", ec2Call(createVpc + strings.Repeat("x", 64<<10)), 413, "ec2", "RequestEntityTooLarge", "65536"},
		{"lattice too large", create(strings.Repeat(" ", 64<<10+1)), 413, "json", "RequestEntityTooLargeException", "65536"},
		{"unsigned too large", with(create(strings.Repeat(" ", 64<<10+1)), unsigned), 413, "json", "RequestEntityTooLargeException", "65536"},

		{"lattice malformed JSON", create(`{"name":`), 400, "json", "ValidationException", "cannot be read"},
		{"lattice no object", create(`[]`), 400, "json", "ValidationException", "object"},
		{"lattice deep JSON", create(deep), 400, "json", "ValidationException", ""},
		{"lattice wrong type", create(`{"name":1}`), 400, "json", "ValidationException", "name"},
		{"lattice pattern", create(`{"name":"-UPPER-"}`), 400, "json", "ValidationException", "name"},
		{"lattice required", create(`{}`), 400, "json", "ValidationException", "name"},
		{"dry run", ec2Call(createVpc + "&DryRun=true"), 412, "ec2", "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
		{"credentials are away", with(ec2Call(createVpc), byKey(brokenKey)), 500, "ec2", "InternalError", "internal error"},
	}
}

// lookup is a good request in AWS JSON.
func lookup() call { return trailCall("LookupEvents", "{}") }

// inAWSJSON are requests of which a header names the operation; their answers are
// 400, whatever is wrong.
func inAWSJSON() []refusalCase {
	return []refusalCase{
		{"json unsigned", with(with(lookup(), unsigned), header("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")), 400, "json-1.1", "MissingAuthenticationTokenException", "missing"},
		{"json unreadable authorization", with(lookup(), header("Authorization", "Basic eDp5")), 400, "json-1.1", "IncompleteSignatureException", "algorithm"},
		{"json unknown key", with(lookup(), byKey("AKIANOBODY")), 400, "json-1.1", "UnrecognizedClientException", "invalid"},
		{"json wrong secret", with(lookup(), bySecret), 400, "json-1.1", "InvalidSignatureException", "String-to-Sign"},
		{"json expired", with(lookup(), signedAt(-6*time.Minute)), 400, "json-1.1", "InvalidSignatureException", "expired"},
		{"json region", with(lookup(), inRegion), 400, "json-1.1", "InvalidSignatureException", "us-east-1, eu-west-1"},
		{"json no target", with(lookup(), func(c *call) { c.header = nil }), 400, "json-1.1", "UnknownOperationException", "X-Amz-Target"},
		{"json target without a point", with(lookup(), func(c *call) { c.header.Set("X-Amz-Target", "LookupEvents") }), 400, "json-1.1", "UnknownOperationException", "LookupEvents"},
		{"json unserved operation", trailCall("CreateTrail", "{}"), 400, "json-1.1", "UnknownOperationException", "not served"},
		{"json unknown operation", trailCall("Follow", "{}"), 400, "json-1.1", "UnknownOperationException", "Follow"},
		{"json path", with(lookup(), func(c *call) { c.path = "/x" }), 400, "json-1.1", "UnknownOperationException", "POST /"},
		{"json malformed", trailCall("LookupEvents", `{"StartTime":`), 400, "json-1.1", "SerializationException", "cannot be read"},
		{"json no object", trailCall("LookupEvents", `[]`), 400, "json-1.1", "SerializationException", "object"},
		{"json time in words", trailCall("LookupEvents", `{"StartTime":"2026-01-02T03:04:05Z"}`), 400, "json-1.1", "ValidationException", "StartTime"},
		{"json bounds", trailCall("LookupEvents", `{"MaxResults":51}`), 400, "json-1.1", "ValidationException", "MaxResults"},
		{"json required", trailCall("LookupEvents", `{"LookupAttributes":[{"AttributeKey":"EventName"}]}`), 400, "json-1.1", "ValidationException", "AttributeValue"},
		{"json too large", trailCall("LookupEvents", strings.Repeat(" ", 64<<10+1)), 413, "json-1.1", "RequestEntityTooLargeException", "65536"},
	}
}

// TestTargetsNameOperations takes the long and the short name that clients have for a
// service, and a body without anything.
func TestTargetsNameOperations(t *testing.T) {
	for _, prefix := range []string{"CloudTrail_20131101", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"} {
		c := trailCall("LookupEvents", "")
		c.header.Set("X-Amz-Target", prefix+".LookupEvents")
		got := newEndpoint(t).do(t, c)
		if got.status != 200 || got.body != `{"Events":[{"Resources":[]}]}` || got.header.Get("Content-Type") != "application/x-amz-json-1.1" {
			t.Errorf("%s: got %d %s", prefix, got.status, got.body)
		}
	}
}

// TestRefusals sends every kind of bad request to every protocol. Nothing may be
// called, and code, status and envelope are those of the service.
func TestRefusals(t *testing.T) {
	for _, test := range slices.Concat(notAuthentic(), notUnderstood(), inAWSJSON()) {
		t.Run(test.name, func(t *testing.T) {
			e := newEndpoint(t)
			got := e.do(t, test.call)
			if got.status != test.status || got.envelope != test.envelope || got.code != test.code {
				t.Errorf("got %d %s %s, want %d %s %s\n%s", got.status, got.envelope, got.code, test.status, test.envelope, test.code, got.body)
			}
			if !strings.Contains(got.message, test.message) {
				t.Errorf("message %q does not contain %q", got.message, test.message)
			}
			if n := e.fake.calls.Load(); n != 0 {
				t.Errorf("%d calls reached the service", n)
			}
		})
	}
}

func unsigned(c *call) { c.unsigned = true }
func bySecret(c *call) { c.secret = "another secret" }
func inRegion(c *call) { c.region = "mars-1" }

func byKey(id string) func(*call) { return func(c *call) { c.key = id } }

func over(c *call) { c.key, c.token = expiredKey, "a token" }

func signedAt(offset time.Duration) func(*call) { return func(c *call) { c.at = now.Add(offset) } }

func otherBody(c *call) {
	c.change = func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(createVpc + "0")) }
}

func header(name, value string) func(*call) {
	return func(c *call) { c.change = func(r *http.Request) { r.Header.Set(name, value) } }
}

// TestBodyHashMismatch signs a declared hash that is not that of the body.
func TestBodyHashMismatch(t *testing.T) {
	c := ec2Call(createVpc)
	c.unsigned = true
	r := c.request(t)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	sign(t, r, "UNSIGNED-PAYLOAD")
	e := newEndpoint(t)
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	if got := read(t, w.Result()); got.code != "SignatureDoesNotMatch" || got.status != 403 || e.fake.calls.Load() != 0 {
		t.Errorf("got %d %s with %d calls, want a mismatch", got.status, got.code, e.fake.calls.Load())
	}
}

func TestValidationExceptionNamesAllFields(t *testing.T) {
	got := newEndpoint(t).do(t, latticeCall("POST", "/resourcegateways", `{"ipAddressType":"IPV5"}`))
	for _, part := range []string{`"reason":"fieldValidationFailed"`, `"name":"name"`, `"name":"ipAddressType"`} {
		if !strings.Contains(got.body, part) {
			t.Errorf("answer lacks %s: %s", part, got.body)
		}
	}
}

func TestWrongMethodSaysWhichAreAllowed(t *testing.T) {
	got := newEndpoint(t).do(t, latticeCall("PUT", "/resourcegateways", ""))
	if allow := got.header.Get("Allow"); allow != "GET, POST" {
		t.Errorf("Allow = %q, want GET, POST", allow)
	}
}

// passing is an error of a store that takes no changes for a while.
type passing struct{}

func (passing) Error() string       { return "no room on /secret/place" }
func (passing) Unavailable() string { return "Try again later." }

// large is an error of a store that does not take so much at once.
type large struct{}

func (large) Error() string     { return "600 changes" }
func (large) Excessive() string { return "Ask for less." }

// TestTooMuchAtOnceIsSaid in the words of each service: as a fault of the request,
// which nobody repeats as it is.
func TestTooMuchAtOnceIsSaid(t *testing.T) {
	e := newEndpoint(t)
	e.fake.do = func() error { return fmt.Errorf("update the state: %w", large{}) }
	for _, c := range []struct {
		call call
		code string
	}{
		{ec2Call(createVpc), "ResourceCountExceeded"}, {stsCall(identity), "LimitExceeded"}, {get(), "ValidationException"},
	} {
		got := e.do(t, c.call)
		if got.status != http.StatusBadRequest || got.code != c.code || !strings.Contains(got.body, "Ask for less.") || strings.Contains(got.body, "600") {
			t.Errorf("%s: got %d %s: %s; want %s", c.call.service, got.status, got.code, got.body, c.code)
		}
	}
}

// TestWhatWillPassMayBeRepeated: clients repeat a request that was answered 503,
// and learn no more than the error has for them.
func TestWhatWillPassMayBeRepeated(t *testing.T) {
	e := newEndpoint(t)
	e.fake.do = func() error { return fmt.Errorf("update the state: %w", passing{}) }
	for _, c := range []call{ec2Call(createVpc), stsCall(identity), get()} {
		got := e.do(t, c)
		if got.status != http.StatusServiceUnavailable || got.code != "ServiceUnavailable" ||
			!strings.Contains(got.body, "Try again later.") || strings.Contains(got.body, "/secret/place") {
			t.Errorf("%s got %d: %s", c.service, got.status, got.body)
		}
	}
	if log := e.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("each request is logged as an error: %s", log)
	}
}
