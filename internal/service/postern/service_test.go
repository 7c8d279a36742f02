// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func hostTarget(address string, port int32) shape.ServiceTarget {
	t := shape.ServiceTarget{Address: &address}
	if port != 0 {
		t.Port = &port
	}
	return t
}

func serviceInput(name string) *shape.RegisterServiceInput {
	return &shape.RegisterServiceInput{Name: &name, Targets: []shape.ServiceTarget{hostTarget("127.0.0.1", 9000)}, Ports: []int32{443}}
}

// TestAServiceIsRegistered, is listed with its names, and is gone when it was deregistered.
func TestAServiceIsRegistered(t *testing.T) {
	f := newFixture(t)
	in := serviceInput("com.Example.S3")
	in.Wildcard, in.Tags = new(true), map[string]string{"a": "b"}
	in.Targets = append(in.Targets, hostTarget("store.example.net", 9000), hostTarget("2001:db8::9", 9000))
	made, err := f.api.RegisterService(f.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if *made.Name != "com.example.s3" || !strings.HasPrefix(*made.Id, "vpce-svc-") || *made.BaseName != "s3.us-east-1.vpce.postern.internal" || !slices.Equal(made.Ports, []int32{443}) ||
		!slices.Equal(made.PrivateNames, []string{"s3.us-east-1.postern.internal", "*.s3.us-east-1.postern.internal"}) || *made.Targets[1].Address != "store.example.net" {
		t.Errorf("it is %+v", made)
	}
	second := serviceInput("com.example.registry")
	second.Ports, second.PrivateName = nil, new("registry.example.com")
	if out, err := f.api.RegisterService(f.ctx, second); err != nil || !slices.Equal(out.Ports, []int32{9000}) || !slices.Equal(out.PrivateNames, []string{"registry.example.com"}) {
		t.Errorf("the second one is %+v, %v", out, err)
	}
	names := func() (names []string) {
		out, err := f.api.ListRegisteredServices(f.ctx, &shape.ListRegisteredServicesInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.Services {
			names = append(names, *s.Name)
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{"com.example.registry", "com.example.s3"}) {
		t.Errorf("listed are %q", got)
	}
	if _, err := f.api.DeregisterService(f.ctx, &shape.DeregisterServiceInput{Name: new("com.example.S3")}); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"com.example.registry"}) {
		t.Errorf("left are %q", got)
	}
}

// TestAServiceLeadsToLoadBalancers of the operator's account, which have the ports and are not
// deleted before it.
func TestAServiceLeadsToLoadBalancers(t *testing.T) {
	f := newFixture(t)
	b := &model.LoadBalancer{Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "net/shop/0123456789abcdef"}, Name: "shop", VPC: "vpc-1"}
	f.put(t, func(tx *table.Txn) { state.LoadBalancers.Put(tx, b) })
	out, err := f.api.RegisterService(f.ctx, &shape.RegisterServiceInput{Name: new("com.example.shop"), LoadBalancerArns: []string{b.ARN()}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.LoadBalancerArns, []string{b.ARN()}) || len(out.Ports)+len(out.Targets) > 0 {
		t.Errorf("it is %+v", out)
	}
	held := 0
	for s := range state.EndpointServicesByLoadBalancer.Rows(f.DB.Snapshot(), b.Ref()) {
		if held++; s.Relayed() || !slices.Equal(s.Families, []string{"ipv4"}) {
			t.Errorf("the row is %+v", s)
		}
	}
	if held != 1 {
		t.Errorf("%d services hold the load balancer", held)
	}
}

// TestWhatIsNoService is refused, and changes nothing.
func TestWhatIsNoService(t *testing.T) {
	f := newFixture(t)
	first := serviceInput("com.example.s3")
	first.PrivateName = new("s3.example.com")
	if _, err := f.api.RegisterService(f.ctx, first); err != nil {
		t.Fatal(err)
	}
	type input = shape.RegisterServiceInput
	for name, c := range map[string]struct {
		code string
		with func(*input)
	}{
		"one label":                    {"ValidationException", func(in *input) { in.Name = new("registry") }},
		"an empty label":               {"ValidationException", func(in *input) { in.Name = new("com..registry") }},
		"a blank":                      {"ValidationException", func(in *input) { in.Name = new("com.example.my registry") }},
		"a name that EC2 gives":        {"ValidationException", func(in *input) { in.Name = new("com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0") }},
		"a label like an id":           {"ValidationException", func(in *input) { in.Name = new("com.example.vpce-svc-1") }},
		"another region":               {"ValidationException", func(in *input) { in.Name = new("com.amazonaws.eu-west-1.s3express") }},
		"an own service":               {"ConflictException", func(in *input) { in.Name = new("com.amazonaws.us-east-1.ec2") }},
		"the label of one":             {"ConflictException", func(in *input) { in.Name = new("com.example.sts") }},
		"the name of another":          {"ConflictException", func(in *input) { in.Name = new("com.example.s3") }},
		"the label of another":         {"ConflictException", func(in *input) { in.Name = new("org.example.s3") }},
		"the private name of another":  {"ConflictException", func(in *input) { in.PrivateName = new("S3.example.com.") }},
		"the name of an own service":   {"ConflictException", func(in *input) { in.PrivateName = new("ec2.us-east-1.postern.internal") }},
		"a private name that is none":  {"ValidationException", func(in *input) { in.PrivateName = new("registry") }},
		"a wildcard for a name":        {"ValidationException", func(in *input) { in.PrivateName = new("*.example.com") }},
		"no address":                   {"ValidationException", func(in *input) { in.Targets[0].Address = new("10.0.0.300") }},
		"nobody's address":             {"ValidationException", func(in *input) { in.Targets[0].Address = new("0.0.0.0") }},
		"the transit realm's":          {"ValidationException", func(in *input) { in.Targets[0].Address = new("240.0.0.7") }},
		"a target twice":               {"ValidationException", func(in *input) { in.Targets = append(in.Targets, in.Targets[0]) }},
		"a port twice":                 {"ValidationException", func(in *input) { in.Ports = []int32{443, 443} }},
		"no port at all":               {"ValidationException", func(in *input) { in.Ports, in.Targets[0].Port = nil, nil }},
		"neither target nor balancer":  {"ValidationException", func(in *input) { in.Targets = nil }},
		"target and balancer":          {"ValidationException", func(in *input) { in.LoadBalancerArns = []string{"arn"} }},
		"ports of a balancer":          {"ValidationException", func(in *input) { in.Targets, in.LoadBalancerArns = nil, []string{"arn"} }},
		"a balancer that is none":      {"ResourceNotFoundException", func(in *input) { in.Targets, in.Ports, in.LoadBalancerArns = nil, nil, []string{"arn"} }},
		"ports that targets translate": {"ValidationException", func(in *input) { in.Ports = []int32{80, 443} }},
	} {
		in := serviceInput("com.example.registry")
		c.with(in)
		f.refused(t, name, c.code, func() error { _, err := f.api.RegisterService(f.ctx, in); return err })
	}
	for name, call := range map[string]func() error{
		"certificate": func() error {
			_, err := f.api.IssueServiceCertificate(f.ctx, &shape.IssueServiceCertificateInput{Name: new("com.example.none")})
			return err
		},
		"deregistration": func() error {
			_, err := f.api.DeregisterService(f.ctx, &shape.DeregisterServiceInput{Name: new("com.example.none")})
			return err
		},
	} {
		f.refused(t, name+" of none", "ResourceNotFoundException", call)
	}
	f.refused(t, "deregistration of an own one", "ConflictException", func() error {
		_, err := f.api.DeregisterService(f.ctx, &shape.DeregisterServiceInput{Name: new("com.amazonaws.us-east-1.ec2")})
		return err
	})
}

// TestAServiceWithEndpointsStays: the error says which have to be deleted before.
func TestAServiceWithEndpointsStays(t *testing.T) {
	f := newFixture(t)
	made, err := f.api.RegisterService(f.ctx, serviceInput("com.example.s3"))
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, func(tx *table.Txn) {
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
			Meta: model.Meta{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: "vpce-theirs"}, Type: model.EndpointInterface, VPC: "vpc-theirs",
			ServiceName: *made.Name, Service: model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *made.Id},
		})
	})
	f.refused(t, "with an endpoint", "ConflictException", func() error {
		_, err := f.api.DeregisterService(f.ctx, &shape.DeregisterServiceInput{Name: made.Name})
		if err != nil && !strings.Contains(err.Error(), "vpce-theirs of account "+servicetest.OtherAccount) {
			t.Errorf("it says %v", err)
		}
		return err
	})
}

