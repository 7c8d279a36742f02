// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestConfigurationHasATargetForEachGatewayInterface(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA, subnetB))
	in := configurationInput("db", *gate.Arn, "10.0.1.10")
	in.PortRanges = []string{"5432", "6000-6010"}
	out := f.configuration(t, in)
	want := &shape.CreateResourceConfigurationOutput{
		Id: out.Id, Name: new("db"), Arn: new("arn:aws:vpc-lattice:us-east-1:111122223333:resourceconfiguration/" + *out.Id),
		ResourceGatewayId: gate.Id, Type: new("SINGLE"), PortRanges: in.PortRanges, Protocol: new("TCP"),
		Status: new("CREATE_IN_PROGRESS"), ResourceConfigurationDefinition: in.ResourceConfigurationDefinition,
		AllowAssociationToShareableServiceNetwork: new(true), CreatedAt: new(servicetest.Now),
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	tx := f.DB.Snapshot()
	r, _ := state.ResourceConfigurations.Get(tx, servicetest.Account, servicetest.Region, *out.Id)
	zones := make(map[string]bool)
	for _, target := range r.Targets {
		zones[target.Zone] = true
		claim, ok := state.TransitClaims.Get(tx, "", "", model.TransitClaimID(model.SpaceTarget, target.Index))
		if !ok || claim.Owner != r.Ref() {
			t.Errorf("the place of target %+v is claimed by %+v", target, claim)
		}
	}
	if diff := cmp.Diff(map[string]bool{"us-east-1a": true, "us-east-1b": true}, zones); diff != "" {
		t.Errorf("zones of targets (-want +got):\n%s", diff)
	}
}

func TestBadConfigurationRequestsAreRefused(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	dual := gatewayInput("dual", subnetB)
	dual.IpAddressType = new("DUALSTACK")
	dualID := f.gateway(t, dual).Id
	leaving := f.gateway(t, gatewayInput("leaving", subnetA)).Id
	if _, err := f.api.DeleteResourceGateway(f.ctx, &shape.DeleteResourceGatewayInput{ResourceGatewayIdentifier: leaving}); err != nil {
		t.Fatal(err)
	}
	f.configuration(t, configurationInput("taken", *gate, "10.0.1.10"))
	type change = func(*shape.CreateResourceConfigurationInput)
	ip := func(gate *string, addr string) change {
		return func(in *shape.CreateResourceConfigurationInput) {
			in.ResourceGatewayIdentifier, in.ResourceConfigurationDefinition.IpResource.IpAddress = gate, &addr
		}
	}
	ports := func(texts ...string) change {
		return func(in *shape.CreateResourceConfigurationInput) { in.PortRanges = texts }
	}
	for name, c := range map[string]struct {
		code   string
		change change
	}{
		"type CIDR":          {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.Type = new("CIDR") }},
		"type ARN":           {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.Type = new("ARN") }},
		"no gateway":         {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.ResourceGatewayIdentifier = nil }},
		"unknown gateway":    {"ResourceNotFoundException", func(in *shape.CreateResourceConfigurationInput) { in.ResourceGatewayIdentifier = new("rgw-1") }},
		"gateway being gone": {"ConflictException", func(in *shape.CreateResourceConfigurationInput) { in.ResourceGatewayIdentifier = leaving }},
		"no definition":      {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.ResourceConfigurationDefinition = nil }},
		"empty definition":   {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.ResourceConfigurationDefinition.IpResource = nil }},
		"domain name": {"ValidationException", func(in *shape.CreateResourceConfigurationInput) {
			in.ResourceConfigurationDefinition.DnsResource = &shape.DnsResource{}
		}},
		"group identifier": {"ValidationException", func(in *shape.CreateResourceConfigurationInput) {
			in.ResourceConfigurationGroupIdentifier = new("rcfg-1")
		}},
		"group domain":         {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.GroupDomain = new("example.com") }},
		"bad custom domain":    {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.CustomDomainName = new("no domain") }},
		"address for a domain": {"ValidationException", func(in *shape.CreateResourceConfigurationInput) { in.CustomDomainName = new("10.0.1.10") }},
		"domain too long": {"ValidationException", func(in *shape.CreateResourceConfigurationInput) {
			in.CustomDomainName = new(strings.Repeat("a.", 126) + "bb.")
		}},
		"not an address":       {"ValidationException", ip(gate, "10.0.1")},
		"IPv4-mapped address":  {"ValidationException", ip(dualID, "::ffff:10.0.1.1")},
		"address with zone":    {"ValidationException", ip(dualID, "fe80::1%eth0")},
		"public address":       {"ValidationException", ip(gate, "8.8.8.8")},
		"loopback":             {"ValidationException", ip(gate, "127.0.0.1")},
		"transit address":      {"ValidationException", ip(gate, "240.0.0.1")},
		"IPv6 outside the VPC": {"ValidationException", ip(dualID, "2001:db8:2::10")},
		"IPv6 through IPv4":    {"ValidationException", ip(gate, "2001:db8:1:1::10")},
		"port 0":               {"ValidationException", ports("0")},
		"port 65536":           {"ValidationException", ports("65536")},
		"reversed range":       {"ValidationException", ports("90-80")},
		"range without end":    {"ValidationException", ports("80-")},
		"overlapping ranges":   {"ValidationException", ports("80-90", "85")},
		"name taken":           {"ConflictException", func(in *shape.CreateResourceConfigurationInput) { in.Name = new("taken") }},
	} {
		in := configurationInput("new", *gate, "10.0.1.20")
		c.change(in)
		f.refused(t, name, c.code, func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, in); return err })
	}
	f.configuration(t, configurationInput("on-premises", *gate, "192.168.7.7"))
	f.configuration(t, configurationInput("six", *dualID, "2001:db8:1:1::10"))
}

func TestPortRangesReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Uint16Range(1, 65535).Draw(t, "from")
		to := rapid.Uint16Range(from, 65535).Draw(t, "to")
		want := []model.PortRange{{From: from, To: to}}
		got, err := parsePorts(formatPorts(want), 1)
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("parsePorts(formatPorts(%v)) = %v, %v", want, got, err)
		}
	})
}

func FuzzParsePorts(f *testing.F) {
	for _, seed := range []string{"80", "80-90", "90-80", "-", "0", "65536", "+1", "1-2-3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ports, err := parsePorts([]string{text}, 1)
		if err != nil {
			return
		}
		if r := ports[0]; r.From == 0 || r.From > r.To {
			t.Errorf("parsePorts(%q) = %v", text, ports)
		}
	})
}

func TestConfigurationQuota(t *testing.T) {
	f := newFixture(t)
	f.Quotas.ConfigurationsPerRegion = 1
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	f.configuration(t, configurationInput("one", *gate, "10.0.1.10"))
	f.refused(t, "second configuration", "ServiceQuotaExceededException", func() error {
		_, err := f.api.CreateResourceConfiguration(f.ctx, configurationInput("two", *gate, "10.0.1.10"))
		return err
	})
}

func TestRepeatedCreateGivesTheSameConfiguration(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	in := configurationInput("db", *gate, "10.0.1.10")
	in.ClientToken = new("token-1")
	if diff := cmp.Diff(f.configuration(t, in), f.configuration(t, in)); diff != "" {
		t.Errorf("the repetition answered otherwise:\n%s", diff)
	}
	changed := configurationInput("db", *gate, "10.0.1.11")
	changed.ClientToken = in.ClientToken
	f.refused(t, "token with other parameters", "ConflictException", func() error {
		_, err := f.api.CreateResourceConfiguration(f.ctx, changed)
		return err
	})
}

func TestConfigurationTellsWhyItFailed(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	id := f.configuration(t, configurationInput("db", *gate, "10.0.1.10")).Id
	f.acknowledge(t, *id, model.StatusFailed, "no room for another rule")
	got, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: id})
	if err != nil || *got.Status != "CREATE_FAILED" || *got.FailureReason != "no room for another rule" {
		t.Errorf("got %+v, %v", got, err)
	}
	f.acknowledge(t, *id, model.StatusReady, "")
	got, err = f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: id})
	if err != nil || *got.Status != "ACTIVE" || got.FailureReason != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

