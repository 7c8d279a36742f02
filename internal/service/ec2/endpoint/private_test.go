// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// private is a network with a resource that has a custom domain.
type private struct {
	*ec2test.Network
	custom  string // the ARN of the configuration
	gateway string
	subnet  string
}

func newPrivate(t *testing.T) *private {
	t.Helper()
	n := ec2test.NewNetwork(t)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	out, err := n.Lattice().CreateResourceConfiguration(n.Ctx, &lattice.CreateResourceConfigurationInput{
		Name: new("custom"), Type: new("SINGLE"), ResourceGatewayIdentifier: &p.Gateway, CustomDomainName: new("DB.example.com"),
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.1.11")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &private{Network: n, custom: *out.Arn, gateway: p.Gateway}
	w.names(t, n.Net)
	w.subnet = n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1)
	return w
}

// names lets a VPC have private names.
func (w *private) names(t *testing.T, vpc *shape.Vpc) {
	t.Helper()
	w.Put(t, func(tx *table.Txn) {
		row, _ := state.VPCs.Get(tx, servicetest.Account, servicetest.Region, *vpc.VpcId)
		row = row.Clone()
		row.DNSSupport, row.DNSHostnames = true, true
		state.VPCs.Put(tx, row)
	})
}

func (w *private) input(preference string, domains ...string) *shape.CreateVpcEndpointInput {
	in := w.EndpointInput(ec2test.Provider{Configuration: w.custom}, w.subnet)
	in.PrivateDnsEnabled = new(true)
	in.DnsOptions = &shape.DnsOptionsSpecification{PrivateDnsPreference: &preference, PrivateDnsSpecifiedDomains: domains}
	return in
}

func (w *private) entry(t *testing.T, endpoint string) *shape.DnsEntry {
	t.Helper()
	out, err := w.API.DescribeVpcEndpointAssociations(w.Ctx, &shape.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{endpoint}})
	if err != nil || len(out.VpcEndpointAssociations) != 1 {
		t.Fatal(out, err)
	}
	return out.VpcEndpointAssociations[0].PrivateDnsEntry
}

// publish lets every resolver have the names of an endpoint.
func (w *private) publish(t *testing.T, endpoint string) {
	t.Helper()
	w.Put(t, func(tx *table.Txn) {
		for row := range state.EndpointAssociationsByEndpoint.Rows(tx, own(endpoint)) {
			names := model.NamesStatus{State: model.StatusReady, Domain: model.EndpointDomain(servicetest.Region, w.Suffix)}
			state.Statuses.Put(tx, &model.Status{Account: row.Account, Region: row.Region, ID: row.ID, State: model.StatusReady, Names: names})
		}
	})
}

// own is a resource of the account.
func own(id string) model.Ref {
	return model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: id}
}

// What was asked for is kept and shown; the private name is shown when it resolves.
func TestPrivateDNSIsShown(t *testing.T) {
	w := newPrivate(t)
	e := w.AddEndpoint(t, w.input(model.PreferSpecified, "db.example.com", "*.cache.example.com"))
	want := &shape.DnsOptions{
		DnsRecordIpType: new("ipv4"), PrivateDnsPreference: new(model.PreferSpecified), PrivateDnsSpecifiedDomains: []string{"db.example.com", "*.cache.example.com"},
	}
	got := w.DescribeEndpoint(t, e.VpcEndpointId)
	if diff := cmp.Diff(want, got.DnsOptions); diff != "" || !*got.PrivateDnsEnabled || !*e.PrivateDnsEnabled {
		t.Errorf("private DNS %v, options (-want +got):\n%s", *got.PrivateDnsEnabled, diff)
	}
	if entry := w.entry(t, *e.VpcEndpointId); entry != nil {
		t.Errorf("before any resolver has it the private name is %v", *entry.DnsName)
	}
	w.publish(t, *e.VpcEndpointId)
	entry := w.entry(t, *e.VpcEndpointId)
	if entry == nil || *entry.DnsName != "db.example.com" || !strings.HasPrefix(*entry.HostedZoneId, "Z") {
		t.Errorf("the private name is %+v", entry)
	}
	off := &shape.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, PrivateDnsEnabled: new(false)}
	if _, err := w.API.ModifyVpcEndpoint(w.Ctx, off); err != nil {
		t.Fatal(err)
	}
	if got := w.DescribeEndpoint(t, e.VpcEndpointId); *got.PrivateDnsEnabled || w.entry(t, *e.VpcEndpointId) != nil {
		t.Error("private DNS is shown after it was switched off")
	}
}

