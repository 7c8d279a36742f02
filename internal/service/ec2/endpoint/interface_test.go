// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// hub is a network with private names and two subnets.
type hub struct {
	*private
	second string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	w := &private{Network: ec2test.NewNetwork(t)}
	w.names(t, w.Net)
	w.subnet = w.AddSubnet(t, w.Net, "a", "10.0.1.0/24", 1)
	return &hub{w, w.AddSubnet(t, w.Net, "b", "10.0.2.0/24", 2)}
}

const ec2Service = "com.amazonaws.us-east-1.ec2"

func (h *hub) to(service string, subnets ...string) *shape.CreateVpcEndpointInput {
	return &shape.CreateVpcEndpointInput{VpcEndpointType: new("Interface"), VpcId: h.Net.VpcId, ServiceName: &service, SubnetIds: subnets}
}

// offer adds the row of a service.
func (h *hub) offer(t *testing.T, id string, change func(*model.EndpointService)) *model.EndpointService {
	t.Helper()
	s := &model.EndpointService{
		Meta: model.Meta{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: id},
		Name: "com.amazonaws.vpce.us-east-1." + id, Families: []string{"ipv4"},
	}
	if change != nil {
		change(s)
	}
	h.Put(t, func(tx *table.Txn) { state.EndpointServices.Put(tx, s) })
	return s
}

// acknowledged says that the host has an endpoint and its names.
func (h *hub) acknowledged(t *testing.T, id string, names bool) {
	t.Helper()
	h.Put(t, func(tx *table.Txn) {
		e, _ := state.VPCEndpoints.Get(tx, servicetest.Account, servicetest.Region, id)
		s := &model.Status{Account: e.Account, Region: e.Region, ID: id, State: model.StatusReady, Established: true, Generation: e.Generation}
		if names {
			s.Names.State = model.StatusReady
		}
		state.Statuses.Put(tx, s)
	})
}

func (h *hub) row(t *testing.T, id *string) *model.VPCEndpoint {
	t.Helper()
	e, ok := state.VPCEndpoints.Get(h.DB.Snapshot(), servicetest.Account, servicetest.Region, *id)
	if !ok {
		t.Fatalf("there is no row of %s", *id)
	}
	return e
}

func (h *hub) modify(t *testing.T, in *shape.ModifyVpcEndpointInput) {
	t.Helper()
	if _, err := h.API.ModifyVpcEndpoint(h.Ctx, in); err != nil {
		t.Fatal(err)
	}
}

func names(e shape.VpcEndpoint) (all []string) {
	for _, d := range e.DnsEntries {
		all = append(all, *d.DnsName)
	}
	return all
}

