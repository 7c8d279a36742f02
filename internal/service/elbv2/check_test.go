// SPDX-License-Identifier: Apache-2.0

package elbv2_test

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/service"
)

// TestHealthChecks changes how targets are asked: what is not said stays, and of another
// protocol everything is as usual.
func TestHealthChecks(t *testing.T) {
	w := newWorld(t)
	arn := w.group().TargetGroupArn
	change := func(in shape.ModifyTargetGroupInput) (*shape.ModifyTargetGroupOutput, error) {
		in.TargetGroupArn = arn
		return w.elb.ModifyTargetGroup(w.Ctx, &in)
	}
	expect := func(what, want string, out *shape.ModifyTargetGroupOutput, err error) {
		t.Helper()
		g := get(t, out, err).TargetGroups[0]
		got := *g.HealthCheckProtocol + " " + *g.HealthCheckPort + " " + service.Value(g.HealthCheckPath)
		if g.Matcher != nil {
			got += " " + *g.Matcher.HttpCode
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	out, err := change(shape.ModifyTargetGroupInput{HealthCheckProtocol: new("HTTP"), HealthCheckPort: new("8080")})
	expect("HTTP", "HTTP 8080 / 200-399", out, err)
	out, err = change(shape.ModifyTargetGroupInput{HealthCheckPath: new("/health"), Matcher: &shape.Matcher{HttpCode: new("200,202-204")}})
	expect("a path and codes", "HTTP 8080 /health 200,202-204", out, err)
	out, err = change(shape.ModifyTargetGroupInput{HealthCheckProtocol: new("HTTPS")})
	expect("HTTPS", "HTTPS 8080 / 200-399", out, err)
	for field, in := range map[string]shape.ModifyTargetGroupInput{
		"HealthCheckPath":     {HealthCheckPath: new("health")},
		"Matcher: HttpCode":   {Matcher: &shape.Matcher{HttpCode: new("300-200")}},
		"Matcher: GrpcCode":   {Matcher: &shape.Matcher{GrpcCode: new("0")}},
		"HealthCheckProtocol": {HealthCheckProtocol: new("TLS")},
	} {
		if out, err := change(in); err == nil {
			t.Errorf("%s: got %v, want a refusal", field, out)
		}
	}
	out, err = change(shape.ModifyTargetGroupInput{HealthCheckProtocol: new("TCP"), HealthCheckPort: new("traffic-port")})
	expect("TCP", "TCP traffic-port ", out, err)
	if _, err := change(shape.ModifyTargetGroupInput{HealthCheckPath: new("/")}); err == nil {
		t.Error("a health check of TCP has a path")
	}
}