// TestCertificatesAreForAllNames by which clients call a service, and come with a key and the
// authority that they are checked with.
func TestCertificatesAreForAllNames(t *testing.T) {
	f := newFixture(t)
	in := serviceInput("com.example.s3")
	in.PrivateName, in.Wildcard = new("s3.example.com"), new(true)
	if _, err := f.api.RegisterService(f.ctx, in); err != nil {
		t.Fatal(err)
	}
	out, err := f.api.IssueServiceCertificate(f.ctx, &shape.IssueServiceCertificateInput{Name: new("com.example.s3")})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(*out.Certificate), []byte(*out.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(*out.Authority))
	for name, good := range map[string]bool{
		"vpce-0123456789abcdef0-abcdefgh.s3.us-east-1.vpce.postern.internal":            true,
		"vpce-0123456789abcdef0-abcdefgh-us-east-1a.s3.us-east-1.vpce.postern.internal": true,
		"s3.us-east-1.vpce.postern.internal":                                            true,
		"s3.example.com":                                                                true,
		"bucket.s3.example.com":                                                         true,
		"vpce-0123456789abcdef0-abcdefgh.ec2.us-east-1.vpce.postern.internal":           false,
		"example.com": false,
	} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: servicetest.Now}); (err == nil) != good {
			t.Errorf("as %s: %v", name, err)
		}
	}
}