// An endpoint to one of Postern's own services has an interface in each subnet, a place in
// the transit realm, names of three kinds in EC2's order, and the service's private name
// although nobody asked for it. It is available when its names are out.
func TestInterfaceEndpoint(t *testing.T) {
	h := newHub(t)
	e := h.AddEndpoint(t, h.to(ec2Service, h.subnet, h.second))
	if len(e.NetworkInterfaceIds) != 2 || *e.State != "pending" || *e.ServiceName != ec2Service || !*e.PrivateDnsEnabled || *e.DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint {
		t.Errorf("made %+v", e)
	}
	row := h.row(t, e.VpcEndpointId)
	claim, ok := state.TransitClaims.Get(h.DB.Snapshot(), "", "", model.TransitClaimID(model.SpaceTarget, row.Targets[0].Index))
	if !ok || claim.Owner != row.Ref() || row.Groups[0] == "" {
		t.Errorf("its place is claimed by %+v, its groups are %v", claim, row.Groups)
	}
	got := names(*e)
	domain := ".ec2.us-east-1.vpce.postern.internal"
	regional := strings.TrimSuffix(got[0], domain)
	want := []string{regional + domain, regional + "-us-east-1a" + domain, regional + "-us-east-1b" + domain, "ec2.us-east-1.postern.internal"}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(regional, *e.VpcEndpointId+"-") || len(regional) != len(*e.VpcEndpointId)+9 {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if z := e.DnsEntries; *z[0].HostedZoneId != *z[2].HostedZoneId || *z[0].HostedZoneId == *z[3].HostedZoneId {
		t.Errorf("zones %s, %s, %s", *z[0].HostedZoneId, *z[2].HostedZoneId, *z[3].HostedZoneId)
	}
	for _, names := range []bool{false, true} {
		h.acknowledged(t, *e.VpcEndpointId, names)
		if got, want := *h.DescribeEndpoint(t, e.VpcEndpointId).State, map[bool]string{false: "pending", true: "available"}[names]; got != want {
			t.Errorf("with names out %v it is %s", names, got)
		}
	}
	if got := *h.DescribeEndpoint(t, e.VpcEndpointId).PolicyDocument; !strings.Contains(got, `"Principal":"*"`) {
		t.Errorf("its policy is %s", got)
	}
}

func TestInterfaceEndpointsThatCannotBe(t *testing.T) {
	h := newHub(t)
	h.offer(t, "vpce-svc-1", nil)
	h.offer(t, "vpce-svc-2", func(s *model.EndpointService) {
		s.Principals = []model.ServicePrincipal{{ID: "vpce-svc-perm-1", ARN: "arn:aws:iam::" + servicetest.Account + ":root"}}
	})
	theirs := "com.amazonaws.vpce.us-east-1.vpce-svc-2"
	change := func(f func(*shape.CreateVpcEndpointInput)) *shape.CreateVpcEndpointInput {
		in := h.to(ec2Service, h.subnet)
		f(in)
		return in
	}
	text := func(policy string) *shape.CreateVpcEndpointInput {
		return change(func(in *shape.CreateVpcEndpointInput) { in.PolicyDocument = &policy })
	}
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`
	for name, c := range map[string]struct {
		code string
		in   *shape.CreateVpcEndpointInput
	}{
		"no service":           {"MissingParameter", change(func(in *shape.CreateVpcEndpointInput) { in.ServiceName = nil })},
		"unknown service":      {"InvalidServiceName", h.to("com.amazonaws.us-east-1.s3", h.subnet)},
		"another region's":     {"InvalidServiceName", h.to("com.amazonaws.eu-west-1.ec2", h.subnet)},
		"invisible service":    {"InvalidServiceName", h.to("com.amazonaws.vpce.us-east-1.vpce-svc-1", h.subnet)},
		"service region":       {"InvalidParameter", change(func(in *shape.CreateVpcEndpointInput) { in.ServiceRegion = new("eu-west-1") })},
		"with a configuration": {"InvalidParameterCombination", change(func(in *shape.CreateVpcEndpointInput) { in.ResourceConfigurationArn = new("arn") })},
		"with route tables":    {"InvalidParameterCombination", change(func(in *shape.CreateVpcEndpointInput) { in.RouteTableIds = []string{"rtb-1"} })},
		"unknown VPC":          {"InvalidVpcID.NotFound", change(func(in *shape.CreateVpcEndpointInput) { in.VpcId = new("vpc-1") })},
		"one subnet twice":     {"DuplicateSubnetsInSameZone", h.to(ec2Service, h.subnet, h.subnet)},
		"family of the service": {"InvalidParameter", func() *shape.CreateVpcEndpointInput {
			in := h.to(theirs, h.subnet)
			in.IpAddressType = new("dualstack")
			return in
		}()},
		"no private name": {"InvalidParameter", func() *shape.CreateVpcEndpointInput {
			in := h.to(theirs, h.subnet)
			in.PrivateDnsEnabled = new(true)
			return in
		}()},
		"policy that is none":   {"InvalidPolicyDocument", text(`{"Statement":`)},
		"policy without action": {"InvalidPolicyDocument", text(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Resource":"*"}]}`)},
		"policy too long":       {"InvalidPolicyDocument", text(deny + strings.Repeat(" ", 20480))},
		"policy nobody asks": {"InvalidParameter", func() *shape.CreateVpcEndpointInput {
			in := h.to(theirs, h.subnet)
			in.PolicyDocument = &deny
			return in
		}()},
		"preference": {"InvalidParameterCombination", change(func(in *shape.CreateVpcEndpointInput) {
			in.DnsOptions = &shape.DnsOptionsSpecification{PrivateDnsPreference: new(model.PreferAll)}
		})},
		"inbound only": {"InvalidParameter", change(func(in *shape.CreateVpcEndpointInput) {
			in.DnsOptions = &shape.DnsOptionsSpecification{PrivateDnsOnlyForInboundResolverEndpoint: new(true)}
		})},
	} {
		h.Refused(t, name, c.code, func() error { return ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, c.in)) })
	}
	h.Quotas.InterfaceEndpointsPerVPC = 0
	h.Refused(t, "quota", "VpcEndpointLimitExceeded", func() error { return ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, h.to(ec2Service, h.subnet))) })
	h.Quotas.InterfaceEndpointsPerVPC = 9
	same := `{"Version":"2012-10-17","Statement":{"Sid":"x","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`
	in := h.to(theirs, h.subnet)
	in.PolicyDocument = &same
	if e := h.AddEndpoint(t, in); *e.PolicyDocument != same || *e.PrivateDnsEnabled {
		t.Errorf("made %+v", e)
	}
}

