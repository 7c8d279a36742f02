// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/policy"
)

// TestRightsThatWereTakenAway answers what a handler's transaction found out as the step
// before it would have: that a right is gone, or the caller itself.
func TestRightsThatWereTakenAway(t *testing.T) {
	for _, test := range []struct {
		name    string
		refused access.Refused
		call    call
		status  int
		code    string
		message string
	}{
		{"a right, ec2", access.Refused{Text: "User: X is not authorized"}, ec2Call(createVpc), 403, "UnauthorizedOperation", "You are not authorized to perform this operation. User: X is not authorized"},
		{"a right, json", access.Refused{Text: "User: X is not authorized"}, latticeCall("GET", "/resourcegateways/rgw-0123456789abcdef0", ""), 403, "AccessDeniedException", "User: X is not authorized"},
		{"the key, ec2", access.Refused{Unknown: true}, ec2Call(createVpc), 401, "AuthFailure", "The security token included in the request is invalid."},
		{"the key, json", access.Refused{Unknown: true}, latticeCall("GET", "/resourcegateways/rgw-0123456789abcdef0", ""), 403, "UnrecognizedClientException", "The security token included in the request is invalid."},
	} {
		e := newEndpoint(t)
		e.fake.do = func() error { return fmt.Errorf("update the state: %w", &test.refused) }
		if got := e.do(t, test.call); got.status != test.status || got.code != test.code || got.message != test.message {
			t.Errorf("%s: got %d %s: %s", test.name, got.status, got.code, got.message)
		}
	}
}

// TestDenialsSayWhy has the words of AWS for each kind of policies that denies.
func TestDenialsSayWhy(t *testing.T) {
	const who = "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:root is not authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:us-east-1:111122223333:vpc/*"
	for _, test := range []struct {
		verdict policy.Verdict
		want    string
	}{
		{policy.Verdict{Layer: policy.IdentityPolicy}, " because no identity-based policy allows the ec2:CreateVpc action"},
		{policy.Verdict{Layer: policy.BoundaryPolicy}, " because no permissions boundary allows the ec2:CreateVpc action"},
		{policy.Verdict{Layer: policy.SessionPolicy}, " because no session policy allows the ec2:CreateVpc action"},
		{policy.Verdict{Layer: policy.ControlPolicy}, " because no service control policy allows the ec2:CreateVpc action"},
		{policy.Verdict{Layer: policy.IdentityPolicy, Explicit: true}, " with an explicit deny in an identity-based policy"},
		{policy.Verdict{Layer: policy.SessionPolicy, Explicit: true}, " with an explicit deny in a session policy"},
		{policy.Verdict{Layer: policy.ControlPolicy, Explicit: true, Policy: "arn:p"}, " with an explicit deny in a service control policy: arn:p"},
		{policy.Verdict{Layer: policy.SharePolicy, Foreign: true}, ""},
		{policy.Verdict{}, ""},
	} {
		e := newEndpoint(t)
		e.fake.decide = func(r *access.Request) access.Decision {
			return access.Decision{Denied: &r.Asks[0], Verdict: test.verdict, Encoded: "sealed"}
		}
		if got, want := e.do(t, ec2Call(createVpc)).message, who+test.want+". Encoded authorization failure message: sealed"; got != want {
			t.Errorf("%+v:\n got %s\nwant %s", test.verdict, got, want)
		}
	}
}

// TestExpiredKeysAreToldToWhoHasThem says that a temporary key has expired to who signs with
// its secret, and to nobody else.
func TestExpiredKeysAreToldToWhoHasThem(t *testing.T) {
	e := newEndpoint(t)
	c := ec2Call(createVpc)
	c.key, c.token = expiredKey, "a token"
	if got := e.do(t, c); got.code != "RequestExpired" || got.status != 400 {
		t.Errorf("got %d %s", got.status, got.code)
	}
	s := stsCall(identity)
	s.key, s.token = expiredKey, "a token"
	if got := e.do(t, s); got.code != "ExpiredToken" || got.status != 403 || !strings.Contains(got.message, "expired") {
		t.Errorf("got %d %s: %s", got.status, got.code, got.message)
	}
	c.secret = "a guess"
	if got := e.do(t, c); got.code != "SignatureDoesNotMatch" {
		t.Errorf("with a wrong secret: got %d %s", got.status, got.code)
	}
}
