// SPDX-License-Identifier: Apache-2.0

package endpointservice_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// provider is an account with two load balancers, and another one with endpoints.
type provider struct {
	*ec2test.World
	theirs    context.Context
	balancers []string // ARNs
}

func newProvider(t *testing.T) *provider {
	w := ec2test.NewWorld(t)
	p := &provider{World: w, theirs: servicetest.As(t, servicetest.OtherAccount, servicetest.Region)}
	w.Put(t, func(tx *table.Txn) {
		for _, id := range []string{"net/a/0123456789abcdef", "net/b/0123456789abcdef"} {
			b := &model.LoadBalancer{Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}, Name: id[4:5], VPC: "vpc-1", Interfaces: []string{"eni-" + id[4:5]}}
			state.LoadBalancers.Put(tx, b)
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
				Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: b.Interfaces[0]}, VPC: "vpc-1", Type: model.InterfaceBalancer, Owner: id,
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.10")},
			})
			p.balancers = append(p.balancers, b.ARN())
		}
	})
	return p
}

func (p *provider) create(t *testing.T, in shape.CreateVpcEndpointServiceConfigurationInput) *shape.ServiceConfiguration {
	t.Helper()
	if in.NetworkLoadBalancerArns == nil {
		in.NetworkLoadBalancerArns = p.balancers[:1]
	}
	out, err := p.API.CreateVpcEndpointServiceConfiguration(p.Ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ServiceConfiguration
}

func (p *provider) described(t *testing.T, id string) shape.ServiceConfiguration {
	t.Helper()
	out, err := p.API.DescribeVpcEndpointServiceConfigurations(p.Ctx, &shape.DescribeVpcEndpointServiceConfigurationsInput{ServiceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return out.ServiceConfigurations[0]
}

// endpoint puts an endpoint of the other account to a service.
func (p *provider) endpoint(t *testing.T, s *shape.ServiceConfiguration, id, acceptance string) {
	p.Put(t, func(tx *table.Txn) {
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
			Meta: model.Meta{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: id, CreatedAt: servicetest.Now}, Type: model.EndpointInterface, VPC: "vpc-theirs",
			IPAddressType: "ipv4", ServiceName: *s.ServiceName, Service: model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *s.ServiceId},
			Acceptance: acceptance, AcceptanceAt: servicetest.Now,
		})
	})
}

// TestTheLifeOfAService: made, asked for again with the same token, changed, deleted.
func TestTheLifeOfAService(t *testing.T) {
	p := newProvider(t)
	in := shape.CreateVpcEndpointServiceConfigurationInput{
		ClientToken:       new("once"),
		TagSpecifications: []shape.TagSpecification{{ResourceType: new("vpc-endpoint-service"), Tags: []shape.Tag{{Key: new("a"), Value: new("b")}}}},
	}
	made := p.create(t, in)
	if again := p.create(t, in); *again.ServiceId != *made.ServiceId {
		t.Errorf("the same token made %s and %s", *made.ServiceId, *again.ServiceId)
	}
	if !strings.HasPrefix(*made.ServiceId, "vpce-svc-") || *made.ServiceName != "com.amazonaws.vpce.us-east-1."+*made.ServiceId || !*made.AcceptanceRequired ||
		*made.ServiceState != "Available" || !slices.Equal(made.NetworkLoadBalancerArns, p.balancers[:1]) || !slices.Equal(made.SupportedIpAddressTypes, []string{"ipv4"}) ||
		made.BaseEndpointDnsNames[0] != *made.ServiceId+".us-east-1.vpce.postern.internal" || len(made.Tags) != 1 || made.PrivateDnsNameConfiguration != nil {
		t.Errorf("made is %+v", made)
	}
	if _, err := p.API.ModifyVpcEndpointServiceConfiguration(p.Ctx, &shape.ModifyVpcEndpointServiceConfigurationInput{
		ServiceId: made.ServiceId, AcceptanceRequired: new(false), AddNetworkLoadBalancerArns: p.balancers[1:], RemoveNetworkLoadBalancerArns: p.balancers[:1],
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.API.ModifyVpcEndpointServicePayerResponsibility(p.Ctx, &shape.ModifyVpcEndpointServicePayerResponsibilityInput{ServiceId: made.ServiceId, PayerResponsibility: new("ServiceOwner")}); err != nil {
		t.Fatal(err)
	}
	if now := p.described(t, *made.ServiceId); *now.AcceptanceRequired || !slices.Equal(now.NetworkLoadBalancerArns, p.balancers[1:]) || *now.PayerResponsibility != "ServiceOwner" {
		t.Errorf("changed it is %+v", now)
	}
	deleted, err := p.API.DeleteVpcEndpointServiceConfigurations(p.Ctx, &shape.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*made.ServiceId, "vpce-svc-0123456789abcdef0"}})
	if err != nil || len(deleted.Unsuccessful) != 1 || *deleted.Unsuccessful[0].Error.Code != "InvalidVpcEndpointService.NotFound" {
		t.Errorf("deleted: %+v, %v", deleted, err)
	}
	p.Refused(t, "describing it", "InvalidVpcEndpointServiceId.NotFound", func() error {
		return ec2test.Failure(p.API.DescribeVpcEndpointServiceConfigurations(p.Ctx, &shape.DescribeVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*made.ServiceId}}))
	})
}

