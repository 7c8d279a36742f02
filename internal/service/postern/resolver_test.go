// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The status tells what each VPC resolves: hosted zones, also another account's, with
// what keeps the VPC from seeing them, and whether the names of endpoints are out.
func TestStatusTellsWhatVPCsResolve(t *testing.T) {
	f := newFixture(t)
	ref := func(id string) model.Ref {
		return model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	const domain = "vpc-lattice-rsc.us-east-1.postern.internal."
	f.put(t, func(tx *table.Txn) {
		state.HostedZones.Put(tx, &model.HostedZone{
			Meta: model.Meta{Account: servicetest.OtherAccount, ID: "Z1"}, Name: "db.example.com.", VPCs: []model.Ref{ref("vpc-1")},
		})
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-1"), VPC: "vpc-1"})
		for id, names := range map[string]model.NamesStatus{
			"rea-1": {State: model.StatusReady, Domain: domain}, "rea-2": {State: model.StatusReady, Domain: "former."},
			"rea-3": {State: model.StatusFailed, Reason: "no resolver", Domain: domain},
		} {
			row := &model.EndpointAssociation{Meta: meta(id), Endpoint: ref("vpce-1"), Configuration: ref("rcfg" + id[3:])}
			state.EndpointAssociations.Put(tx, row)
			state.Statuses.Put(tx, &model.Status{Account: row.Account, Region: row.Region, ID: row.ID, State: model.StatusReady, Names: names})
		}
	})
	name := func(rcfg, state string) shape.EndpointName {
		return shape.EndpointName{Name: new("vpce-1." + rcfg + ".4232ccc.vpc-lattice-rsc.us-east-1.postern.internal"), Endpoint: new("vpce-1"), State: &state}
	}
	failed := name("rcfg-3", "failed")
	failed.Reason = new("no resolver")
	want := shape.Resolver{
		Account: new(servicetest.Account), Region: new(servicetest.Region), Vpc: new("vpc-1"), State: new("on"),
		Hint:        new("it does not see its hosted zones (1): enableDnsHostnames of the VPC must be true"),
		DhcpOptions: new("dopt-1"), DnsServers: []string{"AmazonProvidedDNS"}, DnsSearch: []string{"ec2.internal", "lab"},
		Zones: []shape.ResolverZone{{Id: new("Z1"), Name: new("db.example.com"), Seen: new(false)}},
		Names: []shape.EndpointName{name("rcfg-1", "ready"), name("rcfg-2", "pending"), failed},
	}
	got := f.resolversOf(t)
	if diff := cmp.Diff([]shape.Resolver{want}, got); diff != "" {
		t.Errorf("resolvers (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		support, hostnames bool
		state, hint        string
	}{
		{true, true, "on", ""},
		{false, true, "off", "it does not see its hosted zones (1): enableDnsSupport of the VPC must be true"},
		{false, false, "off", "it does not see its hosted zones (1): enableDnsSupport and enableDnsHostnames of the VPC must be true"},
	} {
		f.put(t, func(tx *table.Txn) {
			state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1"), DNSSupport: c.support, DNSHostnames: c.hostnames})
		})
		r := f.resolversOf(t)[0]
		hint := ""
		if r.Hint != nil {
			hint = *r.Hint
		}
		if *r.State != c.state || hint != c.hint || *r.Zones[0].Seen != (c.hint == "") {
			t.Errorf("support %v, host names %v: %s, %q, seen %v", c.support, c.hostnames, *r.State, hint, *r.Zones[0].Seen)
		}
	}
	if out, err := f.api.GetStatus(f.other, &shape.GetStatusInput{}); err != nil || len(out.Resolvers) != 0 {
		t.Errorf("the account of a zone is shown others' VPCs: %+v, %v", out, err)
	}
}

func (f *fixture) resolversOf(t *testing.T) []shape.Resolver {
	t.Helper()
	out, err := f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Resolvers
}

// The status tells by which domains endpoints lead to resources in a VPC, why one does
// not, what workloads of the VPC are told, and what verifications lack.
func TestStatusTellsOfPrivateDomains(t *testing.T) {
	f := newFixture(t)
	meta := func(id string, age int64) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id, CreatedAt: time.Unix(age, 0).UTC()}
	}
	vpc := model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: "vpc-1"}
	f.put(t, func(tx *table.Txn) {
		state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1", 0), DNSSupport: true, DNSHostnames: true, DHCPOptions: "dopt-1"})
		state.DHCPOptions.Put(tx, &model.DHCPOptions{Meta: meta("dopt-1", 0), DomainNameServers: []string{"10.0.0.53", model.AmazonDNS}, DomainName: "a.test b.test"})
		state.HostedZones.Put(tx, &model.HostedZone{Meta: model.Meta{Account: servicetest.Account, ID: "Z1"}, Name: "zone.test.", VPCs: []model.Ref{vpc}})
		state.DomainVerifications.Put(tx, &model.DomainVerification{
			Meta: meta("dv-1", 1), Domain: "late.test", Label: "_a", Value: "vpc-lattice:1",
			Proof: model.Proof{State: model.DomainPending, LookedAt: time.Unix(20, 0), NextAt: time.Unix(30, 0), Problem: "_a.late.test has no TXT record"},
		})
		for i, c := range []struct{ id, domain, preference string }{
			{"1", "all.test", model.PreferAll}, {"2", "ALL.test.", model.PreferAll}, {"3", "zone.test", model.PreferAll}, {"4", "late.test", model.PreferVerified},
			{"5", "own.test", model.PreferSpecified}, {"6", "either.test", model.PreferVerifiedSpecified}, {"7", "", model.PreferAll},
		} {
			rc := &model.ResourceConfiguration{Meta: meta("rcfg-"+c.id, 0), Type: model.TypeSingle, CustomDomain: c.domain, Verification: "dv-1"}
			state.ResourceConfigurations.Put(tx, rc)
			state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
				Meta: meta("vpce-"+c.id, int64(i)), VPC: "vpc-1", Configuration: rc.Ref(), PrivateDNS: true, DNSPreference: c.preference, DNSDomains: []string{"*.own.test"},
			})
		}
		group := &model.ResourceConfiguration{Meta: meta("rcfg-g", 0), Type: model.TypeGroup, GroupDomain: "group.test"}
		state.ResourceConfigurations.Put(tx, group)
		state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: meta("rcfg-c", 0), Type: model.TypeChild, Group: "rcfg-g", CustomDomain: "c.group.test"})
		state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: meta("rcfg-d", 0), Type: model.TypeChild, Group: "rcfg-g", CustomDomain: "d.group.test"})
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
			Meta: meta("vpce-8", 8), VPC: "vpc-1", Configuration: group.Ref(), PrivateDNS: true, DNSPreference: model.PreferSpecified, DNSDomains: []string{"c.group.test"},
		})
	})
	out, err := f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range out.Resolvers[0].PrivateDomains {
		lines = append(lines, strings.TrimSpace(fmt.Sprintln(service.Value(d.Endpoint), service.Value(d.Domain), service.Value(d.State), service.Value(d.Reason))))
	}
	want := `vpce-1 all.test used
vpce-2 all.test left-out endpoint vpce-1 has the domain in this VPC
vpce-3 zone.test left-out hosted zone Z1 has the domain in this VPC
vpce-4 late.test left-out its provider has not verified it
vpce-5 own.test left-out PrivateDnsSpecifiedDomains does not have it
vpce-6 either.test left-out its provider has not verified it, and PrivateDnsSpecifiedDomains does not have it
vpce-7  left-out its resource has no domain of its own
vpce-8 c.group.test used
vpce-8 group.test left-out PrivateDnsSpecifiedDomains does not have it
vpce-8 d.group.test left-out PrivateDnsSpecifiedDomains does not have it`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("private domains (-want +got):\n%s", diff)
	}
	r := out.Resolvers[0]
	if fmt.Sprintf("%s %v %v", *r.DhcpOptions, r.DnsServers, r.DnsSearch) != "dopt-1 [10.0.0.53 AmazonProvidedDNS] [a.test b.test]" {
		t.Errorf("options: %s %v %v", *r.DhcpOptions, r.DnsServers, r.DnsSearch)
	}
	v := out.Verifications
	if len(v) != 1 || *v[0].Record != "_a.late.test" || *v[0].Problem != "_a.late.test has no TXT record" || *v[0].NextAt != "1970-01-01T00:00:30Z" || *v[0].State != model.DomainPending {
		t.Errorf("verifications: %+v", v)
	}
	if out, err := f.api.GetStatus(f.other, &shape.GetStatusInput{}); err != nil || len(out.Verifications) != 0 {
		t.Errorf("others are shown %+v, %v", out, err)
	}
	f.put(t, func(tx *table.Txn) { state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1", 0), DNSSupport: true}) })
	if d := f.resolversOf(t)[0].PrivateDomains[0]; *d.State != "left-out" || *d.Reason != "enableDnsHostnames of the VPC must be true" {
		t.Errorf("without host names: %s %v", *d.State, d.Reason)
	}
}

// An interface endpoint has one name that people look for, and waits for the owner of its
// service where that is asked.
func TestStatusTellsOfInterfaceEndpoints(t *testing.T) {
	f := newFixture(t)
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	out := &model.VPCEndpoint{Meta: meta("vpce-1"), Type: model.EndpointInterface, VPC: "vpc-1", Interfaces: []string{"eni-1"}, ServiceName: "com.amazonaws.us-east-1.ec2", PrivateDNS: true}
	f.put(t, func(tx *table.Txn) {
		state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1"), DNSSupport: true, DNSHostnames: true})
		state.VPCEndpoints.Put(tx, out)
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-2"), Type: model.EndpointInterface, VPC: "vpc-1", Interfaces: []string{"eni-2"}, ServiceName: out.ServiceName, Acceptance: model.AcceptancePending})
		state.Statuses.Put(tx, &model.Status{
			Account: out.Account, Region: out.Region, ID: out.ID, State: model.StatusReady, Names: model.NamesStatus{State: model.StatusReady, Domain: "vpc-lattice-rsc.us-east-1.postern.internal."},
		})
	})
	status, err := f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(out.NameIn("ec2.us-east-1.vpce.postern.internal."), ".")
	r := status.Resolvers[0]
	if want := []shape.EndpointName{{Name: &name, Endpoint: new("vpce-1"), State: new("ready")}}; !cmp.Equal(want, r.Names) {
		t.Errorf("names (-want +got):\n%s", cmp.Diff(want, r.Names))
	}
	if len(r.PrivateDomains) != 1 || *r.PrivateDomains[0].Domain != "ec2.us-east-1.postern.internal" || *r.PrivateDomains[0].State != "used" {
		t.Errorf("private domains %+v", r.PrivateDomains)
	}
	var states []string
	for _, e := range status.Resources {
		if *e.Kind == "vpc-endpoint" {
			states = append(states, *e.Name+" "+*e.State)
		}
	}
	if want := []string{out.ServiceName + " ready", out.ServiceName + " pendingAcceptance"}; !cmp.Equal(want, states) {
		t.Errorf("endpoints %v, want %v", states, want)
	}
}