// associate adds what an endpoint of another account adds on this side.
func (f *fixture) associate(t *testing.T, configuration string) *model.EndpointAssociation {
	t.Helper()
	row := &model.EndpointAssociation{
		Meta:          meta(f.NewID("rea")),
		Endpoint:      model.Ref{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: f.NewID("vpce")},
		Configuration: model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: configuration},
	}
	f.update(t, func(tx *table.Txn) { state.EndpointAssociations.Put(tx, row) })
	return row
}

func TestUpdateConfigurationChangesAddressAndPorts(t *testing.T) {
	f := newFixture(t)
	in := gatewayInput("gate", subnetA)
	in.IpAddressType = new("DUALSTACK")
	gate := f.gateway(t, in).Id
	id := f.configuration(t, configurationInput("db", *gate, "10.0.1.10")).Id
	update := func(ip string, ports ...string) (*shape.UpdateResourceConfigurationOutput, error) {
		return f.api.UpdateResourceConfiguration(f.ctx, &shape.UpdateResourceConfigurationInput{
			ResourceConfigurationIdentifier: id, PortRanges: ports, AllowAssociationToShareableServiceNetwork: new(false),
			ResourceConfigurationDefinition: &shape.ResourceConfigurationDefinition{IpResource: &shape.IpResource{IpAddress: &ip}},
		})
	}
	out, err := update("10.0.1.11", "443")
	if err != nil || *out.ResourceConfigurationDefinition.IpResource.IpAddress != "10.0.1.11" ||
		!cmp.Equal(out.PortRanges, []string{"443"}) || *out.AllowAssociationToShareableServiceNetwork {
		t.Errorf("got %+v, %v", out, err)
	}
	f.refused(t, "public address", "ValidationException", func() error { _, err := update("1.1.1.1"); return err })
	f.refused(t, "reversed ports", "ValidationException", func() error { _, err := update("10.0.1.12", "2-1"); return err })
	if out, err = update("2001:db8:1:1::10"); err != nil || !cmp.Equal(out.PortRanges, []string{"443"}) {
		t.Errorf("update to IPv6: %+v, %v", out, err)
	}
	f.associate(t, *id)
	f.refused(t, "other family under an endpoint", "ValidationException", func() error { _, err := update("10.0.1.11"); return err })
}

func TestConfigurationIsDeletedAfterItsEndpoints(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	id := f.configuration(t, configurationInput("db", *gate, "10.0.1.10")).Id
	row := f.associate(t, *id)
	del := func() error {
		_, err := f.api.DeleteResourceConfiguration(f.ctx, &shape.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: id})
		return err
	}
	f.refused(t, "configuration in use", "ConflictException", del)
	f.update(t, func(tx *table.Txn) { state.EndpointAssociations.Delete(tx, row.Account, row.Region, row.ID) })
	for range 2 {
		if err := del(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: id})
	if err != nil || *got.Status != "DELETE_IN_PROGRESS" {
		t.Errorf("after deletion: %+v, %v", got, err)
	}
	f.refused(t, "update of the deleted", "ValidationException", func() error {
		_, err := f.api.UpdateResourceConfiguration(f.ctx, &shape.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: id})
		return err
	})
}

func TestConfigurationsAreListedByGateway(t *testing.T) {
	f := newFixture(t)
	one, two := f.gateway(t, gatewayInput("one", subnetA)).Id, f.gateway(t, gatewayInput("two", subnetA)).Id
	for i, gate := range []*string{one, one, two} {
		f.configuration(t, configurationInput(fmt.Sprintf("db-%d", i), *gate, "10.0.1.10"))
	}
	for _, c := range []struct {
		in   *shape.ListResourceConfigurationsInput
		want int
	}{
		{&shape.ListResourceConfigurationsInput{}, 3},
		{&shape.ListResourceConfigurationsInput{ResourceGatewayIdentifier: one}, 2},
		{&shape.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: new("rcfg-1")}, 0},
	} {
		out, err := f.api.ListResourceConfigurations(f.ctx, c.in)
		if err != nil || len(out.Items) != c.want {
			t.Errorf("got %d items, %v, want %d", len(out.Items), err, c.want)
		}
	}
}