// TestWhatCannotBeAService is refused, and changes nothing; neither can others change one.
func TestWhatCannotBeAService(t *testing.T) {
	p := newProvider(t)
	made := p.create(t, shape.CreateVpcEndpointServiceConfigurationInput{})
	registered, _ := addServices(t, p.World)
	create := func(in shape.CreateVpcEndpointServiceConfigurationInput) func() error {
		return func() error { return ec2test.Failure(p.API.CreateVpcEndpointServiceConfiguration(p.Ctx, &in)) }
	}
	modify := func(ctx context.Context, in shape.ModifyVpcEndpointServiceConfigurationInput) func() error {
		return func() error { return ec2test.Failure(p.API.ModifyVpcEndpointServiceConfiguration(ctx, &in)) }
	}
	type input = shape.CreateVpcEndpointServiceConfigurationInput
	type modification = shape.ModifyVpcEndpointServiceConfigurationInput
	own, one := made.ServiceId, p.balancers[:1]
	p.RefusedAll(t, []ec2test.Refusal{
		{Name: "no load balancer", Code: "InvalidParameter", Call: create(input{})},
		{Name: "none of that name", Code: "InvalidParameter", Call: create(input{NetworkLoadBalancerArns: []string{p.balancers[0] + "0"}})},
		{Name: "no ARN", Code: "InvalidParameter", Call: create(input{NetworkLoadBalancerArns: []string{"net/a/0123456789abcdef"}})},
		{Name: "one of another account", Code: "InvalidParameter", Call: func() error {
			return ec2test.Failure(p.API.CreateVpcEndpointServiceConfiguration(p.theirs, &input{NetworkLoadBalancerArns: one}))
		}},
		{Name: "Gateway Load Balancer", Code: "UnsupportedOperation", Call: create(input{GatewayLoadBalancerArns: one})},
		{Name: "another region", Code: "UnsupportedOperation", Call: create(input{NetworkLoadBalancerArns: one, SupportedRegions: []string{"eu-west-1"}})},
		{Name: "IPv6 that the load balancer has not", Code: "InvalidParameter", Call: create(input{NetworkLoadBalancerArns: one, SupportedIpAddressTypes: []string{"ipv4", "ipv6"}})},
		{Name: "a type that is none", Code: "InvalidParameter", Call: create(input{NetworkLoadBalancerArns: one, SupportedIpAddressTypes: []string{"dualstack"}})},
		{Name: "a name that is none", Code: "InvalidParameter", Call: create(input{NetworkLoadBalancerArns: one, PrivateDnsName: new("api")})},
		{Name: "a name too long for a record", Code: "InvalidParameter", Call: create(input{NetworkLoadBalancerArns: one, PrivateDnsName: new(strings.Repeat("abcdefg.", 30) + "example.com")})},
		{Name: "the last load balancer", Code: "InvalidParameter", Call: modify(p.Ctx, modification{ServiceId: own, RemoveNetworkLoadBalancerArns: one})},
		{Name: "one that it has not", Code: "InvalidParameter", Call: modify(p.Ctx, modification{ServiceId: own, RemoveNetworkLoadBalancerArns: p.balancers[1:]})},
		{Name: "no type of addresses", Code: "InvalidParameter", Call: modify(p.Ctx, modification{ServiceId: own, RemoveSupportedIpAddressTypes: []string{"ipv4"}})},
		{Name: "a name and none", Code: "InvalidParameterCombination", Call: modify(p.Ctx, modification{ServiceId: own, PrivateDnsName: new("api.example.com"), RemovePrivateDnsName: new(true)})},
		{Name: "another account's", Code: "InvalidVpcEndpointServiceId.NotFound", Call: modify(p.theirs, modification{ServiceId: own, AcceptanceRequired: new(false)})},
		{Name: "a registered one", Code: "InvalidVpcEndpointServiceId.NotFound", Call: modify(p.Ctx, modification{ServiceId: &registered.ID, AcceptanceRequired: new(true)})},
	})
}

