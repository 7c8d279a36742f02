// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/inputtest"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// denials are how the services say that something is not allowed.
var denials = map[string]string{
	"ec2": "UnauthorizedOperation", "vpc-lattice": "AccessDeniedException", "route53": "AccessDenied", "sts": "AccessDenied", "cloudtrail": "AccessDeniedException", "organizations": "AccessDeniedException", "iam": "AccessDenied", "ram": "AccessDeniedException", "rds": "AccessDenied", "elasticloadbalancing": "AccessDenied", "postern": "AccessDeniedException",
}

// watched serves one operation, whose calls are counted in place of a handler.
type watched struct {
	handler http.Handler
	op      *schema.Operation
	service *schema.Service
	calls   int
	asked   [][]access.Ask
	answer  access.Decision
	err     error
}

func watch(t *testing.T, svc *schema.Service, op *schema.Operation) *watched {
	t.Helper()
	w := &watched{}
	copied, served := *op, *svc
	copied.Call = func(ctx context.Context, _, _ any) (any, error) {
		w.calls++
		if got := access.From(ctx).Account; got != account {
			t.Errorf("the handler has a view of account %q, want %q", got, account)
		}
		return op.NewOutput(), nil
	}
	served.Operations = []*schema.Operation{&copied}
	w.op, w.service = &copied, &served
	var err error
	w.handler, err = server.New(server.Config{
		Regions: []string{"us-east-1"}, Credentials: keys{}, Services: []server.Mounted{{Service: &served}},
		Decider: decider(func(r *access.Request) (access.Decision, error) {
			w.asked = append(w.asked, slices.Clone(r.Asks))
			return w.answer, w.err
		}),
		Now: func() time.Time { return now }, NewRequestID: func() string { return "req-1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// do sends an input as a client does.
func (w *watched) do(t *testing.T, in any) answer {
	t.Helper()
	w.calls, w.asked = 0, nil
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, callOf(t, w.service, w.op, in).request(t))
	return read(t, recorder.Result())
}

// callOf makes the call that a client sends for an input.
func callOf(t *testing.T, svc *schema.Service, op *schema.Operation, in any) call {
	t.Helper()
	c, err := protocols.For(svc)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := c.EncodeRequest(op, in)
	if err != nil {
		t.Fatal(err)
	}
	path := sent.Path
	if q := sent.Query.Encode(); q != "" {
		path += "?" + q
	}
	return call{method: sent.Method, path: path, service: svc.SigningName, header: sent.Header, body: string(sent.Body)}
}

// TestEveryOperationIsAuthorized walks all that is served: a request that is
// denied reaches no handler, nor does one that nobody can decide about, and a dry
// run gives the decision.
func TestEveryOperationIsAuthorized(t *testing.T) {
	for _, svc := range []*schema.Service{ec2.Service, vpclattice.Service, route53.Service, sts.Service, cloudtrail.Service, organizations.Service, iam.Service, ram.Service, rds.Service, elbv2.Service, postern.Service} {
		for _, op := range svc.Operations {
			t.Run(svc.Name+"/"+op.Name, func(t *testing.T) {
				w, in := watch(t, svc, op), inputtest.Smallest(t, op)
				w.answer = access.Decision{}
				if got := w.do(t, in); got.code != denials[svc.Name] || got.status != deniedStatus(svc) || w.calls != 0 {
					t.Errorf("denied: got %d %s and %d calls, want %d %s and none", got.status, got.code, w.calls, deniedStatus(svc), denials[svc.Name])
				}
				if len(w.asked) != 1 || len(w.asked[0]) == 0 || w.asked[0][0].Action != svc.Name+":"+op.Name {
					t.Errorf("asked %+v, want once for %s:%s first", w.asked, svc.Name, op.Name)
				}
				checkDryRun(t, w, in, denials[svc.Name])
				w.err = errors.New("the store is away")
				if got := w.do(t, in); got.status != 500 || w.calls != 0 {
					t.Errorf("without a decision: got %d and %d calls, want 500 and none", got.status, w.calls)
				}
				w.answer, w.err = access.Decision{Allowed: true}, nil
				if got := w.do(t, in); got.status >= 300 || w.calls != 1 {
					t.Errorf("allowed: got %d %s %s and %d calls, want one", got.status, got.code, got.message, w.calls)
				}
				checkDryRun(t, w, in, "DryRunOperation")
			})
		}
	}
}

// deniedStatus is the status of a denial: AWS JSON says everything with 400.
func deniedStatus(svc *schema.Service) int {
	if svc.Protocol == "json1.1" {
		return http.StatusBadRequest
	}
	return http.StatusForbidden
}

func checkDryRun(t *testing.T, w *watched, in any, want string) {
	t.Helper()
	if !w.op.DryRun {
		return
	}
	field := reflect.ValueOf(in).Elem().FieldByName("DryRun")
	field.Set(reflect.ValueOf(new(true)))
	if got := w.do(t, in); got.code != want || w.calls != 0 {
		t.Errorf("dry run: got %s and %d calls, want %s and none", got.code, w.calls, want)
	}
	field.SetZero()
}

// others are identifiers of what another account has, or might have.
const (
	otherGateway = "arn:aws:vpc-lattice:us-east-1:444455556666:resourcegateway/rgw-0123456789abcdef0"
	otherConfig  = "arn:aws:vpc-lattice:us-east-1:444455556666:resourceconfiguration/rcfg-0123456789abcdef0"
)

// TestOtherAccountsResources names what is another account's by ARN. VPC Lattice
// denies; EC2 leaves it to the handler to find nothing, and a dry run denies.
func TestOtherAccountsResources(t *testing.T) {
	for _, test := range []struct {
		name      string
		service   *schema.Service
		operation string
		in        any
		code      string // empty when the handler is reached
		message   string
	}{
		{"get", vpclattice.Service, "GetResourceGateway", &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: new(otherGateway)},
			"AccessDeniedException", "User: arn:aws:iam::111122223333:root is not authorized to perform: vpc-lattice:GetResourceGateway on resource: " + otherGateway},
		{"list of", vpclattice.Service, "ListResourceConfigurations", &vpclattice.ListResourceConfigurationsInput{ResourceGatewayIdentifier: new(otherGateway)},
			"AccessDeniedException", otherGateway},
		{"tags", vpclattice.Service, "TagResource", &vpclattice.TagResourceInput{ResourceArn: new(otherConfig), Tags: map[string]string{"k": "v"}},
			"AccessDeniedException", "vpc-lattice:TagResource on resource: " + otherConfig},
		{"part of a create", vpclattice.Service, "CreateResourceConfiguration",
			&vpclattice.CreateResourceConfigurationInput{Name: new("name"), Type: new("SINGLE"), ResourceGatewayIdentifier: new(otherGateway)},
			"AccessDeniedException", "vpc-lattice:CreateResourceConfiguration on resource: " + otherGateway},
		{"ec2", ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{VpcId: new("vpc-0123456789abcdef0"), ResourceConfigurationArn: new(otherConfig)}, "", ""},
		{"ec2 dry run", ec2.Service, "CreateVpcEndpoint",
			&ec2.CreateVpcEndpointInput{DryRun: new(true), VpcId: new("vpc-0123456789abcdef0"), ResourceConfigurationArn: new(otherConfig)},
			"UnauthorizedOperation", "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:root is not authorized to perform: vpc-lattice:GetResourceConfiguration on resource: " + otherConfig},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEndpoint(t)
			got := e.do(t, callOf(t, test.service, test.service.Operation(test.operation), test.in))
			reached := strings.Contains(e.log.String(), "panic") // the fake has no such method
			if (test.code == "") != reached || test.code != "" && (got.code != test.code || !strings.HasSuffix(got.message, test.message)) {
				t.Errorf("got %s: %s (handler reached: %v), want %s: %s", got.code, got.message, reached, test.code, test.message)
			}
		})
	}
}

