// SPDX-License-Identifier: Apache-2.0

package endpointservice_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// addServices puts a service that the operator registered and an endpoint service of the
// account.
func addServices(t *testing.T, w *ec2test.World, principals ...string) (registered, own *model.EndpointService) {
	t.Helper()
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id, CreatedAt: servicetest.Now, UpdatedAt: servicetest.Now, Tags: map[string]string{"team": "data"}}
	}
	registered = &model.EndpointService{
		Meta: meta("vpce-svc-0aaaaaaaaaaaaaaaa"), Name: "com.example.s3", Registered: true, Targets: []model.ServiceTarget{{Address: "127.0.0.1", Port: 9000}},
		Ports: []model.PortRange{{From: 443, To: 443}}, Families: []string{"ipv4"}, PrivateName: "*.s3.example.com",
	}
	own = &model.EndpointService{Meta: meta("vpce-svc-0bbbbbbbbbbbbbbbb"), Acceptance: true, Families: []string{"ipv4", "ipv6"}, PrivateName: "api.example.com"}
	own.Name = "com.amazonaws.vpce.us-east-1." + own.ID
	for _, p := range principals {
		own.Principals = append(own.Principals, model.ServicePrincipal{ID: w.NewID("vpce-svc-perm"), ARN: p})
	}
	w.Put(t, func(tx *table.Txn) {
		state.EndpointServices.Put(tx, registered)
		state.EndpointServices.Put(tx, own)
	})
	return registered, own
}

