// SPDX-License-Identifier: Apache-2.0

// Package sdk is a black-box suite: AWS SDK for Go v2, unchanged, against the
// running program. A full run fails when an operation that is served is called
// by no test.
package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/conformance/served"
	"github.com/posternhq/postern/test/instance"
)

// server is the Postern of all tests of this package.
var server *harness.Server

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(s *harness.Server) { server = s }, calledAll,
		"--quota", "gateways-per-vpc=2", "--quota", "endpoints-per-vpc=2", "--quota", "ipv4-blocks-per-vpc=2",
		"--public-pool", "203.0.113.0/24"))
}

// calls are the operations that tests have called with success.
var calls = struct {
	sync.Mutex
	made map[string]bool
}{made: map[string]bool{}}

// services names them as their models do, by the SDK's ids.
var services = map[string]string{"EC2": "ec2", "VPC Lattice": "vpc-lattice", "STS": "sts", "RAM": "ram", "CloudTrail": "cloudtrail", "Organizations": "organizations", "RDS": "rds", "Elastic Load Balancing v2": "elasticloadbalancing"}

func calledAll() error {
	missing, err := served.Missing(served.File, []string{"ec2", "vpc-lattice", "ram", "rds", "sts", "cloudtrail", "organizations", "elasticloadbalancing"}, calls.made)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("served, but called by no test with success:\n  %s", strings.Join(missing, "\n  "))
	}
	return err
}

// noteCalls is a middleware of the SDK that remembers what was called.
func noteCalls(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoteCalls",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if err == nil {
				calls.Lock()
				defer calls.Unlock()
				calls.made[services[awsmiddleware.GetServiceID(ctx)]+" "+awsmiddleware.GetOperationName(ctx)] = true
			}
			return out, metadata, err
		}), middleware.After)
}

// client is a caller with a region, and the clients of all services.
type client struct {
	t       *testing.T
	ctx     context.Context
	key     harness.Key
	region  string
	config  aws.Config
	ec2     *ec2.Client
	lattice *vpclattice.Client
	ram     *ram.Client
	sts     *sts.Client
	trail   *cloudtrail.Client
	orgs    *organizations.Client
}

// newAccount makes an account for one test and gives a client for it.
func newAccount(t *testing.T) *client {
	t.Helper()
	return newClient(t, server.NewAccount(t), harness.Region)
}

func newClient(t *testing.T, key harness.Key, region string) *client {
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
		APIOptions:  []func(*middleware.Stack) error{noteCalls},
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient:  wholeBodies{awshttp.NewBuildableClient()},
	}
	return &client{
		t: t, ctx: t.Context(), key: key, region: region, config: config,
		ec2: ec2.NewFromConfig(config), lattice: vpclattice.NewFromConfig(config), ram: ram.NewFromConfig(config), sts: sts.NewFromConfig(config),
		trail: cloudtrail.NewFromConfig(config), orgs: organizations.NewFromConfig(config),
	}
}

// wholeBodies sends requests with bodies that net/http knows to be in memory,
// and so writes together with the header. The SDK's own body may be closed by
// the SDK between its last byte and its end when the answer comes very quickly,
// as it does from a server on the same machine (smithy-go 1.28): net/http then
// closes the connection while the answer is being read. The SDK's retries cover
// that up; these tests have none, so that nothing else is covered up.
type wholeBodies struct{ client aws.HTTPClient }

// Do sends a request.
func (w wholeBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
	}
	return w.client.Do(r)
}

// in gives the same caller in another region.
func (c *client) in(region string) *client { return newClient(c.t, c.key, region) }

// must gives the output of a call that has to go well. Its result is called
// with the test.
func must[O any](out O, err error) func(*client) O {
	return func(c *client) O {
		c.t.Helper()
		return harness.Must(out, err)(c.t)
	}
}

// refused checks the code of an error of a service.
func refused(t *testing.T, err error, code string) smithy.APIError {
	t.Helper()
	var api smithy.APIError
	switch {
	case err == nil:
		t.Fatalf("the call went well, want %s", code)
	case !errors.As(err, &api):
		t.Fatalf("got error %v, want %s", err, code)
	case api.ErrorCode() != code:
		t.Fatalf("got error %s (%s), want %s", api.ErrorCode(), api.ErrorMessage(), code)
	case api.ErrorMessage() == "":
		t.Errorf("error %s has no message", code)
	}
	return api
}

// typed gives an error as the type that the SDK has for it.
func typed[E error](t *testing.T, err error) E {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Fatalf("got error %v, want a %T", err, want)
	}
	return want
}

// equal compares values as their JSON.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := asJSON(t, got), asJSON(t, want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// matches checks a text against a pattern that must fit all of it.
func matches(t *testing.T, what string, got *string, pattern string) {
	t.Helper()
	if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(aws.ToString(got)) {
		t.Errorf("%s is %q, want something like %s", what, aws.ToString(got), pattern)
	}
}

// patience is how long a state may take to come true.
const patience = 2 * time.Minute

// await asks until the answer is yes.
func (c *client) await(what string, done func() (bool, error)) {
	c.t.Helper()
	if err := instance.Poll(context.Background(), patience, what, done); err != nil {
		c.t.Fatal(err)
	}
}