// TestGlobalServicesAnswerInEveryRegion signs for regions that are not served, as
// SDKs do for endpoints without a region.
func TestGlobalServicesAnswerInEveryRegion(t *testing.T) {
	for region, global := range map[string]bool{
		"us-west-2": true, "aws-global": true, "us-gov-west-1": true, "cn-north-1": true, "aws-us-gov-global": true, "eusc-de-east-1": true,
		"us-east-1": true, "mars-1": false, "us-east-": false, "US-EAST-1": false,
	} {
		e := newEndpoint(t)
		identify := stsCall(identity)
		identify.region = region
		if got := e.do(t, identify); (got.status == 200) != global {
			t.Errorf("STS in region %q: got %d %s, want it answered: %v", region, got.status, got.code, global)
		}
		if e.fake.caller.Region != "" {
			t.Errorf("STS in region %q: the view has region %q; what is global is in none", region, e.fake.caller.Region)
		}
		if region != "us-east-1" {
			regional := ec2Call(createVpc)
			regional.region = region
			if got := e.do(t, regional); got.code != "AuthFailure" {
				t.Errorf("EC2 in region %q: got %d %s, want AuthFailure", region, got.status, got.code)
			}
		}
	}
}

func TestServicesWithoutActionsAreNotMounted(t *testing.T) {
	unknown := *ec2.Service
	unknown.Name = "castles"
	more := *ec2.Service
	more.Operations = append([]*schema.Operation{{Name: "CreateCastle"}}, more.Operations...)
	for _, svc := range []*schema.Service{&unknown, &more, {Name: "x", Protocol: fault.ProtocolEC2, SigningName: "x"}} {
		_, err := server.New(server.Config{
			Regions: []string{"us-east-1"}, Credentials: keys{}, Services: []server.Mounted{{Service: svc}},
			Decider: decider(func(*access.Request) (access.Decision, error) { return access.Decision{Allowed: true}, nil }),
		})
		if err == nil {
			t.Errorf("%s is mounted, and the table of actions does not have all of it", svc.Name)
		}
	}
}

// TestAViewStaysWhatItWas keeps the context of a request beyond its end, as a goroutine
// of a handler may: another request must not show through.
func TestAViewStaysWhatItWas(t *testing.T) {
	var kept []context.Context
	svc := *ec2.Service
	create := *ec2.Service.Operation("CreateVpc")
	create.Call = func(ctx context.Context, _, _ any) (any, error) {
		kept = append(kept, ctx)
		return create.NewOutput(), nil
	}
	svc.Operations = []*schema.Operation{&create}
	h, err := server.New(server.Config{
		Regions: []string{"us-east-1", "eu-west-1"}, Credentials: keys{}, Services: []server.Mounted{{Service: &svc}},
		Decider: decider(func(r *access.Request) (access.Decision, error) { return access.Decide(r, nil), nil }),
		Now:     func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			c := ec2Call(createVpc)
			c.region = region
			h.ServeHTTP(httptest.NewRecorder(), c.request(t))
		}
	}
	ids := map[string]bool{}
	for i, ctx := range kept {
		v := access.From(ctx)
		if want := []string{"us-east-1", "eu-west-1"}[i%2]; v.Region != want || v.Account != account {
			t.Errorf("request %d has the view of %s in %s now, want %s", i, v.Account, v.Region, want)
		}
		ids[v.RequestID] = true
	}
	if len(kept) != 40 || len(ids) != 40 {
		t.Errorf("%d requests reached the handler with %d ids, want 40", len(kept), len(ids))
	}
}