// The private name of a service is one endpoint's in a VPC, and needs both attributes.
func TestServiceNamesConflict(t *testing.T) {
	h := newHub(t)
	first := h.AddEndpoint(t, h.to(ec2Service, h.subnet))
	wantFault(t, ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, h.to(ec2Service, h.second))), "InvalidParameter",
		"private-dns-enabled cannot be set because there is already a conflicting DNS domain for ec2.us-east-1.postern.internal in the VPC "+*h.Net.VpcId+": that of VPC endpoint "+*first.VpcEndpointId)
	off := h.to(ec2Service, h.second)
	off.PrivateDnsEnabled = new(false)
	second := h.AddEndpoint(t, off)
	h.modify(t, &shape.ModifyVpcEndpointInput{VpcEndpointId: first.VpcEndpointId, PrivateDnsEnabled: new(false)})
	h.modify(t, &shape.ModifyVpcEndpointInput{VpcEndpointId: second.VpcEndpointId, PrivateDnsEnabled: new(true)})
	if got := names(h.DescribeEndpoint(t, second.VpcEndpointId)); got[len(got)-1] != "ec2.us-east-1.postern.internal" {
		t.Errorf("the second one has %v", got)
	}
	plain := h.AddVPC(t)
	in := h.to(ec2Service)
	in.VpcId = plain.VpcId
	wantFault(t, ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, in)), "InvalidParameter",
		"Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for "+*plain.VpcId)
}

// Private DNS uses the name of a registered service that clients know, whatever the service
// is called, and of a configuration the one that is verified.
func TestPrivateNamesOfServices(t *testing.T) {
	h := newHub(t)
	for name, c := range map[string]struct {
		change func(*model.EndpointService)
		want   []string
	}{
		"registered": {func(s *model.EndpointService) { s.Registered, s.Name = true, "com.example.s3" }, []string{"s3.us-east-1.postern.internal"}},
		"with a name": {func(s *model.EndpointService) {
			s.Registered, s.Name, s.PrivateName = true, "com.example.logs", "api.logs.example"
		}, []string{"api.logs.example"}},
		"with names below it": {func(s *model.EndpointService) {
			s.Registered, s.Name, s.PrivateName = true, "com.example.blobs", "*.blobs.example"
		}, []string{"blobs.example", "*.blobs.example"}},
		"verified": {func(s *model.EndpointService) {
			s.Account, s.PrivateName, s.Verification.State = servicetest.Account, "db.example", model.DomainVerified
		}, []string{"db.example"}},
		"not verified": {func(s *model.EndpointService) {
			s.Account, s.PrivateName, s.Verification.State = servicetest.Account, "db2.example", model.DomainPending
		}, nil},
	} {
		s := h.offer(t, "vpce-svc-"+strings.ReplaceAll(name, " ", "-"), c.change)
		e := h.AddEndpoint(t, h.to(s.Name, h.subnet))
		if got := names(*e)[2:]; !slices.Equal(got, c.want) || *e.PrivateDnsEnabled != (c.want != nil) {
			t.Errorf("%s: private names %v, want %v", name, got, c.want)
		}
	}
}

