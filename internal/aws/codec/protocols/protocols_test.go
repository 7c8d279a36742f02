// SPDX-License-Identifier: Apache-2.0

package protocols_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/codec/codectest"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

var services = []*schema.Service{ec2.Service, vpclattice.Service, route53.Service, sts.Service, iam.Service, rds.Service, cloudtrail.Service, organizations.Service, postern.Service}

// TestRoundTrip sends random inputs and outputs of every served operation
// through both directions of its codec.
func TestRoundTrip(t *testing.T) {
	for _, svc := range services {
		c, err := protocols.For(svc)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range svc.Operations {
			t.Run(svc.Name+"/"+op.Name, rapid.MakeCheck(func(t *rapid.T) {
				in := op.NewInput()
				codectest.Draw(t, in, op.Input)
				request, err := c.EncodeRequest(op, in)
				if err != nil {
					t.Fatal(err)
				}
				gotIn, err := c.DecodeRequest(op, request)
				if err != nil {
					t.Fatalf("%v in %s", err, request.Body)
				}
				if diff := cmp.Diff(in, gotIn); diff != "" {
					t.Fatalf("input changed (-sent +read):\n%s", diff)
				}
				out := op.NewOutput()
				codectest.Draw(t, out, op.Output)
				response, err := c.EncodeResponse(op, out, "request-1")
				if err != nil {
					t.Fatal(err)
				}
				gotOut, err := c.DecodeResponse(op, response)
				if err != nil {
					t.Fatalf("%v in %s", err, response.Body)
				}
				if diff := cmp.Diff(out, gotOut, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("output changed (-sent +read):\n%s", diff)
				}
			}))
		}
	}
}

func TestUnknownProtocol(t *testing.T) {
	if _, err := protocols.For(&schema.Service{Name: "x", Protocol: "smoke"}); err == nil {
		t.Error("a codec for smoke signals was found")
	}
}

// TestPatternsCompile compiles every pattern that a served operation reaches.
func TestPatternsCompile(t *testing.T) {
	for _, svc := range services {
		seen := map[*schema.Shape]bool{}
		var walk func(s *schema.Shape)
		walk = func(s *schema.Shape) {
			if s == nil || seen[s] {
				return
			}
			seen[s] = true
			if s.Pattern != nil {
				if err := s.Pattern.Compile(); err != nil {
					t.Errorf("%s shape %s: %v", svc.Name, s.Name, err)
				}
			}
			for i := range s.Members {
				walk(s.Members[i].Shape)
			}
			for _, m := range []*schema.Member{s.Element, s.MapKey} {
				if m != nil {
					walk(m.Shape)
				}
			}
		}
		for _, op := range svc.Operations {
			walk(op.Input)
			walk(op.Output)
		}
	}
}

// TestTablesFitTypes checks that every structure of the tables has the fields
// that its Go type has, at the indexes that the tables say.
func TestTablesFitTypes(t *testing.T) {
	for _, svc := range services {
		for _, op := range svc.Operations {
			if op.Call == nil || op.Status == 0 || op.Method == "" {
				t.Errorf("%s %s: call, status or method is missing", svc.Name, op.Name)
			}
			checkFields(t, svc.Name, op.Input, op.NewInput())
			checkFields(t, svc.Name, op.Output, op.NewOutput())
		}
	}
}