func TestPrivateDNSWantsWhatGoesTogether(t *testing.T) {
	w := newPrivate(t)
	long := strings.Repeat("a.", 130) + "com"
	for name, c := range map[string]struct {
		code string
		in   *shape.CreateVpcEndpointInput
	}{
		"unknown preference":                {"InvalidParameterValue", w.input("SOME")},
		"specified only, without":           {"InvalidParameterCombination", w.input(model.PreferSpecified)},
		"verified and specified, without":   {"InvalidParameterCombination", w.input(model.PreferVerifiedSpecified)},
		"all, and specified":                {"InvalidParameterCombination", w.input(model.PreferAll, "db.example.com")},
		"verified, and specified":           {"InvalidParameterCombination", w.input(model.PreferVerified, "db.example.com")},
		"eleven domains":                    {"InvalidParameterValue", w.input(model.PreferSpecified, strings.Fields(strings.Repeat("db.example.com ", 11))...)},
		"one label":                         {"InvalidParameterValue", w.input(model.PreferSpecified, "db")},
		"an asterisk alone":                 {"InvalidParameterValue", w.input(model.PreferSpecified, "*")},
		"an asterisk within":                {"InvalidParameterValue", w.input(model.PreferSpecified, "db.*.example.com")},
		"part of a label":                   {"InvalidParameterValue", w.input(model.PreferSpecified, "d*.example.com")},
		"an empty label":                    {"InvalidParameterValue", w.input(model.PreferSpecified, "db..example.com")},
		"a space":                           {"InvalidParameterValue", w.input(model.PreferSpecified, "db .example.com")},
		"a label that begins with a hyphen": {"InvalidParameterValue", w.input(model.PreferSpecified, "-db.example.com")},
		"too long":                          {"InvalidParameterValue", w.input(model.PreferSpecified, long)},
	} {
		w.Refused(t, name, c.code, func() error { return ec2test.Failure(w.API.CreateVpcEndpoint(w.Ctx, c.in)) })
	}
	plain := w.AddVPC(t)
	in := w.input(model.PreferAll)
	in.VpcId, in.SubnetIds = plain.VpcId, []string{w.AddSubnet(t, plain, "a", "10.0.1.0/24", -1)}
	err := ec2test.Failure(w.API.CreateVpcEndpoint(w.Ctx, in))
	wantFault(t, err, "InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for "+*plain.VpcId)
	for range state.VPCEndpoints.All(w.DB.Snapshot()) {
		t.Error("something was made")
	}
}

func wantFault(t *testing.T, err error, code, message string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || f.Message != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}

// A domain is of one endpoint or hosted zone in a VPC, and in another VPC of another one.
func TestPrivateDNSConflictsAreNamed(t *testing.T) {
	w := newPrivate(t)
	first := w.AddEndpoint(t, w.input(model.PreferAll))
	create := func(in *shape.CreateVpcEndpointInput) error {
		return ec2test.Failure(w.API.CreateVpcEndpoint(w.Ctx, in))
	}
	text := "private-dns-enabled cannot be set because there is already a conflicting DNS domain for db.example.com in the VPC " + *w.Net.VpcId + ": that of "
	wantFault(t, create(w.input(model.PreferSpecified, "*.example.com")), "InvalidParameter", text+"VPC endpoint "+*first.VpcEndpointId)
	second := w.AddEndpoint(t, w.input(model.PreferVerified)) // which has none: nobody has verified the domain
	other := w.AddVPC(t)
	w.names(t, other)
	in := w.input(model.PreferAll)
	in.VpcId, in.SubnetIds = other.VpcId, []string{w.AddSubnet(t, other, "a", "10.0.1.0/24", -1)}
	w.AddEndpoint(t, in)

	if _, err := w.API.DeleteVpcEndpoints(w.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*first.VpcEndpointId, *second.VpcEndpointId}}); err != nil {
		t.Fatal(err)
	}
	w.Put(t, func(tx *table.Txn) {
		state.HostedZones.Put(tx, &model.HostedZone{
			Meta: model.Meta{Account: servicetest.OtherAccount, ID: "Z1"}, Name: "db.example.com.",
			VPCs: []model.Ref{{Account: servicetest.Account, Region: servicetest.Region, ID: *w.Net.VpcId}},
		})
	})
	wantFault(t, create(w.input(model.PreferAll)), "InvalidParameter", text+"hosted zone Z1")
	off := w.input(model.PreferAll)
	off.PrivateDnsEnabled = new(false)
	third := w.AddEndpoint(t, off)
	modify := &shape.ModifyVpcEndpointInput{VpcEndpointId: third.VpcEndpointId, PrivateDnsEnabled: new(true)}
	wantFault(t, ec2test.Failure(w.API.ModifyVpcEndpoint(w.Ctx, modify)), "InvalidParameter", text+"hosted zone Z1")
}

