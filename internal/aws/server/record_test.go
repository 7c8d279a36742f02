// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
)

// kept is what the tests look at of a record.
type kept struct {
	Account, Type, Key, Source, Name, Error, IP string
}

// TestEveryRequestIsRecorded before it is answered, those too that nobody was proven to
// make, which are recorded for nobody.
func TestEveryRequestIsRecorded(t *testing.T) {
	deny := func(e *endpoint) {
		e.fake.decide = func(r *access.Request) access.Decision { return access.Decision{Denied: &r.Asks[0]} }
	}
	for _, test := range []struct {
		name string
		call call
		set  func(*endpoint)
		want kept
	}{
		{"done", ec2Call(createVpc), nil, kept{account, "Root", key, "ec2.amazonaws.com", "CreateVpc", "", "192.0.2.1"}},
		{"in JSON", lookup(), nil, kept{account, "Root", key, "cloudtrail.amazonaws.com", "LookupEvents", "", "192.0.2.1"}},
		{"denied", ec2Call(createVpc), deny, kept{account, "Root", key, "ec2.amazonaws.com", "CreateVpc", "Client.UnauthorizedOperation", "192.0.2.1"}},
		{"dry run", ec2Call(createVpc + "&DryRun=true"), nil, kept{account, "Root", key, "ec2.amazonaws.com", "CreateVpc", "Client.DryRunOperation", "192.0.2.1"}},
		{"bad input", create(`{}`), nil, kept{account, "Root", key, "vpc-lattice.amazonaws.com", "CreateResourceGateway", "ValidationException", "192.0.2.1"}},
		{"unknown operation", ec2Call("Action=CreateCastle&Version=2016-11-15"), nil, kept{account, "Root", key, "ec2.amazonaws.com", "Unknown", "Client.InvalidAction", "192.0.2.1"}},
		{"panic", ec2Call(createVpc), func(e *endpoint) { e.fake.do = func() error { panic("x") } }, kept{account, "Root", key, "ec2.amazonaws.com", "CreateVpc", "Server.InternalError", "192.0.2.1"}},
		{"not proven", with(stsCall(identity), bySecret), nil, kept{"", "Unknown", key, "sts.amazonaws.com", "Unknown", "SignatureDoesNotMatch", "192.0.2.1"}},
		{"unknown key", with(stsCall(identity), byKey("AKIANOBODY")), nil, kept{"", "Unknown", "AKIANOBODY", "sts.amazonaws.com", "Unknown", "InvalidClientTokenId", "192.0.2.1"}},
		{"unsigned", with(get(), unsigned), nil, kept{"", "Unknown", "", "vpc-lattice.amazonaws.com", "Unknown", "MissingAuthenticationTokenException", "192.0.2.1"}},
		{"of another service", with(ec2Call("Action=X"), func(c *call) { c.service = "rds" }), nil, kept{account, "Root", key, "rds.amazonaws.com", "Unknown", "InvalidAction", "192.0.2.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lines []kept
			w := httptest.NewRecorder()
			e := recording(t, func(account string, line []byte) {
				if w.Body.Len() > 0 {
					t.Error("the answer was given before")
				}
				lines = append(lines, parseKept(t, account, line))
			})
			if test.set != nil {
				test.set(e)
			}
			e.handler.ServeHTTP(w, test.call.request(t))
			if diff := cmp.Diff([]kept{test.want}, lines); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func parseKept(t *testing.T, account string, line []byte) kept {
	t.Helper()
	var r struct {
		UserIdentity struct{ Type, AccessKeyID string }
		EventSource, EventName, ErrorCode, RequestID, EventID,
		SourceIPAddress, RecipientAccountID string
	}
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	if r.RequestID != "req-1" || len(r.EventID) != 36 || r.RecipientAccountID != account {
		t.Errorf("record of %s: %s", account, line)
	}
	return kept{account, r.UserIdentity.Type, r.UserIdentity.AccessKeyID, r.EventSource, r.EventName, r.ErrorCode, r.SourceIPAddress}
}

// TestWhoCannotBeProvenIsRecorded also while nobody knows the keys.
func TestWhoCannotBeProvenIsRecorded(t *testing.T) {
	var lines []kept
	e := recording(t, func(account string, line []byte) { lines = append(lines, parseKept(t, account, line)) })
	e.do(t, with(ec2Call(createVpc), byKey(brokenKey)))
	e.fake.do = func() error { return errors.New("the store is away") }
	e.do(t, ec2Call(createVpc))
	want := []kept{
		{"", "Unknown", brokenKey, "ec2.amazonaws.com", "Unknown", "Server.InternalError", "192.0.2.1"},
		{account, "Root", key, "ec2.amazonaws.com", "CreateVpc", "Server.InternalError", "192.0.2.1"},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
