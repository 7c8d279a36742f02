// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/model"
)

// by has a request come by an endpoint to EC2 in us-east-1.
func by(c call, source string) call {
	c.change = func(r *http.Request) {
		way := &server.Way{Signing: "ec2", Region: "us-east-1"}
		way.Endpoint, way.VPC = model.Ref{Account: "444455556666", Region: "us-east-1", ID: "vpce-1"}, "vpc-1"
		if source != "" {
			way.Source = netip.MustParseAddr(source)
		}
		*r = *r.WithContext(server.By(r.Context(), way))
	}
	return c
}

// What comes by an endpoint is for its service and its region, and nothing else is asked.
func TestAnEndpointLeadsToOneService(t *testing.T) {
	e := newEndpoint(t)
	if a := e.do(t, by(ec2Call(createVpc), "")); a.status != http.StatusOK {
		t.Errorf("its own service: %d %s", a.status, a.body)
	}
	for name, test := range map[string]struct {
		call          call
		code, message string
	}{
		"another service": {stsCall(identity), "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'ec2'."},
		"another region": {with(ec2Call(createVpc), func(c *call) { c.region = "eu-west-1" }), "AuthFailure",
			"Credential should be scoped to a valid region, not 'eu-west-1'. This endpoint is in us-east-1."},
		"a service that there is not": {with(ec2Call("Action=X"), func(c *call) { c.service = "rds" }), "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'ec2'."},
	} {
		before := e.fake.calls.Load()
		if a := e.do(t, by(test.call, "")); a.code != test.code || a.message != test.message || e.fake.calls.Load() != before {
			t.Errorf("%s: %d %s: %s", name, a.status, a.code, a.message)
		}
	}
}

// The decision and the record know the endpoint, and the client's address in its VPC; that
// which the connection has is no client's.
func TestEndpointsAreKnownAndRecorded(t *testing.T) {
	for source, want := range map[string]string{"10.0.1.10": "10.0.1.10", "": ""} {
		var origin access.Origin
		var record struct{ VpcEndpointID, VpcEndpointAccountID, SourceIPAddress string }
		e := recording(t, func(_ string, line []byte) {
			if err := json.Unmarshal(line, &record); err != nil {
				t.Error(err)
			}
		})
		e.fake.decide = func(r *access.Request) access.Decision {
			origin = r.Origin
			return access.Decision{Allowed: true}
		}
		e.do(t, by(ec2Call(createVpc), source))
		if origin.Endpoint.ID != "vpce-1" || origin.VPC != "vpc-1" || origin.Address.IsValid() || origin.Source.IsValid() != (source != "") {
			t.Errorf("decided about %+v", origin)
		}
		if record.VpcEndpointID != "vpce-1" || record.VpcEndpointAccountID != "444455556666" || record.SourceIPAddress != want {
			t.Errorf("recorded %+v, want it from %q", record, want)
		}
	}
}