// A domain that a child or a verification adds to an endpoint later is not refused: who makes
// these may know nothing of the endpoint's VPC. There the hosted zone keeps it, the endpoint
// shows no private name, and private DNS cannot be switched on again until the zone is gone.
func TestPrivateDNSConflictsThatComeLater(t *testing.T) {
	for name, late := range map[string]func(w *private) (endpoint string){
		"a verification": func(w *private) string {
			e := w.AddEndpoint(t, w.input(model.PreferVerified))
			w.Put(t, func(tx *table.Txn) {
				id := w.custom[strings.LastIndex(w.custom, "/")+1:]
				row, _ := state.ResourceConfigurations.Get(tx, servicetest.Account, servicetest.Region, id)
				row = row.Clone()
				row.Verification = "dv-1"
				state.ResourceConfigurations.Put(tx, row)
				state.DomainVerifications.Put(tx, &model.DomainVerification{
					Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "dv-1"}, Domain: "example.com", Proof: model.Proof{State: model.DomainVerified},
				})
			})
			return *e.VpcEndpointId
		},
		"a child": func(w *private) string {
			make := func(in *lattice.CreateResourceConfigurationInput) *lattice.CreateResourceConfigurationOutput {
				out, err := w.Lattice().CreateResourceConfiguration(w.Ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			group := make(&lattice.CreateResourceConfigurationInput{
				Name: new("group"), Type: new("GROUP"), ResourceGatewayIdentifier: &w.gateway, GroupDomain: new("example.com"),
			})
			in := w.input(model.PreferSpecified, "db.example.com")
			in.ResourceConfigurationArn = group.Arn
			e := w.AddEndpoint(t, in)
			make(&lattice.CreateResourceConfigurationInput{
				Name: new("child"), Type: new("CHILD"), ResourceConfigurationGroupIdentifier: group.Id, CustomDomainName: new("db.example.com"),
				ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.1.12")}},
			})
			return *e.VpcEndpointId
		},
	} {
		w := newPrivate(t)
		zone := &model.HostedZone{Meta: model.Meta{Account: servicetest.OtherAccount, ID: "Z1"}, Name: "db.example.com.", VPCs: []model.Ref{own(*w.Net.VpcId)}}
		w.Put(t, func(tx *table.Txn) { state.HostedZones.Put(tx, zone) })
		id := late(w)
		w.publish(t, id)
		if entry := w.entry(t, id); entry != nil {
			t.Errorf("%s: beside a hosted zone the private name is %s", name, *entry.DnsName)
		}
		turn := func(on bool) error {
			return ec2test.Failure(w.API.ModifyVpcEndpoint(w.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: &id, PrivateDnsEnabled: &on}))
		}
		if err := turn(false); err != nil {
			t.Fatal(err)
		}
		wantFault(t, turn(true), "InvalidParameter",
			"private-dns-enabled cannot be set because there is already a conflicting DNS domain for db.example.com in the VPC "+*w.Net.VpcId+": that of hosted zone Z1")
		w.Put(t, func(tx *table.Txn) { state.HostedZones.Delete(tx, servicetest.OtherAccount, "", "Z1") })
		if err := turn(true); err != nil {
			t.Errorf("%s: after the hosted zone: %v", name, err)
		}
		if entry := w.entry(t, id); entry == nil || *entry.DnsName != "db.example.com" {
			t.Errorf("%s: after the hosted zone the private name is %v", name, entry)
		}
	}
}