// Until its owner has accepted it an endpoint waits; one that is rejected cannot be changed.
func TestEndpointsWaitToBeAccepted(t *testing.T) {
	h := newHub(t)
	s := h.offer(t, "vpce-svc-1", func(s *model.EndpointService) {
		s.Acceptance, s.Principals = true, []model.ServicePrincipal{{ID: "vpce-svc-perm-1", ARN: "*"}}
	})
	e := h.AddEndpoint(t, h.to(s.Name, h.subnet))
	if *e.State != "pendingAcceptance" || len(h.row(t, e.VpcEndpointId).Targets) != 0 {
		t.Errorf("made %s, at %v", *e.State, h.row(t, e.VpcEndpointId).Targets)
	}
	h.acknowledged(t, *e.VpcEndpointId, true)
	for acceptance, want := range map[string]string{
		model.AcceptancePending: "pendingAcceptance", model.AcceptanceAccepted: "available", model.AcceptanceRejected: "rejected", model.AcceptanceExpired: "expired",
	} {
		h.Put(t, func(tx *table.Txn) {
			row := h.row(t, e.VpcEndpointId).Clone()
			row.Acceptance = acceptance
			state.VPCEndpoints.Put(tx, row)
		})
		out, err := h.API.DescribeVpcEndpoints(h.Ctx, &shape.DescribeVpcEndpointsInput{Filters: ec2test.Filter("vpc-endpoint-state", want)})
		if err != nil || len(out.VpcEndpoints) != 1 || *out.VpcEndpoints[0].State != want {
			t.Errorf("%s: %+v, %v, want %s", acceptance, out, err, want)
		}
		refused := acceptance == model.AcceptanceRejected || acceptance == model.AcceptanceExpired
		if _, err := h.API.ModifyVpcEndpoint(h.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, ResetPolicy: new(true)}); (err != nil) != refused {
			t.Errorf("%s: changing it: %v", acceptance, err)
		}
	}
}

// Subnets come and go: an interface that an endpoint has given up is there until nothing leads
// from its addresses, and the endpoint is pending until then.
func TestInterfaceEndpointChangesSubnets(t *testing.T) {
	h := newHub(t)
	e := h.AddEndpoint(t, h.to(ec2Service))
	if len(e.NetworkInterfaceIds) != 0 {
		t.Fatalf("without subnets it has %v", e.NetworkInterfaceIds)
	}
	id := e.VpcEndpointId
	h.modify(t, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, AddSubnetIds: []string{h.subnet, h.second}})
	before := h.row(t, id)
	h.acknowledged(t, *id, true)
	h.Refused(t, "a subnet that it has", "DuplicateSubnetsInSameZone", func() error {
		return ec2test.Failure(h.API.ModifyVpcEndpoint(h.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, AddSubnetIds: []string{h.subnet}}))
	})
	h.Refused(t, "a subnet that it has not", "InvalidParameter", func() error {
		return ec2test.Failure(h.API.ModifyVpcEndpoint(h.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, RemoveSubnetIds: []string{"subnet-1"}}))
	})
	h.modify(t, &shape.ModifyVpcEndpointInput{
		VpcEndpointId: id, RemoveSubnetIds: []string{h.second}, SubnetConfigurations: []shape.SubnetConfiguration{{SubnetId: &h.subnet, Ipv4: new("10.0.1.77")}},
	})
	after, shown := h.row(t, id), h.DescribeEndpoint(t, id)
	if diff := cmp.Diff(before.Interfaces, slices.Concat(after.Leaving[1:], after.Leaving[:1])); diff != "" && !slices.Equal(before.Interfaces, after.Leaving) {
		t.Errorf("it gives up (-want +got):\n%s", diff)
	}
	if *shown.State != "pending" || !slices.Equal(shown.SubnetIds, []string{h.subnet}) || len(shown.NetworkInterfaceIds) != 1 {
		t.Errorf("afterwards it is %+v", shown)
	}
	if ni := h.DescribeInterface(t, shown.NetworkInterfaceIds[0]); *ni.PrivateIpAddress != "10.0.1.77" {
		t.Errorf("it has address %s", *ni.PrivateIpAddress)
	}
	for _, left := range after.Leaving {
		h.DescribeInterface(t, left)
	}
}