// TestPrincipalsMayHaveEndpoints from when they are added until they are removed; doing either
// again changes nothing.
func TestPrincipalsMayHaveEndpoints(t *testing.T) {
	p := newProvider(t)
	made := p.create(t, shape.CreateVpcEndpointServiceConfigurationInput{})
	root := "arn:aws:iam::" + servicetest.OtherAccount + ":root"
	role := "arn:aws:iam::" + servicetest.OtherAccount + ":role/deploy"
	change := func(add, remove []string) []shape.AddedPrincipal {
		out, err := p.API.ModifyVpcEndpointServicePermissions(p.Ctx, &shape.ModifyVpcEndpointServicePermissionsInput{ServiceId: made.ServiceId, AddAllowedPrincipals: add, RemoveAllowedPrincipals: remove})
		if err != nil {
			t.Fatal(err)
		}
		return out.AddedPrincipals
	}
	list := func(in shape.DescribeVpcEndpointServicePermissionsInput) (arns []string) {
		in.ServiceId = made.ServiceId
		out, err := p.API.DescribeVpcEndpointServicePermissions(p.Ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.AllowedPrincipals {
			arns = append(arns, *a.PrincipalType+" "+*a.Principal)
		}
		slices.Sort(arns)
		return arns
	}
	seen := func() bool {
		out, err := p.API.DescribeVpcEndpointServices(p.theirs, &shape.DescribeVpcEndpointServicesInput{ServiceNames: []string{*made.ServiceName}})
		return err == nil && len(out.ServiceDetails) == 1
	}
	if seen() {
		t.Error("nobody was allowed yet")
	}
	if added := change([]string{root, role}, nil); len(added) != 2 || *added[0].PrincipalType != "Account" || !strings.HasPrefix(*added[0].ServicePermissionId, "vpce-svc-perm-") {
		t.Errorf("added were %+v", added)
	}
	permission := p.described(t, *made.ServiceId) // whose tags are others
	allowed, err := p.API.DescribeVpcEndpointServicePermissions(p.Ctx, &shape.DescribeVpcEndpointServicePermissionsInput{ServiceId: made.ServiceId, Filters: ec2test.Filter("principal", root)})
	if err != nil || len(permission.Tags) > 0 {
		t.Fatal(err)
	}
	if _, err := p.API.CreateTags(p.Ctx, &shape.CreateTagsInput{Resources: []string{*allowed.AllowedPrincipals[0].ServicePermissionId}, Tags: []shape.Tag{{Key: new("team"), Value: new("data")}}}); err != nil {
		t.Fatal(err)
	}
	if got := list(shape.DescribeVpcEndpointServicePermissionsInput{Filters: ec2test.Filter("tag:team", "data")}); !slices.Equal(got, []string{"Account " + root}) {
		t.Errorf("tagged are %q", got)
	}
	if again := change([]string{root}, nil); len(again) != 0 || !seen() {
		t.Errorf("added again were %+v", again)
	}
	if got := list(shape.DescribeVpcEndpointServicePermissionsInput{}); !slices.Equal(got, []string{"Account " + root, "Role " + role}) {
		t.Errorf("allowed are %q", got)
	}
	if got := list(shape.DescribeVpcEndpointServicePermissionsInput{Filters: ec2test.Filter("principal-type", "Role")}); len(got) != 1 {
		t.Errorf("roles are %q", got)
	}
	change([]string{"*"}, []string{root})
	if !seen() {
		t.Error("everybody is allowed")
	}
	if change(nil, []string{"*", root}); seen() {
		t.Error("nobody of the account is allowed any more")
	}
	p.Refused(t, "no principal", "InvalidPrincipal", func() error {
		return ec2test.Failure(p.API.ModifyVpcEndpointServicePermissions(p.Ctx, &shape.ModifyVpcEndpointServicePermissionsInput{ServiceId: made.ServiceId, AddAllowedPrincipals: []string{"ann"}}))
	})
}

// TestEndpointsAreAnswered: accepted, rejected while they are used, accepted again; and a
// service stays as long as one may lead there. Those whose endpoints they are hear of what is
// new to them.
func TestEndpointsAreAnswered(t *testing.T) {
	p := newProvider(t)
	var heard []access.Notice
	p.Ctx = context.WithValue(p.Ctx, access.NoticesKey{}, &heard)
	made := p.create(t, shape.CreateVpcEndpointServiceConfigurationInput{})
	p.endpoint(t, made, "vpce-1", model.AcceptancePending)
	p.endpoint(t, made, "vpce-2", model.AcceptanceExpired)
	row := func(id string) *model.VPCEndpoint {
		e, _ := state.VPCEndpoints.Get(p.DB.Snapshot(), servicetest.OtherAccount, servicetest.Region, id)
		return e
	}
	seen := func(filter, value string) (ids []string) {
		out, err := p.API.DescribeVpcEndpointConnections(p.Ctx, &shape.DescribeVpcEndpointConnectionsInput{Filters: ec2test.Filter(filter, value)})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.VpcEndpointConnections {
			if *c.VpcEndpointOwner != servicetest.OtherAccount || *c.ServiceId != *made.ServiceId || !slices.Equal(c.NetworkLoadBalancerArns, p.balancers[:1]) {
				t.Errorf("a connection is %+v", c)
			}
			ids = append(ids, *c.VpcEndpointId+" "+*c.VpcEndpointState)
		}
		return ids
	}
	if got := seen("service-id", *made.ServiceId); !slices.Equal(got, []string{"vpce-1 pendingAcceptance", "vpce-2 expired"}) {
		t.Errorf("at first %q", got)
	}
	accept := func(ids ...string) []shape.UnsuccessfulItem {
		out, err := p.API.AcceptVpcEndpointConnections(p.Ctx, &shape.AcceptVpcEndpointConnectionsInput{ServiceId: made.ServiceId, VpcEndpointIds: ids})
		if err != nil {
			t.Fatal(err)
		}
		return out.Unsuccessful
	}
	failed := accept("vpce-1", "vpce-2", "vpce-none")
	if len(failed) != 2 || *failed[0].Error.Code != "InvalidState" || *failed[1].Error.Code != "InvalidVpcEndpointId.NotFound" {
		t.Errorf("not accepted are %+v", failed)
	}
	if got := seen("vpc-endpoint-state", "pending"); !slices.Equal(got, []string{"vpce-1 pending"}) {
		t.Errorf("accepted, until the packets get through: %q", got)
	}
	generation := row("vpce-1").Generation
	if accept("vpce-1"); row("vpce-1").Generation != generation {
		t.Error("accepting it again changed it")
	}
	kept, err := p.API.DeleteVpcEndpointServiceConfigurations(p.Ctx, &shape.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*made.ServiceId}})
	if err != nil || len(kept.Unsuccessful) != 1 || *kept.Unsuccessful[0].Error.Code != "ExistingVpcEndpointConnections" {
		t.Errorf("deleting it with an endpoint: %+v, %v", kept, err)
	}
	if _, err := p.API.RejectVpcEndpointConnections(p.Ctx, &shape.RejectVpcEndpointConnectionsInput{ServiceId: made.ServiceId, VpcEndpointIds: []string{"vpce-1"}}); err != nil {
		t.Fatal(err)
	}
	if e := row("vpce-1"); !e.Refused() || e.Generation == generation {
		t.Errorf("rejected it is %+v", e)
	}
	gone, err := p.API.DeleteVpcEndpointServiceConfigurations(p.Ctx, &shape.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*made.ServiceId}})
	if err != nil || len(gone.Unsuccessful) != 0 {
		t.Errorf("deleting it with endpoints that were refused: %+v, %v", gone, err)
	}
	if len(heard) != 2 || heard[0].Event != "VpcEndpointAccept" || heard[1].Event != "VpcEndpointReject" || heard[0].Account != servicetest.OtherAccount || heard[0].Details[0].Value != "vpce-1" {
		t.Errorf("heard %+v", heard)
	}
	p.Refused(t, "another account's service", "InvalidVpcEndpointServiceId.NotFound", func() error {
		return ec2test.Failure(p.API.AcceptVpcEndpointConnections(p.theirs, &shape.AcceptVpcEndpointConnectionsInput{ServiceId: made.ServiceId, VpcEndpointIds: []string{"vpce-1"}}))
	})
}