func TestAssociationsAreListedAndRemovedByTheProvider(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	id := f.configuration(t, configurationInput("db", *gate, "10.0.1.10")).Id
	first := f.associate(t, *id)
	f.associate(t, *id)
	list := func(in shape.ListResourceEndpointAssociationsInput) int {
		in.ResourceConfigurationIdentifier = id
		out, err := f.api.ListResourceEndpointAssociations(f.ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Items)
	}
	for _, c := range []struct {
		in   shape.ListResourceEndpointAssociationsInput
		want int
	}{
		{shape.ListResourceEndpointAssociationsInput{}, 2},
		{shape.ListResourceEndpointAssociationsInput{ResourceEndpointAssociationIdentifier: new(first.ARN())}, 1},
		{shape.ListResourceEndpointAssociationsInput{VpcEndpointId: new(first.Endpoint.ID)}, 1},
		{shape.ListResourceEndpointAssociationsInput{VpcEndpointOwner: new(servicetest.OtherAccount)}, 2},
		{shape.ListResourceEndpointAssociationsInput{VpcEndpointOwner: new(servicetest.Account)}, 0},
	} {
		if got := list(c.in); got != c.want {
			t.Errorf("list gave %d items, want %d", got, c.want)
		}
	}
	out, err := f.api.DeleteResourceEndpointAssociation(f.ctx, &shape.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: &first.ID})
	if err != nil || *out.VpcEndpointId != first.Endpoint.ID || *out.ResourceConfigurationId != *id {
		t.Fatalf("got %+v, %v", out, err)
	}
	row, _ := state.EndpointAssociations.Get(f.DB.Snapshot(), first.Account, first.Region, first.ID)
	if !row.Deleting() {
		t.Error("the association is not being deleted")
	}
	f.refused(t, "unknown association", "ResourceNotFoundException", func() error {
		_, err := f.api.DeleteResourceEndpointAssociation(f.ctx, &shape.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: new("rea-1")})
		return err
	})
}

func TestTagsComeAndGo(t *testing.T) {
	f := newFixture(t)
	in := gatewayInput("gate", subnetA)
	in.Tags = map[string]string{"a": "1", "b": "2"}
	gate := f.gateway(t, in)
	rcfg := f.configuration(t, configurationInput("db", *gate.Id, "10.0.1.10"))
	rea := f.associate(t, *rcfg.Id)
	for arn, start := range map[string]map[string]string{*gate.Arn: in.Tags, *rcfg.Arn: {}, rea.ARN(): {}} {
		check := func(want map[string]string) {
			t.Helper()
			out, err := f.api.ListTagsForResource(f.ctx, &shape.ListTagsForResourceInput{ResourceArn: &arn})
			if err != nil || !cmp.Equal(want, out.Tags) {
				t.Errorf("tags of %s are %v, %v, want %v", arn, out, err, want)
			}
		}
		check(start)
		if _, err := f.api.TagResource(f.ctx, &shape.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"c": "3"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.api.UntagResource(f.ctx, &shape.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"a", "b", "none"}}); err != nil {
			t.Fatal(err)
		}
		check(map[string]string{"c": "3"})
	}
	many := make(map[string]string)
	for i := range 51 {
		many[fmt.Sprint(i)] = ""
	}
	f.refused(t, "too many tags", "ValidationException", func() error {
		_, err := f.api.TagResource(f.ctx, &shape.TagResourceInput{ResourceArn: gate.Arn, Tags: many})
		return err
	})
	f.refused(t, "unknown resource", "ResourceNotFoundException", func() error {
		_, err := f.api.TagResource(f.ctx, &shape.TagResourceInput{ResourceArn: new(*gate.Arn + "x"), Tags: in.Tags})
		return err
	})
}