func TestInterfaceEndpointIsChangedInPlace(t *testing.T) {
	h := newHub(t)
	e := h.AddEndpoint(t, h.to(ec2Service, h.subnet))
	id, mine := e.VpcEndpointId, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ec2:DescribeVpcs","Resource":"*"}]}`
	sg := h.AddGroup(t, h.Net, "mine")
	h.modify(t, &shape.ModifyVpcEndpointInput{
		VpcEndpointId: id, PolicyDocument: &mine, AddSecurityGroupIds: []string{sg}, RemoveSecurityGroupIds: []string{*e.Groups[0].GroupId},
		IpAddressType: new("dualstack"), DnsOptions: &shape.DnsOptionsSpecification{DnsRecordIpType: new("dualstack"), PrivateDnsOnlyForInboundResolverEndpoint: new(false)},
	})
	got := h.DescribeEndpoint(t, id)
	if *got.PolicyDocument != mine || *got.Groups[0].GroupId != sg || *got.IpAddressType != "dualstack" || *got.DnsOptions.DnsRecordIpType != "dualstack" {
		t.Errorf("afterwards it is %+v", got)
	}
	ni := h.DescribeInterface(t, got.NetworkInterfaceIds[0])
	if len(ni.Ipv6Addresses) != 1 || *ni.Groups[0].GroupId != sg {
		t.Errorf("its interface is %+v", ni)
	}
	h.modify(t, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, ResetPolicy: new(true), IpAddressType: new("ipv4")})
	got = h.DescribeEndpoint(t, id)
	if *got.PolicyDocument == mine || *got.IpAddressType != "ipv4" || *got.DnsOptions.DnsRecordIpType != "ipv4" {
		t.Errorf("back again it is %+v", got)
	}
	if left := h.DescribeInterface(t, got.NetworkInterfaceIds[0]); len(left.Ipv6Addresses) != 0 {
		t.Errorf("its interface has %v", left.Ipv6Addresses)
	}
	addr := *ni.Ipv6Addresses[0].Ipv6Address
	h.Refused(t, "an address that something may lead from still", "InvalidIPAddress.InUse", func() error {
		return ec2test.Failure(h.API.CreateNetworkInterface(h.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &h.subnet, Ipv6Addresses: []shape.InstanceIpv6Address{{Ipv6Address: &addr}}}))
	})
	h.Refused(t, "both", "InvalidParameterCombination", func() error {
		return ec2test.Failure(h.API.ModifyVpcEndpoint(h.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, ResetPolicy: new(true), PolicyDocument: &mine}))
	})
	h.Refused(t, "policy that is none", "InvalidPolicyDocument", func() error {
		return ec2test.Failure(h.API.ModifyVpcEndpoint(h.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: id, PolicyDocument: new("{")}))
	})
}

// The owner of an endpoint service hears of endpoints to it that others make and delete, once
// each.
func TestOwnersHearOfEndpoints(t *testing.T) {
	h := newHub(t)
	s := h.offer(t, "vpce-svc-1", func(s *model.EndpointService) {
		s.Principals = []model.ServicePrincipal{{ID: "vpce-svc-perm-1", ARN: "*"}}
		s.Acceptance = true
	})
	var heard []access.Notice
	ctx := context.WithValue(h.Ctx, access.NoticesKey{}, &heard)
	in := h.to(s.Name)
	in.ClientToken = new("once")
	made, err := h.API.CreateVpcEndpoint(ctx, in)
	for range 2 {
		if err == nil {
			_, err = h.API.CreateVpcEndpoint(ctx, in)
		}
	}
	if err == nil {
		_, err = h.API.DeleteVpcEndpoints(ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*made.VpcEndpoint.VpcEndpointId}})
	}
	if err == nil {
		_, err = h.API.CreateVpcEndpoint(ctx, h.to(ec2Service))
	}
	if err != nil {
		t.Fatal(err)
	}
	about := []access.Detail{
		{Name: "vpcEndpointId", Value: *made.VpcEndpoint.VpcEndpointId}, {Name: "vpcEndpointOwner", Value: servicetest.Account}, {Name: "serviceName", Value: s.Name},
	}
	want := []access.Notice{
		{Account: servicetest.OtherAccount, Event: "VpcEndpointConnect", Details: about}, {Account: servicetest.OtherAccount, Event: "VpcEndpointDelete", Details: about},
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}