// TestAPrivateNameIsVerified: the record is told at once, looked for when that is asked for,
// and another one when the name changes.
func TestAPrivateNameIsVerified(t *testing.T) {
	p := newProvider(t)
	made := p.create(t, shape.CreateVpcEndpointServiceConfigurationInput{PrivateDnsName: new("*.api.example.com")})
	c := made.PrivateDnsNameConfiguration
	if *made.PrivateDnsName != "*.api.example.com" || *c.State != "pendingVerification" || *c.Type != "TXT" || !strings.HasPrefix(*c.Value, "vpce:") || !strings.HasPrefix(*c.Name, "_") {
		t.Fatalf("made is %+v", c)
	}
	row := func() *model.EndpointService {
		s, _ := state.EndpointServices.Get(p.DB.Snapshot(), servicetest.Account, servicetest.Region, *made.ServiceId)
		return s
	}
	start := func() error {
		return ec2test.Failure(p.API.StartVpcEndpointServicePrivateDnsVerification(p.Ctx, &shape.StartVpcEndpointServicePrivateDnsVerificationInput{ServiceId: made.ServiceId}))
	}
	if !row().Verification.NextAt.IsZero() {
		t.Error("it is looked for before anybody asked")
	}
	if err := start(); err != nil || row().Verification.NextAt.IsZero() || row().RecordName() != *c.Name+".api.example.com" {
		t.Errorf("started: %v, %+v", err, row().Verification)
	}
	modify := func(in shape.ModifyVpcEndpointServiceConfigurationInput) {
		in.ServiceId = made.ServiceId
		if _, err := p.API.ModifyVpcEndpointServiceConfiguration(p.Ctx, &in); err != nil {
			t.Fatal(err)
		}
	}
	modify(shape.ModifyVpcEndpointServiceConfigurationInput{PrivateDnsName: new("*.api.example.com")})
	if now := p.described(t, *made.ServiceId).PrivateDnsNameConfiguration; *now.Value != *c.Value {
		t.Error("the same name has another record")
	}
	modify(shape.ModifyVpcEndpointServiceConfigurationInput{PrivateDnsName: new("api.example.net")})
	if now := p.described(t, *made.ServiceId).PrivateDnsNameConfiguration; *now.Value == *c.Value || *now.State != "pendingVerification" || !row().Verification.NextAt.IsZero() {
		t.Errorf("with another name it is %+v", now)
	}
	modify(shape.ModifyVpcEndpointServiceConfigurationInput{RemovePrivateDnsName: new(true)})
	if now := p.described(t, *made.ServiceId); now.PrivateDnsName != nil || now.PrivateDnsNameConfiguration != nil {
		t.Errorf("without a name it is %+v", now)
	}
	p.Refused(t, "without a name", "InvalidParameter", start)
}