func offers(t *testing.T, w *ec2test.World, ctx context.Context, in *shape.DescribeVpcEndpointServicesInput) []shape.ServiceDetail {
	t.Helper()
	out, err := w.API.DescribeVpcEndpointServices(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ServiceDetails
}

func namesOf(details []shape.ServiceDetail) (names []string) {
	for _, d := range details {
		names = append(names, *d.ServiceName)
	}
	return names
}

// TestOwnAPIsAreServices: clients look for the service that they want an endpoint to, and
// read where it is and how it will be called.
func TestOwnAPIsAreServices(t *testing.T) {
	w := ec2test.NewWorld(t)
	all := offers(t, w, w.Ctx, &shape.DescribeVpcEndpointServicesInput{})
	if len(all) != len(model.OwnServices) || !slices.IsSorted(namesOf(all)) {
		t.Errorf("without any other service: %q", namesOf(all))
	}
	ec2 := offers(t, w, w.Ctx, &shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.ec2"}})[0]
	if *ec2.Owner != "amazon" || *ec2.ServiceType[0].ServiceType != "Interface" || *ec2.ServiceRegion != "us-east-1" || !*ec2.VpcEndpointPolicySupported ||
		*ec2.AcceptanceRequired || *ec2.PrivateDnsName != "ec2.us-east-1.postern.internal" || ec2.BaseEndpointDnsNames[0] != "ec2.us-east-1.vpce.postern.internal" ||
		!slices.Equal(ec2.AvailabilityZones, []string{"us-east-1a", "us-east-1b", "us-east-1c"}) || !slices.Equal(ec2.SupportedIpAddressTypes, []string{"ipv4", "ipv6"}) ||
		!strings.HasPrefix(*ec2.ServiceId, "vpce-svc-") {
		t.Errorf("ec2 is %+v", ec2)
	}
	iam := offers(t, w, w.Ctx, &shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.iam"}})[0]
	if *iam.PrivateDnsName != "iam.postern.internal" {
		t.Errorf("the global service's private name is %s", *iam.PrivateDnsName)
	}
}

// TestServicesAreShownToWhomTheyAreOffered, and to nobody else.
func TestServicesAreShownToWhomTheyAreOffered(t *testing.T) {
	for name, each := range map[string]struct {
		principals []string
		seen       bool
	}{
		"nobody":          {nil, false},
		"another account": {[]string{"arn:aws:iam::111122223333:root"}, false},
		"a user of it":    {[]string{"arn:aws:iam::" + servicetest.OtherAccount + ":user/somebody"}, false},
		"the account":     {[]string{"arn:aws:iam::" + servicetest.OtherAccount + ":root"}, true},
		"everybody":       {[]string{"*"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := ec2test.NewWorld(t)
			registered, own := addServices(t, w, each.principals...)
			theirs := servicetest.As(t, servicetest.OtherAccount, servicetest.Region)
			names := namesOf(offers(t, w, theirs, &shape.DescribeVpcEndpointServicesInput{}))
			if !slices.Contains(names, registered.Name) || slices.Contains(names, own.Name) != each.seen {
				t.Errorf("the other account sees %q", names)
			}
			_, err := w.API.DescribeVpcEndpointServices(theirs, &shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{own.Name}})
			if (err == nil) != each.seen {
				t.Errorf("asked for by its name: %v", err)
			}
			for _, d := range offers(t, w, theirs, &shape.DescribeVpcEndpointServicesInput{}) {
				if len(d.Tags) > 0 {
					t.Errorf("%s shows tags of another account", *d.ServiceName)
				}
			}
			elsewhere := namesOf(offers(t, w, servicetest.As(t, servicetest.Account, servicetest.OtherRegion), &shape.DescribeVpcEndpointServicesInput{}))
			if len(elsewhere) != len(model.OwnServices) {
				t.Errorf("in the other region there are %q", elsewhere)
			}
		})
	}
}

// TestWhatIsSaidOfServices: a private name that nobody has verified is none yet, and one of a
// registered service may have all names below it.
func TestWhatIsSaidOfServices(t *testing.T) {
	w := ec2test.NewWorld(t)
	registered, own := addServices(t, w)
	said := offers(t, w, w.Ctx, &shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{own.Name, registered.Name}})
	if d := said[0]; *d.ServiceId != own.ID || *d.Owner != own.Account || !*d.AcceptanceRequired || d.PrivateDnsName != nil || *d.VpcEndpointPolicySupported ||
		d.BaseEndpointDnsNames[0] != own.ID+".us-east-1.vpce.postern.internal" || len(d.Tags) != 1 {
		t.Errorf("the endpoint service is %+v", d)
	}
	d := said[1]
	if *d.PrivateDnsName != "s3.example.com" || len(d.PrivateDnsNames) != 2 || *d.PrivateDnsNames[1].PrivateDnsName != "*.s3.example.com" || d.BaseEndpointDnsNames[0] != "s3.us-east-1.vpce.postern.internal" {
		t.Errorf("the registered service is %+v", d)
	}
	for filter, want := range map[[2]string]int{
		{"owner", own.Account}: 2, {"owner", "amazon"}: len(model.OwnServices), {"service-name", "com.example.*"}: 1, {"tag:team", "data"}: 2,
		{"supported-ip-address-types", "ipv6"}: len(model.OwnServices) + 1, {"service-type", "GatewayLoadBalancer"}: 0, {"service-region", "us-east-1"}: len(model.OwnServices) + 2,
	} {
		got := offers(t, w, w.Ctx, &shape.DescribeVpcEndpointServicesInput{Filters: []shape.Filter{{Name: &filter[0], Values: []string{filter[1]}}}})
		if len(got) != want {
			t.Errorf("filter %v gives %q, want %d", filter, namesOf(got), want)
		}
	}
}

// TestServicesComeInPages, each once.
func TestServicesComeInPages(t *testing.T) {
	w := ec2test.NewWorld(t)
	addServices(t, w)
	var names []string
	in := &shape.DescribeVpcEndpointServicesInput{MaxResults: new(int32(5))}
	for {
		out, err := w.API.DescribeVpcEndpointServices(w.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.ServiceNames, namesOf(out.ServiceDetails)) {
			t.Errorf("names %q and details of %q", out.ServiceNames, namesOf(out.ServiceDetails))
		}
		if names = append(names, out.ServiceNames...); out.NextToken == nil {
			break
		}
		in.NextToken = out.NextToken
	}
	if len(names) != len(model.OwnServices)+2 || !slices.IsSorted(names) || len(slices.Compact(names)) != len(names) {
		t.Errorf("in pages: %q", names)
	}
}

// TestServicesThatAreNotThere have the code that clients know, and those of other regions
// are none.
func TestServicesThatAreNotThere(t *testing.T) {
	w := ec2test.NewWorld(t)
	ask := func(in *shape.DescribeVpcEndpointServicesInput) func() error {
		return func() error { return ec2test.Failure(w.API.DescribeVpcEndpointServices(w.Ctx, in)) }
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "name", Code: "InvalidServiceName", Call: ask(&shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.s3"}})},
		{Name: "of another region", Code: "InvalidServiceName", Call: ask(&shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.eu-west-1.ec2"}})},
		{Name: "region", Code: "InvalidParameterValue", Call: ask(&shape.DescribeVpcEndpointServicesInput{ServiceRegions: []string{"mars-north-1"}})},
		{Name: "token", Code: "InvalidNextToken", Call: ask(&shape.DescribeVpcEndpointServicesInput{NextToken: new("x")})},
	})
	if got := offers(t, w, w.Ctx, &shape.DescribeVpcEndpointServicesInput{ServiceRegions: []string{servicetest.OtherRegion}}); len(got) > 0 {
		t.Errorf("services of another region: %q", namesOf(got))
	}
}
