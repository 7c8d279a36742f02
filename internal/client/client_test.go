// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/client"
)

type keys struct{}

func (keys) Lookup(_ context.Context, id, _ string) (server.Credential, bool, error) {
	return server.Credential{Secret: "secret", SessionToken: "token", Caller: access.Caller{Account: "111122223333"}}, id == "AKIA", nil
}

type decider struct{}

func (decider) Decide(_ context.Context, r *access.Request) (access.Decision, error) {
	return access.Decide(r, nil), nil
}

func (decider) Bind(ctx context.Context, r *access.Request) context.Context {
	return access.With(ctx, &access.View{Caller: *r.Caller})
}

type fakeEC2 struct{ ec2.API }

func (fakeEC2) CreateVpc(_ context.Context, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
	return &ec2.CreateVpcOutput{Vpc: &ec2.Vpc{CidrBlock: in.CidrBlock}}, nil
}

type fakeLattice struct{ vpclattice.API }

func (fakeLattice) GetResourceGateway(_ context.Context, in *vpclattice.GetResourceGatewayInput) (*vpclattice.GetResourceGatewayOutput, error) {
	return nil, fault.NotFound("RESOURCE_GATEWAY", *in.ResourceGatewayIdentifier)
}

func (fakeLattice) ListTagsForResource(_ context.Context, in *vpclattice.ListTagsForResourceInput) (*vpclattice.ListTagsForResourceOutput, error) {
	return &vpclattice.ListTagsForResourceOutput{Tags: map[string]string{"arn": *in.ResourceArn}}, nil
}

type fakeSTS struct{ sts.API }

func (fakeSTS) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: new(access.From(ctx).Account)}, nil
}

// start serves the fakes on the loopback and returns a client for them.
func start(t *testing.T) *client.Client {
	t.Helper()
	handler, err := server.New(server.Config{
		Regions: []string{"us-east-1"}, Credentials: keys{},
		Decider: decider{},
		Services: []server.Mounted{
			{Service: ec2.Service, API: fakeEC2{}},
			{Service: vpclattice.Service, API: fakeLattice{}},
			{Service: sts.Service, API: fakeSTS{}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return client.New(s.URL, "us-east-1", "AKIA", "secret").WithSessionToken("token")
}

func TestDoSpeaksEachProtocol(t *testing.T) {
	c, ctx := start(t), t.Context()
	var vpc ec2.CreateVpcOutput
	if err := c.Do(ctx, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}, &vpc); err != nil {
		t.Error(err)
	} else if got := *vpc.Vpc.CidrBlock; got != "10.0.0.0/16" {
		t.Errorf("ec2: %q", got)
	}
	var identity sts.GetCallerIdentityOutput
	if err := c.Do(ctx, sts.Service, "GetCallerIdentity", &sts.GetCallerIdentityInput{}, &identity); err != nil {
		t.Error(err)
	} else if got := *identity.Account; got != "111122223333" {
		t.Errorf("sts: %q", got)
	}
	const arn = "arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-0123456789abcdef0"
	var tags vpclattice.ListTagsForResourceOutput
	if err := c.Do(ctx, vpclattice.Service, "ListTagsForResource", &vpclattice.ListTagsForResourceInput{ResourceArn: new(arn)}, &tags); err != nil {
		t.Error(err)
	} else if got := tags.Tags["arn"]; got != arn {
		t.Errorf("vpc-lattice: %q", got)
	}
}

func TestDoReturnsRefusals(t *testing.T) {
	c := start(t)
	in := &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: new("rgw-0123456789abcdef0")}
	err := c.Do(t.Context(), vpclattice.Service, "GetResourceGateway", in, nil)
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T: %v", err, err)
	}
	if e.Code != "ResourceNotFoundException" || e.Status != 404 || e.RequestID == "" || !strings.Contains(e.Message, "rgw-") {
		t.Errorf("error = %+v", e)
	}
	err = c.Do(t.Context(), ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{}, nil)
	if !errors.As(err, &e) || e.Code != "MissingParameter" || e.RequestID == "" {
		t.Errorf("error = %v, want MissingParameter", err)
	}
}

func TestDoSaysWhatIsWrongHere(t *testing.T) {
	c := start(t)
	in := &ec2.CreateVpcInput{}
	for name, err := range map[string]error{
		"unknown operation": c.Do(t.Context(), ec2.Service, "CreateCastle", in, nil),
		"no endpoint":       client.New("nowhere", "us-east-1", "a", "b").Do(t.Context(), ec2.Service, "CreateVpc", in, nil),
		"nobody listens":    client.New("http://127.0.0.1:1", "us-east-1", "a", "b").Do(t.Context(), ec2.Service, "CreateVpc", in, nil),
		"output of another": c.Do(t.Context(), ec2.Service, "CreateVpc", in, &ec2.Vpc{}),
	} {
		var e *client.Error
		if err == nil || errors.As(err, &e) {
			t.Errorf("%s: error = %v, want one of this side", name, err)
		}
	}
}
